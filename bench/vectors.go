package bench

import (
	"fmt"

	"github.com/plinth-ml/plinth/eval/task"
)

// Losses is the mean and the largest 1 - cosine of vectors that should be the same, in words.
func Losses(a, b [][]float32) string {
	sum, top := 0.0, 0.0
	for i := range a {
		loss := 1 - task.Cosine(a[i], b[i])
		sum, top = sum+loss, max(top, loss)
	}
	return fmt.Sprintf("%.1e on average, at most %.1e", sum/float64(len(a)), top)
}
