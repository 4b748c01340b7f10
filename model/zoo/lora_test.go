package zoo_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// adapterFolder writes a golden case's adapter as PEFT saves it.
func adapterFolder(t *testing.T, c *testkit.Case) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, adapt.AdapterConfig), []byte(c.Meta["adapter"]), 0o644); err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, name := range c.Names("adapter.") {
		tensors = append(tensors, checkpoint.FromFloat32(name, c.Shape("adapter."+name), c.F32("adapter."+name)))
	}
	if err := checkpoint.Write(filepath.Join(dir, adapt.AdapterWeights), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// logitsOf are those of all sequences of a case.
func logitsOf(tape *tensor.Tape, m zoo.Model, ids []int32, lengths []int) []float32 {
	defer tape.Reset()
	return slices.Clone(m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(lengths...), nil)).F32())
}

// TestLoRAParity compares logits, loss and the gradient of every tensor of an adapter with PEFT's, on a model whose own parameters get none, some of them in the 4 bits
// of bitsandbytes; and the adapter saved is the one that was read, to the last bit.
func TestLoRAParity(t *testing.T) {
	var names []string
	for _, folder := range []string{"lora", "qlora"} {
		for _, name := range testkit.Cases(t, folder) {
			names = append(names, folder+"/"+name)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			c := testkit.Golden(t, name)
			k := cpu.New(cpu.Options{Threads: 2})
			base, o := c.Dir, zoo.Options{}
			if strings.HasPrefix(name, "lora/") {
				base, o.Train = c.Folder(), true
			}
			m, err := zoo.Open(base, o)
			if err != nil {
				t.Fatal(err)
			}
			a, err := adapt.OpenLoRA(k, adapterFolder(t, c), m, nil)
			if err != nil {
				t.Fatal(err)
			}
			ids, lengths := sequences(c)
			var want []float32
			for _, n := range c.Names("logits.") {
				want = append(want, c.F32("logits."+n)...)
			}
			testkit.Close(t, "logits", logitsOf(tensor.Evaluation(k), m, ids, lengths), want, 1e-4, 0)
			tape := tensor.Training(k)
			targets := append(slices.Clone(ids[1:]), -1)
			for i, end := 0, -1; i < len(lengths); i++ {
				end += lengths[i]
				targets[end] = -1
			}
			counted := float64(len(ids) - len(lengths))
			sum := 0.0
			x := model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(lengths...), nil)
			for _, l := range m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(targets), Scale: 1 / counted}).F32() {
				sum += float64(l)
			}
			tape.Backward()
			if want := c.Scalar("loss"); math.Abs(sum/counted-want) > 1e-5*want {
				t.Errorf("loss %v, want %v", sum/counted, want)
			}
			for _, p := range m.Params() {
				if p.T().Trains() != slices.ContainsFunc(a.Params(), func(q nn.Named) bool { return q.T() == p.T() }) {
					t.Errorf("%s: trains %v", p.Name, p.T().Trains())
				}
			}
			dir := t.TempDir()
			if err := a.Save(dir, "", "CAUSAL_LM"); err != nil {
				t.Fatal(err)
			}
			for _, name := range c.Names("adapter.") {
				got := readTensor(t, dir, name)
				if !slices.Equal(got, c.F32("adapter."+name)) {
					t.Errorf("%s is not saved as it was read", name)
				}
			}
			for _, p := range a.Params() { // saved again, gradients have the names and the order of rows of PEFT's
				copy(p.T().F32(), p.T().Grad.F32())
			}
			if err := a.Save(dir, "", ""); err != nil {
				t.Fatal(err)
			}
			for _, name := range c.Names("grad.") {
				testkit.Close(t, "grad."+name, readTensor(t, dir, name), c.F32("grad."+name), 1e-4, 1e-7*c.Norm("grad."))
			}
		})
	}
}

// readTensor reads one tensor of an adapter's folder.
func readTensor(t *testing.T, dir, name string) []float32 {
	t.Helper()
	f, err := checkpoint.Open(filepath.Join(dir, adapt.AdapterWeights))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, tensor.Shape(x.Shape).Elements())
	if err := x.Float32(values); err != nil {
		t.Fatal(err)
	}
	return values
}

// disturb gives every parameter of an adapter other values.
func disturb(a *adapt.Adapter) {
	for i, p := range a.Params() {
		for j := range p.T().F32() {
			p.T().F32()[j] += float32(0.2 * math.Sin(float64(7*i+3*j+1)))
		}
		p.T().Changed()
	}
}

// TestLoRAMerge: for every family, a fresh adapter changes nothing; merged into the weights one computes what it computes beside them; and taken out again
// it leaves the weights as they were, but for roundings.
func TestLoRAMerge(t *testing.T) {
	k := cpu.New(cpu.Options{Threads: 2})
	cases := testkit.Cases(t, "decoders")
	for i := range cases {
		cases[i] = "decoders/" + cases[i]
	}
	for _, name := range append(cases, "lora/gpt2") {
		for _, dora := range []bool{false, true} {
			c := testkit.Golden(t, name)
			m, err := zoo.Open(c.Folder(), zoo.Options{F32: true})
			if err != nil {
				t.Fatal(err)
			}
			tape := tensor.Inference(k)
			ids, lengths := sequences(c)
			plain := logitsOf(tape, m, ids, lengths)
			a, err := adapt.AttachLoRA(k, m, nil, adapt.LoRA{Rank: 3, Targets: adapt.Names{AllLinear: true}, DoRA: dora}, 1)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Close(t, name+": fresh", logitsOf(tape, m, ids, lengths), plain, 1e-5, 0)
			disturb(a)
			apart := logitsOf(tape, m, ids, lengths)
			if far := distance(apart, plain); far < 0.05 {
				t.Errorf("%s: the adapter moves logits by %v only", name, far)
			}
			if err := a.Merge(k); err != nil {
				t.Fatal(err)
			}
			testkit.Close(t, name+": merged", logitsOf(tape, m, ids, lengths), apart, 1e-4, 0)
			a.Unmerge(k)
			testkit.Close(t, name+": unmerged", logitsOf(tape, m, ids, lengths), apart, 1e-4, 0)
			a.Detach()
			testkit.Close(t, name+": detached", logitsOf(tape, m, ids, lengths), plain, 1e-4, 0)
		}
	}
}

