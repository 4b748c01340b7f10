package tensor_test

import (
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/tensor"
)

// A weight that one inference tape packed serves tapes on other sets, and follows Changed.
func TestPackedWeights(t *testing.T) {
	x := tensor.FromF32([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	w := tensor.FromF32([]float32{1, 0, 0, 0, 1, 1}, 2, 3)
	want := []float32{1, 5, 4, 11}
	one, two := cpu.New(cpu.Options{Threads: 1}), cpu.New(cpu.Options{Threads: 2})
	for _, k := range []*tensor.Tape{tensor.Inference(one), tensor.Inference(two), tensor.Inference(ref.New()), tensor.Inference(one), tensor.Evaluation(two)} {
		if got := k.Linear(x, w, nil, tensor.Linear{}).F32(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", k.Kernels().Name, got, want)
		}
	}
	tape := tensor.Inference(one)
	for range 20 { // packed by then, whatever the set
		tape.Linear(x, w, nil, tensor.Linear{})
	}
	w.F32()[0] = 2
	w.Changed()
	if got := tape.Linear(x, w, nil, tensor.Linear{}).F32(); got[0] != 2 {
		t.Errorf("a changed weight gives %v", got[0])
	}
}

// An inference tape on a set that reads rows as they lie packs a weight once several products of some rows could use it; the bits stay.
func TestPackedWhenItPays(t *testing.T) {
	const in, out = 300, 70
	k := *cpu.New(cpu.Options{Threads: 1})
	k.ReadsRows = true
	pack, packs := k.Pack, 0
	k.Pack = func(dst *kernel.Packed, b kernel.Buf, trans bool, n, m int) { packs++; pack(dst, b, trans, n, m) }
	x, w := tensor.FromF32(make([]float32, 100*in), 100, in), tensor.FromF32(make([]float32, out*in), out, in)
	for i := range x.F32() {
		x.F32()[i] = float32(math.Sin(float64(i)))
	}
	for i := range w.F32() {
		w.F32()[i] = float32(math.Cos(float64(i)))
	}
	want := tensor.Evaluation(&k).Linear(x, w, nil, tensor.Linear{}).F32()
	tape := tensor.Inference(&k)
	product := func(rows int) {
		if got := tape.Linear(tensor.FromF32(x.F32()[:rows*in], rows, in), w, nil, tensor.Linear{}).F32(); !slices.Equal(got, want[:rows*out]) {
			t.Fatalf("%d rows after %d packings: another product", rows, packs)
		}
	}
	for range 20 {
		product(1)
		product(100)
	}
	if packs != 0 {
		t.Errorf("%d packings for products of one row and of many", packs)
	}
	for range 20 {
		product(8)
	}
	product(1)
	if packs != 1 {
		t.Errorf("%d packings for products of eight rows, want 1", packs)
	}
}

// Tapes on one weight, each with a set of its own, may run at once.
func TestPackedWeightsAtOnce(t *testing.T) {
	w := tensor.FromF32(make([]float32, 64*48), 48, 64)
	for i := range w.F32() {
		w.F32()[i] = float32(i % 5)
	}
	want := tensor.Evaluation(ref.New()).Linear(w, w, nil, tensor.Linear{}).F32() // exact: small integers
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			tape := tensor.Inference(cpu.New(cpu.Options{Threads: 1}))
			for range 20 {
				if got := tape.Linear(w, w, nil, tensor.Linear{}).F32(); !slices.Equal(got, want) {
					t.Error("another product")
				}
				tape.Reset()
			}
		})
	}
	wait.Wait()
}

// A panic inside Recompute leaves a tape that records.
func TestRecomputePanic(t *testing.T) {
	tape := tensor.Training(ref.New())
	x := tensor.FromF32([]float32{1, 2}, 1, 2)
	x.SetTrain(true)
	for _, f := range []func(*tensor.Tensor) *tensor.Tensor{
		func(*tensor.Tensor) *tensor.Tensor { panic("no") },
		func(x *tensor.Tensor) *tensor.Tensor { return x },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			tape.Recompute(x, f)
		}()
		if tape.Reset(); !tape.Recording() {
			t.Fatal("the tape no longer records")
		}
	}
}

// A scope gives back everything but its result.
func TestScope(t *testing.T) {
	tape := tensor.Evaluation(ref.New())
	x := tensor.FromF32(make([]float32, 1000), 10, 100)
	run := func() {
		y := x
		for range 50 {
			y = tape.Scope(func() *tensor.Tensor { return tape.Add(tape.Scale(y, 2), x) })
		}
		tape.Reset()
	}
	run()
	if n := tape.Bytes(); n > 60*4*1024 {
		t.Errorf("50 scopes hold %d bytes", n)
	}
	before := tape.Bytes()
	run()
	if tape.Bytes() != before {
		t.Errorf("a second run took memory: %d, then %d bytes", before, tape.Bytes())
	}
}

