// Command clip measures the tower for pictures of a CLIP with random weights, from JPEG bytes to vectors, in turns with open_clip; or the training step of a CLIP.
//
//	go run ./bench/clip --peer ../venv/bin/python --engine torch --batch 16 photos/*.jpg
//	go run ./bench/clip --train --size clip-tiny --batch 64 --peer ../venv/bin/python --engine compile
//	go run ./bench/clip --train --shape 224,32,384,12,384,12,49408,77,384 --batch 32 --profile
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
)

type options struct {
	size, shape, peer, script, engine string
	batch, calls, pairs, threads      int
	train, profile                    bool
	files                             []string
}

func main() {
	var o options
	flag.StringVar(&o.size, "size", "clip-vit-base-patch32", "a size of CLIP")
	flag.IntVar(&o.batch, "batch", 16, "pictures of a call")
	flag.IntVar(&o.calls, "calls", 1, "calls, one after the other, of a measurement")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs measured")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads of both")
	flag.StringVar(&o.peer, "peer", "", "Python with open_clip; no peer when empty")
	flag.StringVar(&o.script, "script", "", "the peer's program; bench/peers/clip.py or clip_step.py when empty")
	flag.StringVar(&o.engine, "engine", "", "the peer: torch or onnx; with --train eager or compile; the first when empty")
	flag.StringVar(&o.shape, "shape", "", "instead of a size the numbers of a clip.Shape: side,patch,width,layers,text width,text layers,vocabulary,context,projection")
	flag.BoolVar(&o.train, "train", false, "the training step instead")
	flag.BoolVar(&o.profile, "profile", false, "with --train the time of every op")
	flag.Parse()
	o.files = flag.Args()
	measure, script, engine := run, "bench/peers/clip.py", "torch"
	if o.train {
		measure, script, engine = training, "bench/peers/clip_step.py", "eager"
	}
	o.script, o.engine = cmp.Or(o.script, script), cmp.Or(o.engine, engine)
	if err := measure(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// encoder is one way to make vectors.
type encoder struct {
	name  string
	dual  *embed.Dual
	pairs bench.Pairs
}

func run(o options) error {
	if len(o.files) == 0 {
		return fmt.Errorf("clip: no pictures: name files")
	}
	var pictures [][]byte
	for _, name := range o.files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		pictures = append(pictures, b)
	}
	dir, err := os.MkdirTemp("", "clip")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, folder, err := save(dir, o)
	if err != nil {
		return err
	}
	var ours []*encoder
	for _, name := range []string{"float32", "8 bits"} {
		ours = append(ours, &encoder{name: name, dual: &embed.Dual{Model: m, Prepare: media.CLIP(m.Tower().Side()), Threads: o.threads, Int8: name != "float32"}})
	}
	vectors := func(e *encoder) ([][]float32, error) {
		var all [][]float32
		for call := range o.calls {
			v, err := e.dual.Images(context.Background(), o.batch, func(i int) (*media.Image, error) {
				return media.Decode(bytes.NewReader(pictures[(call*o.batch+i)%len(pictures)]), media.Limits{})
			})
			if err != nil {
				return nil, err
			}
			all = append(all, v...)
		}
		return all, nil
	}
	n := o.batch * o.calls
	fmt.Printf("%s, %d threads: %d calls of %d pictures\n", o.size, o.threads, o.calls, o.batch)
	exact, err := vectors(ours[0])
	if err != nil {
		return err
	}
	rounded, err := vectors(ours[1])
	if err != nil {
		return err
	}
	fmt.Printf("8 bits beside float32: 1 - cosine %s\n", bench.Losses(exact, rounded))
	var theirs *bench.Peer
	if o.peer != "" {
		args := append([]string{o.script, folder, "--engine", o.engine, fmt.Sprintf("--threads=%d", o.threads), fmt.Sprintf("--batch=%d", o.batch), fmt.Sprintf("--calls=%d", o.calls)}, o.files...)
		if theirs, err = bench.Start(nil, o.peer, args...); err != nil {
			return err
		}
		var answer struct{ Vectors [][]float32 }
		if err := theirs.Ask("vectors", &answer); err != nil {
			return err
		}
		fmt.Printf("%s beside float32 here: 1 - cosine %s\n", o.engine, bench.Losses(exact, answer.Vectors))
	}
	steal := bench.ReadSteal()
	for range o.pairs {
		peer := math.NaN()
		if theirs != nil {
			var answer struct{ Seconds float64 }
			if err := theirs.Ask("go", &answer); err != nil {
				return err
			}
			peer = answer.Seconds
			cpu.PeakFLOPs(cpu.Options{Threads: o.threads}, 20*time.Millisecond) // the peer's threads wait for work in a loop before they sleep
		}
		for _, e := range ours {
			began := time.Now()
			if _, err := vectors(e); err != nil {
				return err
			}
			e.pairs.Add(time.Since(began).Seconds(), peer)
		}
	}
	for _, e := range ours {
		fmt.Printf("%s: %.1f pictures/s, %.1f ms each", e.name, float64(n)/bench.Quantile(e.pairs.Ours, 0.5), 1e3*bench.Quantile(e.pairs.Ours, 0.5)/float64(n))
		if theirs != nil {
			low, mid, high := e.pairs.Ratio()
			fmt.Printf("; %s %.1f; theirs/ours %.2f [%.2f, %.2f], %d pairs", o.engine, float64(n)/bench.Quantile(e.pairs.Peer, 0.5), mid, low, high, o.pairs)
		}
		fmt.Println()
	}
	fmt.Printf("stolen %.2f %%\n", 100*bench.ReadSteal().Since(steal))
	if theirs != nil {
		return theirs.Close(nil)
	}
	return nil
}

// save writes a folder of open_clip with random weights below dir and returns the model and the folder.
func save(dir string, o options) (m *clip.Model, folder string, err error) {
	if o.shape != "" {
		var s clip.Shape
		if _, err := fmt.Sscanf(o.shape, "%d,%d,%d,%d,%d,%d,%d,%d,%d", &s.Side, &s.Patch, &s.Width, &s.Layers, &s.TextWidth, &s.TextLayers, &s.Vocab, &s.Context, &s.Projection); err != nil {
			return nil, "", fmt.Errorf("clip: --shape %q: %w", o.shape, err)
		}
		m, err = clip.New(s.Config())
	} else {
		var size zoo.Size
		if size, err = zoo.SizeByName("clip", o.size); err != nil {
			return nil, "", err
		}
		var stored zoo.Stored
		stored, err = size.New(size.Vocab, size.Context, -1)
		m, _ = stored.(*clip.Model)
	}
	if err != nil {
		return nil, "", err
	}
	nn.Init(m.Params(), 1, false)
	for _, p := range m.Params() {
		if strings.HasSuffix(p.Name, ".bn3.weight") { // blocks that add nothing would be no test
			for i := range p.T().F32() {
				p.T().F32()[i] = 0.3
			}
		}
	}
	folder = filepath.Join(dir, "saved")
	if err := zoo.Save(folder, m, nil); err != nil {
		return nil, "", err
	}
	if err := zoo.SavePreprocess(folder, media.CLIP(m.Tower().Side())); err != nil || m.Scheme() == checkpoint.OpenCLIP {
		return m, folder, err
	}
	open := filepath.Join(dir, "open")
	return m, open, zoo.WriteDir(context.Background(), folder, open, zoo.DirOptions{DType: checkpoint.F32, OpenCLIP: true})
}
