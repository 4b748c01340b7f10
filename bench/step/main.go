// Command step measures the training step of a GPT, alone or in turns with a peer.
//
//	go run ./bench/step --peer ../venv/bin/python                 A B A B with bench/peers/train_step.py
//	go run ./bench/step --profile                                 time of every op
//	go run ./bench/step --scaling                                 one thread and two in turns
package main

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

type options struct {
	layers, width, heads, vocab, seq, batch int
	steps, threads, peerThreads             int
	variant, peer, script, mode             string
	profile, scaling                        bool
}

func main() {
	var o options
	flag.IntVar(&o.layers, "layers", 6, "layers")
	flag.IntVar(&o.width, "width", 384, "width")
	flag.IntVar(&o.heads, "heads", 6, "heads")
	flag.IntVar(&o.vocab, "vocab", 1024, "vocabulary")
	flag.IntVar(&o.seq, "seq", 256, "tokens of a sequence")
	flag.IntVar(&o.batch, "batch", 8, "sequences of a step")
	flag.IntVar(&o.steps, "steps", 10, "steps measured")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads")
	flag.IntVar(&o.peerThreads, "peer-threads", 0, "threads of the peer; 0: as many")
	flag.StringVar(&o.variant, "variant", "", "instruction set; the best one when empty")
	flag.StringVar(&o.peer, "peer", "", "Python with PyTorch; no peer when empty")
	flag.StringVar(&o.script, "script", "bench/peers/train_step.py", "the peer's program")
	flag.StringVar(&o.mode, "mode", "eager", "the peer's mode, eager or compile")
	flag.BoolVar(&o.scaling, "scaling", false, "one thread against two, instead of a peer")
	flag.BoolVar(&o.profile, "profile", false, "print the time of every op")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.scaling {
		return scaling(o)
	}
	set := cpu.New(cpu.Options{Threads: o.threads, Variant: o.variant})
	var times *kernel.Times
	if o.profile {
		set, times = kernel.Profile(set)
	}
	tr, err := newTrainer(o, set)
	if err != nil {
		return err
	}
	flops := tr.flops()
	fmt.Printf("%s, %d threads; GPT %dx%d, %d heads, V %d, T %d, B %d: %.2f M parameters, %.1f GFLOP per step\n",
		set.Name, set.Threads, o.layers, o.width, o.heads, o.vocab, o.seq, o.batch, float64(nn.Count(tr.params))/1e6, flops/1e9)

	var peer *bench.Peer
	if o.peer != "" {
		dir, err := os.MkdirTemp("", "step")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if peer, err = tr.startPeer(dir); err != nil {
			return err
		}
	}
	if err := tr.warmUp(); err != nil {
		return err
	}
	if times != nil {
		times.Reset()
	}
	steal := bench.ReadSteal()

	ceiling := cpu.Ceilings(cpu.Options{Threads: o.threads, Variant: o.variant}, 100*time.Millisecond)
	var pairs bench.Pairs
	var worst float64
	for i := range o.steps {
		if peer != nil { // its threads wait for work in a loop for a while before they sleep
			cpu.PeakFLOPs(cpu.Options{Threads: o.threads, Variant: o.variant}, 20*time.Millisecond)
		}
		start := time.Now()
		loss := tr.step()
		ours := time.Since(start).Seconds()
		theirs := math.NaN()
		if peer != nil {
			var other float64
			if theirs, other, err = peer.Step(); err != nil {
				return err
			}
			worst = max(worst, math.Abs(other-loss))
			if i == 0 && !(worst < 1e-5) || !(worst < 1e-2) { // rounding grows with the steps
				return fmt.Errorf("step: loss %v of step %d, the peer's %v: unequal work", loss, i+1, other)
			}
		}
		pairs.Add(ours, theirs)
	}
	after := cpu.Ceilings(cpu.Options{Threads: o.threads, Variant: o.variant}, 100*time.Millisecond)
	ceiling.FMA, ceiling.FMA1 = max(ceiling.FMA, after.FMA), max(ceiling.FMA1, after.FMA1)
	ceiling.Read, ceiling.Copy = max(ceiling.Read, after.Read), max(ceiling.Copy, after.Copy)

	median := bench.Quantile(pairs.Ours, 0.5)
	fmt.Printf("step: median %.4f s (best %.4f), %.0f tokens/s, %.1f GFLOP/s, %.1f %% of the live peak\n", median, bench.Quantile(pairs.Ours, 0),
		float64(o.batch*o.seq)/median, flops/median/1e9, 100*flops/median/ceiling.FMA)
	fmt.Printf("ceilings (%s): FMA %.1f GFLOP/s (%.1f on one thread), read %.1f GB/s, copy %.1f GB/s; stolen %.2f %%\n", ceiling.Variant,
		ceiling.FMA/1e9, ceiling.FMA1/1e9, ceiling.Read/1e9, ceiling.Copy/1e9, 100*bench.ReadSteal().Since(steal))
	if peer != nil {
		var summary struct {
			Peak float64 `json:"peak_rss_bytes"`
		}
		if err := peer.Close(&summary); err != nil {
			return err
		}
		low, mid, high := pairs.Ratio()
		fmt.Printf("peer (%s): median %.4f s; peer/ours %.3f [%.3f, %.3f], median and quartiles of %d pairs; losses differ by at most %.1e; peak memory %.0f MB\n", o.mode,
			bench.Quantile(pairs.Peer, 0.5), mid, low, high, o.steps, worst, summary.Peak/1e6)
	}
	if times != nil {
		total := 0.0
		for _, s := range pairs.Ours {
			total += s
		}
		fmt.Print(times.Table(o.steps, total, ceiling.FMA))
	}
	fmt.Printf("heap: %d allocations in a step; activations %.1f MB\n", tr.allocations(), float64(tr.tape.Bytes())/1e6)
	return nil
}

