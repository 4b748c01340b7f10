package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// SweepOptions say where and how a sweep runs; nothing here changes a result.
type SweepOptions struct {
	Data     string // folder of data.Prepare; required
	Out      string // folder of the sweep; required
	Threads  int    // of all runs together; 0: all processors
	Jobs     int    // runs at once, each on Threads/Jobs threads; 0: as many as threads, for a small model is fastest on one
	Resume   bool   // go on with the sweep in Out: what is finished stays, what is half done goes on; more runs may be added
	Progress func(SweepProgress)
}

// SweepProgress is what a sweep tells as it goes.
type SweepProgress struct {
	Run         string // of the event
	Event       train.Event
	Finished    *Outcome // a run that ended, with the last event of it; else nil
	Done, Runs  int
	FLOPs       float64 // done, those of finished runs included
	TotalFLOPs  float64
	FLOPsPerSec float64       // of this process so far
	Left        time.Duration // at that rate; 0: not known yet
}

// Outcome is a run that ended.
type Outcome struct {
	Trial
	Loss        float64   `json:"-"`       // nats per token on the held-out text; NaN where the run diverged
	StdErr      float64   `json:"loss_se"` // of Loss as a measure of all such text, from its spread over 32 pieces of it
	BitsPerByte float64   `json:"bits_per_byte"`
	Pieces      []float64 `json:"pieces"` // losses of the pieces
	Diverged    bool      `json:"diverged"`
	Reason      string    `json:"reason"` // of divergence
}

// Run is the outcome as a fitter takes it.
func (o Outcome) Run() Run {
	return Run{Name: o.Name, N: float64(o.N), D: float64(o.D), C: o.C, Loss: o.Loss, Diverged: o.Diverged}
}

