//go:build slow

package scaling

import (
	"context"
	"math"
	"testing"
)

// Fitted without the two largest runs, the law predicts them at least twice as well as the best smaller run does.
func TestEpochHoldout(t *testing.T) {
	h, err := Holdout(context.Background(), epochRuns(t), 2, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range h.HeldOut {
		if math.Abs(o.Error) > math.Abs(o.NaiveError)/2 {
			t.Errorf("N %.3g, C %.3g: %.4f predicted, %.4f measured; %.2f %% against %.2f %%", o.Run.N, o.Run.C, o.Predicted, o.Run.Loss, 100*o.Error, 100*o.NaiveError)
		}
	}
}
