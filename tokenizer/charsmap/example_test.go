package charsmap_test

import (
	"fmt"
	"os"

	"github.com/plinth-ml/plinth/tokenizer/charsmap"
)

func Example() {
	data, err := os.ReadFile("testdata/rules.charsmap") // a → xy, é → e, ab → nothing
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := charsmap.Parse(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, from := m.Normalize("éa!")
	fmt.Printf("%s %v\n", out, from)
	// Output: exy! [0 2 2 3]
}
