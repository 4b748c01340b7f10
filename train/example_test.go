package train_test

import (
	"context"
	"fmt"
	"log"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/train"
)

// A small GPT learns to count.
func Example() {
	doc := make([]int32, 400)
	for i := range doc {
		doc[i] = int32(i % 10)
	}
	split, err := data.FromTokens([][]int32{doc}, 10, 8, 1)
	if err != nil {
		log.Fatal(err)
	}
	src, err := split.Source(1, 8, 4)
	if err != nil {
		log.Fatal(err)
	}
	m, err := gpt.New(gpt.Shape(1, 16, 2, 10, 8))
	if err != nil {
		log.Fatal(err)
	}
	nn.Init(m.Params(), 1, true)
	loop, err := train.New(m, ref.New(), src, train.Options{Steps: 60, Batch: 4, LR: 0.02}, train.Hooks{})
	if err != nil {
		log.Fatal(err)
	}
	r, err := loop.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Steps, "steps,", r.Tokens, "tokens, loss below 0.1:", r.Loss < 0.1)
	// Output: 60 steps, 1920 tokens, loss below 0.1: true
}
