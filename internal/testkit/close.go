package testkit

import (
	"fmt"
	"math"
	"testing"
)

// Close reports an error unless every |got-want| <= rel*max|want| + abs, the
// largest |want| being that of the whole tensor. A NaN, or an infinity where the
// other is not the same infinity, is never close; a difference in length is an
// error too. The message gives the worst element. It reports whether all is well.
func Close(t testing.TB, name string, got, want []float32, rel, abs float64) bool {
	t.Helper()
	if msg := compare(got, want, rel, abs); msg != "" {
		t.Errorf("%s: %s", name, msg)
		return false
	}
	return true
}

// compare returns what is wrong, or "".
func compare(got, want []float32, rel, abs float64) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d elements, want %d", len(got), len(want))
	}
	var most float64
	for _, w := range want {
		if v := math.Abs(float64(w)); v > most && !math.IsInf(v, 0) {
			most = v
		}
	}
	limit := rel*most + abs
	worst, at, bad := 0.0, -1, 0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if got[i] == w {
			d = 0 // equal infinities
		} else if math.IsNaN(d) {
			d = math.Inf(1)
		}
		if d > limit {
			bad++
		}
		if d > worst {
			worst, at = d, i
		}
	}
	if bad == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d elements differ by more than %.3g; worst at %d: got %v, want %v, off by %.3g (largest |want| %.3g)",
		bad, len(want), limit, at, got[at], want[at], worst, most)
}
