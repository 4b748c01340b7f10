package testkit

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file assembles a safetensors file of a header and a body.
func file(header, body string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), body...)
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "case.safetensors")
	body := "\x00\x00\x80\x3f\x00\x00\x00\xc0" + "\xff\xff\xff\xff" + "\x00\x00\x00\x00\x01\x00\x00\x00"
	header := `{"__metadata__":{"k":"v"},"a.x":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},` +
		`"a.i":{"dtype":"I32","shape":[1],"data_offsets":[8,12]},"l":{"dtype":"I64","shape":[],"data_offsets":[12,20]}}`
	if err := os.WriteFile(path, file(header, body), 0o644); err != nil {
		t.Fatal(err)
	}
	c := Open(t, path)
	got := fmt.Sprint(c.F32("a.x"), c.Shape("a.x"), c.I32("a.i"), c.Ints("l"), c.Shape("l"), c.Names("a."), c.Meta, c.Has("l"), c.Has("m"))
	want := "[1 -2] [1 2] [-1] [4294967296] [] [i x] map[k:v] true false"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := c.Norm("a.x"); math.Abs(n-math.Sqrt(5)) > 1e-15 {
		t.Errorf("norm %v, want the root of 5", n)
	}
}

func TestParseRefuses(t *testing.T) {
	one := func(fields string) []byte { return file(`{"x":{`+fields+`}}`, "12345678") }
	for name, b := range map[string][]byte{
		"empty":     {},
		"header":    binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		"json":      file("{", ""),
		"dtype":     one(`"dtype":"BF16","shape":[2],"data_offsets":[0,4]`),
		"negative":  one(`"dtype":"F32","shape":[-1],"data_offsets":[0,4]`),
		"size":      one(`"dtype":"F32","shape":[1],"data_offsets":[0,8]`),
		"outside":   one(`"dtype":"F32","shape":[2],"data_offsets":[4,12]`),
		"backwards": one(`"dtype":"F32","shape":[1],"data_offsets":[-4,0]`),
		"overflow":  one(`"dtype":"I64","shape":[4294967296,4294967296],"data_offsets":[0,0]`),
	} {
		if _, _, err := parse(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "12345678"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, _, err := parse(b)
		if err != nil {
			return
		}
		for name, e := range tensors {
			n := 1
			for _, d := range e.Shape {
				n *= d
			}
			if len(e.raw) != 4*n && len(e.raw) != 8*n {
				t.Errorf("%s: %d bytes for shape %v", name, len(e.raw), e.Shape)
			}
		}
	})
}

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name      string
		got, want []float32
		rel, abs  float64
		says      string // part of the message; "" when close
	}{
		{"equal", []float32{1, inf}, []float32{1, inf}, 0, 0, ""},
		{"relative to the largest", []float32{10, 0.5}, []float32{10, 0}, 0.05, 0, ""},
		{"absolute", []float32{0.1}, []float32{0}, 0, 0.2, ""},
		{"worst index", []float32{1, 2, 4}, []float32{1, 1, 1}, 1e-3, 0, "2 of 3 elements differ by more than 0.001; worst at 2: got 4, want 1"},
		{"length", []float32{1}, nil, 1, 1, "1 elements, want 0"},
		{"nan got", []float32{nan}, []float32{1}, 1, 1, "worst at 0"},
		{"nan both", []float32{nan}, []float32{nan}, 1, 1, "worst at 0"},
		{"infinity", []float32{1}, []float32{inf}, 1, 1, "worst at 0"},
	} {
		msg := compare(c.got, c.want, c.rel, c.abs)
		if (c.says == "") != (msg == "") || !strings.Contains(msg, c.says) {
			t.Errorf("%s: %q, want %q", c.name, msg, c.says)
		}
	}
}

