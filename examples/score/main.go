// Score tells which of several texts a model finds most probable, per token: go run ./examples/score MODEL TEXT...
// With a question and its answers as texts this is zero-shot classification.
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
	if len(os.Args) < 3 {
		log.Fatal("usage: score MODEL TEXT...")
	}
	m, err := zoo.Open(os.Args[1], zoo.Options{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := zoo.Tokenizer(os.Args[1], m)
	if err != nil {
		log.Fatal(err)
	}
	var requests []generate.Request
	for _, text := range os.Args[2:] {
		requests = append(requests, generate.Request{Prompt: tok.Encode(text), Options: generate.Options{MaxTokens: -1, LogProbs: true, Echo: true}})
	}
	results, err := generate.New(m, tensor.CPU(0), generate.EngineOptions{}).Generate(context.Background(), requests, nil)
	if err != nil {
		log.Fatal(err)
	}
	for i, r := range results {
		sum := 0.0
		for _, p := range r.PromptLogProbs {
			sum += p
		}
		fmt.Printf("%8.4f %s\n", sum/float64(max(1, len(r.PromptLogProbs)-1)), os.Args[2+i])
	}
}
