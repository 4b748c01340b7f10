package pixel

// Fixed-point constants of the inverse transform, in units of 2^-13; the names are their values times 1000.
const (
	c298, c390, c541, c765   = 2446, 3196, 4433, 6270
	c899, c1175, c1501       = 7373, 9633, 12299
	c1847, c1961, c2053      = 15137, 16069, 16819
	c2562, c3072             = 20995, 25172
	idctFirst, idctSecond    = 11, 18 // bits that the passes shift out
	idctStepRow, idctStepCol = 1, 8
)

// IDCT writes the samples of a block of coefficients, times their quantisation, both [8, 8], to dst, whose lines are stride apart: the
// transform of Loeffler, Ligtenberg and Moschytz (1989) with the roundings of libjpeg's accurate integer method (jidctint), columns
// first.
func IDCT(dst []uint8, stride int, coefs *[64]int16, quant *[64]uint16) {
	need("IDCT", "dst", len(dst), 7*stride+8)
	active.idct(dst, stride, coefs, quant)
}

func idctGo(dst []uint8, stride int, coefs *[64]int16, quant *[64]uint16) {
	var x [64]int32
	for i, q := range quant {
		x[i] = int32(coefs[i]) * int32(q)
	}
	for i := range 8 {
		idct8(&x, i, idctStepCol, idctFirst)
	}
	for i := range 8 {
		idct8(&x, 8*i, idctStepRow, idctSecond)
		for j := range 8 {
			dst[i*stride+j] = uint8(min(max(x[8*i+j]+128, 0), 255))
		}
	}
}

// idct8 transforms the eight values at start, start+step, ... and drops shift bits.
func idct8(x *[64]int32, start, step int, shift uint) {
	at := func(i int) int32 { return x[start+i*step] }

	z := (at(2) + at(6)) * c541
	e2, e3 := z-at(6)*c1847, z+at(2)*c765
	e0, e1 := (at(0)+at(4))<<13, (at(0)-at(4))<<13
	even := [4]int32{e0 + e3, e1 + e2, e1 - e2, e0 - e3}

	o0, o1, o2, o3 := at(7), at(5), at(3), at(1)
	z1, z2, z3, z4 := -(o0+o3)*c899, -(o1+o2)*c2562, -(o0+o2)*c1961, -(o1+o3)*c390
	z5 := (o0 + o2 + o1 + o3) * c1175
	z3, z4 = z3+z5, z4+z5
	odd := [4]int32{o3*c1501 + z1 + z4, o2*c3072 + z2 + z3, o1*c2053 + z2 + z4, o0*c298 + z1 + z3}

	for i := range 4 {
		x[start+i*step] = (even[i] + odd[i] + 1<<(shift-1)) >> shift
		x[start+(7-i)*step] = (even[i] - odd[i] + 1<<(shift-1)) >> shift
	}
}
