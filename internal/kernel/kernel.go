// Package kernel defines the op set that the tensor engine runs on: a Set is a struct of functions over plain
// buffers. Two sets exist: package ref, the readable definition of every function in float32 and float64, and package
// cpu, the fast one. A device is one more Set.
//
// Size letters: N rows (tokens of all sequences), C width, V vocabulary or rows of a table, H heads, D head dim, K and M as in a product.
// Buffers are row-major and dense unless a stride is given. Gradients are d+name. A gradient of an activation is written
// (dx = ...) or, when acc is true, added to (dx += ...); a gradient of a parameter (dw, db) is always added to.
//
// The promise: each output element is reduced in an order that depends on the problem's inner sizes only, never on the
// number of rows, threads or on neighbouring sequences.
//
// A result must not overlap an operand, except that in the elementwise functions (Add to Dropout), in Softmax, SoftmaxGrad
// and Rope it may be the very operand, from its first element on. N = 0 is allowed everywhere. NaN is not swallowed: the
// rows that depend on it are NaN. Package suite tests all of this on any set.
package kernel

import (
	"math"

	"github.com/plinth-ml/plinth/internal/random"
)

// Set is one implementation of the ops. All functions are safe for one caller at a time.
type Set struct {
	Name    string // "ref", "cpu avx2", ...
	Threads int    // workers used, 1 for ref

	// MatMul computes a product with its epilogue, and those that Next chains to it.
	MatMul func(m *MatMul)
	// ReadsRows tells that MatMul of one row with TransB reads B from memory as fast as a packed one.
	ReadsRows bool
	// Pack stores op(B) [K,N] in the layout that MatMul reads fastest; dst is reused when it has room.
	Pack func(dst *Packed, b Buf, trans bool, k, n int)
	// PackInt8 stores op(B) in 8 bits with a scale for each column; a product with it takes each row of A to 8 bits too: see MatMul.
	PackInt8 func(dst *Packed, b Buf, trans bool, k, n int)

	Fill  func(y Buf, v float64)        // Fill and Copy take I32 too
	Copy  func(y, x Buf)                // between F32 and BF16 it converts, rounding to nearest even
	Add   func(y, a, b Buf)             // y = a + b
	Mul   func(y, a, b Buf)             // y = a * b
	MulTo func(y, a, b Buf)             // y += a * b
	Axpy  func(y Buf, a float64, x Buf) // y += a * x
	Scale func(y Buf, a float64, x Buf) // y = a * x

	// Act is y = f(x); ActGrad is dx = dy * f'(x). f is one of the Act constants.
	Act     func(f Act, y, x Buf)
	ActGrad func(f Act, dx, dy, x Buf, acc bool)
	// SwiGLU is y = silu(gate) * up (Shazeer 2020, GLU Variants, eq. 6 without the products).
	SwiGLU     func(y, gate, up Buf)
	SwiGLUGrad func(dgate, dup, dy, gate, up Buf, acc bool)

	// Dropout is y = d(x), or y += d(x) with acc; see Dropout. It is its own gradient: dx = d(dy).
	Dropout func(d Dropout, y, x Buf, acc bool)

	// Softmax is over rows of length c; an all -Inf row gives zeros.
	Softmax     func(y, x Buf, c int)
	SoftmaxGrad func(dx, dy, y Buf, c int, acc bool)

	// LayerNorm normalises each row of x [N,C]: y = (x-mean)*rstd*w + b. w [C]; b [C] or none; mean, rstd [N] are kept for the gradient.
	LayerNorm     func(y, mean, rstd, x, w, b Buf, eps float64)
	LayerNormGrad func(dx, dw, db, dy, x, w, mean, rstd Buf, acc bool) // any of dx, dw, db may be none
	// RMSNorm is y = x*rstd*w with rstd = 1/sqrt(mean(x^2)+eps) (Zhang & Sennrich 2019, eq. 4).
	RMSNorm     func(y, rstd, x, w Buf, eps float64)
	RMSNormGrad func(dx, dw, dy, x, w, rstd Buf, acc bool)

	// Gather copies rows: y[i] = w[ids[i]] (or += with acc). w [V,C], in any storage type, ids I32 [N], y [N,C].
	Gather func(y, w, ids Buf, c int, acc bool)
	// ScatterAdd is its gradient: dw[ids[i]] += dy[i], in ascending i.
	ScatterAdd func(dw, dy, ids Buf, c int)
	// SumRows adds the rows of x [N,C] to y [C]: the gradient of a bias.
	SumRows func(y, x Buf)
	// SeqMean averages the rows of each span: y [len(spans),C], x [N,C]; an empty span gives zeros.
	// SeqMeanGrad spreads dy back; without acc, rows in no span get 0. The spans do not overlap.
	SeqMean     func(y, x Buf, spans []Span, c int)
	SeqMeanGrad func(dx, dy Buf, spans []Span, c int, acc bool)

	// Conv is a convolution with its epilogue, ConvGrad its gradient; PackConv stores c.Weight in the layout that Conv reads fastest.
	Conv     func(c *Conv)
	ConvGrad func(c *Conv, g *ConvGrad)
	PackConv func(dst *Packed, c *Conv)
	// AvgPool sets y to the means of p's squares of x, AvgPoolGrad spreads dy back; pixels in no square get 0.
	AvgPool     func(p Pool, y, x Buf)
	AvgPoolGrad func(p Pool, dx, dy Buf, acc bool)
	// BatchStats sets mean and variance [C] to those of the columns of x [N,C], the variance divided by N; 0 where N is 0.
	BatchStats    func(mean, variance, x Buf)
	BatchNorm     func(n *BatchNorm)
	BatchNormGrad func(n *BatchNorm, g *BatchNormGrad)

	// Rope rotates q or k in place of y (which may be x); see Rope.
	Rope func(y, x Buf, r *Rope)

	Attention     func(a *Attention)
	AttentionGrad func(a *Attention, g *AttentionGrad)

	// CrossEntropy is the fused linear layer + softmax cross-entropy; see CrossEntropy.
	CrossEntropy func(c *CrossEntropy)

	// AdamW steps every parameter of the list, SumSquares adds the squares of all: one sweep over the list as over one long vector, in
	// chunks that depend on the lengths alone, summed in ascending order.
	AdamW      func(s *AdamW, list ...AdamWParam)
	SumSquares func(list ...Buf) float64
}

