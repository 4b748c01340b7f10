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
	info, err := data.Prepare(ctx, data.Documents(ctx, []string{corpus}, data.ReadOptions{}), tok, out, data.PrepareOptions{Seq: 3, Pack: data.BestFit})
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
	source, err := train.Source(1, 3, 2)
	if err != nil {
		log.Fatal(err)
	}
	var b data.Batch
	for step := range 3 {
		if err := source.Fill(&b, step, 0, 2); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q %v\n", tok.Decode(b.IDs), b.Lengths)
	}
	// Output:
}
