// Package quant stores rows of numbers in ggml's block formats and in bitsandbytes' of 4 bits, and multiplies with matrices stored so.
//
// A block holds 32 or 256 numbers as small unsigned codes that share scales. Unpacked, all of ggml's formats are one shape: the number i of sub-block j is
//
//	D·Scale[j]·(code[i] - Bias) - DMin·Min[j]
//
// Decode and Encode are bit-equal to ggml's reference functions (ggml-quants.c, dequantize_row_* and quantize_row_*_ref) compiled without
// contraction of multiply and add. NF4 and FP4, bitsandbytes' types, are no codes of whole steps: they are a scale times one of sixteen numbers, and a product takes them as float32.
//
// # Products
//
// A product quantises each row of activations once, to signed 8-bit codes in -127..127 with one float32 scale per block, sums codes times codes
// exactly in int32, and joins the blocks in ascending order in one float32 accumulator per element:
//
//	v = D·float32(Σ Scale[j]·Σ (code-Bias)·a) - DMin·float32(Σ Min[j]·Σ a)
//	sum = fma(da, v, sum)
//
// (v is a product and a fused multiply-subtract.) Nothing else enters: not the number of rows, nor the path, nor the variant. So all variants agree
// bit for bit, and a row has the same bits alone and in a batch.
package quant