// Act names an activation function.
type Act uint8

const (
	Identity Act = iota
	GELU         // x Φ(x) with the exact normal distribution (Hendrycks & Gimpel 2016, eq. 1)
	GELUTanh     // its tanh approximation (eq. 2), GPT-2's gelu_new
	ReLU
	SiLU
	Tanh
	Sigmoid
	QuickGELU // x σ(1.702 x), an approximation of GELU (Hendrycks & Gimpel 2016, section 2): OpenAI's CLIP
)

// String returns the name used in messages.
func (a Act) String() string {
	return [...]string{"identity", "gelu", "gelu_tanh", "relu", "silu", "tanh", "sigmoid", "quick_gelu"}[a]
}

// Dropout leaves out elements at random (Srivastava et al. 2014): element i becomes 0, whatever it was, where random number i of the key, of 16 bits,
// is below Drops, and is divided by 1-Drops/2^16 otherwise.
type Dropout struct {
	P   float64 // within [0, 1), in effect rounded to a multiple of 2^-16
	Key random.Key
}

// Drops is how many of the 2^16 random numbers drop an element.
func (d Dropout) Drops() uint32 { return uint32(math.Round(d.P * (1 << 16))) }

// Scale is the factor of the elements that stay.
func (d Dropout) Scale() float64 { return 1 / (1 - float64(d.Drops())/(1<<16)) }

// Factor is what element i is multiplied by: 0 or Scale.
func (d Dropout) Factor(i int) float64 {
	if d.Bits(i / 8)[i%8/2]>>(i%2*16)&0xffff < d.Drops() {
		return 0
	}
	return d.Scale()
}

// Bits are the random numbers of elements 8·block to 8·block+7: the lower half of each word, then the upper.
func (d Dropout) Bits(block int) [4]uint32 { return d.Key.Bits128(uint64(block)) }

