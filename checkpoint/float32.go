package checkpoint

import "unsafe"

// FromFloat32 returns a tensor of x, which must have the product of shape elements. The two share memory: all machines that Plinth
// builds for are little-endian, as the file is.
func FromFloat32(name string, shape []int, x []float32) Tensor {
	return Tensor{Name: name, DType: F32, Shape: shape, Data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))}
}

// FromBF16 is FromFloat32 for the bits of bfloat16 values.
func FromBF16(name string, shape []int, x []uint16) Tensor {
	return Tensor{Name: name, DType: BF16, Shape: shape, Data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))}
}
