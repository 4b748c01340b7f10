package checkpoint

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

func TestRealFiles(t *testing.T) {
	var list []string
	for _, p := range []string{"models/mnist-cnn", "models/silero-vad", "malformed/tensor-files"} {
		m, err := filepath.Glob(filepath.Join(testkit.Data(t, p), "*.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m...)
	}
	if len(list) == 0 {
		t.Fatal("the folders hold no safetensors file")
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
	python := testkit.Python(t, "safetensors", "numpy")
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

func python(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(testkit.Python(t, "safetensors", "transformers", "torch"), append([]string{"-c", script}, args...)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return out
}

// TestPeerShards reads what save_pretrained cut into shards, writes it again, and has from_pretrained read that.
func TestPeerShards(t *testing.T) {
	dir := t.TempDir()
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	out := python(t, `
import sys, json, torch
from transformers import GPT2Config, GPT2LMHeadModel
torch.manual_seed(1)
m = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=32, n_head=2, vocab_size=100, n_positions=64))
m.save_pretrained(sys.argv[1], max_shard_size="20KB")
print(json.dumps([k for k in m.state_dict() if k != "lm_head.weight"])) # which is tied`, theirs)
	var names []string
	if err := json.Unmarshal(out, &names); err != nil {
		t.Fatal(err)
	}
	f, err := Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.shards) < 3 {
		t.Fatalf("%d shards", len(f.shards))
	}
	indexed := func(dir string) map[string]any {
		data, err := os.ReadFile(filepath.Join(dir, IndexFile))
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	var list []Tensor
	for _, name := range names {
		v, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	if err := WriteSharded(ours, list, 20_000, nil); err != nil {
		t.Fatal(err)
	}
	if a, b := indexed(theirs), indexed(ours); !reflect.DeepEqual(a, b) {
		t.Errorf("index %v\nwant %v", b, a)
	}
	config, err := os.ReadFile(filepath.Join(theirs, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(ours, "config.json"), config)
	python(t, `
import sys, torch
from transformers import GPT2LMHeadModel
a, b = (GPT2LMHeadModel.from_pretrained(p, output_loading_info=True) for p in sys.argv[1:])
for info in (a[1], b[1]): assert not any(info.values()), info
a, b = a[0].state_dict(), b[0].state_dict()
assert a.keys() == b.keys() and len(a) > 20 and all(torch.equal(a[k], b[k]) for k in a)`, theirs, ours)
}

// TestPeerAgreesWithReference holds the plain reading of the rules, which the reader is tested against, to the published reader.
func TestPeerAgreesWithReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var cases []string
	var want []bool
	for range 20_000 {
		data := generated(r)
		accept, _ := reference(data)
		cases, want = append(cases, base64.StdEncoding.EncodeToString(data)), append(want, accept)
	}
	path := filepath.Join(t.TempDir(), "cases.json")
	data, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, data)
	out := python(t, `
import sys, json, base64, safetensors
def ok(b):
    try: safetensors.deserialize(b); return True
    except safetensors.SafetensorError: return False
print(json.dumps([ok(base64.b64decode(c)) for c in json.load(open(sys.argv[1]))]))`, path)
	var got []bool
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(want) {
		t.Fatal(err, len(got))
	}
	bad := 0
	for i := range got {
		if got[i] != want[i] {
			text, _ := base64.StdEncoding.DecodeString(cases[i])
			if bad++; bad < 10 {
				t.Errorf("%q: published reader %t, here %t", text, got[i], want[i])
			}
		}
	}
	t.Logf("%d of %d differ", bad, len(got))
}
