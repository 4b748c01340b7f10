package main

import (
	"strings"

	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
)

// open maps a GGUF file and returns its model and the bytes of weights that a token goes through.
func open(path string) (model.Decoder, int, error) {
	m, err := zoo.Open(path, zoo.Options{})
	if err != nil {
		return nil, 0, err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	bytes := 0
	for i, t := range f.Infos() {
		if !strings.HasPrefix(t.Name, "token_embd") {
			bytes += len(f.Mapped(i))
		}
	}
	return m, bytes, nil
}
