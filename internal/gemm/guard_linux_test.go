package gemm

import (
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// TestNoAccessPastTheEnd: operands may end at the end of mapped memory.
func TestNoAccessPastTheEnd(t *testing.T) {
	each(t, func(t *testing.T, k *Kernel) {
		var s Scratch
		for i := range 400 {
			flags := rng.IntN(16)
			m := shape{m: 1 + rng.IntN(30), n: 1 + rng.IntN(140), k: 1 + rng.IntN(40), ta: flags&1 > 0, tb: flags&2 > 0,
				packed: flags&4 > 0, bias: true, residue: true, pad: i % 3}.make()
			if flags&8 > 0 {
				m.M += 250 // operands packed as a whole
				m.LDA, m.LDC = 0, 0
				m.A, m.C, m.Residual = random(m.M*m.K), random(m.M*m.N), random(m.M*m.N)
			}
			want := clone(m)
			oracle(k, want)
			m.A, m.B, m.C = testkit.Guarded(t, m.A), testkit.Guarded(t, m.B), testkit.Guarded(t, m.C)
			m.Bias, m.Residual = testkit.Guarded(t, m.Bias), testkit.Guarded(t, m.Residual)
			if flags&4 > 0 {
				m.Packed = new(Packed)
				k.Pack(m.Packed, m.B, m.LDB, m.TransB, m.K, m.N)
			}
			k.Serial(&s, m)
			sameBits(t, k.name, m.C, want.C)
		}
	})
}
