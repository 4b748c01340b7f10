package testkit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// Case is one golden file: named tensors and string metadata. Asking for a
// tensor that is absent or of another type fails the test that opened it.
type Case struct {
	// Dir is the model folder (config.json, model.safetensors) of the same name;
	// not every case has one.
	Dir string
	// Meta says what wrote the file and with which settings.
	Meta map[string]string

	t       testing.TB
	file    string
	tensors map[string]entry
}

// entry is one tensor of a safetensors file: its header fields and its bytes.
type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
	raw     []byte
}

// Golden opens internal/testkit/golden/NAME.safetensors.
func Golden(t testing.TB, name string) *Case {
	t.Helper()
	dir := filepath.Join(Root(), "internal", "testkit", "golden", filepath.FromSlash(name))
	return Open(t, dir+".safetensors")
}

// Cases are the names of the golden files of a folder, at least one; Golden takes folder/name.
func Cases(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Root(), "internal", "testkit", "golden", folder, "*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("testkit: no golden files in %s: %v", folder, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".safetensors")
	}
	return files
}

// Open opens any safetensors file whose tensors are F32, I32 or I64. Dir is the
// path without its extension.
func Open(t testing.TB, file string) *Case {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	tensors, meta, err := parse(b)
	if err != nil {
		t.Fatalf("testkit: %s: %v", file, err)
	}
	return &Case{Dir: strings.TrimSuffix(file, ".safetensors"), Meta: meta, t: t, file: file, tensors: tensors}
}

// parse reads a safetensors file: a little-endian length, a JSON header, bytes.
func parse(b []byte) (map[string]entry, map[string]string, error) {
	if len(b) < 8 {
		return nil, nil, errors.New("shorter than its length field")
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(len(b)-8) {
		return nil, nil, fmt.Errorf("header of %d bytes in a file of %d", n, len(b))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(b[8:8+n], &header); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	body := b[8+n:]
	var meta map[string]string
	if raw, ok := header["__metadata__"]; ok {
		if err := json.Unmarshal(raw, &meta); err != nil {
			return nil, nil, fmt.Errorf("metadata: %w", err)
		}
		delete(header, "__metadata__")
	}
	tensors := make(map[string]entry, len(header))
	for name, raw := range header {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		size, ok := map[string]int{"F32": 4, "I32": 4, "I64": 8}[e.DType]
		if !ok {
			return nil, nil, fmt.Errorf("tensor %s: type %q", name, e.DType)
		}
		for _, d := range e.Shape {
			if d < 0 || d > len(body) || size > 0 && d > 0 && size > len(body)/d {
				return nil, nil, fmt.Errorf("tensor %s: shape %v in %d bytes", name, e.Shape, len(body))
			}
			size *= d
		}
		if e.Offsets[0] < 0 || e.Offsets[1] > len(body) || e.Offsets[1]-e.Offsets[0] != size {
			return nil, nil, fmt.Errorf("tensor %s: offsets %v of shape %v in %d bytes", name, e.Offsets, e.Shape, len(body))
		}
		e.raw = body[e.Offsets[0]:e.Offsets[1]]
		tensors[name] = e
	}
	return tensors, meta, nil
}

// get returns the tensor, which must have one of the types.
func (c *Case) get(name string, dtypes ...string) entry {
	c.t.Helper()
	e, ok := c.tensors[name]
	if !ok {
		c.t.Fatalf("testkit: %s has no tensor %q", c.file, name)
	}
	for _, d := range dtypes {
		if e.DType == d {
			return e
		}
	}
	if len(dtypes) > 0 {
		c.t.Fatalf("testkit: %s: tensor %q is %s, asked for as %v", c.file, name, e.DType, dtypes)
	}
	return e
}

// Has says whether the tensor is there.
func (c *Case) Has(name string) bool { _, ok := c.tensors[name]; return ok }

// Names lists the tensors whose names start with prefix, sorted, with the prefix
// cut off: Names("grad.") are the parameters' names.
func (c *Case) Names(prefix string) []string {
	var names []string
	for name := range c.tensors {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			names = append(names, rest)
		}
	}
	sort.Strings(names)
	return names
}

// Shape returns the tensor's sizes; empty for a scalar.
func (c *Case) Shape(name string) []int { c.t.Helper(); return c.get(name).Shape }

// F32 returns a float tensor's elements in row-major order.
func (c *Case) F32(name string) []float32 {
	c.t.Helper()
	raw := c.get(name, "F32").raw
	x := make([]float32, len(raw)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return x
}

// Scalar returns the value of a float tensor of one element.
func (c *Case) Scalar(name string) float64 {
	c.t.Helper()
	x := c.F32(name)
	if len(x) != 1 {
		c.t.Fatalf("testkit: %s: tensor %q has %d elements, asked for as a scalar", c.file, name, len(x))
	}
	return float64(x[0])
}

// Ints returns an integer tensor's elements in row-major order.
func (c *Case) Ints(name string) []int {
	c.t.Helper()
	e := c.get(name, "I32", "I64")
	if e.DType == "I64" {
		x := make([]int, len(e.raw)/8)
		for i := range x {
			x[i] = int(binary.LittleEndian.Uint64(e.raw[8*i:]))
		}
		return x
	}
	x := make([]int, len(e.raw)/4)
	for i := range x {
		x[i] = int(int32(binary.LittleEndian.Uint32(e.raw[4*i:])))
	}
	return x
}

// I32 returns an integer tensor's elements in row-major order; each must fit.
func (c *Case) I32(name string) []int32 {
	c.t.Helper()
	ints := c.Ints(name)
	x := make([]int32, len(ints))
	for i, v := range ints {
		if x[i] = int32(v); int(x[i]) != v {
			c.t.Fatalf("testkit: %s: %q[%d] = %d does not fit 32 bits", c.file, name, i, v)
		}
	}
	return x
}

// Norm returns the Euclidean norm of all float tensors whose names start with
// prefix: Norm("grad.") is the global gradient norm.
func (c *Case) Norm(prefix string) float64 {
	c.t.Helper()
	names := c.Names(prefix)
	if len(names) == 0 {
		c.t.Fatalf("testkit: %s has no tensor %q...", c.file, prefix)
	}
	var sum float64
	for _, name := range names {
		for _, v := range c.F32(prefix + name) {
			sum += float64(v) * float64(v)
		}
	}
	return math.Sqrt(sum)
}
