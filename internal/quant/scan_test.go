package quant

import (
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
)

// Every variant gives the bits of the definition, for all tails of rows and lengths, and the value is the inner product within the stated errors.
func TestScan(t *testing.T) {
	for _, n := range []int{0, 1, 3, 63, 64, 65, 512, 700} {
		for rows := range 10 {
			key := random.NewKey(uint64(n*100 + rows))
			x, query := numbers(key.Named("x"), rows*n), numbers(key.Named("q"), n)
			stride := ScanStride(n)
			code, scale := make([]uint8, rows*stride), make([]float32, rows)
			for r := range rows {
				scale[r] = ScanCodes(code[r*stride:(r+1)*stride], x[r*n:(r+1)*n])
			}
			var q ScanQuery
			q.Set(make([]float32, 900)) // of another size first: the memory is used again
			q.Set(query)
			want := make([]float32, rows)
			goKernel.Scan(want, code, &q)
			for r := range rows {
				exact, sum := 0.0, 0.0
				for i, v := range query {
					p := float64(scale[r]) * (float64(code[r*stride+i]) - 128)
					exact, sum = exact+float64(v)*p, sum+math.Abs(p)
					if d := math.Abs(p - float64(x[r*n+i])); d > float64(scale[r])*0.5001 {
						t.Fatalf("number %d of row %d is off by %v, the scale is %v", i, r, d, scale[r])
					}
				}
				if got := float64(q.Scale) * float64(scale[r]) * float64(want[r]); math.Abs(got-exact) > 0.51*float64(q.Scale)*sum+1e-6*math.Abs(exact) {
					t.Errorf("n %d: row %d is %v, want %v", n, r, got, exact)
				}
			}
			for _, k := range Variants() {
				got := make([]float32, rows+1)
				got[rows] = 7
				k.Scan(got[:rows], code, &q)
				if !slices.Equal(got[:rows], want) || got[rows] != 7 {
					t.Errorf("%s: n %d: %d rows are %v, want %v", k.Name(), n, rows, got, want)
				}
			}
		}
	}
}

// Sums do not overflow at the greatest length.
func TestScanLimits(t *testing.T) {
	x, code := make([]float32, MaxScan), make([]uint8, scanRows*MaxScan)
	for i := range x {
		x[i] = -1
	}
	for i := range code {
		code[i] = 255 * uint8(i/MaxScan%2)
	}
	var q ScanQuery
	q.Set(x)
	for _, k := range Variants() {
		var got [scanRows]float32
		k.Scan(got[:], code, &q)
		for r, v := range got {
			want := -MaxScan * queryTop * (255*float64(r%2) - 128)
			if math.Abs(float64(v)-want) > 1e-6*math.Abs(want) {
				t.Errorf("%s: row %d is %v, want %v", k.Name(), r, v, want)
			}
		}
	}
}

func BenchmarkScan(b *testing.B) {
	const rows, n = 1 << 18, 512
	code, x, dst := make([]uint8, rows*n), numbers(random.NewKey(1), n), make([]float32, 256)
	for i := range code {
		code[i] = uint8(i)
	}
	var q ScanQuery
	q.Set(x)
	for _, k := range Variants()[1:] {
		for _, block := range []int{len(dst), rows} { // in the cache, and not
			b.Run(k.Name(), func(b *testing.B) {
				b.SetBytes(int64(rows * n))
				for b.Loop() {
					for r := 0; r < rows; r += len(dst) {
						k.Scan(dst, code[r%block*n:], &q)
					}
				}
			})
		}
	}
}
