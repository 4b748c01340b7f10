package embed

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Settings say how features become vectors. The zero value is the mean over the tokens, as long as the model is wide.
type Settings struct {
	Pools      []Pool            // whose results follow each other in the vector; nil: Mean
	Normalize  bool              // vectors have length 1
	Limit      int               // tokens of a text, special ones included, virtual ones not; 0: as many as the model's context has room for
	Lower      bool              // texts are lower-cased before the tokenizer sees them
	Dimensions int               // numbers of a vector that are kept, from the front (Kusupati et al. 2022, Matryoshka); 0: all
	Prompts    map[string]string // what stands before texts of a kind, such as "query"
	Prompt     string            // the kind that texts are of when nothing else is said; "": none
	SkipPrompt bool              // the tokens of a prompt are not pooled: texts with one are refused

	dimension int // of a token's features, as the file has it; 0: not known
}

// Embedder turns texts into vectors. One goroutine at a time may use it.
type Embedder struct {
	Model     model.Encoder
	Tokenizer *tokenizer.Tokenizer
	Settings
	Threads int  // goroutines that compute; 0 means GOMAXPROCS
	Int8    bool // linear layers with numbers of 8 bits: see tensor.InferenceInt8

	workers      []*worker
	virtual      []int32 // in front of each text, pooled with it as sentence-transformers does: see model.Sizes.VirtualIDs
	before, rest []int32 // virtual and special tokens in front of a text, special ones behind it
}

// worker is what a goroutine computes with: a kernel set of one thread, so that it runs whole batches by itself.
type worker struct {
	e         *Embedder
	tape      *tensor.Tape
	encoder   *tokenizer.Encoder
	batch     []int // the texts
	ids, text []int32
	lengths   []int
	positions []int32
	seqs      nn.Seqs
	cut       int
}

const (
	batchTokens = 512 // computed at once, about: activations stay in the second-level cache, and weights are used often enough. They change no bit
	claim       = 8   // texts that a worker takes at once
)

// Size is the length of a vector.
func (e *Embedder) Size() int {
	n := e.Model.Sizes().Width * max(1, len(e.Pools))
	if e.Dimensions > 0 {
		n = min(n, e.Dimensions)
	}
	return n
}

// limit is the most tokens of a text, the virtual ones included.
func (e *Embedder) limit() int {
	size := e.Model.Sizes()
	if e.Limit > 0 {
		return min(e.Limit+size.Virtual, size.Context)
	}
	return size.Context
}

// prompt returns what stands before texts of a kind; "" is the kind of Settings.Prompt.
func (e *Embedder) prompt(kind string) (string, error) {
	if kind == "" {
		kind = e.Prompt
	}
	if kind == "" {
		return "", nil
	}
	p, ok := e.Prompts[kind]
	if !ok {
		return "", fmt.Errorf("embed: there is no prompt %q", kind)
	}
	return p, nil
}

// Embed returns the vector of each text, in their order, and how many texts lost their ends for the limit of tokens. kind names the prompt that texts
// begin with, "" the default one. Goroutines each take texts to ids and through the model in batches of their own, without padding: a
// text's vector has the same bits whatever is beside it and for any number of threads. A special token that a text spells out is text like any other.
// A text that the tokenizer makes no token of is an error.
func (e *Embedder) Embed(ctx context.Context, texts []string, kind string) (vectors [][]float32, cut int, err error) {
	prompt, err := e.prompt(kind)
	if err != nil {
		return nil, 0, err
	}
	return e.EmbedAfter(ctx, prompt, texts)
}

// EmbedAfter is Embed with the prompt spelled out.
func (e *Embedder) EmbedAfter(ctx context.Context, prompt string, texts []string) (vectors [][]float32, cut int, err error) {
	if e.SkipPrompt && prompt != "" {
		return nil, 0, errors.New("embed: the model leaves its prompts out of the pooling (include_prompt), which is not implemented: embed texts without a prompt")
	}
	return e.embed(ctx, len(texts), func(w *worker, i int) error { return w.add(prompt + texts[i]) })
}

// EmbedIDs is Embed of ids as they are: neither a prompt nor special tokens are put around them.
func (e *Embedder) EmbedIDs(ctx context.Context, ids [][]int32) (vectors [][]float32, cut int, err error) {
	return e.embed(ctx, len(ids), func(w *worker, i int) error { return w.addIDs(ids[i]) })
}

// embed makes n vectors; add appends the ids of the i-th to a worker's batch.
func (e *Embedder) embed(ctx context.Context, n int, add func(w *worker, i int) error) (vectors [][]float32, cut int, err error) {
	if err := e.prepare(); err != nil {
		return nil, 0, err
	}
	vectors = make([][]float32, n)
	for _, w := range e.workers {
		w.cut = 0
	}
	err = together(e.workers, n, func(w *worker, next *atomic.Int64) (bool, error) { return w.step(ctx, add, vectors, next) })
	if err != nil {
		return nil, 0, err
	}
	for _, w := range e.workers {
		cut += w.cut
	}
	return vectors, cut, nil
}

