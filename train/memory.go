package train

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Memory is what a run needs, in bytes.
type Memory struct {
	Weights, Gradients, Moments int64
	Activations                 int64 // what the tape holds for one micro-batch, gradients of activations included
	Workspace                   int64 // scratch of the kernels and of the optimiser
	Total                       int64
}

// Estimate says what training m with o would need, from shapes alone: the model may be without memory. It runs the forward and the backward
// pass of a few layers and rows on kernels that compute nothing, and counts what the tape takes.
func Estimate(m model.Decoder, o Options) (Memory, error) {
	s := m.Sizes()
	o, err := o.Resolve(s)
	if err != nil {
		return Memory{}, err
	}
	var e Memory
	largest := int64(0) // matrix that Muon takes
	for _, p := range m.Params() {
		n := 4 * int64(p.T().Len())
		e.Weights += n
		e.Gradients += n
		if o.EMA > 0 {
			e.Moments += n
		}
		if o.Optimizer == "muon" && isHidden(p) {
			e.Moments += n
			rows, cols := p.T().Dims2()
			small := int64(min(rows, cols))
			largest = max(largest, 2*n+8*small*small)
		} else {
			e.Moments += 2 * int64(o.momentType().Bytes(p.T().Len()))
		}
	}
	e.Activations = activations(m, o, o.Micro)
	if rest := o.Batch % o.Micro; rest > 0 { // the tape holds buffers of both sizes
		e.Activations += activations(m, o, rest)
	}
	logits := int64(min(512, max(128, 1<<20/s.Vocab), o.Micro*o.Seq)) * int64(s.Vocab) * 4
	e.Workspace = largest + logits + 16<<20 // and packed operands of products
	e.Total = e.Weights + e.Gradients + e.Moments + e.Activations + e.Workspace
	return e, nil
}

// activations is what the tape holds for so many sequences at once. It extrapolates from few layers and rows to all: tape memory is linear in both. Rows are divided by a power of two, which
// keeps the tape's rounding the same, in parts, as it is for all rows.
func activations(m model.Decoder, o Options, sequences int) int64 {
	rows, part := sequences*o.Seq, int64(1)
	for rows >= 128 {
		rows, part = (rows+1)/2, part*2
	}
	layers := m.Sizes().Layers
	if layers <= 4 {
		return part * dryRun(m, rows, layers, o)
	}
	two, four := dryRun(m, rows, 2, o), dryRun(m, rows, 4, o) // layers may alternate
	return part * (two + (four-two)/2*int64(layers-2))
}

// dryRun returns what the tape holds after the forward and backward pass of rows tokens through the first layers.
func dryRun(m model.Decoder, rows, layers int, o Options) int64 {
	s := m.Sizes()
	t := o.tape(noKernels)
	x := tensor.New(rows, s.Width) // stands for the embedded tokens, whose gradient a tape holds too
	x.Alloc(tensor.F32, true)
	lengths := []int{}
	for left := rows; left > 0; left -= s.Context {
		lengths = append(lengths, min(left, s.Context))
	}
	targets := tensor.IDs(make([]int32, rows))
	f := m.Norm(t, newLayers(m, layers, o.Recompute).body(t, t.Scale(x, 1), nn.NewSeqs(lengths...), layers))
	m.Head().Loss(t, f, tensor.CrossEntropy{Targets: targets})
	t.Backward()
	return int64(t.Bytes())
}

// noKernels computes nothing.
var noKernels = &kernel.Set{
	Name: "none", Threads: 1,
	MatMul: func(*kernel.MatMul) {}, Pack: func(*kernel.Packed, tensor.Buf, bool, int, int) {},
	Fill: func(tensor.Buf, float64) {}, Copy: func(_, _ tensor.Buf) {},
	Add: func(_, _, _ tensor.Buf) {}, Mul: func(_, _, _ tensor.Buf) {}, MulTo: func(_, _, _ tensor.Buf) {},
	Axpy: func(tensor.Buf, float64, tensor.Buf) {}, Scale: func(tensor.Buf, float64, tensor.Buf) {},
	Act: func(tensor.Act, tensor.Buf, tensor.Buf) {}, ActGrad: func(_ tensor.Act, _, _, _ tensor.Buf, _ bool) {},
	SwiGLU: func(_, _, _ tensor.Buf) {}, SwiGLUGrad: func(_, _, _, _, _ tensor.Buf, _ bool) {},
	Softmax: func(_, _ tensor.Buf, _ int) {}, SoftmaxGrad: func(_, _, _ tensor.Buf, _ int, _ bool) {},
	LayerNorm:     func(_, _, _, _, _, _ tensor.Buf, _ float64) {},
	LayerNormGrad: func(_, _, _, _, _, _, _, _ tensor.Buf, _ bool) {},
	RMSNorm:       func(_, _, _, _ tensor.Buf, _ float64) {},
	RMSNormGrad:   func(_, _, _, _, _, _ tensor.Buf, _ bool) {},
	Gather:        func(_, _, _ tensor.Buf, _ int, _ bool) {}, ScatterAdd: func(_, _, _ tensor.Buf, _ int) {},
	SumRows: func(_, _ tensor.Buf) {},
	SeqMean: func(_, _ tensor.Buf, _ []tensor.Span, _ int) {}, SeqMeanGrad: func(_, _ tensor.Buf, _ []tensor.Span, _ int, _ bool) {},
	Rope:      func(_, _ tensor.Buf, _ *kernel.Rope) {},
	Attention: func(*kernel.Attention) {}, AttentionGrad: func(*kernel.Attention, *kernel.AttentionGrad) {},
	CrossEntropy: func(*kernel.CrossEntropy) {},
	AdamW:        func(*kernel.AdamW, ...kernel.AdamWParam) {}, SumSquares: func(...tensor.Buf) float64 { return 0 },
}

// Fits returns an error, ErrMemory with advice, when the run needs more memory than is free. Parameters that have memory already are
// not counted again. Where the system does not tell, everything fits.
func Fits(m model.Decoder, o Options) error {
	need, err := Estimate(m, o)
	if err != nil {
		return err
	}
	free := availableMemory()
	if free == 0 {
		return nil
	}
	return need.within(free, m.Params(), o)
}

func (e Memory) within(free int64, params []nn.Named, o Options) error {
	missing := e.Total
	for _, p := range params {
		missing -= int64(4*p.T().Data.Len() + 4*p.T().Grad.Len())
	}
	if missing <= free {
		return nil
	}
	const mb = 1e6
	advice := "a smaller --micro, --recompute, --moments bf16, a shorter --seq, or a smaller model"
	if o.Recompute {
		advice = "a smaller --micro, --moments bf16, a shorter --seq, or a smaller model"
	}
	return fmt.Errorf("train: %w: %.0f MB free, %.0f MB more needed (weights %.0f, gradients %.0f, moments %.0f, activations %.0f, workspace %.0f MB): try %s",
		ErrMemory, float64(free)/mb, float64(missing)/mb, float64(e.Weights)/mb, float64(e.Gradients)/mb, float64(e.Moments)/mb,
		float64(e.Activations)/mb, float64(e.Workspace)/mb, advice)
}
