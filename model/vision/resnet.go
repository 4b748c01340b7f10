package vision

import (
	"math"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// ResNetConfig is the shape of a ResNet.
type ResNetConfig struct {
	Side   int    // of the pictures, in pixels: a multiple of 32
	Width  int    // of the first stage
	Layers [4]int // blocks of each stage
	Heads  int    // of the attention at the end
	Output int    // length of a picture's vector
}

// Features is the number of channels behind the last stage.
func (c ResNetConfig) Features() int { return 32 * c.Width }

// Rows is the number of rows of a picture in the attention at the end: the mean and the pixels.
func (c ResNetConfig) Rows() int { n := c.Side / 32; return 1 + n*n }

// FLOPs is the arithmetic of a picture in convolutions and at the end, a multiply-add being two.
func (c ResNetConfig) FLOPs() float64 {
	side, w := float64(c.Side), float64(c.Width)
	pixels := side * side / 4
	madds := pixels * w / 2 * 9 * (3 + w/2 + w) // the first three
	in := w
	pixels /= 4
	for i, n := range c.Layers {
		inner := w * float64(int(1)<<i)
		for j := range n {
			out := pixels // behind the block
			if i > 0 && j == 0 {
				out /= 4
			}
			madds += pixels*inner*(in+9*inner) + out*inner*expansion*inner
			if j == 0 {
				madds += out * in * expansion * inner
			}
			in, pixels = expansion*inner, out
		}
	}
	rows, features := float64(c.Rows()), float64(c.Features())
	return 2 * (madds + 2*rows*features*features + features*features + 2*rows*features + features*float64(c.Output))
}

// ResNet is the residual network (He et al. 2016) as CLIP has it (Radford et al. 2021, section 2.4): three convolutions at the start, averages in front of
// what would be a convolution with a stride, attention in the place of the last average. Its tags are OpenAI's.
type ResNet struct {
	Config ResNetConfig
	Conv1  *nn.Conv       `name:"conv1"`
	Norm1  *nn.BatchNorm  `name:"bn1"`
	Conv2  *nn.Conv       `name:"conv2"`
	Norm2  *nn.BatchNorm  `name:"bn2"`
	Conv3  *nn.Conv       `name:"conv3"`
	Norm3  *nn.BatchNorm  `name:"bn3"`
	Stage1 []*Bottleneck  `name:"layer1"`
	Stage2 []*Bottleneck  `name:"layer2"`
	Stage3 []*Bottleneck  `name:"layer3"`
	Stage4 []*Bottleneck  `name:"layer4"`
	Pool   *AttentionPool `name:"attnpool"`
}

// NewResNet returns a tower of shapes. It starts as OpenAI's does: the last norm of each block at 0, so that the block is the identity.
func NewResNet(c ResNetConfig) *ResNet {
	w := c.Width
	m := &ResNet{Config: c, Conv1: nn.NewConv(3, w/2, 3, 2, false), Norm1: nn.NewBatchNorm(w/2, 1), Conv2: nn.NewConv(w/2, w/2, 3, 1, false),
		Norm2: nn.NewBatchNorm(w/2, 1), Conv3: nn.NewConv(w/2, w, 3, 1, false), Norm3: nn.NewBatchNorm(w, 1),
		Pool: newAttentionPool(c.Side/32, c.Features(), c.Heads, c.Output)}
	in := w
	for i, stage := range m.stages() {
		for j := range c.Layers[i] {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			*stage = append(*stage, newBottleneck(in, w<<i, stride))
			in = expansion * w << i
		}
	}
	return m
}

func (m *ResNet) stages() []*[]*Bottleneck {
	return []*[]*Bottleneck{&m.Stage1, &m.Stage2, &m.Stage3, &m.Stage4}
}

// Width is the length of a picture's vector.
func (m *ResNet) Width() int { return m.Config.Output }

// Side is that of the pictures, in pixels.
func (m *ResNet) Side() int { return m.Config.Side }

// FreezeStatistics makes the norms use and leave their running statistics in training too, or ends that.
func (m *ResNet) FreezeStatistics(frozen bool) {
	for _, n := range []*nn.BatchNorm{m.Norm1, m.Norm2, m.Norm3} {
		n.Frozen = frozen
	}
	for _, stage := range m.stages() {
		for _, b := range *stage {
			for _, n := range []*nn.BatchNorm{b.Norm1, b.Norm2, b.Norm3, b.SkipNorm} {
				if n != nil {
					n.Frozen = frozen
				}
			}
		}
	}
}

// Encode maps the pictures to their vectors [B, Width]. Pictures are seen whole: Keep must be nil.
func (m *ResNet) Encode(t *tensor.Tape, in Images) *tensor.Tensor {
	in.check(m.Config.Side)
	if in.Keep != nil {
		panic("vision: a ResNet sees whole pictures, it has no patches to leave out")
	}
	p := tensor.Pictures{B: in.Len(), H: in.Side, W: in.Side}
	x := t.Scope(func() (x *tensor.Tensor) {
		x, p = m.stem(t, in.input(t), p)
		return x
	})
	for _, stage := range m.stages() {
		for _, b := range *stage {
			x = t.Scope(func() (y *tensor.Tensor) {
				y, p = b.Forward(t, x, p)
				return y
			})
		}
	}
	return m.Pool.Forward(t, x, p)
}

// input returns the pixels as rows of three channels.
func (in Images) input(t *tensor.Tape) *tensor.Tensor {
	area := in.Side * in.Side
	return t.Input(func(dst []float32) {
		for b := range in.Len() {
			for c := range 3 {
				for i, v := range in.Pixels[(b*3+c)*area:][:area] {
					dst[(b*area+i)*3+c] = v
				}
			}
		}
	}, in.Len()*area, 3)
}

func (m *ResNet) stem(t *tensor.Tape, x *tensor.Tensor, p tensor.Pictures) (*tensor.Tensor, tensor.Pictures) {
	for _, l := range []struct {
		conv *nn.Conv
		norm *nn.BatchNorm
	}{{m.Conv1, m.Norm1}, {m.Conv2, m.Norm2}, {m.Conv3, m.Norm3}} {
		x, p = l.conv.ForwardNorm(t, x, p, l.norm, tensor.ReLU, nil)
	}
	return t.AvgPool(x, p, 2)
}

// expansion is how much wider a Bottleneck is outside than inside.
const expansion = 4

// Bottleneck is a residual block of three convolutions, the second on few channels. With a stride the averages of squares stand in front of the third and of
// the skip.
type Bottleneck struct {
	Conv1    *nn.Conv      `name:"conv1"`
	Norm1    *nn.BatchNorm `name:"bn1"`
	Conv2    *nn.Conv      `name:"conv2"`
	Norm2    *nn.BatchNorm `name:"bn2"`
	Conv3    *nn.Conv      `name:"conv3"`
	Norm3    *nn.BatchNorm `name:"bn3"`
	Skip     *nn.Conv      `name:"downsample.0"` // where the block changes the size or the channels; or nil
	SkipNorm *nn.BatchNorm `name:"downsample.1"`
	stride   int
}

func newBottleneck(in, inner, stride int) *Bottleneck {
	out := expansion * inner
	b := &Bottleneck{Conv1: nn.NewConv(in, inner, 1, 1, false), Norm1: nn.NewBatchNorm(inner, 1), Conv2: nn.NewConv(inner, inner, 3, 1, false),
		Norm2: nn.NewBatchNorm(inner, 1), Conv3: nn.NewConv(inner, out, 1, 1, false), Norm3: nn.NewBatchNorm(out, 0), stride: stride}
	if stride > 1 || in != out {
		b.Skip, b.SkipNorm = nn.NewConv(in, out, 1, 1, false), nn.NewBatchNorm(out, 1)
	}
	return b
}

// Forward maps the pixels x [B·H·W, C] of pictures to those of the pictures that it returns.
func (b *Bottleneck) Forward(t *tensor.Tape, x *tensor.Tensor, p tensor.Pictures) (*tensor.Tensor, tensor.Pictures) {
	y, _ := b.Conv1.ForwardNorm(t, x, p, b.Norm1, tensor.ReLU, nil)
	y, _ = b.Conv2.ForwardNorm(t, y, p, b.Norm2, tensor.ReLU, nil)
	if b.stride > 1 {
		y, _ = t.AvgPool(y, p, b.stride)
		x, p = t.AvgPool(x, p, b.stride)
	}
	if b.Skip != nil {
		x, _ = b.Skip.ForwardNorm(t, x, p, b.SkipNorm, tensor.Identity, nil)
	}
	return b.Conv3.ForwardNorm(t, y, p, b.Norm3, tensor.ReLU, x)
}

// AttentionPool is attention of one query, made of the mean over a picture's pixels, over the mean and all pixels.
type AttentionPool struct {
	Positions *nn.Param  `name:"positional_embedding"` // [1 + pixels, C], the mean's first
	K         *nn.Linear `name:"k_proj"`
	Q         *nn.Linear `name:"q_proj"`
	V         *nn.Linear `name:"v_proj"`
	Out       *nn.Linear `name:"c_proj"` // [E, C]
	spec      tensor.Attention
}

func newAttentionPool(side, width, heads, output int) *AttentionPool {
	std := 1 / math.Sqrt(float64(width))
	linear := func(out int) *nn.Linear { return nn.NewLinear(width, out, std, true) }
	return &AttentionPool{Positions: nn.NewParam(std, 1+side*side, width), K: linear(width), Q: linear(width), V: linear(width), Out: linear(output),
		spec: tensor.Attention{Heads: heads, KVHeads: heads, HeadDim: width / heads}}
}

// Forward maps the pixels x [B·H·W, C] of pictures to a vector each: [B, E].
func (a *AttentionPool) Forward(t *tensor.Tape, x *tensor.Tensor, p tensor.Pictures) *tensor.Tensor {
	n := p.H * p.W
	pixels, queries, keys := make([]tensor.Span, p.B), make([]tensor.Span, p.B), make([]tensor.Span, p.B)
	rows, positions, first := make([]int32, 0, p.B*(n+1)), make([]int32, 0, p.B*(n+1)), make([]int32, p.B)
	for b := range p.B {
		pixels[b], queries[b], keys[b] = tensor.Span{Start: b * n, Len: n}, tensor.Span{Start: b, Len: 1}, tensor.Span{Start: b * (n + 1), Len: n + 1}
		first[b] = int32(b * (n + 1))
		rows, positions = append(rows, int32(p.B*n+b)), append(positions, 0) // the mean
		for i := range n {
			rows, positions = append(rows, int32(b*n+i)), append(positions, int32(1+i))
		}
	}
	mean := t.SeqMean(x, pixels)
	e := t.Embed(tensor.Lookup{Table: x, IDs: tensor.IDs(rows), More: mean}, tensor.Lookup{Table: a.Positions.T(), IDs: tensor.IDs(positions)}) // [B·(1+n), C]
	kv := nn.Together(t, e, a.K, a.V)
	q := a.Q.Forward(t, t.Gather(e, tensor.IDs(first)), tensor.Identity, nil)
	spec := a.spec
	spec.Queries, spec.Keys = queries, keys
	return a.Out.Forward(t, t.Attention(tensor.Of(q), tensor.Of(kv[0]), tensor.Of(kv[1]), spec), tensor.Identity, nil)
}
