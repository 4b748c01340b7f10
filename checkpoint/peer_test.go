package checkpoint

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestRealFiles(t *testing.T) {
	root := cmp.Or(os.Getenv("PLINTH_DATA"), filepath.Join("..", "..", "shared", "data"))
	var list []string
	for _, p := range []string{"models/mnist-cnn", "models/silero-vad", "malformed/tensor-files"} {
		m, err := filepath.Glob(filepath.Join(root, p, "*.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m...)
	}
	if len(list) == 0 {
		t.Skip("no test data")
	}
	for _, path := range list {
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(f.Names()) == 0 {
			t.Errorf("%s: no tensors", path)
		}
		for _, n := range f.Names() {
			if _, err := f.Tensor(n); err != nil {
				t.Error(err)
			}
		}
		f.Close()
	}
}

func TestPeerReadsAndWrites(t *testing.T) {
	python := cmp.Or(os.Getenv("PLINTH_PYTHON"), "python3")
	if exec.Command(python, "-c", "import safetensors.numpy").Run() != nil {
		t.Skip("no Python with safetensors")
	}
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	in := []Tensor{sample()[0], sample()[1], sample()[2]}
	if err := Write(ours, in, nil); err != nil {
		t.Fatal(err)
	}
	const script = `
import sys, numpy as np
from safetensors.numpy import load_file, save_file
x = load_file(sys.argv[1])
assert x["a"].tolist() == [[1.0, 2.0]] and x["b"].tolist() == [1.0, 2.0**-24] and x['é"'].shape == (0, 3), x
save_file(x, sys.argv[2], metadata={"format": "pt"})`
	if out, err := exec.Command(python, "-c", script, ours, theirs).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, _ := os.ReadFile(ours)
	b, _ := os.ReadFile(theirs)
	if string(a) != string(b) {
		t.Errorf("bytes differ:\n%q\n%q", a, b)
	}
}
