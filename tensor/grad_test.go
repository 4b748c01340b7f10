package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tensor"
)

// gradCase is one op with leaves; f returns the tensor whose weighted sum is differentiated.
type gradCase struct {
	name   string
	leaves [][]int // shapes
	f      func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor
}

var (
	spans = []tensor.Span{{Start: 0, Len: 3}, {Start: 3, Len: 1}, {Start: 4, Len: 4}}
	ids   = tensor.IDs([]int32{1, 0, 3, 1, 4, 4, 2, 1})
	pos   = tensor.IDs([]int32{0, 1, 2, 0, 0, 1, 2, 3})
)

// stats are running statistics of three columns.
func stats(v float64) *tensor.Tensor { return tensor.FromF64([]float64{v, v + 0.2, v + 0.4}, 3) }

func ops() []gradCase {
	cases := []gradCase{
		{"Add", [][]int{{4, 3}, {4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.Add(x[0], x[1]) }},
		{"Add itself", [][]int{{4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			y := t.Scale(x[0], 2)
			return t.Add(y, y)
		}},
		{"Mul", [][]int{{4, 3}, {4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.Mul(x[0], x[1]) }},
		{"Mul itself", [][]int{{4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.Mul(x[0], x[0]) }},
		{"Scale", [][]int{{4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.Scale(x[0], -1.5) }},
		{"MatMul", [][]int{{4, 3}, {3, 5}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.MatMul(x[0], x[1]) }},
		{"Gather of one row", [][]int{{3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.Gather(x[0], tensor.IDs([]int32{0, 0}))
		}},
		{"MatMul of activations", [][]int{{3, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			a := t.Scale(x[0], 0.5)
			return t.MatMul(t.MatMul(a, a), x[0])
		}},
		{"Linear", [][]int{{4, 3}, {5, 3}, {5}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.Linear(x[0], x[1], x[2], tensor.Linear{})
		}},
		{"Linear residual chain", [][]int{{4, 3}, {3, 3}, {3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			h := t.Scale(x[0], 1)
			h = t.Linear(h, x[1], x[2], tensor.Linear{InOut: true, Act: tensor.GELUTanh, Residual: h})
			return t.Linear(h, x[1], nil, tensor.Linear{Residual: h, Act: tensor.SiLU})
		}},
		{"Dropout", [][]int{{4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			t.DropoutKey(5)
			return t.Add(t.Dropout(x[0], 0.3), t.Dropout(t.Scale(x[0], 2), 0.5))
		}},
		{"Linear dropout chain", [][]int{{4, 3}, {3, 3}, {3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			t.DropoutKey(6)
			h := t.Linear(x[0], x[1], x[2], tensor.Linear{Drop: 0.4})
			h = t.Linear(h, x[1], x[2], tensor.Linear{InOut: true, Act: tensor.GELUTanh, Drop: 0.4, Residual: h})
			return t.Linear(h, x[1], nil, tensor.Linear{Drop: 0.4, Residual: h})
		}},
		{"Recompute of dropout", [][]int{{4, 3}, {3, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			t.DropoutKey(7)
			h := x[0]
			for range 2 {
				h = t.Recompute(t.Scale(h, 1), func(h *tensor.Tensor) *tensor.Tensor {
					return t.Dropout(t.Linear(h, x[1], nil, tensor.Linear{Act: tensor.SiLU, Drop: 0.3, Residual: h}), 0.3)
				})
			}
			return t.Dropout(h, 0.2)
		}},
		{"AddProduct", [][]int{{4, 3}, {5, 3}, {2, 3}, {3, 2}, {1, 2}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			h := t.Scale(x[0], 1)
			y := t.Linear(h, x[1], nil, tensor.Linear{}) // columns 1 to 3, then column 3, are added to
			y = t.AddProduct(y, t.Linear(h, x[2], nil, tensor.Linear{}), x[3], 1, -0.7)
			return t.AddProduct(y, t.Linear(h, x[2], nil, tensor.Linear{}), x[4], 3, 2)
		}},
		{"ScaleColumns", [][]int{{4, 3}, {3}, {3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			h := t.Scale(x[0], 1)
			return t.Add(t.ScaleColumns(h, x[1], x[2]), t.ScaleColumns(h, x[2], nil))
		}},
		{"SwiGLU", [][]int{{4, 3}, {4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.SwiGLU(x[0], x[1]) }},
		{"SwiGLU of one", [][]int{{4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.SwiGLU(x[0], x[0]) }},
		{"LayerNorm", [][]int{{4, 6}, {6}, {6}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.LayerNorm(x[0], x[1], x[2], 1e-5)
		}},
		{"RMSNorm", [][]int{{4, 6}, {6}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.RMSNorm(x[0], x[1], 1e-5) }},
		{"RMSNorm of heads", [][]int{{4, 6}, {3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.RMSNorm(x[0], x[1], 1e-5)
		}},
		{"Softmax", [][]int{{4, 6}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.Softmax(x[0]) }},
		{"Gather", [][]int{{5, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.Gather(x[0], ids) }},
		{"Gather of an activation", [][]int{{5, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.Gather(t.Scale(x[0], 2), ids)
		}},
		{"Embed", [][]int{{5, 3}, {6, 3}, {5, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.Embed(tensor.Lookup{Table: x[0], IDs: ids}, tensor.Lookup{Table: x[1], IDs: pos, From: 2}, tensor.Lookup{Table: x[2], IDs: ids})
		}},
		{"Embed with more rows", [][]int{{3, 3}, {6, 3}, {2, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			more := t.Scale(x[2], 2)
			return t.Embed(tensor.Lookup{Table: x[1], IDs: pos}, tensor.Lookup{Table: x[0], IDs: ids, More: more}) // ids 3 and 4
		}},
		{"Pick", [][]int{{4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.Pick(t.Scale(x[0], 2), tensor.IDs([]int32{3, 11, 0, 3, 5, 5}), 2)
		}},
		{"AddRows", [][]int{{4, 3}, {2, 3}, {3, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.AddRows(t.Scale(x[0], 2), []*tensor.Tensor{x[1], t.Scale(x[2], 3)}, []tensor.Buf{tensor.IDs([]int32{2, 0}), tensor.IDs([]int32{1, 2, 2})})
		}},
		{"SeqMean", [][]int{{9, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.SeqMean(t.Scale(x[0], 1), spans) // row 8 is outside
		}},
		{"AvgPool", [][]int{{2 * 5 * 3, 2}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			y, _ := t.AvgPool(t.Scale(x[0], 2), tensor.Pictures{B: 2, H: 5, W: 3}, 2)
			return y
		}},
		{"Conv", [][]int{{2 * 4 * 3, 2}, {3, 2, 3, 3}, {3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			y, _ := t.Conv(x[0], tensor.Pictures{B: 2, H: 4, W: 3}, x[1], x[2], tensor.Conv{Pad: 1})
			return y
		}},
		{"Conv residual chain", [][]int{{5 * 4, 3}, {3, 3, 3, 3}, {3}, {2, 3, 3, 2}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			h, p := t.Scale(x[0], 2), tensor.Pictures{B: 1, H: 5, W: 4}
			h, p = t.Conv(h, p, x[1], x[2], tensor.Conv{Pad: 1, Act: tensor.SiLU, Residual: h})
			h, p = t.Conv(h, p, x[1], nil, tensor.Conv{Pad: 1, Residual: h})
			h = t.Scale(h, 0.03) // tanh has a slope there
			h, p = t.Conv(h, p, x[3], nil, tensor.Conv{Stride: 2, Pad: 1, Act: tensor.Tanh})
			y, _ := t.AvgPool(h, p, 2)
			return y
		}},
		{"BatchNorm", [][]int{{6, 3}, {3}, {3}, {3, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			h := t.BatchNorm(t.Scale(x[0], 2), x[1], x[2], stats(0), stats(1), tensor.BatchNorm{Eps: 1e-2, Momentum: 0.1, Act: tensor.SiLU})
			h = t.BatchNorm(t.Linear(h, x[3], nil, tensor.Linear{}), x[1], x[2], stats(0.5), stats(2), tensor.BatchNorm{Eps: 1e-2, Frozen: true, Residual: h})
			return t.BatchNorm(t.Linear(h, x[3], nil, tensor.Linear{}), x[1], x[2], stats(0), stats(1), tensor.BatchNorm{Eps: 1e-2, Residual: h, Act: tensor.Tanh})
		}},
		{"Recompute", [][]int{{4, 3}, {3, 3}, {3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
			return t.Recompute(t.Scale(x[0], 1), func(h *tensor.Tensor) *tensor.Tensor {
				return t.Linear(t.RMSNorm(h, x[2], 1e-5), x[1], nil, tensor.Linear{Act: tensor.GELU, Residual: h})
			})
		}},
	}
	for _, act := range []tensor.Act{tensor.GELU, tensor.GELUTanh, tensor.ReLU, tensor.SiLU, tensor.Tanh, tensor.Sigmoid, tensor.QuickGELU} {
		cases = append(cases, gradCase{"Act " + act.String(), [][]int{{4, 3}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { return t.Act(act, x[0]) }},
			gradCase{"Linear " + act.String(), [][]int{{4, 3}, {5, 3}, {5}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
				return t.Linear(x[0], x[1], x[2], tensor.Linear{Act: act})
			}})
	}
	for _, dims := range []int{0, 2} {
		for _, pairs := range []bool{false, true} {
			table := tensor.NewRopeTable(tensor.F64, 4, dims, pairs, 8, func(p, i int) (cos, sin float64) {
				sin, cos = math.Sincos(float64(p) * math.Pow(10, -float64(i)))
				return cos, sin
			})
			cases = append(cases, gradCase{fmt.Sprintf("Rope of %d, pairs %v", dims, pairs), [][]int{{8, 8}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
				return t.Rope(x[0], table, pos)
			}})
		}
	}
	for _, a := range []tensor.Attention{
		{Heads: 2, KVHeads: 2, HeadDim: 3, Causal: true},
		{Heads: 2, KVHeads: 2, HeadDim: 3},
		{Heads: 4, KVHeads: 2, HeadDim: 2, Causal: true, Window: 2},
		{Heads: 2, KVHeads: 1, HeadDim: 3, Window: 3, Scale: 0.3},
		{Heads: 2, KVHeads: 2, HeadDim: 3, Causal: true, SoftCap: 0.8},
	} {
		a.Queries = spans
		name := fmt.Sprintf("heads %d of %d causal %v window %d cap %v", a.Heads, a.KVHeads, a.Causal, a.Window, a.SoftCap)
		width := (a.Heads + 2*a.KVHeads) * a.HeadDim
		cases = append(cases,
			gradCase{"AttentionQKV " + name, [][]int{{9, width}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor { // row 8 is outside
				q, k, v := tensor.QKV(t.Scale(x[0], 1), a)
				return t.Attention(q, k, v, a)
			}},
			gradCase{"AttentionQKV of a leaf " + name, [][]int{{8, width}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
				q, k, v := tensor.QKV(x[0], a)
				return t.Attention(q, k, v, a)
			}},
			gradCase{"Attention " + name, [][]int{{8, a.Heads * a.HeadDim}, {8, a.KVHeads * a.HeadDim}, {8, a.KVHeads * a.HeadDim}, {a.Heads, 4, 4}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
				b := a
				b.Bias = x[3]
				return t.Attention(tensor.Of(x[0]), tensor.Of(t.Scale(x[1], 1)), tensor.Of(x[2]), b)
			}},
			gradCase{"Attention with a bias by distance " + name, [][]int{{8, a.Heads * a.HeadDim}, {8, a.KVHeads * a.HeadDim}, {8, a.KVHeads * a.HeadDim}, {a.Heads, 7}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
				b := a
				b.Bias = x[3]
				return t.Attention(tensor.Of(x[0]), tensor.Of(t.Scale(x[1], 1)), tensor.Of(x[2]), b)
			}},
			gradCase{"cross attention " + name, [][]int{{8, a.Heads * a.HeadDim}, {14, a.KVHeads * a.HeadDim}, {14, a.KVHeads * a.HeadDim}}, func(t *tensor.Tape, x []*tensor.Tensor) *tensor.Tensor {
				b := a
				b.Keys = []tensor.Span{{Start: 0, Len: 5}, {Start: 5, Len: 2}, {Start: 8, Len: 6}}
				return t.Attention(tensor.Of(x[0]), tensor.Of(x[1]), tensor.Of(x[2]), b)
			}})
	}
	return cases
}

// TestGradients compares every op's gradient with central differences in float64 on the reference kernels.
func TestGradients(t *testing.T) {
	for _, c := range ops() {
		t.Run(c.name, func(t *testing.T) {
			tape := tensor.Training(ref.New())
			leaves := make([]*tensor.Tensor, len(c.leaves))
			for i, shape := range c.leaves {
				data := make([]float64, tensor.Shape(shape).Elements())
				key := random.NewKey(uint64(i), uint64(len(c.name)))
				for j := range data {
					data[j] = key.Normal(uint64(j))
				}
				leaves[i] = tensor.FromF64(data, shape...)
				leaves[i].SetTrain(true)
			}
			// The loss is Σ y·weights, made by a product with a constant so that dy is not uniform.
			loss := func() float64 {
				tape.Reset()
				y := c.f(tape, leaves)
				w := weights(y)
				z := tape.Mul(y, w)
				tape.Seed(z)
				sum := 0.0
				for _, v := range z.Data.F64() {
					sum += v
				}
				return sum
			}
			loss()
			tape.Backward()
			var got [][]float64
			for i, x := range leaves {
				got = append(got, append([]float64(nil), x.Grad.F64()...))
				clear(x.Grad.F64())
				if g := got[i]; max(slices.Max(g), -slices.Min(g)) < 1e-3 {
					t.Errorf("leaf %d: gradient %v: the case shows nothing", i, g)
				}
			}
			lean := tensor.Training(ref.New()) // of which results are made again
			lean.Keep(tensor.KeepLean)
			y := lean.Scope(func() *tensor.Tensor { return c.f(lean, leaves) })
			lean.Seed(lean.Mul(y, weights(y)))
			lean.Backward()
			for i, x := range leaves {
				if !slices.Equal(x.Grad.F64(), got[i]) {
					t.Errorf("leaf %d: gradient %v where less is kept, %v where all is", i, x.Grad.F64(), got[i])
				}
			}
			const h = 1e-5
			for i, x := range leaves {
				data := x.Data.F64()
				for j := range data {
					old := data[j]
					data[j] = old + h
					up := loss()
					data[j] = old - h
					down := loss()
					data[j] = old
					if want := (up - down) / (2 * h); math.Abs(want-got[i][j]) > 1e-6*(1+math.Abs(want)) {
						t.Fatalf("leaf %d element %d: gradient %v, difference quotient %v", i, j, got[i][j], want)
					}
				}
			}
			before := tape.Bytes() // the memory is reused: a further step takes nothing
			loss()
			tape.Backward()
			loss()
			tape.Backward()
			if tape.Bytes() != before {
				t.Errorf("the tape grew from %d to %d bytes", before, tape.Bytes())
			}
		})
	}
}

// weights is a constant of y's shape.
func weights(y *tensor.Tensor) *tensor.Tensor {
	w := make([]float64, y.Len())
	for i := range w {
		w[i] = math.Sin(float64(3*i + 1))
	}
	return tensor.FromF64(w, y.Shape()...)
}

// TestCrossEntropyGradients does the same for the loss op, whose gradient comes with its value.
func TestCrossEntropyGradients(t *testing.T) {
	const N, C, V = 6, 4, 7
	targets := tensor.IDs([]int32{3, -1, 0, 6, 6, 2})
	weight := []float64{1, 2, 0.5, 0, 1, 3}
	for _, o := range []tensor.CrossEntropy{{}, {ZLoss: 0.1}, {ZLoss: 0.1, SoftCap: 1.5}} {
		tape := tensor.Training(ref.New())
		var leaves []*tensor.Tensor
		for i, shape := range [][]int{{N, C}, {V, C}, {V}} {
			data := make([]float64, tensor.Shape(shape).Elements())
			for j := range data {
				data[j] = random.NewKey(9, uint64(i)).Normal(uint64(j))
			}
			x := tensor.FromF64(data, shape...)
			x.SetTrain(true)
			leaves = append(leaves, x)
		}
		x, w, b := leaves[0], leaves[1], leaves[2]
		const scale = 0.25
		run := func() { // two heads on one x: contributions add
			tape.Reset()
			h := tape.Scale(x, 1)
			o.Targets, o.Weights, o.Scale = targets, kernel.OfF64(weight), scale
			tape.CrossEntropy(h, w, b, o)
			tape.CrossEntropy(h, w, nil, o)
		}
		// loss is written out: -log softmax + ZLoss·lse², of capped logits.
		loss := func() float64 {
			sum := 0.0
			for _, bias := range []bool{true, false} {
				for n := range N {
					target := targets.I32()[n]
					if target < 0 {
						continue
					}
					total, hit := 0.0, 0.0
					for v := range V {
						logit := 0.0
						for c := range C {
							logit += x.Data.F64()[n*C+c] * w.Data.F64()[v*C+c]
						}
						if bias {
							logit += b.Data.F64()[v]
						}
						if o.SoftCap > 0 {
							logit = o.SoftCap * math.Tanh(logit/o.SoftCap)
						}
						total += math.Exp(logit)
						if v == int(target) {
							hit = logit
						}
					}
					lse := math.Log(total)
					sum += scale * weight[n] * (lse - hit + o.ZLoss*lse*lse)
				}
			}
			return sum
		}
		run()
		tape.Backward()
		for i, x := range leaves {
			got := append([]float64(nil), x.Grad.F64()...)
			for j := range got {
				old, h := x.Data.F64()[j], 1e-5
				x.Data.F64()[j] = old + h
				up := loss()
				x.Data.F64()[j] = old - h
				down := loss()
				x.Data.F64()[j] = old
				if want := (up - down) / (2 * h); math.Abs(want-got[j]) > 1e-7 {
					t.Fatalf("z-loss %v, soft cap %v, leaf %d element %d: gradient %v, difference quotient %v", o.ZLoss, o.SoftCap, i, j, got[j], want)
				}
			}
		}
	}
}
