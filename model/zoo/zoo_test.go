package zoo_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

const text = "func main() {\n\tfmt.Println(\"héllo, wörld\")\n}\n"

// trained returns a small model with random weights, and a tokenizer.
func trained(t *testing.T, kind string) (zoo.Model, *tokenizer.Tokenizer) {
	t.Helper()
	docs := slices.Values([][]byte{[]byte(strings.Repeat(text, 3))})
	tok, err := tokenizer.Train(t.Context(), docs, tokenizer.TrainOptions{VocabSize: 280})
	if err != nil {
		t.Fatal(err)
	}
	m := newTiny(t, kind)
	nn.Init(m.Params(), 3, false)
	return m, tok
}

// lastLogits returns the logits behind the last id, and the mean loss.
func lastLogits(t *testing.T, m model.Decoder, ids []int32) ([]float32, float64) {
	t.Helper()
	tape := tensor.Evaluation(cpu.New(cpu.Options{Threads: 1}))
	x := model.Features(m, tape, tensor.IDs(ids), nn.NewSeqs(len(ids)), nil)
	targets := append(slices.Clone(ids[1:]), -1)
	loss := 0.0
	for _, l := range m.Head().Loss(tape, x, tensor.CrossEntropy{Targets: tensor.IDs(targets)}).F32() {
		loss += float64(l)
	}
	v := m.Sizes().Vocab
	return slices.Clone(m.Head().Logits(tape, x).F32()[(len(ids)-1)*v:]), loss / float64(len(ids)-1)
}

// What is saved loads again with the same bits, for every family.
func TestRoundTrip(t *testing.T) {
	for _, kind := range decoders() {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			m, tok := trained(t, kind)
			if err := zoo.Save(dir, m, tok); err != nil {
				t.Fatal(err)
			}
			back, err := zoo.Open(dir, zoo.Options{Train: true})
			if err != nil {
				t.Fatal(err)
			}
			tok2, err := zoo.Tokenizer(dir, back)
			if err != nil {
				t.Fatal(err)
			}
			ids := tok.Encode(text)
			if !slices.Equal(ids, tok2.Encode(text)) {
				t.Error("the tokenizer changed")
			}
			a, _ := lastLogits(t, m, ids)
			b, _ := lastLogits(t, back, ids)
			if !slices.Equal(a, b) {
				t.Error("the logits changed")
			}
		})
	}
}

// TestTransformersLoads checks a run directory against the published implementation.
func TestTransformersLoads(t *testing.T) {
	python := testkit.Python(t, "torch", "transformers")
	dir := t.TempDir()
	m, tok := trained(t, gpt.TypeGPT2)
	if err := zoo.Save(dir, m, tok); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, filepath.Join(testkit.Root(), "tools", "golden", "interop.py"), dir, "--text", text).Output()
	if err != nil {
		t.Fatalf("interop.py: %v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var theirs struct {
		IDs    []int32   `json:"ids"`
		Logits []float32 `json:"logits"`
		Loss   float64   `json:"loss"`
	}
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode(text)
	if !slices.Equal(ids, theirs.IDs) {
		t.Fatalf("ids %v, transformers %v", ids, theirs.IDs)
	}
	logits, loss := lastLogits(t, m, ids)
	testkit.Close(t, "logits", logits, theirs.Logits, 1e-4, 0)
	if math.Abs(loss-theirs.Loss) > 1e-4 {
		t.Errorf("loss %v, transformers %v", loss, theirs.Loss)
	}
}

func TestOpenRefuses(t *testing.T) {
	m, tok := trained(t, gpt.TypeGPT2)
	for name, damage := range map[string]func(dir string) error{
		"no config":     func(d string) error { return os.Remove(filepath.Join(d, zoo.ConfigFile)) },
		"no weights":    func(d string) error { return os.Remove(filepath.Join(d, zoo.WeightsFile)) },
		"cut weights":   func(d string) error { return os.Truncate(filepath.Join(d, zoo.WeightsFile), 5000) },
		"another shape": func(d string) error { return replace(filepath.Join(d, zoo.ConfigFile), `"n_layer": 2`, `"n_layer": 3`) },
		"another type":  func(d string) error { return replace(filepath.Join(d, zoo.ConfigFile), `"gpt2"`, `"mamba"`) },
	} {
		dir := t.TempDir()
		if err := zoo.Save(dir, m, tok); err != nil {
			t.Fatal(err)
		}
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := zoo.Open(dir, zoo.Options{}); err == nil {
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error names no file: %v", name, err)
		}
	}
}

func replace(path, old, new string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), old) {
		return os.ErrNotExist
	}
	return os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o644)
}
