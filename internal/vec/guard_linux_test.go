package vec

import (
	"testing"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// TestNoAccessPastTheEnd: arguments may end at the end of mapped memory.
func TestNoAccessPastTheEnd(t *testing.T) {
	var memory [][]float32
	for range 6 {
		memory = append(memory, testkit.Guarded(t, make([]float32, maxLen)))
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(memory[0]))), 4*maxLen)
	eachVariant(t, func(t *testing.T) {
		for n := range maxLen + 1 {
			var args [][]float32
			for _, m := range memory {
				args = append(args, m[maxLen-n:])
			}
			for _, f := range elementwises {
				f.run(args[f.ins:], args[:f.ins])
			}
			for _, f := range rows {
				if n > 0 || f.empty {
					f.run(args[f.ins:], args[:f.ins])
				}
			}
			seen := []int32{int32(n), int32(n / 2)}
			SoftmaxTile(args[0], 0, n, seen, make([]float32, 2), make([]float32, 2))
			SoftmaxTileGrad(args[0], args[1], 0, n, seen, make([]float32, 2), make([]float32, 2))
			SumSquares(args[0])
			AllFinite(args[0])
			half := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(memory[0]))), 2*maxLen)[2*maxLen-n:]
			F16FromF32(half, args[1])
			F32FromF16(args[1], half)
			BF16FromF32(half, args[1])
			F32FromBF16(args[1], half)
			blocks := n / 64
			F32From4(memory[1][maxLen-64*blocks:], bytes[maxLen*4-36*blocks:], new([16]float32))
		}
	})
}
