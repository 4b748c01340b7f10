package unigram_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer/unigram"
)

func Example() {
	m, err := unigram.New([]unigram.Token{{Text: "<unk>"}, {Text: "hello", Score: -4}, {Text: "hel", Score: -1}, {Text: "lo", Score: -2}}, unigram.Options{Unk: 0})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Tokenize(nil, "hellohello!"))
	// Output: [{2 0 3} {3 3 5} {2 5 8} {3 8 10} {0 10 11}]
}
