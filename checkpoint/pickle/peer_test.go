package pickle

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// save writes tensors of every kind that torch can save, by all protocols, and prints their values.
const save = `
import sys, json, collections, torch
x = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 3
sd = collections.OrderedDict()
sd["plain"] = x
sd["transposed"] = x.permute(2, 0, 1)
sd["strided"] = x[:, ::2, 1:3]
sd["shared"] = x[1]
sd["parameter"] = torch.nn.Parameter(x[0].clone())
sd["scalar"] = torch.tensor(2.5)
sd["none"] = torch.zeros(0, 3)
for d in ["float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"]:
    sd[d] = x.flatten()[:5].clone().to(getattr(torch, d))
sd._metadata = collections.OrderedDict(version=1)
nested = {"model": sd, "step": 7, "list": [torch.ones(2), "text", None, 1.5, True, 10**30], "lr": (0.1,)}
want = sd
for p in range(2, 6):
    torch.save(nested, f"{sys.argv[1]}/zip{p}.pt", pickle_protocol=p)
    old = {"model": {k: v for k, v in sd.items() if "float8" not in k}} | {k: v for k, v in nested.items() if k != "model"}
    torch.save(old, f"{sys.argv[1]}/old{p}.pt", pickle_protocol=p, _use_new_zipfile_serialization=False)
print(json.dumps({k: [list(v.shape), v.float().flatten().tolist()] for k, v in want.items()}))
`

func TestTorchSaves(t *testing.T) {
	python := testkit.Python(t, "torch")
	dir := t.TempDir()
	out, err := exec.Command(python, "-c", save, dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var want map[string][2]json.RawMessage
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.pt"))
	if err != nil || len(files) != 8 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		n := len(want)
		if filepath.Base(path)[:3] == "old" {
			n -= 2
		}
		if len(f.Infos()) != n {
			t.Errorf("%s: %d tensors, want %d", path, len(f.Infos()), n)
		}
		for i, info := range f.Infos() {
			var shape []int
			var values []float32
			if json.Unmarshal(want[info.Name][0], &shape) != nil || json.Unmarshal(want[info.Name][1], &values) != nil {
				t.Fatalf("%s: no values for %s", path, info.Name)
			}
			data := make([]byte, info.Elements()*info.DType.Size())
			if err := f.Read(i, data, 0); err != nil {
				t.Error(err)
			}
			got := make([]float32, info.Elements())
			if err := (checkpoint.Tensor{Name: info.Name, DType: info.DType, Data: data}).Float32(got); err != nil {
				t.Error(err)
			}
			if !slices.Equal(info.Shape, shape) || !slices.Equal(got, values) {
				t.Errorf("%s: %s %v is %v, want %v %v", path, info.Name, info.Shape, got, shape, values)
			}
		}
		f.Close()
	}
}
