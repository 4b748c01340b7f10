// Package ref is the readable definition of every function of a kernel.Set, in float32 and float64 by the dtype of the
// buffers. It reduces in float64 and rounds once, on storing, so that it serves as ground truth; in float64 it serves
// gradient checks. Wrong sizes panic with the op's name.
package ref