// Sweep does the runs that are not done yet and returns all outcomes in Out, smallest first. Weights and outcomes have the same bits in any
// order, for any Jobs and Threads and after any interruption. When ctx ends, the runs at work save and the error is train.ErrInterrupted.
func Sweep(ctx context.Context, r Recipe, trials []Trial, o SweepOptions) ([]Outcome, error) {
	r = r.resolve()
	trials, err := order(trials)
	if err != nil {
		return nil, err
	}
	set, err := data.Open(o.Data, false)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	tok, err := tokenizer.Open(o.Data)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	unlock, err := file.Lock(filepath.Join(o.Out, "lock"))
	if err != nil {
		return nil, fmt.Errorf("%s is in use: %w", o.Out, err)
	}
	defer unlock()
	if err := r.saveRecipe(set.Info, o); err != nil {
		return nil, err
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Jobs <= 0 {
		o.Jobs = o.Threads
	}
	s := &sweep{Recipe: r, o: o, set: set, tok: tok, began: time.Now(), runs: len(trials), part: map[string]float64{}}
	defer func() {
		if s.times != nil {
			s.times.Close()
		}
	}()
	if _, _, err := s.heldOut(); err != nil { // before the first run, not after it
		return nil, err
	}
	var todo []Trial
	for _, b := range trials {
		s.total += b.C
		if out, err := readOutcome(s.dir(b)); err == nil {
			s.done++
			s.before += out.C
		} else if errors.Is(err, os.ErrNotExist) {
			todo = append(todo, b)
		} else {
			return nil, err
		}
	}
	queue := make(chan Trial)
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(queue)
		for _, b := range todo {
			select {
			case queue <- b:
			case <-within.Done():
				return nil // who is at work reports why
			}
		}
		return nil
	})
	for range min(o.Jobs, len(todo)) {
		k := cpu.New(cpu.Options{Threads: max(1, o.Threads/o.Jobs)})
		group.Go(func() error {
			for b := range queue {
				if err := s.run(within, b, k); err != nil {
					return fmt.Errorf("run %s: %w", b.Name, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if s.done < s.runs { // before the first run began
		return nil, errors.Join(train.ErrInterrupted, context.Cause(ctx))
	}
	if err := s.writeResults(); err != nil {
		return nil, err
	}
	return ReadSweep(o.Out)
}

// sweep is a sweep at work.
type sweep struct {
	Recipe
	o   SweepOptions
	set *data.Set
	tok *tokenizer.Tokenizer

	mu     sync.Mutex
	began  time.Time
	runs   int
	done   int
	total  float64            // FLOPs of all runs
	before float64            // FLOPs that were done when this process began
	now    float64            // FLOPs of this process
	part   map[string]float64 // FLOPs of each run that stand in before and now
	times  *os.File           // of timings.csv
}

func (s *sweep) dir(b Trial) string { return filepath.Join(s.o.Out, runsDir, b.Name) }

// run trains one model, measures it and keeps the outcome.
func (s *sweep) run(ctx context.Context, b Trial, k *kernel.Set) error {
	text := Text{Vocab: s.set.Info.Vocab, Seq: s.set.Info.Seq}
	cfg := s.config(b.Shape, text)
	if eos, ok := s.tok.EOS(); ok {
		id := int(eos)
		cfg.EOS, cfg.BOS = &id, &id
	}
	m, err := gpt.New(cfg)
	if err != nil {
		return err
	}
	o := s.options(b, text.Seq, s.dir(b))
	o.LogEvery = max(1, b.Steps/1000)
	if err := train.Fits(m, o); err != nil { // before the weights take memory
		return err
	}
	nn.Init(m.Params(), s.Seed, true)
	split, err := s.set.Split("train")
	if err != nil {
		return err
	}
	source, err := split.Source(s.Seed, text.Seq, b.Batch)
	if err != nil {
		return err
	}
	out := Outcome{Trial: b, Loss: math.NaN()}
	measured := false
	measure := func(ctx context.Context, _ int) (float64, float64, error) {
		err := s.measure(ctx, m, k, &out)
		measured = err == nil
		return out.Loss, out.BitsPerByte, err
	}
	hooks := train.Hooks{
		Validate: measure,
		Progress: func(e train.Event) { s.tell(b, e, nil) },
		Export:   func(dir string) error { return zoo.Save(dir, m, s.tok) },
	}
	if err := os.MkdirAll(s.dir(b), 0o755); err != nil {
		return err
	}
	loop, err := train.New(m, k, source, o, hooks)
	if err != nil {
		return err
	}
	s.resumed(b, loop.Step())
	result, err := loop.Run(ctx)
	if e := s.logTime(b, result, k.Threads); e != nil {
		return errors.Join(err, e)
	}
	if err == nil && !measured { // it was killed between its last step and its outcome
		_, _, err = measure(ctx, b.Steps)
	}
	worst := 0.0
	if err == nil {
		worst, err = worstLoss(s.dir(b))
	}
	switch guess := math.Log(float64(text.Vocab)); {
	case errors.Is(err, train.ErrSpike):
		out = diverged(b, err.Error())
	case err != nil:
		return err
	case out.Loss >= guess:
		out = diverged(b, fmt.Sprintf("loss %.4f, that of a uniform guess is %.4f", out.Loss, guess))
	case worst >= 2*guess:
		out = diverged(b, fmt.Sprintf("its training loss rose to %.4g, that of a uniform guess is %.4f", worst, guess))
	}
	if err := writeOutcome(s.dir(b), out); err != nil {
		return err
	}
	s.mu.Lock()
	s.done++
	err = s.writeResults()
	s.mu.Unlock()
	s.tell(b, train.Event{Kind: "end", Step: loop.Step(), Steps: b.Steps, Tokens: b.D}, &out)
	return err
}

func diverged(b Trial, reason string) Outcome {
	return Outcome{Trial: b, Loss: math.NaN(), Diverged: true, Reason: reason}
}

// pieces of the held-out text, each with a loss of its own, from which the noise is estimated.
const pieces = 32

// measure sets the loss of out and its noise: the mean over sequences taken evenly from all of the held-out text.
func (s *sweep) measure(ctx context.Context, m *gpt.Model, k *kernel.Set, out *Outcome) error {
	val, n, err := s.heldOut()
	if err != nil {
		return err
	}
	tape := tensor.Evaluation(k)
	var nats, bytes, tokens float64
	out.Pieces = make([]float64, pieces)
	for i := range pieces {
		score, err := train.Evaluate(ctx, tape, m, sample{val, n, i * n / pieces, (i + 1) * n / pieces}, max(1, 4096/s.set.Info.Seq))
		if err != nil {
			return err
		}
		out.Pieces[i] = score.Loss
		t := float64(score.Tokens)
		nats, tokens = nats+score.Loss*t, tokens+t
		bytes += score.Loss * t / math.Ln2 / score.BitsPerByte
	}
	out.Loss, out.BitsPerByte = nats/tokens, nats/math.Ln2/bytes
	_, out.StdErr = meanError(out.Pieces)
	return nil
}

// heldOut is the text that losses are measured on, and how many of its sequences.
func (s *sweep) heldOut() (*data.Val, int, error) {
	split, err := s.set.Split("val")
	if err != nil {
		return nil, 0, err
	}
	val, err := split.Val(s.set.Info.Seq, 0)
	if err != nil {
		return nil, 0, err
	}
	n := min(val.Sequences(), s.ValTokens/s.set.Info.Seq)
	if n < pieces {
		return nil, 0, fmt.Errorf("scaling: the loss would be measured on %d sequences of the %d that %s holds out, fewer than %d: hold out more, or measure on more tokens",
			n, val.Sequences(), s.o.Data, pieces)
	}
	return val, n, nil
}

// sample is sequences [from, to) of n taken evenly from a split.
type sample struct {
	*data.Val
	n, from, to int
}

func (s sample) Sequences() int { return s.to - s.from }

func (s sample) FillAt(b *data.Batch, from, to int) error {
	*b = data.Batch{IDs: b.IDs[:0], Targets: b.Targets[:0], Lengths: b.Lengths[:0]}
	var one data.Batch
	for i := s.from + from; i < s.from+to; i++ {
		at := i * s.Val.Sequences() / s.n
		if err := s.Val.FillAt(&one, at, at+1); err != nil {
			return err
		}
		b.IDs, b.Targets, b.Lengths = append(b.IDs, one.IDs...), append(b.Targets, one.Targets...), append(b.Lengths, one.Lengths...)
		b.Bytes += one.Bytes
	}
	return nil
}

// meanError is the mean of independent values and its standard error.
func meanError(v []float64) (mean, stdErr float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		stdErr += (x - mean) * (x - mean) / (n - 1) / n
	}
	return mean, math.Sqrt(stdErr)
}

// resumed counts what an earlier process did of a run.
func (s *sweep) resumed(b Trial, step int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part[b.Name] = b.C * float64(step) / float64(b.Steps)
	s.before += s.part[b.Name]
}

// tell counts the arithmetic and passes an event on.
func (s *sweep) tell(b Trial, e train.Event, ended *Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind == "" || ended != nil { // a run that diverged counts as done
		at := b.C * float64(e.Tokens) / float64(b.D)
		s.now += at - s.part[b.Name]
		s.part[b.Name] = at
	}
	if s.o.Progress == nil {
		return
	}
	p := SweepProgress{Run: b.Name, Event: e, Finished: ended, Done: s.done, Runs: s.runs, FLOPs: s.before + s.now, TotalFLOPs: s.total}
	if elapsed := time.Since(s.began).Seconds(); s.now > 0 && elapsed > 1 {
		p.FLOPsPerSec = s.now / elapsed
		p.Left = time.Duration((p.TotalFLOPs - p.FLOPs) / p.FLOPsPerSec * float64(time.Second)).Round(time.Second)
	}
	s.o.Progress(p)
}

// saved is sweep.json: what every run of the folder shares.
type saved struct {
	Recipe
	Corpus    string `json:"corpus_sha256"`
	Tokenizer string `json:"tokenizer_sha256"`
	Vocab     int    `json:"vocab"`
	Seq       int    `json:"seq"`
}

// saveRecipe writes sweep.json, or checks that it is that of this recipe and data.
func (r Recipe) saveRecipe(in data.Info, o SweepOptions) error {
	path := filepath.Join(o.Out, SweepFile)
	now := saved{r, in.CorpusSHA256, in.Tokenizer, in.Vocab, in.Seq}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		b, err := json.MarshalIndent(now, "", "  ")
		if err != nil {
			return err
		}
		return file.WriteFile(path, append(b, '\n'), 0o644)
	}
	if err != nil {
		return err
	}
	if !o.Resume {
		return fmt.Errorf("%s holds a sweep already: resume it, or choose another folder", o.Out)
	}
	var was saved
	if err := json.Unmarshal(b, &was); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if was != now {
		return fmt.Errorf("scaling: %w: %s was begun with %+v, not %+v", train.ErrMismatch, o.Out, was, now)
	}
	return nil
}