// TestGolden holds every model case together: a gradient for each tensor of the
// model, of its shape, and a clipped run whose losses start where forward's are.
func TestGolden(t *testing.T) {
	for _, name := range []string{"gpt2-tiny", "gpt3-tiny"} {
		t.Run(name, func(t *testing.T) {
			c, model := Golden(t, name), Open(t, filepath.Join(Root(), "internal", "testkit", "golden", name, "model.safetensors"))
			weights := model.Names("")
			for _, prefix := range []string{"grad.", "ragged.grad.", "adamw.norm.", "adamw.change."} {
				if got := c.Names(prefix); fmt.Sprint(got) != fmt.Sprint(weights) {
					t.Errorf("%s: tensors %v, want %v", prefix, got, weights)
				}
			}
			for _, w := range weights {
				if got, want := c.Shape("grad."+w), model.Shape(w); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("gradient of %s is %v, want %v", w, got, want)
				}
			}
			logits, ids := c.F32("logits"), c.Ints("input_ids")
			if got := crossEntropy(logits, ids, 2, 16, 97); math.Abs(got-c.Scalar("loss")) > 1e-5 {
				t.Errorf("loss of the logits %v, file says %v", got, c.Scalar("loss"))
			}
		})
	}
}

// crossEntropy is the mean loss of predicting each id from the row before it.
func crossEntropy(logits []float32, ids []int, B, T, V int) float64 {
	var sum float64
	for b := range B {
		for i := range T - 1 {
			row := logits[(b*T+i)*V : (b*T+i+1)*V]
			var z float64
			for _, v := range row {
				z += math.Exp(float64(v))
			}
			sum += math.Log(z) - float64(row[ids[b*T+i+1]])
		}
	}
	return sum / float64(B*(T-1))
}

func TestGreedyGolden(t *testing.T) {
	for _, name := range []string{"gpt2-tiny-trained", "gpt3-tiny-trained"} {
		c := Golden(t, name)
		for i := 0; c.Has(fmt.Sprintf("greedy.%d.prompt", i)); i++ {
			p := fmt.Sprintf("greedy.%d.", i)
			tokens, gaps, logits := c.Ints(p+"tokens"), c.F32(p+"gap"), c.F32(p+"logits")
			if len(c.Ints(p+"prompt"))+len(tokens) != 25 { // the last token needs no position
				t.Errorf("%s: prompt and tokens do not fill the context of 24", p)
			}
			for j, id := range tokens {
				row := logits[j*97 : (j+1)*97]
				second := float32(math.Inf(-1))
				for k, v := range row {
					if k != id {
						second = max(second, v)
					}
				}
				if gap := row[id] - second; gap != gaps[j] || gap < 1e-2 {
					t.Errorf("%s %s token %d: gap %v, file says %v", name, p, j, gap, gaps[j])
				}
			}
		}
	}
}

// TestOpsGolden: every "d"+name of an operation's file has the shape of name.
func TestOpsGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(Root(), "internal", "testkit", "golden", "ops", "*.safetensors"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		c := Open(t, file)
		if c.Has("y") == c.Has("loss") || c.Meta["writer"] != "tools/golden/ops.py" {
			t.Errorf("%s: tensors %v, metadata %v", file, c.Names(""), c.Meta)
		}
		for _, name := range c.Names("d") {
			if got, want := c.Shape("d"+name), c.Shape(name); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: d%s is %v, %s is %v", file, name, got, name, want)
			}
		}
	}
}

func TestDataSkips(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PLINTH_DATA", dir)
	if got := Data(t, "."); got != filepath.Clean(dir) {
		t.Errorf("got %s, want %s", got, dir)
	}
	t.Run("absent", func(t *testing.T) {
		defer func() {
			if !t.Skipped() {
				t.Error("absent data did not skip")
			}
		}()
		Data(t, "no/such/file")
	})
}

func TestPythonSkips(t *testing.T) {
	t.Setenv("PLINTH_PYTHON", filepath.Join(t.TempDir(), "no-python"))
	t.Run("absent", func(t *testing.T) {
		defer func() {
			if !t.Skipped() {
				t.Error("absent Python did not skip")
			}
		}()
		Python(t)
	})
}

func TestPythonModules(t *testing.T) {
	Python(t) // skips where there is none
	if _, err := findPython([]string{"json", "no_such_module_of_plinth"}); err == nil || !strings.HasSuffix(err.Error(), "lacks no_such_module_of_plinth") {
		t.Errorf("missing module: %v", err)
	}
}
