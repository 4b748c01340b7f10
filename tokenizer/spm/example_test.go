package spm_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer/spm"
)

func Example() {
	m := &spm.Model{
		Pieces:     []spm.Piece{{Text: "<unk>", Type: spm.Unknown}, {Text: "▁hello", Score: -1, Type: spm.Normal}},
		Trainer:    spm.DefaultTrainer(),
		Normalizer: spm.DefaultNormalizer(),
	}
	back, err := spm.Parse(m.Marshal()) // a file that SentencePiece reads, too
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := back.Cleaner()
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := c.Clean("  hello   there ")
	fmt.Printf("%s %v\n", text, back.Pieces[1])
	// Output: ▁hello▁there {▁hello -1 1}
}
