package checkpoint

import (
	"math"
	"strings"
	"testing"
)

// Every code of the 8-bit and half types is the number that its fields define.
func TestFloatCodes(t *testing.T) {
	for _, c := range []struct {
		d              DType
		fraction, bias int
		bits           int
		infinity       bool
	}{{F8E4M3, 3, 7, 8, false}, {F8E5M2, 2, 15, 8, true}, {F16, 10, 15, 16, true}, {BF16, 7, 127, 16, true}} {
		top := 1<<(c.bits-1-c.fraction) - 1 // the highest exponent
		for code := range 1 << c.bits {
			sign, e, f := 1-2*float64(code>>(c.bits-1)), code>>c.fraction&top, code&(1<<c.fraction-1)
			want := math.Ldexp(1+float64(f)/float64(int(1)<<c.fraction), e-c.bias)
			switch {
			case e == 0:
				want = math.Ldexp(float64(f), 1-c.bias-c.fraction)
			case e == top && c.infinity && f == 0:
				want = math.Inf(1)
			case e == top && (c.infinity || f == 1<<c.fraction-1):
				want = math.NaN()
			}
			var got [1]float32
			if err := (Tensor{"x", c.d, nil, []byte{byte(code), byte(code >> 8)}[:c.bits/8]}).Float32(got[:]); err != nil {
				t.Fatal(err)
			}
			if want *= sign; math.IsNaN(want) != math.IsNaN(float64(got[0])) || !math.IsNaN(want) && math.Float32bits(float32(want)) != math.Float32bits(got[0]) {
				t.Errorf("%s code %#x is %v, want %v", c.d, code, got[0], want)
			}
		}
	}
}

// Types that are no floats, and FP8 with scales in other tensors, are refused by name.
func TestRefusedTypes(t *testing.T) {
	w := Binding{Name: "w", Shape: []int{2}, Data: make([]float32, 2)}
	err := LoadStrict(written(t, Tensor{"w", I64, []int{2}, make([]byte, 16)}), []Binding{w}, nil)
	if err == nil || !strings.Contains(err.Error(), "w: file has I64") {
		t.Error(err)
	}
	err = LoadStrict(written(t, Tensor{"w", F8E4M3, []int{2}, []byte{0x38, 0x40}}, FromFloat32("w_scale_inv", []int{1}, []float32{3})), []Binding{w}, nil)
	if err == nil || !strings.Contains(err.Error(), "FP8") {
		t.Error(err)
	}
	if err := LoadStrict(written(t, Tensor{"w", F8E4M3, []int{2}, []byte{0x38, 0x40}}), []Binding{w}, nil); err != nil || w.Data[0] != 1 || w.Data[1] != 2 {
		t.Error(err, w.Data)
	}
	block := Tensor{"w", Q8_0, []int{32}, make([]byte, 34)}
	if err := Write(t.TempDir()+"/x.safetensors", []Tensor{block}, nil); err == nil || !strings.Contains(err.Error(), "Q8_0") {
		t.Error(err)
	}
}
