package gguf

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
)

func TestWriteOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	meta, tensors := sample()
	if err := Write(path, meta, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Meta, meta) {
		t.Errorf("metadata %v, want %v", f.Meta, meta)
	}
	byName := map[string]Tensor{}
	for _, w := range tensors {
		byName[w.Name] = w
	}
	if len(f.Infos()) != len(tensors) {
		t.Fatalf("%d tensors, want %d", len(f.Infos()), len(tensors))
	}
	for i, info := range f.Infos() {
		w := byName[info.Name]
		want, _ := w.Data()
		got := make([]byte, len(want)-1)
		if err := f.Read(i, got, 1); err != nil || !bytes.Equal(got, want[1:]) || !bytes.Equal(f.Mapped(i), want) || !reflect.DeepEqual(info, w.Info) {
			t.Errorf("%v %v, want %v %v; %v", info, got, w.Info, want, err)
		}
		if err := f.Read(i, make([]byte, len(want)), 1); err == nil {
			t.Errorf("%s: read beyond its end", info.Name)
		}
	}
	if err := f.Close(); err != nil || f.Mapped(0) != nil || f.Read(0, make([]byte, 1), 0) == nil {
		t.Error("open after Close", err)
	}
}

func TestLookup(t *testing.T) {
	meta, _ := sample()
	if v, ok, err := Lookup[int](meta, "b"); v != -1 || !ok || err != nil {
		t.Error(v, ok, err)
	}
	if v, ok, err := Lookup[float64](meta, "g"); v != 0.1 || !ok || err != nil {
		t.Error(v, ok, err)
	}
	if _, ok, err := Lookup[string](meta, "none"); ok || err != nil {
		t.Error(ok, err)
	}
	if _, _, err := Lookup[string](meta, "a"); err == nil || !strings.Contains(err.Error(), `"a" is a uint8, want string`) {
		t.Error(err)
	}
}

// What cannot be read back is not written, and the old file stays.
func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := Write(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	f32 := func(name string, n int, shape ...int) Tensor {
		return Tensor{Info: checkpoint.Info{Name: name, DType: checkpoint.F32, Shape: shape}, Data: func() ([]byte, error) { return make([]byte, n), nil }}
	}
	for want, c := range map[string]struct {
		meta    Metadata
		tensors []Tensor
	}{
		"duplicate metadata key": {Metadata{{"k", "a"}, {"k", "b"}}, nil},
		"cannot be stored":       {Metadata{{"k", 1}}, nil},
		"power of two":           {Metadata{{alignmentKey, uint32(3)}}, nil},
		"duplicate tensor":       {nil, []Tensor{f32("a", 4, 1), f32("a", 4, 1)}},
		"needs 8":                {nil, []Tensor{f32("a", 4, 2)}},
		"5 dimensions":           {nil, []Tensor{f32("a", 4, 1, 1, 1, 1, 1)}},
		"at most 63":             {nil, []Tensor{f32(strings.Repeat("a", 64), 4, 1)}},
		`"F8_E4M3"`:              {nil, []Tensor{{Info: checkpoint.Info{Name: "a", DType: checkpoint.F8E4M3, Shape: []int{1}}}}},
		"whole blocks":           {nil, []Tensor{{Info: checkpoint.Info{Name: "a", DType: checkpoint.Q8_0, Shape: []int{2, 16}}}}},
	} {
		if err := Write(path, c.meta, c.tensors); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, want)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file changed", want)
		}
	}
}

// split writes a file in parts.
func split(t *testing.T, dir string, parts, tensors int) string {
	t.Helper()
	for i := range parts {
		meta := Metadata{{splitNo, uint16(i)}, {splitCount, uint16(parts)}, {splitTensors, int32(tensors)}}
		data := []byte{byte(i), 0, 0, 0}
		w := Tensor{Info: checkpoint.Info{Name: fmt.Sprint("w", parts-i), DType: checkpoint.I32, Shape: []int{1}}, Data: func() ([]byte, error) { return data, nil }}
		if err := Write(filepath.Join(dir, fmt.Sprintf("m-%05d-of-%05d.gguf", i+1, parts)), meta, []Tensor{w}); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, fmt.Sprintf("m-00001-of-%05d.gguf", parts))
}

func TestSplit(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(split(t, dir, 3, 3))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, info := range f.Infos() {
		if want := byte(2 - i); info.Name != fmt.Sprint("w", i+1) || f.Mapped(i)[0] != want {
			t.Errorf("tensor %d is %s with %d, want %d", i, info.Name, f.Mapped(i)[0], want)
		}
	}
	part := func(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i)) }
	for want, damage := range map[string]func(dir string) (open string, err error){
		"open the first": func(d string) (string, error) { return part(d, 2), nil },
		"must be called": func(d string) (string, error) {
			return filepath.Join(d, "x.gguf"), os.Rename(part(d, 1), filepath.Join(d, "x.gguf"))
		},
		"no such file": func(d string) (string, error) { return part(d, 1), os.Remove(part(d, 3)) },
		"want 2, 3":    func(d string) (string, error) { return part(d, 1), copyFile(part(d, 2), part(d, 3)) },
		"the file at":  func(d string) (string, error) { return part(d, 1), os.Truncate(part(d, 3), 150) },
	} {
		d := t.TempDir()
		split(t, d, 3, 3)
		path, err := damage(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	moved := t.TempDir()
	first := split(t, moved, 3, 3)
	if err := link(moved, part(moved, 3)); err != nil {
		t.Skip(err)
	}
	if f, err := Open(first); err != nil {
		t.Errorf("a part that is a link: %v", err)
	} else {
		f.Close()
	}
	if _, err := Open(split(t, t.TempDir(), 3, 4)); err == nil || !strings.Contains(err.Error(), "is 4, the parts hold 3") {
		t.Error(err)
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// link moves path out of its folder and links to it.
func link(dir, path string) error {
	out := filepath.Join(filepath.Dir(dir), "outside.gguf")
	if err := os.Rename(path, out); err != nil {
		return err
	}
	return os.Symlink(out, path)
}
