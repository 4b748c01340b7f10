package pixel

import (
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// TestNoAccessPastTheEnd: arguments may end at the end of mapped memory.
func TestNoAccessPastTheEnd(t *testing.T) {
	memory := testkit.Guarded(t, make([]uint8, 4*maxLen))
	end := func(n int) []uint8 { return memory[len(memory)-n:] }
	sums := testkit.Guarded(t, make([]int16, maxLen))
	eachVariant(t, func(t *testing.T) {
		for n := range maxLen {
			out := make([]uint8, 3*maxLen)
			JFIF(out[:3*n], end(n), end(n), end(n))
			JFIF(end(3*n), out[:n], out[:n], out[:n])
			Blend(sums[maxLen-n:], end(n), end(n))
			k := (n+1)/2 + 2
			Widen(end(n), sums[maxLen-k:], 1, 2, 2)
			SumRows(end(n), out[:2*n], n, []int32{1, 2})
			SumRows(out[:n], end(2*n), n, []int32{1, 2})
			for _, bpp := range []int{3, 4} {
				Unfilter(end(n/bpp*bpp), out[:n], 4, bpp)
				Unfilter(out[:n/bpp*bpp], end(n/bpp*bpp), 4, bpp)
			}
			if n > 0 {
				w := NewWindows([]int32{0, int32(n - 1)}, [][]int32{make([]int32, n), {1}})
				SumRGB(out[:6], end(3*n), w)
				SumRGB(end(6), make([]uint8, 3*n+20), w)
			}
		}
	})
}
