// Package gemm computes the float32 matrix product with its epilogue: bias, activation, residual.
//
// # Order of summation
//
// K is cut into blocks of KC. In a block each element of C is one chain of multiply-adds over ascending k that starts
// from zero; block sums S are added in ascending order, C = Alpha*S + C, where C starts from zero, or from what it
// held with Accumulate. Nothing else enters: not M, N, the number of threads, the position in a tile, nor whether an
// operand was packed, or held in fewer bits (Product.Stored). So rows have equal bits for every M, Serial and Mul agree, and so do avx2, avx512 and neon,
// which fuse each multiply-add. The portable variant rounds each product, and agrees with them to a tolerance.
//
// A right side of fewer bits has these chains in the portable variant too, fused in software, so that there all variants agree.
//
// # How it runs
//
// A micro-kernel holds a tile of C in registers (6x16 for avx2, 12x32 for avx512, 12x8 for neon) and takes A and B at any
// stride. A large product is two phases of pool tasks: A and B are packed into panels as wide as the tile, then rectangles of C are
// computed, all of K each, so that C stays in the second-level cache from the first block to the epilogue. An A of 4 MB or
// more is not packed as a whole: a task has many columns and packs its rows of A itself, block by block, so that the packed
// copy never leaves the cache. With at most 240 rows there is one block of rows: each panel of B has one user, who packs it
// just before, or reads B where it lies. The avx512 variant reads a row-major A where it lies when B has at most 24 panels. Up to
// a tile of rows go through B in the order of memory. One row goes over four panels at once. Weights that are used again are best packed
// once with Pack. The avx512 tiles of one column are one call, which asks for the rows of C and for the next panel of B
// between its steps.
//
// The left side may be patches of pictures that exist only in part (Patches): a task makes its rows of a block of K, as runs of the picture, and reads
// them where it put them; transposed, it packs them as it would rows of A.
//
// The neon tile keeps 24 of the 32 registers for sums. A column of a packed panel is three loads, and each multiply-add picks
// its element of A from a lane. Where A is not packed, an element is a load of its own, which no more than fills the load ports.
//
// # Measured
//
// The neon variant ran under qemu only: its bits are tested, its speed is not measured; docs/benchmarks.md has the counts.
//
// docs/benchmarks.md has the figures, docs/LOG.md the experiments. In the first-level cache the avx512 tile runs at 100 % of a loop
// of multiply-adds on registers in quiet minutes; in others, perhaps with a neighbour on the core's other thread, a tile that loads all of A into
// registers falls to 76 to 83 % and the register loop hardly. Fewer instructions lose less: nine rows of twelve take A as a memory operand.
//
// Tried before, and what it gave (readings of one shape differ by some 3 % of the ceiling between runs): packing in runs of
// whole rows instead of one panel after the other, packing time halved; asking for the next panel of B while a panel is
// used, avx2 80 to 86 % at 1024. No gain seen: asking for the next rows of A;
// unrolling the avx512 loop by 16 instead of 4; both phases in one Run of the pool; B packed by tasks that have all rows; asking for
// the next rows of A, packed by their task or not; asking for the rows of C with the intent to write. A read where it lies is slower
// than packed from 1M elements on and for more than 24 panels.
// Next: a second row kernel for 2 to 4 rows; tiles of a column in one call for avx2.
package gemm
