package nn

import (
	"math"
	"sync"

	"github.com/plinth-ml/plinth/tensor"
)

// RelativeBias is attention's bias by distance (Raffel et al. 2020, section 2.1): each head has a number for every bucket of distances, which
// is added to the scores of all pairs of a query and a key so far apart. Near distances have a bucket each, farther ones share one, the more the
// farther, and all from MaxDistance on are in the last.
type RelativeBias struct {
	Weight        *Param `name:"weight"` // [buckets, H]
	Bidirectional bool   // half of the buckets are for keys behind the query; otherwise these are as at the query
	MaxDistance   int

	mu    sync.Mutex
	reach int        // positions that at serves
	at    tensor.Buf // I32 [H·(2·reach-1)], where in Weight the bias of a head and a distance stands
}

// NewRelativeBias returns a table that starts as N(0, std²).
func NewRelativeBias(buckets, heads, maxDistance int, bidirectional bool, std float64) *RelativeBias {
	return &RelativeBias{Weight: NewParam(std, buckets, heads), Bidirectional: bidirectional, MaxDistance: maxDistance}
}

// Of returns the bias for a batch as tensor.Attention takes it: [H, 2T-1], by key position less query position, T at least the longest sequence.
func (r *RelativeBias) Of(t *tensor.Tape, seqs *Seqs) *tensor.Tensor {
	need := 1
	for _, p := range seqs.Positions.I32() {
		need = max(need, int(p)+1)
	}
	at, reach := r.places(need)
	return t.Pick(r.Weight.T(), at, 2*reach-1)
}

// places returns at for at least the given number of positions.
func (r *RelativeBias) places(need int) (at tensor.Buf, reach int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if need > r.reach {
		for r.reach = max(r.reach, 64); r.reach < need; r.reach *= 2 {
		}
		buckets, H := r.Weight.T().Dims2()
		var places []int32
		for h := range H {
			for d := 1 - r.reach; d < r.reach; d++ {
				places = append(places, int32(r.bucket(d, buckets)*H+h))
			}
		}
		r.at = tensor.IDs(places)
	}
	return r.at, r.reach
}

// bucket is that of a key position less query position d. The logarithm is taken in float32, as in the published code, so that distances at
// a bucket's edge fall on the same side.
func (r *RelativeBias) bucket(d, buckets int) int {
	first := 0
	if r.Bidirectional {
		buckets /= 2
		if d > 0 {
			first = buckets
		}
		d = max(d, -d)
	} else {
		d = max(-d, 0)
	}
	exact := buckets / 2
	if d < exact {
		return first + d
	}
	share := float32(math.Log(float64(float32(d)/float32(exact)))) / float32(math.Log(float64(r.MaxDistance)/float64(exact)))
	return first + min(buckets-1, exact+int(share*float32(buckets-exact)))
}
