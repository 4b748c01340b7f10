package quant

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/internal/vec"
)

// golden is what tools/golden/quants.py writes.
type golden struct {
	Input   []byte // float32
	Formats map[string]struct {
		Encoded, Decoded []byte // the first 512 float32
		SHA256           string // of all decoded
	}
}

func floatsOf(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = f32(b[4*i:])
	}
	return x
}

func bytesOf(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// sameBytes fails at the first block that differs.
func sameBytes(t *testing.T, name string, got, want []byte, block int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d bytes, want %d", name, len(got), len(want))
	}
	for i := 0; i < len(got); i += block {
		if g, w := got[i:i+block], want[i:i+block]; !bytes.Equal(g, w) {
			t.Fatalf("%s: block %d is\n%x, want\n%x", name, i/block, g, w)
		}
	}
}

func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	x := floatsOf(g.Input)
	for f := Q8_0; f < Formats; f++ {
		want, ok := g.Formats[f.String()]
		if !ok {
			t.Fatalf("no golden %s", f)
		}
		_, size := f.Block()
		y := make([]float32, len(x))
		f.Decode(y, want.Encoded)
		sameBytes(t, f.String()+" decoded", bytesOf(y[:512]), want.Decoded, 4)
		if sum := sha256.Sum256(bytesOf(y)); hex.EncodeToString(sum[:]) != want.SHA256 {
			t.Errorf("%s: the decoded numbers after the first 512 differ", f)
		}
		if f.CanEncode() {
			b := make([]byte, f.Bytes(len(x)))
			for i := range b {
				b[i] = 0xa5 // encoders must not count on zeros
			}
			f.Encode(b, x)
			sameBytes(t, f.String()+" encoded", b, want.Encoded, size)
		}
	}
}

// ggml returns a function that calls one of the functions of a ggml library on some bytes; see tools/golden/quants.py.
func ggml(t *testing.T, lib string) func(how string, f Format, in []byte) []byte {
	python := testkit.Python(t, "numpy")
	script := filepath.Join(testkit.Root(), "tools", "golden", "quants.py")
	return func(how string, f Format, in []byte) []byte {
		cmd := exec.Command(python, script, lib, how, f.String())
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// kinds are numbers of several kinds and sizes, whole blocks of 256.
func kinds() []float32 {
	r := rand.New(rand.NewPCG(5, 6))
	var x []float32
	for _, scale := range []float64{1, 0.01, 1e-6, 1e6} {
		for range 400 * block {
			x = append(x, float32(r.NormFloat64()*scale*math.Exp2(float64(len(x)/block%8))))
		}
	}
	for range 200 * block { // some blocks of one sign, some with many equal numbers
		k := len(x) / 32
		v := float32(r.IntN(20+k%50)) / float32(1+k%7)
		if k%3 > 0 {
			v -= float32(k % 40)
		}
		x = append(x, v)
	}
	return x
}

// TestPeer compares with ggml's functions on a hundred thousand numbers of each of several kinds.
func TestPeer(t *testing.T) {
	lib := os.Getenv("PLINTH_GGML")
	if lib == "" {
		t.Skip("PLINTH_GGML names no library with ggml's quantize_row_*_ref (see tools/golden/quants.py)")
	}
	run, x := ggml(t, lib), kinds()
	for f := Q8_0; f < Formats; f++ {
		_, size := f.Block()
		in := make([]byte, len(x)/block*size*(block/layouts[f].elements))
		if f.CanEncode() {
			f.Encode(in, x)
			sameBytes(t, f.String()+" encoded", in, run("encode", f, bytesOf(x)), size)
		} else {
			in = run("encode", f, bytesOf(x))
		}
		y := make([]float32, len(x))
		f.Decode(y, in)
		sameBytes(t, f.String()+" decoded", bytesOf(y), run("decode", f, in), 4*layouts[f].elements)
	}
}

// TestPeerActivations: activations have the codes and scales that llama.cpp's on x86-64 have, where those are finite; blocks of 256 have both negated there
// when the largest number is positive.
func TestPeerActivations(t *testing.T) {
	dir := os.Getenv("PLINTH_LLAMA")
	if dir == "" {
		t.Skip("PLINTH_LLAMA names no folder with llama.cpp's libraries")
	}
	run, x := ggml(t, filepath.Join(dir, "libggml-cpu.so")), kinds()
	for _, c := range []struct {
		weights, as Format
	}{{Q8_0, Q8_0}, {Q4_K, Q8_K}} {
		var a Activations
		a.Reset(c.weights, 1, len(x))
		For("").Quantize(&a, 0, x)
		theirs := run("activations", c.as, bytesOf(x))
		elements, size := c.as.Block()
		different := 0
		for b := range len(x) / elements {
			block := theirs[b*size:][:size]
			d, codes := half(block), block[2:]
			if c.as == Q8_K {
				d, codes = f32(block), block[4:]
			}
			sign := int8(1)
			if d < 0 {
				d, sign = -d, -1
			}
			if d > math.MaxFloat32 {
				continue
			}
			same := a.scale[b] == d
			for j, code := range a.code[b*elements:][:elements] {
				same = same && code == sign*int8(codes[j])
			}
			if !same {
				different++
			}
		}
		if different > 0 {
			t.Errorf("%s: %d of %d blocks differ", c.as, different, len(x)/elements)
		}
	}
}

// TestHalf: the 16-bit formats at every length and at odd addresses.
func TestHalf(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, f := range []Format{F16, BF16} {
		for _, n := range []int{0, 1, 7, 8, 9, 255, 256, 257, 600} {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			even, odd := make([]byte, 2*n), make([]byte, 2*n+1)[1:]
			f.Encode(even, x)
			f.Encode(odd, x)
			if !bytes.Equal(even, odd) {
				t.Fatalf("%s: %d numbers at an odd address differ", f, n)
			}
			y, z := make([]float32, n), make([]float32, n)
			f.Decode(y, even)
			f.Decode(z, odd)
			for i, v := range x {
				if y[i] != z[i] || math.Abs(float64(y[i]-v)) > math.Abs(float64(v))/200 {
					t.Fatalf("%s: %v became %v, at an odd address %v", f, v, y[i], z[i])
				}
			}
		}
	}
}

func TestNames(t *testing.T) {
	for f := range Formats {
		if g, ok := ByName(f.String()); !ok || g != f {
			t.Errorf("ByName(%q) is %v, %v", f, g, ok)
		}
	}
	if _, ok := ByName("q9_0"); ok {
		t.Error("there is no q9_0")
	}
}

// TestFMA against exact arithmetic, on numbers whose sums lie close to ties.
func TestFMA(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	number := func() float32 {
		return math.Float32frombits(r.Uint32()&0x807fff00 | uint32(100+r.IntN(50))<<23 | uint32(r.IntN(2)*255))
	}
	for range 200000 {
		a, b, c := number(), number(), number()
		if want := exactFMA(a, b, c); vec.FMA(a, b, c) != want {
			t.Fatalf("vec.FMA(%x, %x, %x) = %x, want %x", a, b, c, vec.FMA(a, b, c), want)
		}
	}
	inf := float32(math.Inf(1))
	if v := vec.FMA(inf, 1, 1); v != inf {
		t.Errorf("fma of an infinity is %v", v)
	}
	if v := vec.FMA(inf, 0, 1); v == v {
		t.Errorf("vec.FMA(Inf, 0, 1) is %v, not NaN", v)
	}
}
