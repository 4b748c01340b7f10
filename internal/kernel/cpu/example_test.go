package cpu_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

func ExampleNew() {
	s := cpu.New(cpu.Options{Threads: 2})
	x := kernel.OfF32([]float32{1, 2, 3, 4, 5, 6}) // [2, 3]
	w := kernel.OfF32([]float32{1, 0, 1, 0, 2, 0}) // [2, 3]
	y := kernel.Alloc(kernel.F32, 4)
	s.MatMul(&kernel.MatMul{M: 2, N: 2, K: 3, A: x, B: w, TransB: true, C: y})
	fmt.Println(y.F32())
	// Output: [4 4 10 10]
}
