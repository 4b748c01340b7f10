package data_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/tokenizer"
)

// A folder of text becomes batches.
func Example() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	corpus, out := filepath.Join(dir, "corpus.jsonl"), filepath.Join(dir, "prepared")
	if err := os.WriteFile(corpus, []byte("{\"text\":\"one fish\"}\n{\"text\":\"two fish\"}\n{\"text\":\"red fish\"}\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	tok, err := tokenizer.Train(ctx, func(yield func([]byte) bool) { yield([]byte("one fish two fish red fish blue fish")) }, tokenizer.TrainOptions{VocabSize: 300})
	if err != nil {
		log.Fatal(err)
	}
	info, err := data.Prepare(ctx, data.Documents(ctx, []string{corpus}, data.ReadOptions{}), tok, out, data.PrepareOptions{Seq: 5})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Train.Documents, "documents,", info.Train.Tokens, "tokens,", info.Train.Sequences, "sequences")

	set, err := data.Open(out, false)
	if err != nil {
		log.Fatal(err)
	}
	defer set.Close()
	train, err := set.Split("train")
	if err != nil {
		log.Fatal(err)
	}
	source, err := train.Source(1, 5, 1)
	if err != nil {
		log.Fatal(err)
	}
	var b data.Batch
	for step := range 2 {
		if err := source.Fill(&b, step, 0, 1); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("step %d: %q in pieces of %v tokens\n", step, tok.Decode(b.IDs), b.Lengths)
	}
	// Output:
	// 3 documents, 10 tokens, 2 sequences
	// step 0: "red fish<|endoftext|>two" in pieces of [3 2] tokens
	// step 1: " fish<|endoftext|>one fish<|endoftext|>" in pieces of [2 3] tokens
}
