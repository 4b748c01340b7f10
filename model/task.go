package model

import (
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Task is what a head is for.
type Task int

const (
	SequenceTask Task = iota // one row of scores for each text: classes, or a number
	TokenTask                // one for each token: tags
	SpanTask                 // two scores for each token: that an answer starts there, that it ends there
)

// String names the task as an option does.
func (t Task) String() string { return [...]string{"sequence", "token", "span"}[t] }

// Tasked is an encoder with a head for one task.
type Tasked interface {
	Encoder
	Task() Task
	// Read returns what the head reads of the texts of in: [texts, C] for a SequenceTask, otherwise [N, C].
	Read(t *tensor.Tape, in Input) *tensor.Tensor
	// Scorer maps what is read to scores [rows, K].
	Scorer() nn.Head
	// HeadParams lists the parameters that a pre-trained body does not have; Params lists them too.
	HeadParams() []nn.Named
}

// Pool says how the features of a text's tokens become one vector.
type Pool int

const (
	Mean  Pool = iota // the mean over the tokens
	Last              // that of the last token, which in a decoder has seen all others
	First             // that of the first token
)

// MeanPooling is config.json's classifier_pooling of a classifier that reads the Mean: the name that ModernBERT's file has for it. Without the key a
// classifier reads what its family's published ones do.
const MeanPooling = "mean"

// Spans appends to spans the rows of each sequence that the pool averages.
func (p Pool) Spans(spans []tensor.Span, seqs *nn.Seqs) []tensor.Span {
	for _, s := range seqs.Spans {
		switch p {
		case Last:
			s = tensor.Span{Start: s.End() - 1, Len: 1}
		case First:
			s.Len = 1
		}
		spans = append(spans, s)
	}
	return spans
}

// Headed is a decoder with a linear head for a task, whose parameters have the names of Hugging Face's ...ForSequenceClassification.
type Headed struct {
	Decoder
	Kind  Task
	Pool  Pool       // of a SequenceTask: Last, as in published files, or Mean
	Score *nn.Linear // [K, C]
	spans []tensor.Span
}

// NewHeaded returns the decoder with a fresh head of k scores, which starts as N(0, 0.02²) and is a shape yet. Without bias it is the head of
// published sequence classifiers.
func NewHeaded(d Decoder, kind Task, pool Pool, k int, bias bool) *Headed {
	return &Headed{Decoder: d, Kind: kind, Pool: pool, Score: nn.NewLinear(d.Sizes().Width, k, 0.02, bias)}
}

// Params are those of the decoder without a head for the next token of its own, then those of the head.
func (h *Headed) Params() []nn.Named {
	body := slices.DeleteFunc(h.Decoder.Params(), func(p nn.Named) bool {
		return strings.HasPrefix(p.Name, "lm_head.") || strings.HasPrefix(p.Name, "embed_out.")
	})
	return append(body, h.HeadParams()...)
}

// HeadParams are score.weight [K, C] and, where there is one, score.bias [K].
func (h *Headed) HeadParams() []nn.Named {
	return nn.Params(&struct {
		Score *nn.Linear `name:"score"`
	}{h.Score})
}

// Task is the head's.
func (h *Headed) Task() Task { return h.Kind }

// Encode maps the tokens of in to [N, C].
func (h *Headed) Encode(t *tensor.Tape, in Input) *tensor.Tensor {
	return Features(h.Decoder, t, in.IDs, in.Seqs, nil)
}

// Read returns the features of each text, pooled, or of each token.
func (h *Headed) Read(t *tensor.Tape, in Input) *tensor.Tensor {
	x := h.Encode(t, in)
	if h.Kind != SequenceTask {
		return x
	}
	h.spans = h.Pool.Spans(h.spans[:0], in.Seqs)
	return t.SeqMean(x, h.spans)
}

// Scorer is the head.
func (h *Headed) Scorer() nn.Head {
	return nn.Head{Weight: h.Score.Weight.T(), Bias: h.Score.Bias.T()}
}