// MatMul describes C = f(Alpha·op(A)·op(B) + Bias) + Residual.
//
// B may have a storage type: dense rows of whole blocks as a file holds them, not TransA, not Packed. With TransB, not Accumulate, F16, BF16, NF4 and
// FP4 are widened and multiplied as float32. With ggml's block types each row of A is quantised as well, one block like another: a block (of 256, of 32
// for Q8_0 and Q4_0) becomes codes c = round(127/max|a|·a), to even in ties, and a scale as ggml has it: max|a|/127 in half precision for blocks of 32 (in float32 where
// half has no such number), 1/(127/max|a|) for blocks of 256; codes are multiplied and summed exactly, the sums of blocks, times their scales, in float32. A block with an infinity or a NaN is NaN.
// Without TransB it is the gradient's product: C = Alpha·A·B or, with Accumulate, C += that, without Bias, Act, Pre and Residual; in float32 with
// the numbers that B [K,N] stands for, some rows of B at a time.
//
// With Packed by PackInt8 (not TransA, not Accumulate) each column of op(B) and each row of A is codes c = round(127/max|x|·x), to even in ties, times the scale max|x|/127;
// codes are multiplied and summed exactly. A row or column with an infinity or a NaN is NaN.
type MatMul struct {
	M, N, K        int
	A, B, C        Buf // op(A) [M,K], op(B) [K,N], C [M,N]
	LDA, LDB, LDC  int // row strides of A, B, C as stored; 0 means dense
	TransA, TransB bool
	Packed         *Packed // op(B) packed beforehand; B is then not read
	Alpha          float64 // 0 means 1
	Accumulate     bool    // C += product; excludes Bias, Act, Pre, Residual
	Bias           Buf     // [N] or none
	Act            Act
	Pre            Buf // when present, receives the value before Act, [M,N] with stride LDC
	Residual       Buf // [M,N] with stride LDC, added after Act, or none

	// Next is a further product with the same A, M, K and LDA, or nil: as if called after this one, but it may share its parallel loop and what is made of A.
	Next *MatMul
}

// Packed holds a matrix in a set's own layout. The zero value is empty and ready for Pack.
type Packed struct {
	K, N int
	Data any // the set's own
}

// Span is a run of consecutive rows.
type Span struct{ Start, Len int }

// End is the row after the last.
func (s Span) End() int { return s.Start + s.Len }

// Rope describes rotary position embedding (Su et al. 2021, eq. 34): pair i of each head at position p turns by the angle
// whose cosine and sine are Cos[p*R/2+i], Sin[p*R/2+i]. Elements of a head from Dims on stay as they are.
type Rope struct {
	Heads, HeadDim int
	Dims           int  // R, elements of each head that turn; 0 means HeadDim
	Stride         int  // elements between rows of x and y; 0 means Heads*HeadDim
	Pairs          bool // rotate elements (2i, 2i+1) as GPT-J does; otherwise (i, i+R/2) as Llama and NeoX do
	Inverse        bool // turn back: the gradient
	Pos            Buf  // I32 [N], position of each row
	Cos, Sin       Buf  // [positions, R/2]
}

// Turning is R, the number of elements of each head that turn.
func (r *Rope) Turning() int {
	if r.Dims != 0 {
		return r.Dims
	}
	return r.HeadDim
}

// Attention describes O = softmax(cap(Q Kᵀ·Scale) + Bias + mask) V for ragged sequences, without storing the scores
// (Dao et al. 2022, FlashAttention, algorithms 1 and 4). Sequence s owns the query rows Queries[s] and the key rows
// Keys[s]; its last query stands at its last key (query j of Tq at key position Tk-Tq+j), so that cached decoding and
// chunked prefill are the same call. Padding and document masks are sequence boundaries: nothing outside Keys[s] is seen.
// Neither Queries nor Keys overlap among themselves; rows in no span are neither read nor written.
// What a query does not see never reaches its result, whatever its bits; a NaN that it sees does, by a key all of its head's row, by a value that element. A bias of -Inf
// takes a key's weight only. For the gradient all operands are finite.
// A query that sees no key, or only biases of -Inf, gives zeros, an LSE of -Inf and no gradient.
// Drop leaves out probabilities behind the softmax, whose sum they stay part of: see DropOf.
// Query head h reads key head h*KVHeads/Heads. Key tiles start at multiples of KeyTile counted from Keys[s].Start.
//
// With a Cache, K and V are those of the queries' own tokens: they are stored as the last of the Keys[s].Len positions of each sequence, and all
// keys and values are read from the cache; Keys[s].Start counts nothing. The results have the same bits for any pages, and, with an F32 cache, the
// bits of a call without. There is no gradient. Without K and V nothing is stored, and a sequence may have any number of queries: cross-attention over
// what was stored before. Without Q and O nothing but storing is done.
type Attention struct {
	Heads, KVHeads, HeadDim int
	Q, K, V, O              Buf // rows of Heads*D, KVHeads*D, KVHeads*D, Heads*D elements
	LDQ, LDK, LDV, LDO      int // row strides; 0 means dense
	LSE                     Buf // [rows of Q, Heads] log-sum-exp of the scores, kept for the gradient; none when not needed
	Queries, Keys           []Span
	Scale                   float64 // 0 means 1/sqrt(D)
	SoftCap                 float64 // cap(s) = SoftCap·tanh(s/SoftCap) (Gemma 2, section 2); 0 leaves scores as they are
	Causal                  bool
	Window                  int    // 0 unlimited; else |query position - key position| < Window
	Bias                    Buf    // [Heads, BiasQ, BiasK], added at (head, query position, key position), shared by all sequences; or none
	BiasQ, BiasK            int    // BiasQ 0: Bias is [Heads, BiasK], added at column BiasK/2 + key position - query position
	Cache                   *Cache // or nil
	Drop                    Dropout
}

