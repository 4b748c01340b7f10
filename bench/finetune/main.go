// Command finetune measures the step that fine-tunes a BERT to classes, in turns with transformers.
//
//	go run ./bench/finetune --peer ../venv/bin/python --size bert-base --mode compile
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

type options struct {
	size, peer, script, mode   string
	batch, seq, steps, threads int
	lean, profile              bool
}

const (
	classes = 3
	batches = 4
)

func main() {
	var o options
	flag.StringVar(&o.size, "size", "bert-base", "a size of BERT")
	flag.IntVar(&o.batch, "batch", 8, "texts of a step")
	flag.IntVar(&o.seq, "seq", 128, "tokens of a text")
	flag.IntVar(&o.steps, "steps", 8, "pairs of steps measured")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads of both")
	flag.StringVar(&o.peer, "peer", "", "Python with transformers; no peer when empty")
	flag.StringVar(&o.script, "script", "bench/peers/finetune_step.py", "the peer's program")
	flag.StringVar(&o.mode, "mode", "eager", "the peer's mode, eager or compile")
	flag.BoolVar(&o.lean, "lean", true, "make the results of norms and activation functions again in the backward pass, as adapt does")
	flag.BoolVar(&o.profile, "profile", false, "print the time of every op")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options) error {
	set := cpu.New(cpu.Options{Threads: o.threads})
	var times *kernel.Times
	if o.profile {
		set, times = kernel.Profile(set)
	}
	t, err := newTrainer(o, set)
	if err != nil {
		return err
	}
	var peer *bench.Peer
	if o.peer != "" {
		dir, err := os.MkdirTemp("", "finetune")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if peer, err = t.startPeer(dir); err != nil {
			return err
		}
	}
	for range 2 { // so that all memory is there
		if _, err := t.step(0); err != nil {
			return err
		}
	}
	t.start()
	if times != nil {
		times.Reset()
	}
	var pairs bench.Pairs
	worst := 0.0
	for i := range o.steps {
		began := time.Now()
		loss, err := t.step(2e-5)
		if err != nil {
			return err
		}
		ours, theirs := time.Since(began).Seconds(), math.NaN()
		if peer != nil {
			var other float64
			if theirs, other, err = peer.Step(); err != nil {
				return err
			}
			if worst = max(worst, math.Abs(other-loss)); !(worst < 1e-3) {
				return fmt.Errorf("finetune: loss %v of step %d, the peer's %v: unequal work", loss, i+1, other)
			}
		}
		pairs.Add(ours, theirs)
	}
	median := bench.Quantile(pairs.Ours, 0.5)
	above := float64(t.tape.Bytes())
	fmt.Printf("%s, %d x %d, %d threads: %.2f M parameters; step %.3f s, %.0f tokens/s; activations and scratch of the tape %.0f MB\n", o.size, o.batch, o.seq, o.threads,
		float64(nn.Count(t.params))/1e6, median, float64(o.batch*o.seq)/median, above/1e6)
	if times != nil {
		total := 0.0
		for _, v := range pairs.Ours {
			total += v
		}
		fmt.Print(times.Table(o.steps, total, cpu.PeakFLOPs(cpu.Options{Threads: o.threads}, 100*time.Millisecond)))
	}
	if peer == nil {
		return nil
	}
	var end struct {
		Above float64 `json:"above_bytes"`
	}
	if err := peer.Close(&end); err != nil {
		return err
	}
	low, mid, high := pairs.Ratio()
	fmt.Printf("transformers (%s): step %.3f s; theirs/ours %.2f [%.2f, %.2f], median and quartiles of %d pairs; losses differ by at most %.1e; memory above weights, gradients and moments %.0f MB, ours/theirs %.2f\n",
		o.mode, bench.Quantile(pairs.Peer, 0.5), mid, low, high, o.steps, worst, end.Above/1e6, above/end.Above)
	return nil
}

// trainer is a model with its optimiser state and texts.
type trainer struct {
	o      options
	m      bert.Tasked
	obj    adapt.FineTuning
	params []nn.Named
	list   []kernel.AdamWParam
	grads  []kernel.Buf
	tape   *tensor.Tape
	ids    []int32 // [batches, batch, seq]
	n      int     // steps done
}

func newTrainer(o options, set *kernel.Set) (*trainer, error) {
	size, err := zoo.SizeByName("bert", o.size)
	if err != nil {
		return nil, err
	}
	shapes, err := size.New(size.Vocab, size.Context, -1)
	if err != nil {
		return nil, err
	}
	c := shapes.(*bert.Model).Config
	c.Head, c.Labels, c.Dropout, c.AttnDropout = bert.Classification, classes, 0, 0
	m, err := bert.New(c)
	if err != nil {
		return nil, err
	}
	t := &trainer{o: o, m: bert.Tasked{Model: m}, params: m.Params(), tape: tensor.Training(set)}
	if o.lean {
		t.tape.Keep(tensor.KeepLean)
	}
	t.ids = make([]int32, batches*o.batch*o.seq)
	for i := range t.ids {
		t.ids[i] = int32(random.NewKey(2).IntN(uint64(i), c.Vocab))
	}
	nn.Init(t.params, 1, true)
	for _, p := range t.params {
		n := p.T().Len()
		t.grads = append(t.grads, p.T().Grad)
		t.list = append(t.list, kernel.AdamWParam{P: p.T().Data, G: p.T().Grad, M: kernel.Alloc(kernel.F32, n), V: kernel.Alloc(kernel.F32, n), NoDecay: !p.Decays()})
	}
	return t, nil
}

// start takes back the steps so far, which were of rate 0.
func (t *trainer) start() {
	for _, p := range t.list {
		clear(p.M.F32())
		clear(p.V.F32())
	}
	t.n = 0
}

// step is forward, backward, clipping at 1 and AdamW with the peer's constants but for the rate; it returns the mean loss.
func (t *trainer) step(rate float64) (float64, error) {
	B, T := t.o.batch, t.o.seq
	t.obj = adapt.FineTuning{Model: t.m, Loss: adapt.SingleLabel, Batch: B, Examples: t.obj.Examples[:0]}
	for i := range B {
		ids := t.ids[((t.n%batches)*B+i)*T:][:T]
		t.obj.Examples = append(t.obj.Examples, adapt.Example{IDs: ids, Label: int(ids[0]) % classes})
	}
	p, err := t.obj.Part(nil, 0, 0, B)
	if err != nil {
		return 0, err
	}
	sum := []float64{0}
	p.Loss(t.tape, p.Terms(), sum)
	t.tape.Backward()
	t.tape.Reset()
	for _, p := range t.params {
		p.T().Changed()
	}
	t.n++
	k := t.tape.Kernels()
	k.AdamW(&kernel.AdamW{LR: rate, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, Step: t.n,
		GradScale: min(1, 1/(math.Sqrt(k.SumSquares(t.grads...))+1e-6)), ZeroGrad: true}, t.list...)
	return sum[0] / p.Terms()[0], nil
}

// startPeer gives the peer the same weights and texts.
func (t *trainer) startPeer(dir string) (*bench.Peer, error) {
	if err := zoo.Save(dir, t.m, nil); err != nil {
		return nil, err
	}
	ids := filepath.Join(dir, "ids.bin")
	if err := bench.WriteIDs(ids, t.ids); err != nil {
		return nil, err
	}
	return bench.Start(nil, t.o.peer, t.o.script, dir, "--ids", ids, fmt.Sprintf("--batch=%d", t.o.batch), fmt.Sprintf("--seq=%d", t.o.seq),
		fmt.Sprintf("--threads=%d", t.o.threads), "--mode", t.o.mode)
}
