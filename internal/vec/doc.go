// Package vec is the single-threaded vector arithmetic under every kernel: functions over []float32 that allocate
// nothing. Each has a portable Go definition (files *_go.go) and may have faster variants; one variant is picked at
// start-up after a self-check, and Use forces another in tests.
//
// Rules that hold for every function unless its comment says otherwise: the length is that of the first argument;
// a shorter slice among the others is a panic; an output may be the very same slice as an input, but must not overlap
// one in any other way. An element of an elementwise result has the same bits wherever it stands, whatever the length
// and alignment of the slices. A reduction adds in an order that depends on the length alone. Variants differ from
// each other within the stated errors, avx2 and neon at most in the sign of a zero and in what a NaN holds; ulp means
// units in the last place of the float32 result.
package vec
