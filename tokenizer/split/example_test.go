package split_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

func ExamplePattern_Next() {
	text := []byte("It's 2026,\n  isn't it?")
	for at := 0; at < len(text); {
		end := split.CL100K.Next(text, at)
		fmt.Printf("%q ", text[at:end])
		at = end
	}
	// Output: "It" "'s" " " "202" "6" ",\n" " " " isn" "'t" " it" "?"
}
