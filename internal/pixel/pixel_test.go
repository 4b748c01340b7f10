package pixel

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// eachVariant runs a test under every variant.
func eachVariant(t *testing.T, f func(t *testing.T)) {
	was := active.name
	defer func() { _ = Use(was) }()
	for _, name := range Variants() {
		if err := Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, f)
	}
}

// noise is n bytes, half of them 0 or 255.
func noise(r *rand.Rand, n int) []uint8 {
	b := make([]uint8, n)
	for i := range b {
		b[i] = uint8(r.IntN(256))
		if r.IntN(2) == 0 {
			b[i] = uint8(r.IntN(2) * 255)
		}
	}
	return b
}

// at is a copy of b that starts at that many bytes behind an aligned place.
func at(b []uint8, shift int) []uint8 {
	return append(make([]uint8, shift, shift+len(b)), b...)[shift:]
}

const maxLen = 70

// checkBytes runs f on n bytes of output at every misalignment, which must become want and be all that is written.
func checkBytes(t *testing.T, what string, n int, want []uint8, f func(dst []uint8)) {
	t.Helper()
	for shift := range 8 {
		buf := bytes.Repeat([]uint8{0xab}, shift+n+40)
		f(buf[shift : shift+n])
		for i, v := range buf {
			expected := uint8(0xab)
			if i >= shift && i < shift+n {
				expected = want[i-shift]
			}
			if v != expected {
				t.Fatalf("%s, %d bytes, shift %d: byte %d is %d, want %d", what, n, shift, i-shift, v, expected)
			}
		}
	}
}

func TestIDCT(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 0))
		for i := range 2000 {
			var coefs [64]int16
			var quant [64]uint16
			for k := range 64 {
				quant[k] = uint16(1 + r.IntN(60))
				if r.IntN(4) == 0 {
					coefs[k] = int16(r.IntN(64) - 32)
				}
				if i%3 == 0 { // such as only a hostile file has
					coefs[k], quant[k] = int16(r.IntN(1<<16)), uint16(r.IntN(1<<16))
				}
			}
			const stride = 11
			want := bytes.Repeat([]uint8{0xab}, 8*stride)
			idctGo(want, stride, &coefs, &quant)
			checkBytes(t, "idct", 7*stride+8, want, func(dst []uint8) { IDCT(dst, stride, &coefs, &quant) })
		}
	})
}

func TestColor(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(2, 0))
		for n := range maxLen {
			y, cb, cr := noise(r, n), noise(r, n), noise(r, n)
			want := make([]uint8, 3*n)
			jfifGo(want, y, cb, cr)
			checkBytes(t, "jfif", 3*n, want, func(dst []uint8) { JFIF(dst, at(y, n%7), at(cb, n%5), at(cr, n%3)) })

			sum, wantSum := make([]int16, n), make([]int16, n)
			blendGo(wantSum, y, cb)
			Blend(sum, at(y, n%5), at(cb, n%3))
			for i := range sum {
				if sum[i] != wantSum[i] {
					t.Fatalf("blend of %d: element %d is %d, want %d", n, i, sum[i], wantSum[i])
				}
			}
			for _, c := range []struct {
				even, odd  int16
				shift, top int
			}{{1, 2, 2, 256}, {8, 7, 4, 1021}, {8, 8, 4, 1021}} {
				sums := make([]int16, (n+1)/2+2)
				for i := range sums {
					sums[i] = int16(r.IntN(c.top))
				}
				want := make([]uint8, n)
				widenGo(want, sums, c.even, c.odd, c.shift)
				checkBytes(t, "widen", n, want, func(dst []uint8) { Widen(dst, sums, c.even, c.odd, c.shift) })
			}
		}
	})
}

// TestColorAll converts all colours.
func TestColorAll(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		var y, cb, cr [256]uint8
		var got, want [3 * 256]uint8
		for i := range 1 << 16 {
			for k := range 256 {
				y[k], cb[k], cr[k] = uint8(k), uint8(i), uint8(i>>8)
			}
			JFIF(got[:], y[:], cb[:], cr[:])
			jfifGo(want[:], y[:], cb[:], cr[:])
			if got != want {
				t.Fatalf("Cb %d, Cr %d differ", cb[0], cr[0])
			}
		}
	})
}

// kernel is n weights that add up to about one, some of them negative.
func kernel(r *rand.Rand, n int) []int32 {
	w := make([]int32, n)
	for i := range w {
		w[i] = int32(float64(1<<Fixed) * (r.Float64()*2.4 - 0.4) / float64(n))
	}
	return w
}

func TestSums(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 0))
		for _, rows := range []int{0, 1, 2, 3, 4, 5, 8, 31} {
			for n := range maxLen {
				stride := n + rows%3
				src, weights := noise(r, max(0, rows-1)*stride+n), kernel(r, rows)
				want := make([]uint8, n)
				if rows > 0 {
					sumRowsGo(want, src, stride, weights)
				}
				checkBytes(t, "rows", n, want, func(dst []uint8) { SumRows(dst, at(src, n%3), stride, weights) })
			}
		}
		for _, width := range []int{1, 2, 5, 16, 40} {
			for taps := 1; taps <= min(width, 13); taps++ {
				var starts []int32
				var weights [][]int32
				for start := 0; start+taps <= width; start++ {
					starts, weights = append(starts, int32(start)), append(weights, kernel(r, taps-start%min(taps, 2)))
				}
				w := NewWindows(starts, weights)
				for slack := range 20 {
					src := noise(r, 3*width+slack)
					want := make([]uint8, 3*len(starts))
					sumRGBGo(want, src, w)
					checkBytes(t, "pixels", len(want), want, func(dst []uint8) { SumRGB(dst, at(src, slack%5), w) })
				}
			}
		}
	})
}

func TestUnfilter(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 0))
		for bpp := 1; bpp <= 8; bpp++ {
			for pixels := range 25 {
				n := bpp * pixels
				packed, above := noise(r, n), noise(r, n)
				for kind := range uint8(5) {
					want := bytes.Clone(packed)
					for i := range want { // as the specification has it
						var a, b, c int
						b = int(above[i])
						if i >= bpp {
							a, c = int(want[i-bpp]), int(above[i-bpp])
						}
						nearest := a
						if p := a + b - c; abs(p-a) > abs(p-b) || abs(p-a) > abs(p-c) {
							nearest = b
							if abs(p-b) > abs(p-c) {
								nearest = c
							}
						}
						want[i] += uint8([]int{0, a, b, (a + b) / 2, nearest}[kind])
					}
					checkBytes(t, "unfilter", n, want, func(dst []uint8) {
						copy(dst, packed)
						if !Unfilter(dst, at(above, n%3), kind, bpp) {
							t.Fatalf("no filter %d", kind)
						}
					})
				}
			}
		}
		if Unfilter(nil, nil, 5, 3) {
			t.Error("filter 5 is taken")
		}
	})
}
