package adapt_test

import (
	"fmt"

	"github.com/plinth-ml/plinth/adapt"
)

func ExampleFitBag() {
	texts := []adapt.Example{{IDs: []int32{1, 2, 3}, Label: 0}, {IDs: []int32{1, 2, 2}, Label: 0}, {IDs: []int32{4, 5}, Label: 1}, {IDs: []int32{4, 4, 3}, Label: 1}}
	bag, err := adapt.FitBag(texts, 6, 2, 1)
	if err != nil {
		panic(err)
	}
	fmt.Println(bag.Predict([]adapt.Example{{IDs: []int32{2, 3}}, {IDs: []int32{5, 4}}}))
	// Output: [0 1]
}