// trainer is a model with its optimiser state and a batch.
type trainer struct {
	o             options
	model         *gpt.Model
	params        []nn.Named
	m, v          []kernel.Buf
	grads         []kernel.Buf
	list          []kernel.AdamWParam
	adam          kernel.AdamW
	tape          *tensor.Tape
	seqs          *nn.Seqs
	tokens        []int32 // [4, batch, seq+1]
	inputs, wants []int32
	at, steps     int // next batch, steps done
}

func newTrainer(o options, set *kernel.Set) (*trainer, error) {
	c := gpt.Config{ModelType: gpt.TypeGPT2, Vocab: o.vocab, Context: o.seq, Width: o.width, Layers: o.layers, Heads: o.heads,
		Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.02}
	m, err := gpt.New(c)
	if err != nil {
		return nil, err
	}
	t := &trainer{o: o, model: m, params: m.Params(), tape: tensor.Training(set)}
	nn.Init(t.params, 1, true)
	for _, p := range t.params {
		n := p.T().Len()
		t.m, t.v = append(t.m, kernel.Alloc(kernel.F32, n)), append(t.v, kernel.Alloc(kernel.F32, n))
	}
	lengths := make([]int, o.batch)
	for i := range lengths {
		lengths[i] = o.seq
	}
	t.seqs = nn.NewSeqs(lengths...)
	key := random.NewKey(2)
	t.tokens = make([]int32, 4*o.batch*(o.seq+1))
	for i := range t.tokens {
		t.tokens[i] = int32(key.Uint64(uint64(i)) % uint64(o.vocab))
	}
	t.inputs, t.wants = make([]int32, o.batch*o.seq), make([]int32, o.batch*o.seq)
	return t, nil
}

// allocations is how many objects one more step takes from Go's heap.
func (t *trainer) allocations() uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	t.step()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// flops counts the products of a step: forward, and twice that backward; of attention only the pairs seen.
func (t *trainer) flops() float64 {
	cost := t.model.Config.Cost(t.o.seq)
	return 3 * (cost.Matrix + cost.Attention) * float64(t.o.batch*t.o.seq)
}

// warmUp runs two steps, so that all memory is there, and takes them back.
func (t *trainer) warmUp() error {
	for range 2 {
		t.step()
	}
	nn.Init(t.params, 1, true)
	for i := range t.params {
		clear(t.m[i].F32())
		clear(t.v[i].F32())
	}
	t.at, t.steps = 0, 0
	return nil
}

// step is forward, backward, clipping at 1 and AdamW with the peer's constants; it returns the mean loss.
func (t *trainer) step() float64 {
	rows, T := t.o.batch, t.o.seq
	for r := range rows {
		row := t.tokens[(t.at*rows+r)*(T+1):]
		copy(t.inputs[r*T:(r+1)*T], row)
		copy(t.wants[r*T:(r+1)*T], row[1:])
	}
	t.at = (t.at + 1) % 4
	k, tape, m := t.tape.Kernels(), t.tape, t.model
	x := m.Embed(tape, tensor.IDs(t.inputs), t.seqs)
	x = m.Norm(tape, m.Body(tape, x, t.seqs, nil, 0, t.o.layers))
	losses := m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(t.wants), Scale: 1 / float64(rows*T)})
	tape.Backward()
	loss := 0.0
	for _, l := range losses.F32() {
		loss += float64(l)
	}
	tape.Reset()

	t.grads, t.list = t.grads[:0], t.list[:0]
	for i, p := range t.params {
		t.grads = append(t.grads, p.T().Grad)
		t.list = append(t.list, kernel.AdamWParam{P: p.T().Data, G: p.T().Grad, M: t.m[i], V: t.v[i], NoDecay: !p.Decays()})
		p.T().Changed()
	}
	t.steps++
	t.adam = kernel.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: t.steps,
		GradScale: min(1, 1/(math.Sqrt(k.SumSquares(t.grads...))+1e-6)), ZeroGrad: true}
	k.AdamW(&t.adam, t.list...)
	return loss / float64(rows*T)
}

// startPeer gives the peer the same weights and tokens.
func (t *trainer) startPeer(dir string) (*bench.Peer, error) {
	var list []checkpoint.Tensor
	for _, p := range t.params {
		list = append(list, checkpoint.FromFloat32(p.Name, p.T().Shape(), p.T().F32()))
	}
	weights, tokens := filepath.Join(dir, "init.safetensors"), filepath.Join(dir, "tokens.bin")
	if err := checkpoint.Write(weights, list, nil); err != nil {
		return nil, err
	}
	if err := bench.WriteIDs(tokens, t.tokens); err != nil {
		return nil, err
	}
	args := []string{t.o.script, "--interactive", "--init", weights, "--tokens", tokens, "--mode", t.o.mode}
	for _, f := range []struct {
		name string
		v    int
	}{{"layers", t.o.layers}, {"width", t.o.width}, {"heads", t.o.heads}, {"vocab", t.o.vocab}, {"seq", t.o.seq}, {"batch", t.o.batch},
		{"steps", t.o.steps}, {"threads", cmp.Or(t.o.peerThreads, t.o.threads)}} {
		args = append(args, fmt.Sprintf("--%s=%d", f.name, f.v))
	}
	return bench.Start(nil, t.o.peer, args...)
}
