// Package gemm computes the float32 matrix product with its epilogue: bias, activation, residual.
//
// # Order of summation
//
// K is cut into blocks of KC. In a block each element of C is one chain of multiply-adds over ascending k that starts
// from zero; block sums S are added in ascending order, C = Alpha*S + C, where C starts from zero, or from what it
// held with Accumulate. Nothing else enters: not M, N, the number of threads, the position in a tile, nor whether an
// operand was packed. So rows have equal bits for every M, Serial and Mul agree, and so do avx2 and avx512, which
// both fuse each multiply-add. The portable variant rounds each product, and agrees with them to a tolerance.
//
// # How it runs
//
// A micro-kernel holds a tile of C in registers (6x16 for avx2, 12x32 for avx512) and takes A and B at any stride. A large
// product is two phases of pool tasks: A and B are packed into panels as wide as the tile, then rectangles of C are
// computed, all of K each, so that C stays in the second-level cache from the first block to the epilogue. With at most
// 240 rows there is one block of rows: each panel of B has one user, who packs it just before, or reads B where it lies.
// One row goes over four panels at once. Weights that are used again are best packed once with Pack.
//
// # Measured
//
// Two cores of a Xeon with AMX (2 MiB of second-level cache each), shared with other work; fastest call, share of the
// live ceiling of the same variant from BenchmarkSquare; torch 2 (MKL, AVX-512) beside it in the same minutes:
//
//	size   avx2 1 thread   2 threads      avx512 1 thread   2 threads      torch 1 thread
//	 512   106 GF 90 %     192 GF 80 %    166 GF 74 %       263 GF 61 %    183 GF
//	1024   103 GF 86 %     199 GF 91 %    154 GF 76 %       310 GF 74 %    174 GF
//	2048    97 GF 86 %     191 GF 87 %    143 GF 73 %       297 GF 70 %    166 GF
//
// Alone on data in the second-level cache the tiles reach about 94 % (avx2) and 90 % (avx512). What is lost at 1024:
// packing, 5 % for avx2 and 7 % for avx512; waiting for the shared cache, the rest. Waking the second worker costs most at
// 512 and below.
//
// Tried, and what it gave (readings of one shape differ by some 3 % of the ceiling between runs): packing in runs of whole rows
// instead of one panel after the other, packing time halved; asking for the next panel of B while a panel is used, with tasks
// of 240x512 instead of 120x256, avx2 80 to 86 % at 1024 and 76 to 82 % at 2048, avx512 64 to 70 % at 2048 and nothing at 1024;
// asking for C ahead of the loop, a few percent. No gain seen: huge pages for operands and packed copies; asking for the next
// rows of A; each task packing its own rows of A (less packing, slower tiles); unrolling the avx512 loop by 16 instead of 4.
// Both phases in one Run of the pool, where the second waits for the first: 1 to 2 % on 512 and on layers of 384, too little
// for relying on the order in which the pool starts tasks.
// Next: one phase instead of two, where the first user of a panel of B packs it, which saves a barrier and a trip
// through the shared cache; a second row kernel for 2 to 4 rows.
package gemm
