package scaling

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/model"
)

// Headroom is the share of a device's memory that Search fills at most; the rest is for buffers, fragmentation and the runtime.
const Headroom = 0.9

// Proposal is a layout and what it takes.
type Proposal struct {
	Layout Layout   `json:"layout"`
	Batch  int      `json:"batch"` // sequences: the wanted batch, or the nearest that the layout divides
	Memory Memory   `json:"memory"`
	Step   StepTime `json:"step"`
	Fits   bool     `json:"fits"` // into the device's memory, as far as it is known
}

func propose(l Layout, s model.Shape, batch int, d Device, efficiency float64) *Proposal {
	m := l.Memory(s, batch)
	return &Proposal{l, batch, m, l.Step(s, batch, d, efficiency), d.Memory == 0 || m.Total <= d.Memory}
}

// Search tries the layouts of a shape on n devices that fit into memory, and returns them with the least time for a sequence first, at most
// limit. Attention is fused, or layers are recomputed whole. Tensor parallelism stays within a node of at most eight, micro-batches are powers of two, batches within an eighth of the wanted. Precision
// and efficiency are given. It is an error where nothing fits.
func Search(s model.Shape, batch, n int, d Device, precision string, efficiency float64, limit int) ([]Proposal, error) {
	if d.Memory == 0 {
		return nil, fmt.Errorf("scaling: device %s has no known memory to search in", d.Name)
	}
	var list []Proposal
	least := math.Inf(1)
	for p := range layouts(s, batch, n, d, precision, efficiency) {
		least = min(least, p.Memory.Total)
		if p.Memory.Total <= Headroom*d.Memory {
			list = append(list, *p)
		}
	}
	if len(list) == 0 {
		if math.IsInf(least, 1) {
			return nil, fmt.Errorf("scaling: batch %d cannot be divided over %d devices", batch, n)
		}
		return nil, fmt.Errorf("scaling: devices %d are too few: the leanest layout needs %.3g GB of each, %s gives %.3g GB at %.0f %%", n, least/1e9, d.Name, d.Memory/1e9, 100*Headroom)
	}
	slices.SortStableFunc(list, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(a.Step.Total/float64(a.Batch), b.Step.Total/float64(b.Batch)), cmp.Compare(a.Memory.Total, b.Memory.Total))
	})
	return list[:min(limit, len(list))], nil
}

// leanest is the layout with the least memory; nil where the memory of the device is unknown or the batch cannot be divided.
func leanest(s model.Shape, batch, n int, d Device, precision string, efficiency float64) *Proposal {
	var best *Proposal
	if d.Memory == 0 {
		return nil
	}
	for p := range layouts(s, batch, n, d, precision, efficiency) {
		if best == nil || p.Memory.Total < best.Memory.Total {
			best = p
		}
	}
	return best
}

// layouts are those that Search chooses from, whether they fit or not.
func layouts(s model.Shape, batch, n int, d Device, precision string, efficiency float64) iter.Seq[*Proposal] {
	return func(yield func(*Proposal) bool) {
		for tensor := 1; tensor <= min(n, max(d.Node, 1), 8); tensor++ {
			for pipeline := 1; pipeline <= min(n/tensor, s.Layers); pipeline++ {
				if n%(tensor*pipeline) != 0 {
					continue
				}
				for l := range variants(Layout{Data: n / tensor / pipeline, Tensor: tensor, Pipeline: pipeline, Precision: precision}, s) {
					size := nearestMultiple(batch, l.Data*l.Micro)
					if math.Abs(float64(size)/float64(batch)-1) > 0.125 || l.Check(s, size, n) != nil {
						continue
					}
					if !yield(propose(l, s, size, d, efficiency)) {
						return
					}
				}
			}
		}
	}
}

// variants are the settings of one division of the devices.
func variants(l Layout, s model.Shape) iter.Seq[Layout] {
	return func(yield func(Layout) bool) {
		for micro := 1; micro <= 64; micro *= 2 {
			for _, r := range []model.Recompute{model.RecomputeFused, model.RecomputeFull} {
				for _, zero := range []int{0, 1, 3} {
					for interleave := 1; interleave <= 4; interleave++ {
						v := l
						v.Micro, v.Recompute, v.ZeRO, v.Sequence = micro, r, zero, l.Tensor > 1
						if interleave > 1 {
							v.Interleave = interleave
						}
						if zero > 0 && l.Data == 1 || interleave > 1 && (l.Pipeline == 1 || s.Layers%(l.Pipeline*interleave) != 0) {
							continue
						}
						if !yield(v) {
							return
						}
					}
				}
			}
		}
	}
}

func nearestMultiple(n, of int) int { return max(1, int(math.Round(float64(n)/float64(of)))) * of }
