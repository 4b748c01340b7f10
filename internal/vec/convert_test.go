package vec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// All 65536 patterns widen to their value and narrow back to themselves (signalling NaNs become quiet).
func TestConvertAllPatterns(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		all, back := make([]uint16, 1<<16), make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		f := make([]float32, 1<<16)
		F32FromF16(f, all)
		F16FromF32(back, f)
		for i, h := range all {
			exp, frac := int(h>>10&31), float64(h&0x3ff)
			want := math.Ldexp(1+frac/1024, exp-15)
			switch {
			case exp == 0:
				want = math.Ldexp(frac, -24)
			case exp == 31 && frac == 0:
				want = math.Inf(1)
			case exp == 31:
				want = math.NaN()
			}
			if h&0x8000 != 0 {
				want = -want
			}
			if float64(f[i]) != want && !math.IsNaN(want) || math.IsNaN(want) != (f[i] != f[i]) {
				t.Fatalf("half %#04x = %v, want %v", h, f[i], want)
			}
			if math.IsNaN(want) {
				h |= 0x200
			}
			if back[i] != h {
				t.Fatalf("half %#04x came back as %#04x", h, back[i])
			}
		}
		F32FromBF16(f, all)
		BF16FromF32(back, f)
		for i, h := range all {
			if bits := math.Float32bits(f[i]); bits != uint32(h)<<16 {
				t.Fatalf("bfloat16 %#04x = bits %#08x", h, bits)
			}
			if f[i] != f[i] {
				h |= 0x40
			}
			if back[i] != h {
				t.Fatalf("bfloat16 %#04x came back as %#04x", h, back[i])
			}
		}
	})
}

// Narrowing picks the nearest value, the even one of two equally near.
func TestConvertRounding(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		x := make([]float32, 1<<14)
		for i := range x {
			x[i] = math.Float32frombits(r.Uint32())
			if i%2 == 0 { // in the range of half precision, often exactly between two values
				x[i] = float32(math.Ldexp(float64(r.IntN(1<<13)), -r.IntN(38)+3))
			}
		}
		half, brain, wide := make([]uint16, len(x)), make([]uint16, len(x)), make([]float32, len(x))
		F16FromF32(half, x)
		BF16FromF32(brain, x)
		for name, narrow := range map[string][]uint16{"f16": half, "bf16": brain} {
			widen := F32FromF16
			if name == "bf16" {
				widen = F32FromBF16
			}
			widen(wide, narrow)
			for i, v := range x {
				if v != v {
					continue
				}
				near := make([]float32, 2)
				widen(near, []uint16{narrow[i] - 1, narrow[i] + 1})
				away := func(f float32) float64 { // infinity stands for the first power of two out of range
					g := float64(f)
					if math.IsInf(g, 0) {
						g = math.Copysign(map[string]float64{"f16": 0x1p16, "bf16": 0x1p128}[name], g)
					}
					return math.Abs(g - float64(v))
				}
				if math.IsInf(float64(v), 0) {
					if wide[i] != v {
						t.Fatalf("%s: %v became %v", name, v, wide[i])
					}
					continue
				}
				d := away(wide[i])
				for _, other := range near {
					o := away(other)
					if o < d || o == d && d > 0 && narrow[i]&1 == 1 {
						t.Fatalf("%s: %v became %v, but %v is nearer or even", name, v, wide[i], other)
					}
				}
			}
		}
	})
}

// Every length and misalignment gives the same bits as one element alone, and touches nothing else.
func TestConvertTails(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, f := range []struct {
			name   string
			narrow func(y []uint16, x []float32)
			widen  func(y []float32, x []uint16)
		}{{"f16", F16FromF32, F32FromF16}, {"bf16", BF16FromF32, F32FromBF16}} {
			for n := range maxLen + 1 {
				for shift := range 8 {
					x := normals(r, n+shift, 1)[shift:]
					buf := make([]uint16, n+32)
					for i := range buf {
						buf[i] = 0xabcd
					}
					f.narrow(buf[8+shift:8+shift+n], x)
					y, intact := guarded(n, shift)
					f.widen(y, buf[8+shift:])
					for i, h := range buf {
						var one [1]uint16
						want := uint16(0xabcd)
						if k := i - 8 - shift; k >= 0 && k < n {
							f.narrow(one[:], x[k:k+1])
							want = one[0]
							var w [1]float32
							f.widen(w[:], one[:])
							if y[k] != w[0] {
								t.Fatalf("%s n %d shift %d: element %d widens to %v, alone to %v", f.name, n, shift, k, y[k], w[0])
							}
						}
						if h != want {
							t.Fatalf("%s n %d shift %d: element %d is %#04x, want %#04x", f.name, n, shift, i-8-shift, h, want)
						}
					}
					if !intact() {
						t.Fatalf("%s n %d shift %d: widening wrote outside", f.name, n, shift)
					}
				}
			}
		}
	})
}

// Random rounding picks one of the two neighbours, and in the mean the value itself; every length and misalignment gives the bits of one
// element alone.
func TestRoundBF16(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		const key, shift = 0x123456789abcdef0, 16
		x, y, wide := make([]float32, 1<<16), make([]uint16, 1<<16), make([]float32, 1<<16)
		for _, v := range []float32{1, -1, 1.0019531, 1.0000001, -3.3e-5, 1e-41, 3e38, 0} {
			for i := range x {
				x[i] = v
			}
			RoundBF16(y, x, key, 77, shift)
			F32FromBF16(wide, y)
			low, sum := math.Float32frombits(math.Float32bits(v)&0xffff0000), 0.0
			high := math.Float32frombits(math.Float32bits(low) + 0x10000)
			for i, w := range wide {
				if w != low && w != high || v == low && w != v {
					t.Fatalf("%v became %v (element %d), not %v or %v", v, w, i, low, high)
				}
				sum += float64(w)
			}
			// the mean of n draws between two values is within half their distance over sqrt(n), four times over
			if mean, bound := sum/float64(len(x)), 2*math.Abs(float64(high)-float64(low))/256; math.Abs(mean-float64(v)) > bound {
				t.Errorf("%v is %v in the mean, allowed %v", v, mean, bound)
			}
		}
		special := []float32{float32(math.Inf(1)), float32(math.Inf(-1)), math.Float32frombits(0x7f800001), math.Float32frombits(0xffffffff)}
		RoundBF16(y[:4], special, key, 0, shift)
		for i, want := range []uint16{0x7f80, 0xff80, 0x7fc0, 0xffff} {
			if y[i] != want {
				t.Errorf("%v became %#04x, want %#04x", special[i], y[i], want)
			}
		}
		r := rand.New(rand.NewPCG(13, 14))
		for n := range maxLen + 1 {
			for at := range 8 {
				x := normals(r, n+at, 1)[at:]
				buf := make([]uint16, n+32)
				RoundBF16(buf[8+at:8+at+n], x, key, uint32(n), 0)
				for i, h := range buf {
					var one [1]uint16
					if k := i - 8 - at; k >= 0 && k < n {
						RoundBF16(one[:], x[k:k+1], key, uint32(n+k), 0)
					}
					if h != one[0] {
						t.Fatalf("n %d at %d: element %d is %#04x, alone %#04x", n, at, i-8-at, h, one[0])
					}
				}
			}
		}
	})
}
