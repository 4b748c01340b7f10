package quant

import (
	"fmt"
	"math"
)

// selfCheck compares one product of each format and path, tails included, with the definition, bit for bit. It takes about a millisecond.
func (k *Kernel) selfCheck() error {
	const N = panelRows + dotRows + 1
	state := uint32(1)
	next := func() uint32 { // any fixed numbers do
		state = state*1664525 + 1013904223
		return state >> 8
	}
	var want, got Scratch
	var a, b Activations
	for f := Q8_0; f <= Q6_K; f++ {
		unit, size := f.Block()
		K := 2 * unit
		x, w := make([]float32, K), make([]byte, 2*N*size)
		for i := range w {
			w[i] = byte(next())
			if f == Q6_K && i%size == 209 || f != Q6_K && (i%size == 1 || i%size == 3 && f.shape().minima) {
				w[i] &= 0xbf // the upper byte of a scale: finite
			}
		}
		for _, M := range []int{1, fewRows, groupRows + 1} {
			a.Reset(f, M, K)
			b.Reset(f, M, K)
			for i := range M {
				for j := range x {
					x[j] = float32(int(next()%2001) - 1000)
				}
				goKernel.Quantize(&a, i, x)
				k.Quantize(&b, i, x)
			}
			c, d := make([]float32, M*N), make([]float32, M*N)
			goKernel.Mul(&want, &Product{A: &a, To: M, W: w, N1: N, C: c, LDC: N})
			k.Mul(&got, &Product{A: &b, To: M, W: w, N1: N, C: d, LDC: N})
			for i, v := range c {
				if math.Float32bits(v) != math.Float32bits(d[i]) {
					return fmt.Errorf("quant: %s: product of %d rows with %s: element %d is %v, want %v", k.name, M, f, i, d[i], v)
				}
			}
		}
	}
	return k.checkScan(next)
}

// checkScan is selfCheck of Scan.
func (k *Kernel) checkScan(next func() uint32) error {
	const rows = 2*scanRows + 1
	code, x := make([]uint8, rows*2*ScanUnit), make([]float32, 2*ScanUnit)
	for i := range code {
		code[i] = uint8(next())
	}
	for i := range x {
		x[i] = float32(int(next()%2001) - 1000)
	}
	var q ScanQuery
	q.Set(x)
	var want, got [rows]float32
	goKernel.Scan(want[:], code, &q)
	k.Scan(got[:], code, &q)
	if want != got {
		return fmt.Errorf("quant: %s: scan of %d rows is %v, want %v", k.name, rows, got, want)
	}
	return nil
}