// distance is the largest difference.
func distance(a, b []float32) float64 {
	far := 0.0
	for i, v := range a {
		far = max(far, math.Abs(float64(v-b[i])))
	}
	return far
}

// TestPEFTLoadsOurs: PEFT computes the same logits with an adapter that was made and saved here.
func TestPEFTLoadsOurs(t *testing.T) {
	testkit.Python(t, "torch", "transformers", "peft")
	k := cpu.New(cpu.Options{Threads: 2})
	for name, o := range map[string]adapt.LoRA{
		"lora/gpt2":      {Targets: adapt.Names{List: []string{"c_attn", "c_proj"}}, DoRA: true},
		"lora/phi3-dora": {Targets: adapt.Names{List: []string{"qkv_proj", "o_proj"}}, RankStabilised: true},
		"lora/gpt_neox":  {Targets: adapt.Names{AllLinear: true}, DoRA: true},
		"decoders/qwen2": {Targets: adapt.Names{Pattern: `.*\.(q|up)_proj`}, RankPattern: map[string]int{"up_proj": 3}, Layers: nil},
		"decoders/gemma": {Targets: adapt.Names{List: []string{"q_proj", "down_proj"}}, Layers: []int{1}, AlphaPattern: map[string]float64{"q_proj": 2}},
	} {
		c := testkit.Golden(t, name)
		dir, out := c.Folder(), t.TempDir()
		m, err := zoo.Open(dir, zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		a, err := adapt.AttachLoRA(k, m, nil, o, 1)
		if err != nil {
			t.Fatal(err)
		}
		disturb(a)
		if err := a.Save(out, dir, "CAUSAL_LM"); err != nil {
			t.Fatal(err)
		}
		ids, _ := sequences(c)
		var want []float32
		testkit.Ask(t, filepath.Join(testkit.Root(), "tools", "golden", "lora.py"), []string{"torch", "transformers", "peft"},
			map[string]any{"model": dir, "adapter": out, "ids": ids}, &want)
		testkit.Close(t, name, logitsOf(tensor.Evaluation(k), m, ids, []int{len(ids)}), want, 1e-4, 0)
	}
}

// TestQLoRA: gradients through frozen weights in the file's own type are those through the same numbers in float32.
func TestQLoRA(t *testing.T) {
	c := testkit.Golden(t, "lora/llama-dora")
	dir := c.Folder()
	f, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, info := range f.Infos() {
		x, err := f.Tensor(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, info.Elements())
		if err := x.Float32(values); err != nil {
			t.Fatal(err)
		}
		half := make([]uint16, len(values))
		for i, v := range values {
			half[i] = uint16(math.Float32bits(v) >> 16)
		}
		tensors = append(tensors, checkpoint.FromBF16(info.Name, info.Shape, half))
	}
	half := t.TempDir()
	if err := os.WriteFile(filepath.Join(half, zoo.ConfigFile), []byte(c.Meta["config"]), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), checkpoint.Write(filepath.Join(half, zoo.WeightsFile), tensors, nil)); err != nil {
		t.Fatal(err)
	}
	k := cpu.New(cpu.Options{Threads: 2})
	ids, lengths := sequences(c)
	gradients := func(o zoo.Options) (grads [][]float32, bytes int) {
		m, err := zoo.Open(half, o)
		if err != nil {
			t.Fatal(err)
		}
		a, err := adapt.AttachLoRA(k, m, nil, adapt.LoRA{Targets: adapt.Names{AllLinear: true}, DoRA: true}, 1)
		if err != nil {
			t.Fatal(err)
		}
		disturb(a)
		tape := tensor.Training(k)
		x := model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(lengths...), nil)
		m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(ids), Scale: 1})
		tape.Backward()
		for _, p := range a.Params() {
			grads = append(grads, p.T().Grad.F32())
		}
		for _, l := range nn.Linears(m) {
			bytes += l.Weight.T().Data.DType().Bytes(l.Weight.T().Len())
		}
		if !o.Train && !o.F32 {
			if err := a.Merge(k); err == nil || !strings.Contains(err.Error(), "bf16") {
				t.Errorf("merging into weights of the file: %v", err)
			}
		}
		return grads, bytes
	}
	got, small := gradients(zoo.Options{})
	want, large := gradients(zoo.Options{F32: true})
	for i, g := range want {
		testkit.Close(t, fmt.Sprint("gradient ", i), got[i], g, 1e-5, 1e-9)
	}
	if small > large*3/4 {
		t.Errorf("frozen weights take %d bytes, as float32 %d", small, large)
	}
}
