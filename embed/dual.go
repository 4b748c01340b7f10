package embed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/vision"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Dual turns pictures and texts into vectors of one space (Radford et al. 2021, CLIP). One goroutine at a time may use it.
type Dual struct {
	Model     *clip.Model
	Tokenizer *tokenizer.Tokenizer
	Prepare   media.Preprocess
	Truncate  bool // a text of more tokens than the model's context loses its end; otherwise it is an error
	Raw       bool // vectors are as long as the model makes them, which linear probes read; otherwise 1
	Threads   int  // goroutines that compute; 0 means GOMAXPROCS
	Int8      bool // linear layers with numbers of 8 bits: see tensor.InferenceInt8

	workers []*dualWorker
	whole   *dualWorker // with all threads: for pictures, and for fewer texts than there are workers
}

// dualWorker is what a goroutine computes with.
type dualWorker struct {
	tape      *tensor.Tape
	batch     []int
	ids       []int32
	lengths   []int
	positions []int32
	seqs      nn.Seqs
	pixels    []float32
}

// OpenDual reads a CLIP with its tokenizer: a folder of transformers or of open_clip.
func OpenDual(dir string, o zoo.Options) (*Dual, error) {
	m, prepare, err := zoo.OpenCLIP(dir, o)
	if err != nil {
		return nil, err
	}
	tok, err := zoo.Tokenizer(dir, m)
	if err != nil {
		return nil, err
	}
	d := &Dual{Model: m, Tokenizer: tok, Prepare: prepare}
	if _, err := d.IDs(""); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return d, nil
}

// Size is the length of a vector.
func (d *Dual) Size() int { return d.Model.Config.Projection }

// IDs are a text's tokens as the model reads them: see TextIDs.
func (d *Dual) IDs(text string) ([]int32, error) {
	return TextIDs(d.Model.Config, d.Tokenizer, text, d.Truncate)
}

// maxText bounds the bytes of a text, whose repair takes 0.1 s at most then.
const maxText = 1 << 16

// TextIDs are a text's tokens as a CLIP reads them: with OpenAI's vocabulary, or one of its kind, those of tokenizer.EncodeCLIP, with another what it
// makes of the text and puts around it. More than the model's context are an error, or lose what comes before the end mark. A SigLIP's are filled up to the context.
func TextIDs(c clip.Config, tok *tokenizer.Tokenizer, text string, truncate bool) ([]int32, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("a text of %d bytes, at most %d: %w: %.60q", len(text), maxText, tokenizer.ErrContext, text)
	}
	_, start := tok.SpecialID(tokenizer.CLIPStart)
	_, end := tok.SpecialID(tokenizer.CLIPEnd)
	if start && end && c.ModelType == clip.Type {
		return tok.EncodeCLIP(text, c.Text.Context, truncate)
	}
	const mark = -1
	around := tok.AddSpecial([]int32{mark})
	at := slices.Index(around, mark)
	if at == len(around)-1 {
		return nil, errors.New("the tokenizer puts no end mark behind a text, at which the model reads what it says")
	}
	ids := slices.Concat(around[:at], tok.Encode(text), around[at+1:])
	if most := c.Text.Context; len(ids) > most {
		if !truncate || most < len(around) {
			return nil, fmt.Errorf("a text of %d tokens, more than %d: %w: %.60q", len(ids), most, tokenizer.ErrContext, text)
		}
		ids = append(ids[:most-(len(around)-1-at)], around[at+1:]...)
	}
	return c.Padded(ids), nil
}

// Texts returns the vector of each text. A text's vector has the same bits whatever is beside it and for any number of threads.
func (d *Dual) Texts(ctx context.Context, texts []string) ([][]float32, error) {
	ids := make([][]int32, len(texts))
	for i, text := range texts {
		var err error
		if ids[i], err = d.IDs(text); err != nil {
			return nil, fmt.Errorf("text %d: %w", i+1, err)
		}
	}
	return d.run(ctx, len(texts), func(w *dualWorker, i int) error {
		w.ids, w.lengths = append(w.ids, ids[i]...), append(w.lengths, len(ids[i]))
		return nil
	}, func(w *dualWorker) *tensor.Tensor {
		w.seqs.Set(w.lengths, &w.positions)
		return d.Model.Texts(w.tape, tensor.IDs(w.ids), &w.seqs)
	})
}

