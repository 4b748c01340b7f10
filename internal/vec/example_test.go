package vec_test

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/internal/vec"
)

func ExampleSoftmax() {
	masked := float32(math.Inf(-1))
	scores := []float32{0, 0, masked, 0, 0}
	vec.Softmax(scores, scores)
	fmt.Println(scores)
	// Output: [0.25 0.25 0 0.25 0.25]
}
