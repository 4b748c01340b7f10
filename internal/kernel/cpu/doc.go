// Package cpu is the fast kernel set for the host: float32 ops scheduled over a worker pool, with the arithmetic in
// packages gemm (products) and vec (vectors). Package ref defines what every op means.
//
// Every op is cut into tasks whose boundaries depend on the problem alone, and no two tasks add into one element; sums
// over rows go through partial sums of fixed row blocks that are added in ascending order. So any thread count gives
// the same bits. Scratch memory belongs to the set and is reused: a repeated sequence of calls allocates nothing.
package cpu
