package checkpoint

import "unsafe"

// FromFloat32 returns a tensor of x, which must have the product of shape elements. The two share memory: all machines that Plinth
// builds for are little-endian, as the file is.
func FromFloat32(name string, shape []int, x []float32) Tensor {
	return Tensor{Name: name, DType: F32, Shape: shape, Data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))}
}