// together calls step on each worker, in a goroutine of its own, until it says that nothing is left of the n that they share, whose first that nobody has
// taken is next. The first error ends all.
func together[W any](workers []W, n int, step func(w W, next *atomic.Int64) (more bool, err error)) error {
	var next atomic.Int64
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			for more := true; more && errs[i] == nil; {
				if more, errs[i] = step(w, &next); errs[i] != nil {
					next.Store(int64(n))
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// tapes are as many as threads, 0 for all processors, each for a goroutine of its own; they share packed weights.
func tapes(threads int, int8 bool) []*tensor.Tape {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var list []*tensor.Tape
	for range threads {
		k := cpu.New(cpu.Options{Threads: 1})
		switch {
		case len(list) > 0:
			list = append(list, list[0].Beside(k))
		case int8:
			list = append(list, tensor.InferenceInt8(k))
		default:
			list = append(list, tensor.Inference(k))
		}
	}
	return list
}

// prepare makes the workers.
func (e *Embedder) prepare() error {
	if len(e.workers) > 0 && (e.Threads <= 0 || len(e.workers) == e.Threads) {
		return nil
	}
	const mark = -1
	around := e.Tokenizer.AddSpecial([]int32{mark})
	at := slices.Index(around, mark)
	e.virtual = e.Model.Sizes().VirtualIDs()
	e.before, e.rest = slices.Concat(e.virtual, around[:at]), around[at+1:]
	if most, room := e.limit()-len(e.virtual), len(around)-1; most <= room {
		return fmt.Errorf("embed: the limit of %d tokens has no room for the %d special ones and another", most, room)
	}
	e.workers = nil
	for _, t := range tapes(e.Threads, e.Int8) {
		e.workers = append(e.workers, &worker{e: e, tape: t, encoder: e.Tokenizer.NewEncoder()})
	}
	return nil
}

// step computes a batch; it returns false when there are no texts left.
func (w *worker) step(ctx context.Context, add func(*worker, int) error, vectors [][]float32, next *atomic.Int64) (bool, error) {
	w.batch, w.ids, w.lengths = w.batch[:0], w.ids[:0], w.lengths[:0]
	for len(w.ids) < batchTokens {
		from := int(next.Add(claim)) - claim
		if from >= len(vectors) {
			break
		}
		for i := from; i < min(from+claim, len(vectors)); i++ {
			if err := add(w, i); err != nil {
				return false, fmt.Errorf("text %d: %w", i+1, err)
			}
			w.batch = append(w.batch, i)
		}
	}
	if len(w.batch) == 0 {
		return false, nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	w.seqs.Set(w.lengths, &w.positions)
	x := w.e.Model.Encode(w.tape, model.Input{IDs: tensor.IDs(w.ids), Seqs: &w.seqs})
	_, C := x.Dims2()
	for i, s := range w.seqs.Spans {
		vectors[w.batch[i]] = w.e.vector(x.F32()[s.Start*C:s.End()*C], C)
	}
	w.tape.Reset()
	return true, nil
}

// add appends a text's ids to the batch.
func (w *worker) add(text string) error {
	e := w.e
	if e.Lower {
		text = strings.ToLower(text)
	}
	w.text = w.encoder.AppendEncode(w.text[:0], unsafe.Slice(unsafe.StringData(text), len(text)))
	if err := w.encoder.Err(); err != nil {
		return err
	}
	ids := w.text
	if room := e.limit() - len(e.before) - len(e.rest); len(ids) > room {
		ids = ids[:room]
		w.cut++
	}
	from := len(w.ids)
	w.ids = append(append(append(w.ids, e.before...), ids...), e.rest...)
	if len(w.ids) == from+len(e.virtual) {
		return errors.New("the tokenizer makes no token of it")
	}
	w.lengths = append(w.lengths, len(w.ids)-from)
	return nil
}

// addIDs appends ids to the batch.
func (w *worker) addIDs(ids []int32) error {
	vocab := w.e.Model.Sizes().Vocab
	if len(ids) == 0 {
		return errors.New("there are no ids")
	}
	for _, id := range ids {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("%d is no id of the vocabulary of %d", id, vocab)
		}
	}
	if most := w.e.limit() - len(w.e.virtual); len(ids) > most {
		ids = ids[:most]
		w.cut++
	}
	w.ids, w.lengths = append(append(w.ids, w.e.virtual...), ids...), append(w.lengths, len(w.e.virtual)+len(ids))
	return nil
}

// vector pools the features x [n, C] of a text.
func (e *Embedder) vector(x []float32, C int) []float32 {
	pools := e.Pools
	if len(pools) == 0 {
		pools = []Pool{Mean}
	}
	v := make([]float32, len(pools)*C)
	for i, p := range pools {
		p.into(v[i*C:(i+1)*C], x)
	}
	v = v[:e.Size()]
	if e.Normalize {
		unit(v)
	}
	return v
}
