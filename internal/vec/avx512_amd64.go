package vec

//go:noescape
func expAVX512(y, x []float32)

//go:noescape
func expSumAVX512(y, x []float32, max float32) float32

//go:noescape
func geluTanhAVX512(y, x []float32)

//go:noescape
func geluTanhGradAVX512(dx, dy, x []float32)

//go:noescape
func geluAVX512(y, x []float32)

//go:noescape
func geluGradAVX512(dx, dy, x []float32)

//go:noescape
func softmaxTileAVX512(p *float32, ld, width int, seen *int32, top, sum *float32, rows int)

//go:noescape
func softmaxTileGradAVX512(p, ds *float32, ld, width int, seen *int32, lse, delta *float32, rows int)

//go:noescape
func f32From4AVX512(y []float32, x []byte, table *[16]float32)
