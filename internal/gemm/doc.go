// Package gemm computes the float32 matrix product with its epilogue: bias, activation, residual.
//
// # Order of summation
//
// K is cut into blocks of KC. In a block each element of C is one chain of multiply-adds over ascending k that starts
// from zero; block sums S are added in ascending order, C = Alpha*S + C, where C starts from zero, or from what it
// held with Accumulate. Nothing else enters: not M, N, the number of threads, the position in a tile, nor whether an
// operand was packed. So rows have equal bits for every M, Serial and Mul agree, and so do avx2 and avx512, which
// both fuse each multiply-add. The portable variant rounds each product, and agrees with them to a tolerance.
package gemm
