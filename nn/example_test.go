package nn_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/nn"
)

// A layer's parameters are known by path before they have memory.
func ExampleParams() {
	mlp := struct {
		Up   *nn.Linear `name:"up"`
		Down *nn.Linear `name:"down"`
	}{nn.NewLinear(1<<14, 1<<16, 0.02, true), nn.NewLinear(1<<16, 1<<14, 0.02, false)}
	for _, p := range nn.Params(&mlp) {
		fmt.Println(p.Name, p.T().Shape())
	}
	fmt.Println(nn.Count(nn.Params(&mlp)))
	// Output:
	// up.weight [65536, 16384]
	// up.bias [65536]
	// down.weight [16384, 65536]
	// 2147549184
}
