package checkpoint_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/checkpoint"
)

func Example() {
	dir, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, checkpoint.WeightsFile)
	err = checkpoint.Write(path, []checkpoint.Tensor{
		{Name: "wte.weight", DType: checkpoint.BF16, Shape: []int{1, 2}, Data: []byte{0x80, 0x3f, 0, 0x40}},
	}, nil)
	fmt.Println(err)

	f, err := checkpoint.Open(dir)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	w := make([]float32, 2)
	err = checkpoint.LoadStrict(f, []checkpoint.Binding{{Name: "wte.weight", Shape: []int{1, 2}, Data: w}}, nil)
	fmt.Println(f.Names(), w, err)
	// Output:
	// <nil>
	// [wte.weight] [1 2] <nil>
}
