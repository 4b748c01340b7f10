package testkit

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script runs a Python script of this repository and decodes the JSON it prints.
func script(t *testing.T, python string, out any, args ...string) {
	t.Helper()
	cmd := exec.Command(python, args...)
	cmd.Dir = Root()
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatalf("%s: %v in %q", args[0], err, b)
	}
}

// TestInterop: interop.py, on a model that transformers itself saved, repeats the golden greedy tokens.
func TestInterop(t *testing.T) {
	python := Python(t, "torch", "transformers")
	c := Golden(t, "gpt2-tiny-trained")
	prompt, tokens := c.Ints("greedy.2.prompt"), c.Ints("greedy.2.tokens")
	ids := strings.ReplaceAll(strings.Trim(fmt.Sprint(prompt), "[]"), " ", ",")
	var got struct {
		IDs, Greedy []int
		Logits      []float32
		Loss        *float64
		Params      int
	}
	script(t, python, &got, "tools/golden/interop.py", c.Dir, "--ids", ids, "--greedy", fmt.Sprint(len(tokens)))
	if fmt.Sprint(got.IDs, got.Greedy) != fmt.Sprint(prompt, tokens) {
		t.Errorf("got %v, %v; want %v, %v", got.IDs, got.Greedy, prompt, tokens)
	}
	if got.Loss == nil || got.Params != 29344 {
		t.Errorf("loss %v, %d parameters, want a loss and 29344", got.Loss, got.Params)
	}
	// Other thread counts and builds of PyTorch sum in another order.
	Close(t, "logits", got.Logits, c.F32("greedy.2.logits")[:97], 1e-5, 0)
}

// TestTrainStepPeer: the benchmark peer, a model written apart from the golden
// writer's, takes the same ten steps from the same weights.
func TestTrainStepPeer(t *testing.T) {
	python := Python(t, "torch", "safetensors", "numpy")
	c := Golden(t, "gpt2-tiny")
	var raw []byte
	for _, id := range c.I32("adamw.input_ids") {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(id))
	}
	tokens := filepath.Join(t.TempDir(), "tokens.bin")
	if err := os.WriteFile(tokens, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	var got struct{ Loss []float32 }
	script(t, python, &got, "bench/peers/train_step.py", "--layers=2", "--width=32", "--heads=4", "--vocab=97", "--seq=15",
		"--batch=2", "--steps=10", "--warmup=1", "--threads=1", "--json", "--init="+filepath.Join(c.Dir, "model.safetensors"), "--tokens="+tokens)
	Close(t, "losses", got.Loss, c.F32("adamw.loss"), 1e-5, 0)
}
