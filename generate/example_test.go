package generate_test

import (
	"context"
	"fmt"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
)

// Two prompts are continued side by side, one greedily, one by sampling.
func Example() {
	m, err := gpt.New(gpt.Config{ModelType: gpt.TypeGPT2, Vocab: 50, Context: 16, Width: 16, Layers: 1, Heads: 2, Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02})
	if err != nil {
		panic(err)
	}
	nn.Init(m.Params(), 1, false)
	e := generate.New(m, cpu.New(cpu.Options{}), generate.EngineOptions{})
	results, err := e.Generate(context.Background(), []generate.Request{
		{Prompt: []int32{1, 2, 3}, Options: generate.Options{MaxTokens: 5}},
		{Prompt: []int32{4}, Options: generate.Options{Temperature: 0.8, TopP: 0.95, Seed: 1}},
	}, nil)
	if err != nil {
		panic(err)
	}
	for _, r := range results {
		fmt.Println(len(r.IDs), r.Finish)
	}
	// Output:
	// 5 length
	// 16 context
}
