package zoo_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// What transformers saved of 4 bits stays so: matrices of whole blocks in the type of the file, others as float32; and the same model opened as float32 has
// the numbers that the blocks stand for.
func TestFourBitTypes(t *testing.T) {
	for name, want := range map[string]map[tensor.DType]int{"nf4": {tensor.NF4: 14, tensor.F32: 7}, "fp4": {tensor.FP4: 7, tensor.F32: 5}} {
		dir := filepath.Join(testkit.Root(), "internal", "testkit", "golden", "qlora", name)
		stored, err := zoo.Open(dir, zoo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		float, err := zoo.Open(dir, zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		got := map[tensor.DType]int{}
		for i, p := range stored.Params() {
			d := p.T().Data.DType()
			got[d]++
			if d == tensor.F32 {
				continue
			}
			values := make([]float32, p.T().Len())
			f, _ := quant.ByName(d.String())
			f.Decode(values, p.T().Data.Bytes())
			for j, v := range values {
				if float.Params()[i].T().F32()[j] != v {
					t.Fatalf("%s: element %d is %v as %s, %v as float32", p.Name, j, v, d, float.Params()[i].T().F32()[j])
				}
			}
		}
		for d, n := range want {
			if got[d] != n {
				t.Errorf("%s: %d tensors of %s, want %d", name, got[d], d, n)
			}
		}
	}
}

// A folder that Quantize4Bit writes: linear layers have the codes of their float32 numbers, the rest is what it was; and transformers computes the same from it.
func TestQuantize4Bit(t *testing.T) {
	c := testkit.Golden(t, "qlora/nf4")
	k := cpu.New(cpu.Options{Threads: 2})
	in, out := filepath.Join(t.TempDir(), "f32"), filepath.Join(t.TempDir(), "nf4")
	if err := zoo.WriteDir(t.Context(), c.Dir, in, zoo.DirOptions{DType: checkpoint.F32}); err != nil {
		t.Fatal(err)
	}
	list, err := zoo.Quantize4Bit(t.Context(), in, out, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range list {
		want := w.Elements() * 4
		if w.DType == checkpoint.NF4 {
			want = w.Elements()/2 + w.Elements()/64 + 4*(1+16+256)
		}
		if w.DType == checkpoint.NF4 != strings.Contains(w.Name, "_proj.") || w.Bytes < want || w.Bytes > want+300 {
			t.Errorf("%s: %s, %d bytes, want %d and a text", w.Name, w.DType, w.Bytes, want)
		}
	}
	float, err := zoo.Open(in, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := zoo.Open(out, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		x := float.Params()[i].T().F32()
		if p.T().Data.DType() == tensor.F32 {
			if !slices.Equal(p.T().F32(), x) {
				t.Errorf("%s has changed", p.Name)
			}
			continue
		}
		blocks, got := make([]byte, quant.NF4.Bytes(len(x))), p.T().Data.Bytes()
		quant.NF4.Encode(blocks, x)
		for at := 0; at < len(blocks); at += quant.FourBytes {
			if !bytes.Equal(got[at+quant.FourScale:at+quant.FourBytes], blocks[at+quant.FourScale:at+quant.FourBytes]) {
				t.Fatalf("%s: the codes of block %d differ", p.Name, at/quant.FourBytes)
			}
		}
	}
	if _, err := zoo.Quantize(t.Context(), out, filepath.Join(t.TempDir(), "x.gguf"), "q8_0", 1); err == nil || !strings.Contains(err.Error(), "NF4 already") {
		t.Errorf("q8_0 of nf4: %v", err)
	}
	for _, bad := range []struct{ in, want string }{{out, "NF4 already"}, {testkit.Golden(t, "lora/gpt2").Folder(), "GPT-2"}, {testkit.Golden(t, "decoders/mixtral").Folder(), "experts"}} {
		dir := filepath.Join(t.TempDir(), "bad")
		if _, err := zoo.Quantize4Bit(t.Context(), bad.in, dir, 1); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("want %q: %v", bad.want, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder is left", bad.want)
		}
	}
	ids, _ := sequences(c)
	var want []float32
	testkit.Ask(t, filepath.Join(testkit.Root(), "tools", "golden", "qlora.py"), []string{"torch", "transformers", "peft", "bitsandbytes"}, map[string]any{"model": out, "ids": ids}, &want)
	testkit.Close(t, "logits", logitsOf(tensor.Evaluation(k), m, ids, []int{len(ids)}), want, 1e-4, 0)
}

// StoreBase makes of the float32 numbers of a model of 4 bits the blocks that they came from; what is to be trained and the head stay as they are.
func TestStoreBase(t *testing.T) {
	dir := testkit.Golden(t, "qlora/nf4").Dir
	stored, err := zoo.Open(dir, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := zoo.Open(dir, zoo.Options{F32: true})
	if err != nil {
		t.Fatal(err)
	}
	kept := m.Params()[slices.IndexFunc(m.Params(), func(p nn.Named) bool { return p.Name == "model.layers.1.mlp.up_proj.weight" })]
	n, all, err := adapt.StoreBase(m, []nn.Named{kept}, tensor.NF4)
	if err != nil || n != 13 || all != 13 {
		t.Fatalf("%d matrices of %d: %v", n, all, err)
	}
	for i, p := range m.Params() {
		want := stored.Params()[i].T().Data
		if got := p.T().Data; p.Name == kept.Name && got.DType() != tensor.F32 || p.Name != kept.Name && (got.DType() != want.DType() || !bytes.Equal(got.Bytes(), want.Bytes())) {
			t.Errorf("%s: %s, or other numbers", p.Name, got.DType())
		}
	}
	if _, _, err := adapt.StoreBase(m, nil, tensor.Q4_K); err == nil || !strings.Contains(err.Error(), "blocks of 256") {
		t.Errorf("a model of 4 bits: %v", err)
	}
	if _, _, err := adapt.StoreBase(m, nil, tensor.F32); err == nil {
		t.Error("float32 is no storage type")
	}
}