// DropOf is the dropout of the probabilities of a row of Q and a head: element i is that of key position i.
func (a *Attention) DropOf(row, head int) Dropout {
	return Dropout{P: a.Drop.P, Key: a.Drop.Key.At(uint64(row*a.Heads + head))}
}

// BiasFits reports whether the bias has a number for every pair of so many queries and keys.
func (a *Attention) BiasFits(queries, keys int) bool {
	if a.BiasQ == 0 {
		return queries <= keys && keys <= a.BiasK/2+1 && a.BiasK&1 == 1
	}
	return queries <= keys && keys <= a.BiasQ && keys <= a.BiasK
}

// BiasAt is where the bias of a head for a query position and key position 0 stands.
func (a *Attention) BiasAt(head, query int) int {
	if a.BiasQ == 0 {
		return head*a.BiasK + a.BiasK/2 - query
	}
	return (head*a.BiasQ + query) * a.BiasK
}

// AttentionGrad holds the gradients of an Attention whose forward call is done. They have the strides of their values.
// DQ, DK, DV are written for the rows of the spans; DBias is added to.
type AttentionGrad struct {
	DO, DQ, DK, DV Buf // DO has the stride LDO
	DBias          Buf // or none
}

// CrossEntropy describes loss_i = -log softmax(z_i)[target_i] + ZLoss·lse_i² with z_i = x_i Wᵀ + Bias, or SoftCap·tanh of that over SoftCap
// (Gemma 2, section 2). The logits are made in chunks of rows and never stored whole. With gradients asked for, they are computed in the same pass:
// the gradient of Scale·Σ Weights_i·loss_i.
type CrossEntropy struct {
	X       Buf // [N,C]
	W       Buf // [V,C]
	Bias    Buf // [V] or none
	Targets Buf // I32 [N]; negative: the row counts nothing, its loss, LSE and row of DX are 0
	Weights Buf // [N] factor of each row's loss in the gradient; or none
	V, C    int
	ZLoss   float64 // PaLM section 5: 1e-4
	SoftCap float64 // 0 for none
	Scale   float64 // factor of the gradient, e.g. 1/tokens of the whole batch; 0 gives zero gradients

	Loss Buf // [N]: loss_i without the z term, unweighted; 0 where the target is negative
	LSE  Buf // [N] or none
	DX   Buf // [N,C] written, or none for loss only
	DW   Buf // [V,C] added to, or none
	DB   Buf // [V] added to, or none
}

// AdamW is one step of decoupled weight decay Adam (Loshchilov & Hutter 2019, algorithm 2, with PyTorch's constants):
// g *= GradScale; p *= 1-LR·WeightDecay; m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²;
// p -= LR · m/(1-β1^t) / (sqrt(v/(1-β2^t)) + Eps).
type AdamW struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
	Step                               int     // t, from 1
	GradScale                          float64 // clipping and averaging; 0 means 1
	ZeroGrad                           bool    // leave g zero in the same sweep
	Rounding                           uint64  // key of the random numbers that BF16 moments are rounded with: another one for each step
}

// AdamWParam is a parameter with its gradient and moments, all of one length. Moments in BF16 are rounded after the step, up or down at
// random so that the expected value is the exact one: rounded to nearest, a slow average would stand still. The random number is a
// function of Rounding and of the element's place in the list.
type AdamWParam struct {
	P, G, M, V Buf
	NoDecay    bool    // WeightDecay is not for this one
	Rate       float64 // factor of LR for this one; 0 means 1
}

// Of returns the step as it is for w.
func (s AdamW) Of(w *AdamWParam) AdamW {
	if w.NoDecay {
		s.WeightDecay = 0
	}
	if w.Rate != 0 {
		s.LR *= w.Rate
	}
	return s
}

// RoundingBits are the 32 random bits of element i of a list: the lower half rounds its first moment, the upper half its second. It is Wellons'
// lowbias32 of the counter with the key mixed in.
func RoundingBits(key uint64, i uint32) uint32 {
	x := i ^ uint32(key)
	x = (x ^ x>>16) * 0x7feb352d
	x = ((x ^ x>>15) + uint32(key>>32)) * 0x846ca68b
	return x ^ x>>16
}