// What a scope keeps for the backward pass: all; less, and gradients of the same bits; or in bfloat16, and gradients as of rounded activations.
func TestKeep(t *testing.T) {
	const N, C, layers = 32, 64, 12
	value := func(n int, f float64) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(math.Sin(f * float64(i+1)))
		}
		return s
	}
	x := tensor.FromF32(value(N*C, 0.7), N, C)
	one := tensor.FromF32(slices.Repeat([]float32{1}, C), C)
	run := func(keep tensor.Keep) (grads []float32, bytes int) {
		tape := tensor.Training(cpu.New(cpu.Options{Threads: 1}))
		tape.Keep(keep)
		up, down := tensor.FromF32(value(4*C*C, 0.31), 4*C, C), tensor.FromF32(value(4*C*C, 0.17), C, 4*C)
		for _, w := range []*tensor.Tensor{up, down} {
			tape.Kernels().Scale(w.Data, 0.05, w.Data)
			w.SetTrain(true)
		}
		for range 2 {
			y := tape.Scale(x, 1)
			for range layers {
				y = tape.Scope(func() *tensor.Tensor {
					h := tape.Linear(tape.RMSNorm(y, one, 1e-5), up, nil, tensor.Linear{Act: tensor.GELU})
					return tape.Linear(h, down, nil, tensor.Linear{Residual: y})
				})
			}
			tape.Seed(tape.Mul(y, y))
			clear(up.Grad.F32())
			clear(down.Grad.F32())
			tape.Backward()
			tape.Reset()
		}
		return append(up.Grad.F32(), down.Grad.F32()...), tape.Bytes()
	}
	want, all := run(tensor.KeepAll)
	same, lean := run(tensor.KeepLean)
	if !slices.Equal(same, want) {
		t.Error("other gradients where less is kept")
	}
	got, half := run(tensor.KeepBF16)
	worst, top := 0.0, 0.0
	for i, w := range want {
		worst, top = max(worst, math.Abs(float64(got[i]-w))), max(top, math.Abs(float64(w)))
	}
	if worst == 0 || worst > 0.01*top { // a rounding moves a value by up to 0.4 %
		t.Errorf("gradients differ by %v of %v", worst, top)
	}
	// Kept of a layer are 10 C for a row, the result, norm, pre-activation and activation; lean 5 C; in bfloat16 3 C. And one layer whole
	// with its gradients.
	if lean > all*6/10 || half > all*5/10 {
		t.Errorf("%d bytes, lean %d, in bfloat16 %d", all, lean, half)
	}
}

// A frozen leaf gets no gradient, and ops on constants record nothing that costs.
func TestFrozen(t *testing.T) {
	tape := tensor.Training(ref.New())
	x := tensor.FromF32([]float32{1, 2}, 1, 2)
	w := tensor.FromF32([]float32{3, 4, 5, 6}, 2, 2)
	w.SetTrain(true)
	b := tensor.FromF32([]float32{7, 8}, 2)
	y := tape.Linear(x, w, b, tensor.Linear{})
	tape.Seed(y)
	tape.Backward()
	if !slices.Equal(w.Grad.F32(), []float32{1, 2, 1, 2}) {
		t.Errorf("gradient %v", w.Grad.F32())
	}
	if !x.Grad.None() || !b.Grad.None() {
		t.Error("a constant has a gradient")
	}
	w.SetTrain(false)
	if w.Trains() || !w.Grad.None() {
		t.Error("freezing keeps the gradient")
	}
}

// The gradient of x through a weight of a storage type is that through the numbers that it stands for.
func TestStoredGradient(t *testing.T) {
	const N, in, out = 9, 512, 300
	random := func(n int, f float64) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(math.Sin(f * float64(i*i+1)))
		}
		return s
	}
	for _, d := range []tensor.DType{tensor.BF16, tensor.F16, tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K} {
		f, _ := quant.ByName(d.String())
		stored := make([]byte, f.Bytes(out*in))
		f.Encode(stored, random(out*in, 0.37))
		plain := make([]float32, out*in)
		f.Decode(plain, stored)
		k := cpu.New(cpu.Options{Threads: 2})
		gradient := func(w *tensor.Tensor) []float32 {
			x := tensor.FromF32(random(N*in, 0.11), N, in)
			x.SetTrain(true)
			tape := tensor.Training(k)
			tape.Seed(tape.Mul(tape.Linear(x, w, nil, tensor.Linear{}), tensor.FromF32(random(N*out, 0.23), N, out)))
			tape.Backward()
			return x.Grad.F32()
		}
		w := tensor.New(out, in)
		w.Bind(kernel.OfBytes(d, stored))
		if !slices.Equal(gradient(w), gradient(tensor.FromF32(plain, out, in))) {
			t.Errorf("%s: another gradient than through float32", d)
		}
	}
}

