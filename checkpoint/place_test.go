package checkpoint

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/plinth-ml/plinth/tensor"
)

// count returns n values from first on.
func count(first float32, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = first + float32(i)
	}
	return x
}

// written writes tensors to a file and opens it.
func written(t *testing.T, list ...Tensor) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Write(path, list, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func swap(i int) int { return i ^ 1 }

// placed are parameters of every kind of place, with the tensors that hold them.
func placed() ([]Binding, []Tensor) {
	even, odd := func(i int) int { return 2 * i }, func(i int) int { return 2*i + 1 }
	b := []Binding{
		{Name: "q", Shape: []int{2, 3}, Places: []Place{{Name: "qkv"}}},
		{Name: "k", Shape: []int{1, 3}, Places: []Place{{Name: "qkv", From: 2}}},
		{Name: "q.bias", Shape: []int{2}, Places: []Place{{Name: "bias", Row: even}}},
		{Name: "k.bias", Shape: []int{2}, Places: []Place{{Name: "bias", Row: odd}}},
		{Name: "turned", Shape: []int{4, 2}, Places: []Place{{Name: "t", Row: swap}}},
		{Name: "conv", Shape: []int{2, 3}, Places: []Place{{Name: "c", Transpose: true}}},
		{Name: "left", Shape: []int{1, 2}, Places: []Place{{Name: "lr", Transpose: true}}},
		{Name: "right", Shape: []int{2, 2}, Places: []Place{{Name: "lr", Transpose: true, From: 1}}},
		{Name: "norm", Shape: []int{2}, Places: []Place{{Name: "n", Add: -1}}},
		{Name: "e.0", Shape: []int{2, 1}, Places: []Place{{Name: "e", Stack: 2}}},
		{Name: "e.1", Shape: []int{2, 1}, Places: []Place{{Name: "e", Stack: 2, From: 2}}},
		{Name: "plain", Shape: []int{1, 2}},
	}
	for i := range b {
		rows, width := rowsOf(b[i].Shape)
		b[i].Data = count(float32(10*i), rows*width)
	}
	f := func(name string, shape []int, x ...float32) Tensor { return FromFloat32(name, shape, x) }
	return b, []Tensor{
		f("qkv", []int{3, 3}, 0, 1, 2, 3, 4, 5, 10, 11, 12), f("bias", []int{4}, 20, 30, 21, 31),
		f("t", []int{4, 2}, 42, 43, 40, 41, 46, 47, 44, 45), f("c", []int{3, 2}, 50, 53, 51, 54, 52, 55),
		f("lr", []int{2, 3}, 60, 70, 72, 61, 71, 73), f("n", []int{2}, 81, 82), f("e", []int{2, 2, 1}, 90, 91, 100, 101), f("plain", []int{1, 2}, 110, 111),
	}
}

// Parameters are written to their places and read from them, with memory of their own and without.
func TestPlaces(t *testing.T) {
	b, want := placed()
	got, err := Tensors(b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want, func(a, b Tensor) bool {
		return a.Name == b.Name && slices.Equal(a.Shape, b.Shape) && slices.Equal(a.Data, b.Data)
	}) {
		t.Fatalf("written %v, want %v", got, want)
	}
	f := written(t, want...)
	for _, owned := range []bool{true, false} {
		load := slices.Clone(b)
		for i := range load {
			load[i].Data, load[i].Tensor = nil, tensor.New(b[i].Shape...)
			if owned {
				load[i].Tensor.Alloc(tensor.F32, false)
			}
		}
		if err := LoadStrict(f, load, nil); err != nil {
			t.Fatal(err)
		}
		for i, v := range load {
			if !slices.Equal(v.Tensor.F32(), b[i].Data) {
				t.Errorf("owned %t: %s is %v, want %v", owned, v.Name, v.Tensor.F32(), b[i].Data)
			}
			inFile := false
			for k := range f.Infos() {
				m := f.Mapped(k)
				p := uintptr(unsafe.Pointer(unsafe.SliceData(v.Tensor.F32())))
				start := uintptr(unsafe.Pointer(unsafe.SliceData(m)))
				inFile = inFile || p >= start && p < start+uintptr(len(m))
			}
			if want := !owned && slices.Contains([]string{"q", "k", "e.0", "e.1", "plain"}, v.Name); inFile != want {
				t.Errorf("owned %t: %s in the file's memory: %t, want %t", owned, v.Name, inFile, want)
			}
		}
	}
}

// Parameters that are not the whole of a shared tensor, each row once, are refused.
func TestPlacesRefused(t *testing.T) {
	f := written(t, FromFloat32("w", []int{4, 2}, count(0, 8)))
	part := func(name string, rows, width int, p Place) Binding {
		p.Name = "w"
		return Binding{Name: name, Shape: []int{rows, width}, Data: count(-1, rows*width), Places: []Place{p}}
	}
	for name, c := range map[string]struct {
		want string
		b    []Binding
	}{
		"hole":        {"file has 4 rows, the model's a to b take 3", []Binding{part("a", 2, 2, Place{}), part("b", 1, 2, Place{From: 2})}},
		"beyond":      {"row 0 of b stands in row 4 of 4", []Binding{part("a", 3, 2, Place{}), part("b", 1, 2, Place{From: 4})}},
		"negative":    {"row 0 of b stands in row -1 of 4", []Binding{part("a", 3, 2, Place{}), part("b", 1, 2, Place{From: -1})}},
		"twice":       {"row 2 by a and b", []Binding{part("a", 3, 2, Place{}), part("b", 1, 2, Place{From: 2})}},
		"both whole":  {"w: by a and b", []Binding{part("a", 4, 2, Place{}), part("b", 4, 2, Place{})}},
		"width":       {"file [4 2], model [2 3]", []Binding{part("a", 2, 2, Place{}), part("b", 2, 3, Place{From: 2})}},
		"part alone":  {"file [4 2], model [3 2]", []Binding{part("a", 3, 2, Place{})}},
		"row twice":   {"row 0 by a and a", []Binding{part("a", 4, 2, Place{Row: func(int) int { return 0 }})}},
		"transposed":  {"file [4 2], model [4 2]", []Binding{part("a", 4, 2, Place{Transpose: true})}},
		"shifted":     {"row 3 of a stands in row 4 of 4", []Binding{part("a", 4, 2, Place{From: 1})}},
		"vector rows": {"file [4 2], model [4]", []Binding{part("a", 2, 2, Place{}), {Name: "b", Shape: []int{4}, Data: count(-1, 4), Places: []Place{{Name: "w", From: 2}}}}},
	} {
		err := LoadStrict(f, c.b, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		for _, b := range c.b {
			if b.Data[0] != -1 {
				t.Errorf("%s: filled", name)
			}
		}
	}
}
