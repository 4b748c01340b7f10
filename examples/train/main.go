// Train pre-trains a tiny GPT on a file or folder of text: go run ./examples/train TEXT OUT
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: train TEXT OUT")
	}
	ctx, out := context.Background(), os.Args[2]
	check(os.MkdirAll(out, 0o755))
	var docs [][]byte
	for d, err := range data.Documents(ctx, os.Args[1:2], data.ReadOptions{}) {
		check(err)
		docs = append(docs, bytes.Clone(d.Text))
	}
	const seq, batch, seed = 32, 8, 1
	tok := must(tokenizer.Train(ctx, slices.Values(docs), tokenizer.TrainOptions{VocabSize: 400}))
	must(data.Prepare(ctx, data.Documents(ctx, os.Args[1:2], data.ReadOptions{}), tok, out+"/data", data.PrepareOptions{Seq: seq, Seed: seed}))
	set := must(data.Open(out+"/data", true))
	source := must(must(set.Split("train")).Source(seed, seq, batch))
	m := must(gpt.New(gpt.Shape(2, 32, 2, tok.VocabSize(), seq)))
	nn.Init(m.Params(), seed, true)
	loop := must(train.New(m, tensor.CPU(0), source, train.Options{Steps: 40, Batch: batch, LR: 0.01, Seed: seed, RunDir: out},
		train.Hooks{Export: func(dir string) error { return zoo.Save(dir, m, tok) }}))
	r := must(loop.Run(ctx))
	fmt.Printf("%s: %d parameters, %d steps, loss %.4f nats per token\n", r.RunDir, r.Params, r.Steps, r.Loss)
	check(set.Close())
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
