package model

// Positions says how a transformer knows the order of its tokens.
type Positions uint8

const (
	Learned  Positions = iota // a table with a row for each position of the context
	Rotary                    // no parameters
	Relative                  // Transformer-XL (Dai et al. 2019): a projection and two biases in each layer
)

// Biases says which products have one.
type Biases uint8

const (
	QKVBias     Biases = 1 << iota // of queries, keys and values
	OutputBias                     // of attention's output
	MLPBias                        // of every matrix of the MLP
	HeadBias                       // of the logits
	LayerBiases = QKVBias | OutputBias | MLPBias
)

// Shape is a transformer as arithmetic: what its parameters and products are, without building it. Zero values mean the common case,
// which is GPT-2's block without biases.
type Shape struct {
	Layers, Width  int
	Heads          int
	KVHeads        int  // 0 means Heads
	HeadDim        int  // 0 means Width/Heads
	Hidden         int  // 0 means 4·Width
	Gated          bool // the MLP has a gate: three matrices, not two (SwiGLU)
	Parallel       bool // attention and MLP read the same norm of the block (PaLM, section 2)
	Experts        int  // MLPs of a layer, with a router [Experts, Width]; 0 means one without
	Chosen         int  // those that a token goes through
	Biases         Biases
	NormBias       bool
	HeadNorm       bool // a norm for the query heads and one for the key heads of a layer, each of HeadDim (Qwen 3)
	Sandwich       bool // attention and MLP have a norm behind them too (Gemma 2)
	NoFinalNorm    bool // post-norm blocks end with their own norm (BERT)
	EmbedNorm      bool // a norm after the embeddings (BERT)
	Positions      Positions
	Segments       int // rows of a segment table
	Vocab, Context int
	Untied         bool // the head has a matrix of its own

	Bidirectional bool  // every position sees all others
	Windows       []int // positions that each layer sees, 0 for all before; nil: no layer has a window

	// BERT's heads (Devlin et al. 2018, appendix A).
	Pooler bool // a layer with a bias on the first position
	MLM    bool // Width x Width and a norm, then the token embedding and a bias for each token; without it a BERT has no head
	NSP    bool // two classes from the pooler
}

// KV is the number of key heads.
func (s Shape) KV() int {
	if s.KVHeads != 0 {
		return s.KVHeads
	}
	return s.Heads
}

// Head is the head dim.
func (s Shape) Head() int {
	if s.HeadDim != 0 {
		return s.HeadDim
	}
	return s.Width / max(s.Heads, 1)
}

// FFN is the width of the MLP.
func (s Shape) FFN() int {
	if s.Hidden != 0 {
		return s.Hidden
	}
	return 4 * s.Width
}

// hasHead says whether the shape ends in logits over the vocabulary.
func (s Shape) hasHead() bool { return !s.Bidirectional || s.MLM }

// gates is the number of matrices from Width to FFN.
func (s Shape) gates() int64 {
	if s.Gated {
		return 2
	}
	return 1
}

// Params counts parameters by where they stand. A tied head counts nothing.
type Params struct {
	Tokens    int64 // token embedding
	Positions int64 // table of learned positions
	Segments  int64
	Layer     int64 // one layer
	Layers    int64 // all layers
	Rest      int64 // final norm, embedding norm, heads and an untied output matrix

	// Of a layer, what tensor parallelism cannot split: norms and the biases that are added after a sum over devices.
	LayerWhole int64
}

// Total is every parameter.
func (p Params) Total() int64 { return p.Embedding() + p.Layers + p.Rest }

// Embedding is every row looked up by an id or a position.
func (p Params) Embedding() int64 { return p.Tokens + p.Positions + p.Segments }

// Convention says which parameters count as N.
type Convention uint8

const (
	AllParams    Convention = iota // every parameter (Hoffmann et al. 2022, who have no table of positions)
	NoPositions                    // without the table of positions
	NoEmbeddings                   // without all embeddings (Kaplan et al. 2020, section 2.1)
)

// Conventions are the names of the conventions on the command line.
var Conventions = map[string]Convention{"all": AllParams, "no-positions": NoPositions, "no-embeddings": NoEmbeddings}

// By counts the parameters that a convention counts.
func (p Params) By(c Convention) int64 {
	switch c {
	case NoPositions:
		return p.Total() - p.Positions
	case NoEmbeddings:
		return p.Total() - p.Embedding()
	}
	return p.Total()
}

// Params counts the parameters, exactly.
func (s Shape) Params() Params {
	C, D, V, F := int64(s.Width), int64(s.Head()), int64(s.Vocab), int64(s.FFN())
	q, kv := int64(s.Heads)*D, int64(s.KV())*D
	norm := C
	if s.NormBias {
		norm += C
	}
	bias := func(where Biases, n int64) int64 {
		if s.Biases&where == 0 {
			return 0
		}
		return n
	}
	p := Params{Tokens: V * C, Segments: int64(s.Segments) * C}
	if s.Positions == Learned {
		p.Positions = int64(s.Context) * C
	}
	experts := max(1, int64(s.Experts))
	p.LayerWhole = 2*norm + bias(OutputBias, C) + experts*bias(MLPBias, C) + int64(s.Experts)*C // the outputs of attention and MLP; the router
	if s.Parallel {
		p.LayerWhole -= norm
	}
	if s.Sandwich {
		p.LayerWhole += 2 * norm
	}
	if s.HeadNorm {
		p.LayerWhole += 2 * D
	}
	p.Layer = p.LayerWhole + C*(q+2*kv) + bias(QKVBias, q+2*kv) + q*C + experts*(s.gates()*(C*F+bias(MLPBias, F))+F*C)
	if s.Positions == Relative {
		p.Layer += C*q + 2*q
	}
	p.Layers = int64(s.Layers) * p.Layer
	for _, extra := range []struct {
		has bool
		n   int64
	}{
		{!s.NoFinalNorm, norm}, {s.EmbedNorm, norm}, {s.Untied, V * C}, {true, bias(HeadBias, V)}, {s.Pooler, C*C + C}, {s.MLM, C*C + C + norm + V}, {s.NSP, 2*C + 2},
	} {
		if extra.has {
			p.Rest += extra.n
		}
	}
	return p
}
