package tokenizer_test

import (
	"context"
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer"
)

func Example() {
	docs := func(yield func([]byte) bool) {
		yield([]byte("low lower lowest, new newer newest"))
	}
	tok, err := tokenizer.Train(context.Background(), docs, tokenizer.TrainOptions{VocabSize: 268})
	if err != nil {
		panic(err)
	}
	ids := tok.Encode("a newer low")
	for _, id := range ids {
		fmt.Printf("%q ", tok.Token(id))
	}
	fmt.Println(tok.Decode(ids))
	// Output: "a" " newer" " lo" "w" a newer low
}
