package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
)

func Example() {
	dir, err := os.MkdirTemp("", "gguf")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tiny.gguf")
	info := checkpoint.Info{Name: "token_embd.weight", DType: checkpoint.F16, Shape: []int{1, 2}}
	err = gguf.Write(path, gguf.Metadata{{Key: "llama.context_length", Value: uint32(512)}}, []gguf.Tensor{
		{Info: info, Data: func() ([]byte, error) { return []byte{0, 0x3c, 0, 0x40}, nil }},
	})
	fmt.Println(err)

	f, err := gguf.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	n, ok, err := gguf.Lookup[int](f.Meta, "llama.context_length")
	fmt.Println(f.Infos(), n, ok, err)
	// Output:
	// <nil>
	// [{token_embd.weight F16 [1 2]}] 512 true <nil>
}
