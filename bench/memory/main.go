// Command memory measures the peak of resident memory of a few training steps of a GPT, beside the estimate of package train and, with a
// peer, beside that of bench/peers/train_step.py for the same shape, less what the peer takes to load its library.
//
//	go build -o /tmp/memory ./bench/memory
//	/tmp/memory --peer ../venv/bin/python --recompute --moments bf16
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/train"
)

type options struct {
	layers, width, heads, vocab, seq int
	threads                          int
	peer, script                     string
	train                            train.Options
}

func main() {
	o := options{train: train.Options{OnSpike: "ignore"}}
	flag.IntVar(&o.layers, "layers", 6, "layers")
	flag.IntVar(&o.width, "width", 384, "width")
	flag.IntVar(&o.heads, "heads", 6, "heads")
	flag.IntVar(&o.vocab, "vocab", 1024, "vocabulary")
	flag.IntVar(&o.seq, "seq", 256, "tokens of a sequence")
	flag.IntVar(&o.train.Batch, "batch", 8, "sequences of a step")
	flag.IntVar(&o.train.Micro, "micro", 0, "sequences computed at once; 0: all")
	flag.IntVar(&o.train.Steps, "steps", 4, "steps")
	flag.BoolVar(&o.train.Recompute, "recompute", false, "compute activations again")
	flag.StringVar(&o.train.Moments, "moments", "f32", "f32 or bf16")
	flag.StringVar(&o.train.Activations, "activations", "f32", "f32, lean or bf16")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads, of the peer too")
	flag.StringVar(&o.peer, "peer", "", "Python with PyTorch; no peer when empty")
	flag.StringVar(&o.script, "script", "bench/peers/train_step.py", "the peer's program")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options) error {
	m, err := gpt.New(gpt.Shape(o.layers, o.width, o.heads, o.vocab, o.seq))
	if err != nil {
		return err
	}
	if o.train.Micro == 0 {
		o.train.Micro = o.train.Batch
	}
	estimate, err := train.Estimate(m, o.train)
	if err != nil {
		return err
	}
	var peer peak
	if o.peer != "" { // first: the kernel counts the memory of the process that starts another to the peak of that one
		if peer, err = measurePeer(o); err != nil {
			return err
		}
	}
	nn.Init(m.Params(), 1, true)
	loop, err := train.New(m, cpu.New(cpu.Options{Threads: o.threads}), noise{o.vocab, o.seq}, o.train, train.Hooks{})
	if err != nil {
		return err
	}
	r, err := loop.Run(context.Background())
	if err != nil {
		return err
	}
	params := float64(r.Params)
	fmt.Printf("GPT %dx%d, V %d, T %d, B %d: %.2f M parameters; recompute %v, moments %s, activations %s; %.4f s per step\n", o.layers, o.width, o.vocab, o.seq,
		o.train.Batch, params/1e6, o.train.Recompute, o.train.Moments, o.train.Activations, r.Seconds/float64(r.Steps))
	fmt.Printf("peak memory %.1f MB, %.2f bytes per parameter; estimate %.1f MB: weights %.1f, gradients %.1f, moments %.1f, activations %.1f, workspace %.1f\n",
		float64(r.PeakRSS)/1e6, float64(r.PeakRSS)/params, float64(estimate.Total)/1e6, float64(estimate.Weights)/1e6, float64(estimate.Gradients)/1e6,
		float64(estimate.Moments)/1e6, float64(estimate.Activations)/1e6, float64(estimate.Workspace)/1e6)
	if o.peer != "" {
		ours := float64(r.PeakRSS)
		fmt.Printf("peer: peak memory %.1f MB, of which its library %.1f MB; ours/peer %.3f, %.3f without the library\n",
			peer.steps/1e6, peer.library/1e6, ours/peer.steps, ours/(peer.steps-peer.library))
	}
	return nil
}

// peak is the peer's, in bytes: of loading its library alone, and of the steps.
type peak struct{ library, steps float64 }

func measurePeer(o options) (p peak, err error) {
	const imports = "import resource, torch, numpy; print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
	out, err := exec.Command(o.peer, "-c", imports).Output()
	if err != nil {
		return p, err
	}
	if p.library, err = strconv.ParseFloat(strings.TrimSpace(string(out)), 64); err != nil {
		return p, err
	}
	args := []string{o.script, "--json", "--warmup", "0"}
	for _, f := range []struct {
		name string
		v    int
	}{{"layers", o.layers}, {"width", o.width}, {"heads", o.heads}, {"vocab", o.vocab}, {"seq", o.seq}, {"batch", o.train.Batch}, {"steps", o.train.Steps}, {"threads", o.threads}} {
		args = append(args, fmt.Sprintf("--%s=%d", f.name, f.v))
	}
	if out, err = exec.Command(o.peer, args...).Output(); err != nil {
		return p, err
	}
	var summary struct {
		Peak float64 `json:"peak_rss_bytes"`
	}
	if err := json.Unmarshal(out, &summary); err != nil {
		return p, fmt.Errorf("%s: %w: %s", o.script, err, out)
	}
	p.steps = summary.Peak
	return p, nil
}

// noise gives uniform tokens.
type noise struct{ vocab, seq int }

func (s noise) Fill(b *data.Batch, step, from, to int) error {
	b.IDs, b.Targets, b.Lengths = b.IDs[:0], b.Targets[:0], b.Lengths[:0]
	for i := from; i < to; i++ {
		key := random.NewKey(uint64(step), uint64(i))
		for p := range s.seq {
			b.IDs = append(b.IDs, int32(key.IntN(uint64(p), s.vocab)))
			b.Targets = append(b.Targets, int32(key.IntN(uint64(p+1), s.vocab)))
		}
		b.Lengths = append(b.Lengths, s.seq)
	}
	return nil
}

func (s noise) Fingerprint() string { return fmt.Sprint("noise ", s.vocab, s.seq) }
