package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// image is the bytes of a small index.
func image(t testing.TB, lists int) []byte {
	x := saved(t, cloud(12, 3, 4), lists)
	b, err := os.ReadFile(x.path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A header that does not fit its file is refused before anything is allocated for it.
func TestParseErrors(t *testing.T) {
	good := image(t, 3)
	at, _, err := func() ([sections][2]int64, int64, error) {
		c, err := parse(good)
		if err != nil {
			t.Fatal(err)
		}
		return c.layout()
	}()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"empty":       {func(b []byte) []byte { return nil }, "0 bytes"},
		"short":       {func(b []byte) []byte { return b[:len(b)-1] }, "its header wants"},
		"long":        {func(b []byte) []byte { return append(b, 0) }, "its header wants"},
		"magic":       {func(b []byte) []byte { b[0]++; return b }, "no index"},
		"rows":        {func(b []byte) []byte { binary.LittleEndian.PutUint64(b[16:], 1<<62); return b }, "rows"},
		"text":        {func(b []byte) []byte { binary.LittleEndian.PutUint64(b[24:], 1<<63); return b }, "bytes of keys"},
		"width":       {func(b []byte) []byte { binary.LittleEndian.PutUint32(b[36:], 1<<30); return b }, "numbers"},
		"flags":       {func(b []byte) []byte { b[40] = 8; return b }, "flags"},
		"lists":       {func(b []byte) []byte { b[44] = 200; return b }, "lists"},
		"probe":       {func(b []byte) []byte { b[48] = 9; return b }, "lists"},
		"ends":        {func(b []byte) []byte { b[at[secEnds][0]+8] = 250; return b }, "ends at"},
		"ends short":  {func(b []byte) []byte { b[at[secEnds][1]-8]--; return b }, "ends at"},
		"starts":      {func(b []byte) []byte { b[at[secStarts][0]+8] = 250; return b }, "begins at row"},
		"list ends":   {func(b []byte) []byte { b[at[secStarts][1]-8]--; return b }, "begins at row"},
		"empty space": {func(b []byte) []byte { b[at[secCodes][0]-1] = 1; return b }, "not empty"},
	} {
		if _, err := parse(c.change(bytes.Clone(good))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "bad.index")
	if err := os.WriteFile(path, good[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name the file", err)
	}
}

// Whatever byte is damaged, opening or verifying tells.
func TestVerify(t *testing.T) {
	good := image(t, 3)
	path := filepath.Join(t.TempDir(), "x.index")
	for i := -1; i < len(good); i++ {
		bad := bytes.Clone(good)
		if i >= 0 {
			bad[i] ^= 1 << (i % 8)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path)
		if err == nil {
			err = x.Verify()
			x.Close()
		}
		if i < 0 && err != nil || i >= 0 && !errors.Is(err, ErrFormat) {
			t.Fatalf("byte %d of %d: %v", i, len(good), err)
		}
	}
}

// What opens can be searched, and saving it unchanged gives the same bytes, or says that a key stands twice.
func FuzzOpen(f *testing.F) {
	f.Add(image(f, -1))
	f.Add(image(f, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "in")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path)
		if err != nil {
			return
		}
		defer x.Close()
		x.Threads = 1
		q := make([]float32, x.Dim())
		q[0] = 1
		for _, probe := range []int{0, 2} {
			if _, err := x.Near([][]float32{q}, 3, probe); err != nil {
				t.Fatal(err)
			}
		}
		out := filepath.Join(dir, "out")
		if err := x.Save(out, Change{}); err != nil {
			if !strings.Contains(err.Error(), "stands twice") {
				t.Fatal(err)
			}
			return
		}
		again, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if x.Lists == 0 && x.Listed*listGrowth > x.Rows && !bytes.Equal(b[:len(b)-sumBytes], again[:len(again)-sumBytes]) { // Open does not look at the sum
			t.Fatalf("%d bytes became %d others", len(b), len(again))
		}
	})
}
