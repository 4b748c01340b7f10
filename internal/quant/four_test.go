package quant

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// goldenFour is what tools/golden/bnb.py writes of a type. Arrays are float32 or bytes.
type goldenFour struct {
	Table, Codes, Scales        []byte
	Offset                      float32
	Nested, NestedScales, Again []byte
	Decoded                     string // the SHA-256 of the numbers that codes and scales in 8 bits stand for
}

// fourNumbers is the input of tools/golden/bnb.py.
func fourNumbers(table []float32) []float32 {
	x, state := make([]float32, 276*FourBlock), uint32(1)
	for i := range x {
		state = state*1664525 + 1013904223
		u := (float32(state>>8) - 1<<23) / (1 << 23)
		x[i] = float32(float32(u*u)*u) / float32(int(1)<<(i/FourBlock%7))
	}
	clear(x[64:128])
	ordered := slices.Sorted(slices.Values(table))
	special := []float32{1}
	for _, to := range []float32{0, 2, -2} { // ties, and their neighbours
		for i := range 15 {
			tie := (ordered[i] + ordered[i+1]) / 2
			if to != 0 {
				tie = math.Nextafter32(tie, to)
			}
			special = append(special, tie)
		}
	}
	for i := range 64 {
		x[128+i] = special[i%len(special)]
		x[192+i] *= 1e-38
	}
	return x
}

func TestFourGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/bnb.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Map      []byte
		NF4, FP4 goldenFour
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	sameBytes(t, "map", bytesOf(DynamicMap()), g.Map, 4)
	for f, want := range map[Format]goldenFour{NF4: g.NF4, FP4: g.FP4} {
		name := f.String()
		sameBytes(t, name+" table", bytesOf(f.FourTable()), want.Table, 4)
		x := fourNumbers(f.FourTable())
		b := bytes.Repeat([]byte{0xa5}, f.Bytes(len(x))) // the encoder must not count on zeros
		f.Encode(b, x)
		var codes []byte
		var scales []float32
		for block := range slices.Chunk(b, FourBytes) {
			scales = append(scales, f32(block))
			codes = append(codes, block[FourScale:]...)
		}
		sameBytes(t, name+" scales", bytesOf(scales), want.Scales, 4)
		sameBytes(t, name+" codes", codes, want.Codes, FourBlock/2)

		n := nest(scales, want.Offset)
		sameBytes(t, name+" codes of scales", n.Code, want.Nested, 1)
		sameBytes(t, name+" scales of scales", bytesOf(n.Scale), want.NestedScales, 4)
		n.Scales(scales)
		sameBytes(t, name+" scales again", bytesOf(scales), want.Again, 4)
		for i, s := range scales {
			binary.LittleEndian.PutUint32(b[i*FourBytes:], math.Float32bits(s))
		}
		f.Decode(x, b)
		if sum := sha256.Sum256(bytesOf(x)); hex.EncodeToString(sum[:]) != want.Decoded {
			t.Errorf("%s: decoded numbers differ", name)
		}
	}
}

// TestNest: the mean is that of bitsandbytes but for the order of its sum, and 8 bits keep scales to within the width of a step.
func TestNest(t *testing.T) {
	for _, count := range []int{0, 1, 255, 256, 257, 1000} {
		scales := make([]float32, count)
		sum := 0.0
		for i := range scales {
			scales[i] = 0.05 + float32(i*7919%1000)*1e-5
			sum += float64(scales[i])
		}
		n := Nest(scales)
		if count > 0 && math.Abs(float64(n.Offset)-sum/float64(count)) > 1e-8 {
			t.Fatalf("%d scales: mean %v, want %v", count, n.Offset, sum/float64(count))
		}
		got := make([]float32, count)
		n.Scales(got)
		for i, s := range scales {
			if math.Abs(float64(got[i]-s)) > 0.008*0.005 { // the widest step is 0.9/64 of the largest distance from the mean, 0.005
				t.Fatalf("%d scales: %d is %v, want %v", count, i, got[i], s)
			}
		}
	}
}

// TestFourSpecial: a number that is not finite stays in its block.
func TestFourSpecial(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		x := make([]float32, 3*FourBlock)
		for i := range x {
			x[i] = float32(i%5) / 4
		}
		x[70] = bad
		b, y := make([]byte, NF4.Bytes(len(x))), make([]float32, len(x))
		NF4.Encode(b, x)
		NF4.Decode(y, b)
		for i, v := range y {
			if finite := v-v == 0; finite && i/FourBlock == 1 && i == 70 || !finite && i/FourBlock != 1 {
				t.Errorf("with %v, element %d is %v", bad, i, v)
			}
		}
	}
}
