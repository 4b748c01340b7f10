package tensor_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/tensor"
)

// The gradient of Σ (x·w)² with respect to w.
func ExampleTape() {
	x := tensor.FromF32([]float32{1, 2}, 1, 2)
	w := tensor.FromF32([]float32{3, 4}, 2, 1)
	w.SetTrain(true)
	t := tensor.Training(cpu.New(cpu.Options{}))
	y := t.MatMul(x, w) // 11
	t.Seed(t.Mul(y, y)) // 121
	t.Backward()
	fmt.Println(w.Grad.F32()) // 2·11·x
	// Output: [22 44]
}
