package nn

import (
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// Buckets are those of transformers, edges of the logarithmic ones included.
func TestRelativeBuckets(t *testing.T) {
	c := testkit.Golden(t, "t5/t5")
	for _, name := range c.Names("buckets.") {
		parts := strings.Split(name, ".")
		buckets, _ := strconv.Atoi(parts[1])
		most, _ := strconv.Atoi(parts[2])
		r := NewRelativeBias(buckets, 1, most, parts[0] == "both", 1)
		for i, want := range c.I32("buckets." + name) {
			if got := r.bucket(i-300, buckets); got != int(want) {
				t.Errorf("%s: distance %d is in bucket %d, want %d", name, i-300, got, want)
			}
		}
	}
}
