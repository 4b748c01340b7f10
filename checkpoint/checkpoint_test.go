package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func raw(head string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return append(append(out, head...), make([]byte, data)...)
}

func open(t *testing.T, data []byte) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return Open(path)
}

const one = `"dtype":"F32","shape":[2],"data_offsets":[0,8]`

func TestHostileHeaders(t *testing.T) {
	var tiny strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&tiny, `,"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
	}
	var keys strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&keys, `,"%d":""`, i)
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"huge length":    {append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...), "at most"},
		"short":          {raw(`{}`, 0)[:9], "header of 2"},
		"duplicate":      {raw(`{"a":{`+one+`},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8), "duplicate tensor"},
		"duplicate key":  {raw(`{"a":{"dtype":"U8",`+one+`}}`, 8), "duplicate key"},
		"duplicate meta": {raw(`{"__metadata__":{"a":"","a":""}}`, 0), "duplicate metadata"},
		"wrap":           {raw(`{"a":{"dtype":"F32","shape":[4294967297,4294967296,4],"data_offsets":[0,4]}}`, 4), "overflows"},
		"overlap":        {raw(`{"a":{`+one+`},"b":{`+one+`}}`, 8), "overlap"},
		"zero inside":    {raw(`{"a":{`+one+`},"b":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}}`, 8), "overlap"},
		"hole":           {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "hole"},
		"trailing":       {raw(`{"a":{`+one+`}}`, 9), "the file has 9"},
		"cut":            {raw(`{"a":{`+one+`}}`, 7), "the file has 7"},
		"float":          {raw(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1), "want"},
		"2^64":           {raw(`{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}}`, 0), "too large"},
		"negative":       {raw(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), "whole number"},
		"dtype":          {raw(`{"a":{"dtype":"X","shape":[1],"data_offsets":[0,1]}}`, 1), "unknown dtype"},
		"depth":          {raw(strings.Repeat(`{"a":`, 1_000_000), 0), "unknown key"},
		"arrays":         {raw(`{"a":`+strings.Repeat("[", 1_000_000), 0), "want"},
		"rank":           {raw(`{"a":{"shape":[`+strings.Repeat("1,", 1_000_000)+`1]}}`, 0), "more than 64"},
		"tensors":        {raw(`{`+tiny.String()[1:]+`}`, 0), "tensors"},
		"keys":           {raw(`{"__metadata__":{`+keys.String()[1:]+`}}`, 0), "metadata keys"},
		"spaces":         {raw(`{`+strings.Repeat(" ", 20_000_000), 0), "want"},
		"not UTF-8":      {raw("{\"\xff\":1}", 0), "UTF-8"},
		"half surrogate": {raw(`{"\ud800":{`+one+`}}`, 8), "surrogate"},
		"empty":          {nil, "too short"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, err := open(t, c.file)
			runtime.ReadMemStats(&after)
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(8*len(c.file)+16<<20) {
				t.Errorf("%d bytes allocated for a file of %d", n, len(c.file))
			}
		})
	}
}

func sample() []Tensor {
	return []Tensor{{"b", F16, []int{2}, []byte{0, 0x3c, 1, 0}}, {"é\"", U8, []int{0, 3}, []byte{}},
		{"a", F32, []int{1, 2}, []byte{0, 0, 128, 63, 0, 0, 0, 64}}, {"s", BF16, []int{}, []byte{128, 63}}}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Write(path, sample(), nil); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(path)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata()["format"] != "pt" || len(whole)%2 != 0 || !slices.Equal(f.Names(), []string{"a", "b", "s", "é\""}) {
		t.Errorf("%v %v", f.Metadata(), f.Names())
	}
	for _, want := range sample() {
		got, err := f.Tensor(want.Name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	a, b := make([]float32, 2), make([]float32, 2)
	all := []Binding{{Name: "a", Shape: []int{1, 2}, Data: a}, {Name: "B", Places: []Place{{Name: "B"}, {Name: "b"}}, Shape: []int{2}, Data: b}, {Name: "no", Optional: true}}
	if err := LoadStrict(f, all, func(n string) bool { return n == "s" || n == "é\"" }); err != nil || a[1] != 2 || b[0] != 1 || b[1] != 1.0/(1<<24) {
		t.Error(err, a, b)
	}
	err = LoadStrict(f, []Binding{{Name: "a", Shape: []int{2}, Data: a}, {Name: "z"}}, nil)
	for _, part := range []string{"1 missing", "3 unexpected", "1 mis-shaped", "[1 2]"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
}
