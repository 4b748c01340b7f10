package wordpiece_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer/wordpiece"
)

func Example() {
	m, err := wordpiece.New(map[string]int32{"[UNK]": 0, "token": 1, "##izer": 2, "##s": 3}, wordpiece.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Tokenize(nil, "tokenizers"))
	// Output: [{1 0 5} {2 5 9} {3 9 10}]
}