// Layers below the first that is trained leave nothing behind on a training tape, and the gradients above them are those of a tape that keeps everything.
func TestFrozenScopes(t *testing.T) {
	const N, C, layers = 64, 32, 6
	run := func(frozen int, scopes bool) (bytes int, grad []float32) {
		var ws []*tensor.Tensor
		for i := range layers {
			w := waves(C, C, float64(i+1))
			w.SetTrain(i >= frozen)
			ws = append(ws, w)
		}
		x := tensor.FromF32(waves(N, C, 0.3).F32(), N, C)
		tape := tensor.Training(cpu.New(cpu.Options{Threads: 1}))
		for _, w := range ws {
			layer := func() *tensor.Tensor {
				return tape.Linear(tape.Linear(x, w, nil, tensor.Linear{Act: tensor.Tanh}), w, nil, tensor.Linear{})
			}
			if scopes {
				x = tape.Scope(layer)
			} else {
				x = layer()
			}
		}
		bytes = tape.Bytes()
		tape.Seed(x)
		tape.Backward()
		return bytes, ws[layers-1].Grad.F32()
	}
	kept, want := run(layers-1, false)
	bytes, got := run(layers-1, true)
	if !slices.Equal(got, want) {
		t.Error("other gradients where frozen layers are taken back")
	}
	if bytes >= kept*2/3 {
		t.Errorf("%d bytes, %d where frozen layers are kept", bytes, kept)
	}
}

// Above the first layer that is trained, values that only the gradients of frozen weights would read are taken back: a vector in front of a stack of frozen layers gets
// the bits of a stack that is trained, from far less memory.
func TestSpare(t *testing.T) {
	const N, C, layers = 64, 32, 8
	one := tensor.FromF32(slices.Repeat([]float32{1}, C), C)
	zero := tensor.FromF32(make([]float32, C), C)
	run := func(train bool, keep tensor.Keep) (bytes int, grad []float32) {
		var ws []*tensor.Tensor
		for i := range 2 * layers {
			w := waves(C, C, float64(i+1))
			w.SetTrain(train)
			ws = append(ws, w)
		}
		in := tensor.FromF32(waves(N, C, 0.3).F32(), N, C)
		in.SetTrain(true)
		tape := tensor.Training(cpu.New(cpu.Options{Threads: 1}))
		tape.Keep(keep)
		for range 2 { // the records are used again
			tape.Reset()
			tape.DropoutKey(1)
			clear(in.Grad.F32())
			x := tape.Scale(in, 1)
			for i := range layers {
				x = tape.Scope(func() *tensor.Tensor {
					h := tape.Dropout(tape.LayerNorm(x, one, zero, 1e-5), 0.1)
					gate := tape.Linear(h, ws[2*i], nil, tensor.Linear{Act: tensor.GELU, Drop: 0.1})
					up := tape.Scale(tape.Linear(h, ws[2*i], nil, tensor.Linear{}), 0.5)
					h = tape.Scope(func() *tensor.Tensor { return tape.SwiGLU(gate, tape.Act(tensor.Tanh, up)) })
					return tape.Add(tape.RMSNorm(tape.Linear(h, ws[2*i+1], nil, tensor.Linear{}), one, 1e-5), x)
				})
			}
			tape.Seed(tape.Mul(x, x))
			bytes = tape.Bytes()
			tape.Backward()
		}
		return bytes, in.Grad.F32()
	}
	for keep, most := range map[tensor.Keep]float64{tensor.KeepAll: 0.75, tensor.KeepLean: 0.98} { // a lean tape keeps little that could be spared
		all, want := run(true, keep)
		bytes, got := run(false, keep)
		if !slices.Equal(got, want) {
			t.Errorf("keep %v: other gradients where the layers are frozen", keep)
		}
		if float64(bytes) > most*float64(all) {
			t.Errorf("keep %v: %d bytes, %d where all is trained", keep, bytes, all)
		}
		t.Logf("keep %v: %d bytes, %d where all is trained", keep, bytes, all)
	}
}

// TestTapeTrims: steps of every size leave no more behind than twice what the largest takes, and those of one size reuse what they have.
func TestTapeTrims(t *testing.T) {
	const C, most = 8, 4096
	tape := tensor.Inference(cpu.New(cpu.Options{Threads: 1}))
	step := func(rows int) int {
		tape.Reset()
		x := tensor.FromF32(make([]float32, C*rows), rows, C)
		for range 4 {
			x = tape.Scale(x, 2)
		}
		return tape.Bytes()
	}
	const largest = 4 * 4 * C * most
	for i := range 2 * most {
		rows := 1 + i*7919%most
		if held := step(rows); held > 3*largest+1<<20 { // its own among them
			t.Fatalf("after a step of %d rows the tape holds %d bytes, the largest takes %d", rows, held, largest)
		}
	}
	step(100)
	if before := step(100); step(100) != before {
		t.Errorf("a step as the last one took memory: %d bytes, then %d", before, tape.Bytes())
	}
}
