// Generate continues a text with a model folder: go run ./examples/generate MODEL TEXT
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: generate MODEL TEXT")
	}
	m, err := zoo.Open(os.Args[1], zoo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := zoo.Tokenizer(os.Args[1], m)
	if err != nil {
		log.Fatal(err)
	}
	engine := generate.New(m, tensor.CPU(0), generate.EngineOptions{})
	request := generate.Request{Prompt: tok.Encode(os.Args[2]), Options: generate.Options{MaxTokens: 40, Temperature: 0.8, TopP: 0.95, Seed: 1}}
	stream := tok.NewStream()
	fmt.Print(os.Args[2])
	_, err = engine.Generate(context.Background(), []generate.Request{request}, func(t generate.Token) { fmt.Print(stream.Push(t.ID)) })
	fmt.Println(stream.Flush())
	if err != nil {
		log.Fatal(err)
	}
}