// Images returns the vector of each of n pictures, which open gives; it is called by several goroutines. A picture's vector has the same bits
// whatever is beside it and for any number of threads. An error of open ends the work.
//
// Each thread prepares pictures by itself; a batch of them is then computed by all together, so that the weights are read once.
func (d *Dual) Images(ctx context.Context, n int, open func(i int) (*media.Image, error)) ([][]float32, error) {
	size, side := 3*d.Prepare.Size*d.Prepare.Size, d.Model.Tower().Side()
	if d.Prepare.Size != side {
		return nil, fmt.Errorf("embed: pictures are prepared at %d pixels a side, the model takes %d", d.Prepare.Size, side)
	}
	d.prepareWorkers()
	most := max(1, len(d.workers)*batchTokens/d.Model.Rows())
	batches := (n + most - 1) / most
	vectors := make([][]float32, 0, n)
	for b := range batches {
		from, to := b*n/batches, (b+1)*n/batches // batches alike
		w := d.whole
		w.pixels = slices.Grow(w.pixels[:0], (to-from)*size)[:(to-from)*size]
		err := together(d.workers, to-from, func(_ *dualWorker, next *atomic.Int64) (bool, error) {
			i := int(next.Add(1)) - 1
			if i >= to-from {
				return false, nil
			}
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			m, err := open(from + i)
			if err == nil {
				d.Prepare.Apply(w.pixels[i*size:(i+1)*size], m)
			}
			return true, err
		})
		if err != nil {
			return nil, err
		}
		vectors = d.append(vectors, w, d.Model.Images(w.tape, vision.Images{Side: side, Pixels: w.pixels}))
	}
	return vectors, nil
}

// append adds the rows of what a worker has computed to vectors.
func (d *Dual) append(vectors [][]float32, w *dualWorker, y *tensor.Tensor) [][]float32 {
	for v := range slices.Chunk(y.F32(), d.Size()) {
		v = slices.Clone(v)
		if !d.Raw {
			unit(v)
		}
		vectors = append(vectors, v)
	}
	w.tape.Reset()
	return vectors
}

// prepareWorkers makes the workers, where there are none or another number is wanted.
func (d *Dual) prepareWorkers() {
	if len(d.workers) > 0 && (d.Threads <= 0 || len(d.workers) == d.Threads) {
		return
	}
	d.workers = nil
	for _, t := range tapes(d.Threads, d.Int8) {
		d.workers = append(d.workers, &dualWorker{tape: t})
	}
	d.whole = &dualWorker{tape: d.workers[0].tape.Beside(cpu.New(cpu.Options{Threads: len(d.workers)}))}
}

// run makes n vectors: workers take some at once, add each to their batch until it is large enough, and compute it.
func (d *Dual) run(ctx context.Context, n int, add func(*dualWorker, int) error, compute func(*dualWorker) *tensor.Tensor) ([][]float32, error) {
	d.prepareWorkers()
	workers := d.workers
	if n < len(workers) {
		workers = []*dualWorker{d.whole}
	}
	vectors := make([][]float32, n)
	err := together(workers, n, func(w *dualWorker, next *atomic.Int64) (bool, error) {
		w.batch, w.ids, w.lengths = w.batch[:0], w.ids[:0], w.lengths[:0]
		for rows := 0; rows < batchTokens; {
			from := int(next.Add(int64(claim))) - claim
			if from >= n {
				break
			}
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			for i := from; i < min(from+claim, n); i++ {
				if err := add(w, i); err != nil {
					return false, err
				}
				w.batch = append(w.batch, i)
				rows += w.lengths[len(w.lengths)-1]
			}
		}
		if len(w.batch) == 0 {
			return false, nil
		}
		y, E := compute(w).F32(), d.Size()
		for j, i := range w.batch {
			v := slices.Clone(y[j*E : (j+1)*E])
			if !d.Raw {
				unit(v)
			}
			vectors[i] = v
		}
		w.tape.Reset()
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return vectors, nil
}
