package ref_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
)

// The same function computes in float32 or float64, as its buffers are.
func Example() {
	s := ref.New()
	x := kernel.OfF64([]float64{0, 0, 1, 1})
	s.Softmax(x, x, 2)
	fmt.Println(x.F64())
	y := kernel.OfF32([]float32{1, 2, 3})
	s.Axpy(y, 10, y)
	fmt.Println(y.F32())
	// Output:
	// [0.5 0.5 0.5 0.5]
	// [11 22 33]
}
