package vec

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// Every variant has the bits of the plain products, at every alignment, and writes nothing beside them.
func TestF32From4(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var table [16]float32
	for i := range table {
		table[i] = float32(r.NormFloat64())
	}
	scales := []float32{1, -0.25, 0, 3e38, 1e-42, float32(math.Inf(1)), float32(math.NaN())}
	eachVariant(t, func(t *testing.T) {
		for blocks := range 6 {
			for shift := range 4 {
				memory, x := make([]float32, 64*blocks+shift+1), make([]byte, 36*blocks+shift)[shift:]
				y := memory[shift:][:64*blocks]
				for i := range x {
					x[i] = byte(r.Uint32())
				}
				for b := range blocks {
					binary.LittleEndian.PutUint32(x[36*b:], math.Float32bits(scales[r.IntN(len(scales))]))
				}
				F32From4(y, x, &table)
				for i, v := range y {
					block := x[i/64*36:]
					code := block[4+i%64/2] >> (4 * (1 - i%2)) & 15
					want := table[code] * math.Float32frombits(binary.LittleEndian.Uint32(block))
					if v != want && (v == v || want == want) {
						t.Fatalf("%d blocks, shift %d, element %d: %v, want %v", blocks, shift, i, v, want)
					}
				}
				if memory[len(memory)-1] != 0 || shift > 0 && memory[shift-1] != 0 {
					t.Fatalf("%d blocks, shift %d: wrote beside them", blocks, shift)
				}
			}
		}
	})
}
