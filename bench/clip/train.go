package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/data/imagetext"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/pretrain"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// trainer is a model with its optimiser's state and one batch, on which every step is done.
type trainer struct {
	tape  *tensor.Tape
	part  train.Part
	batch imagetext.Batch
	of    []float64
	list  []kernel.AdamWParam
	grads []kernel.Buf
	steps int
	model *clip.Model
}

// training measures the step: forward, contrastive loss, backward, clipping at 1, AdamW. Both sides have the same pictures and texts in memory.
func training(o options) error {
	dir, err := os.MkdirTemp("", "clip")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, folder, err := save(dir, o)
	if err != nil {
		return err
	}
	set := cpu.New(cpu.Options{Threads: o.threads})
	var times *kernel.Times
	if o.profile {
		set, times = kernel.Profile(set)
	}
	t, err := newTrainer(dir, m, o.batch, set)
	if err != nil {
		return err
	}
	c := m.Config
	fmt.Printf("%s, %d threads, %d pairs of a picture of %d pixels a side and a text of %.1f tokens\n", o.size, o.threads, o.batch, c.Vision.Side, float64(len(t.batch.IDs))/float64(o.batch))
	var theirs *bench.Peer
	if o.peer != "" {
		data := filepath.Join(dir, "batch.bin")
		if err := t.write(data, c.Text.Context); err != nil {
			return err
		}
		if theirs, err = bench.Start(nil, o.peer, o.script, folder, data, "--mode", o.engine, fmt.Sprintf("--batch=%d", o.batch), fmt.Sprintf("--threads=%d", o.threads)); err != nil {
			return err
		}
	}
	var pairs bench.Pairs
	worst := 0.0
	steal := bench.ReadSteal()
	for i := range o.pairs + 2 {
		if i == 2 && times != nil { // two steps bring the memory
			times.Reset()
		}
		began := time.Now()
		loss := t.step()
		ours, peer := time.Since(began).Seconds(), math.NaN()
		if theirs != nil {
			var other float64
			if peer, other, err = theirs.Step(); err != nil {
				return err
			}
			if worst = max(worst, math.Abs(other-loss)); i == 0 && !(worst < 1e-4) || !(worst < 0.05) { // rounding grows with the steps
				return fmt.Errorf("clip: loss %v of step %d, the peer's %v: unequal work", loss, i+1, other)
			}
			cpu.PeakFLOPs(cpu.Options{Threads: o.threads}, 20*time.Millisecond) // the peer's threads wait for work in a loop before they sleep
		}
		if i >= 2 {
			pairs.Add(ours, peer)
		}
	}
	median := bench.Quantile(pairs.Ours, 0.5)
	fmt.Printf("step: %.4f s, %.1f pairs/s", median, float64(o.batch)/median)
	if theirs != nil {
		low, mid, high := pairs.Ratio()
		fmt.Printf("; open_clip %s %.4f s; theirs/ours %.2f [%.2f, %.2f], %d pairs, losses differ by at most %.1e", o.engine, bench.Quantile(pairs.Peer, 0.5), mid, low, high, o.pairs, worst)
	}
	fmt.Printf("; stolen %.2f %%\n", 100*bench.ReadSteal().Since(steal))
	if times != nil {
		total := 0.0
		for _, s := range pairs.Ours {
			total += s
		}
		fmt.Print(times.Table(o.pairs, total, cpu.PeakFLOPs(cpu.Options{Threads: o.threads}, 100*time.Millisecond)))
	}
	if theirs != nil {
		return theirs.Close(nil)
	}
	return nil
}

func newTrainer(dir string, m *clip.Model, batch int, set *kernel.Set) (*trainer, error) {
	pictures, err := noise(dir, m, batch)
	if err != nil {
		return nil, err
	}
	t := &trainer{tape: tensor.Training(set), model: m}
	obj := &pretrain.CLIP{Model: m, Pairs: pictures}
	if t.part, err = obj.Part(nil, 0, 0, batch); err != nil {
		return nil, err
	}
	if err := pictures.Fill(&t.batch, 0, 0, batch); err != nil {
		return nil, err
	}
	t.of = append(t.of, t.part.Terms()...)
	for _, p := range m.Params() {
		if p.T().SetTrain(!p.Statistic); p.Statistic {
			continue
		}
		n := p.T().Len()
		t.grads = append(t.grads, p.T().Grad)
		t.list = append(t.list, kernel.AdamWParam{P: p.T().Data, G: p.T().Grad, M: kernel.Alloc(kernel.F32, n), V: kernel.Alloc(kernel.F32, n), NoDecay: !p.Decays()})
	}
	return t, nil
}

// noise is pairs of a random picture and a random text of 5 to 20 tokens with both marks.
func noise(dir string, m *clip.Model, n int) (*imagetext.Set, error) {
	side, text := m.Tower().Side(), m.Config.Text
	key := random.NewKey(5)
	var table strings.Builder
	table.WriteString("image\ttext\n")
	for i := range n {
		p := image.NewRGBA(image.Rect(0, 0, side, side))
		own := key.At(uint64(i))
		for at := range side * side {
			v := own.Uint64(uint64(at))
			p.SetRGBA(at%side, at/side, color.RGBA{uint8(v), uint8(v >> 8), uint8(v >> 16), 255})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, p); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%d.png", i)
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			return nil, err
		}
		fmt.Fprintf(&table, "%s\t%d\n", name, i)
	}
	path := filepath.Join(dir, "pairs.tsv")
	if err := os.WriteFile(path, []byte(table.String()), 0o600); err != nil {
		return nil, err
	}
	items, err := imagetext.Read(context.Background(), []string{path}, imagetext.ReadOptions{})
	if err != nil {
		return nil, err
	}
	return imagetext.New(items, imagetext.Options{Batch: n, Prepare: media.CLIP(side), Encode: func(caption string) ([]int32, error) {
		var i int
		if _, err := fmt.Sscan(caption, &i); err != nil {
			return nil, err
		}
		own := random.NewKey(6, uint64(i))
		ids := []int32{int32(text.BOS)}
		for k := range 3 + own.IntN(0, 16) {
			ids = append(ids, int32(own.IntN(uint64(1+k), text.Vocab-2)))
		}
		return append(ids, int32(text.EOS)), nil
	}})
}

// write gives the peer the batch: pixels, then ids [B, context] with zeros behind each text.
func (t *trainer) write(path string, context int) error {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, t.batch.Pixels) // into memory: no error
	at := 0
	for _, n := range t.batch.Lengths {
		row := make([]int32, context)
		at += copy(row, t.batch.IDs[at:at+n])
		binary.Write(&b, binary.LittleEndian, row)
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// step returns the loss before the update.
func (t *trainer) step() float64 {
	sums := []float64{0}
	t.part.Loss(t.tape, t.of, sums)
	t.tape.Backward()
	t.tape.Reset()
	k := t.tape.Kernels()
	t.steps++
	k.AdamW(&kernel.AdamW{LR: 1e-4, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.2, Step: t.steps, GradScale: min(1, 1/(math.Sqrt(k.SumSquares(t.grads...))+1e-6)), ZeroGrad: true}, t.list...)
	t.model.Settle()
	return sums[0] / t.of[0]
}
