#include "textflag.h"

// Tiles of eight rows of activations and sixteen of weights for AVX2: the activations go in pairs through all blocks. VPMADDUBSW adds
// two products of unsigned and signed bytes to a word; as many words are added up as cannot overflow.

// R8 codes, R9 d, R10 scales, R11 pairs, SI, R12, R13 codes, scales and sums of two activations, DI results, AX the pair.
#define PAIR(codes, sums) \
	MOVQ AX, BX; \
	IMULQ $codes, BX; \
	MOVQ aCode+56(FP), SI; \
	ADDQ BX, SI; \
	MOVQ AX, BX; \
	IMULQ $sums, BX; \
	MOVQ aSum+72(FP), R13; \
	ADDQ BX, R13; \
	MOVQ aScale+64(FP), R12; \
	LEAQ (R12)(AX*8), R12; \
	MOVQ AX, BX; \
	SHLQ $7, BX; \
	MOVQ out+0(FP), DI; \
	ADDQ BX, DI; \
	MOVQ blocks+8(FP), CX; \
	MOVQ code+16(FP), R8; \
	MOVQ d+24(FP), R9

// LOAD reads four codes of each weight and of two activations, n bytes apart.
#define LOAD(g, n) \
	VMOVDQU (64*g)(R8), Y4; \
	VMOVDQU (64*g+32)(R8), Y5; \
	VPBROADCASTD (4*g)(SI), Y6; \
	VPBROADCASTD (4*g+n)(SI), Y7

#define FIRST(g, n) \
	LOAD(g, n); \
	VPMADDUBSW Y6, Y4, Y0; \
	VPMADDUBSW Y6, Y5, Y1; \
	VPMADDUBSW Y7, Y4, Y2; \
	VPMADDUBSW Y7, Y5, Y3

#define MORE(g, n) \
	LOAD(g, n); \
	VPMADDUBSW Y6, Y4, Y8; \
	VPADDW Y8, Y0, Y0; \
	VPMADDUBSW Y6, Y5, Y8; \
	VPADDW Y8, Y1, Y1; \
	VPMADDUBSW Y7, Y4, Y8; \
	VPADDW Y8, Y2, Y2; \
	VPMADDUBSW Y7, Y5, Y8; \
	VPADDW Y8, Y3, Y3

// ONES sets all words of Y9 to 1.
#define ONES \
	VPCMPEQW Y9, Y9, Y9; \
	VPSRLW $15, Y9, Y9

#define ZERO(A0, A1, A2, A3) \
	VPXOR A0, A0, A0; \
	VPXOR A1, A1, A1; \
	VPXOR A2, A2, A2; \
	VPXOR A3, A3, A3

// JOIN32 ends a block of 32: sums Y0-Y3, results Y12-Y15.
#define JOIN32 \
	VMOVUPS (R9), Y4; \
	VMOVUPS 32(R9), Y5; \
	VBROADCASTSS (R12), Y6; \
	VBROADCASTSS 4(R12), Y7; \
	VCVTDQ2PS Y0, Y0; \
	VMULPS Y4, Y0, Y0; \
	VFMADD231PS Y6, Y0, Y12; \
	VCVTDQ2PS Y1, Y1; \
	VMULPS Y5, Y1, Y1; \
	VFMADD231PS Y6, Y1, Y13; \
	VCVTDQ2PS Y2, Y2; \
	VMULPS Y4, Y2, Y2; \
	VFMADD231PS Y7, Y2, Y14; \
	VCVTDQ2PS Y3, Y3; \
	VMULPS Y5, Y3, Y3; \
	VFMADD231PS Y7, Y3, Y15; \
	ADDQ $512, R8; \
	ADDQ $64, R9; \
	ADDQ $256, SI; \
	ADDQ $32, R12; \
	ADDQ $32, R13; \
	DECQ CX

#define STORE32 \
	VMOVUPS Y12, (DI); \
	VMOVUPS Y13, 32(DI); \
	VMOVUPS Y14, 64(DI); \
	VMOVUPS Y15, 96(DI)

// func tileQ4_0(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileQ4_0(SB), NOSPLIT, $0-112
	ONES
	XORQ AX, AX
pair:
	PAIR(64, 8)
	VMOVUPS (DI), Y12
	VMOVUPS 32(DI), Y13
	VMOVUPS 64(DI), Y14
	VMOVUPS 96(DI), Y15
loop:
	FIRST(0, 32)
	MORE(1, 32)
	MORE(2, 32)
	MORE(3, 32)
	MORE(4, 32)
	MORE(5, 32)
	MORE(6, 32)
	MORE(7, 32)
	VPBROADCASTD (R13), Y6
	VPBROADCASTD 4(R13), Y7
	VPMADDWD Y9, Y0, Y0
	VPADDD Y6, Y0, Y0
	VPMADDWD Y9, Y1, Y1
	VPADDD Y6, Y1, Y1
	VPMADDWD Y9, Y2, Y2
	VPADDD Y7, Y2, Y2
	VPMADDWD Y9, Y3, Y3
	VPADDD Y7, Y3, Y3
	JOIN32
	JNE loop
	STORE32
	INCQ AX
	CMPQ AX, $4
	JNE pair
	VZEROUPPER
	RET

// func tileQ8_0(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
// Two products of 8 bits need all of a word, and unsigned codes more: so the weights are made signed again, and their signs moved to the activations.
TEXT ·tileQ8_0(SB), NOSPLIT, $0-112
	ONES
	MOVL $0x80808080, BX
	VMOVD BX, X10
	VPBROADCASTD X10, Y10
	XORQ AX, AX
pair:
	PAIR(64, 8)
	VMOVUPS (DI), Y12
	VMOVUPS 32(DI), Y13
	VMOVUPS 64(DI), Y14
	VMOVUPS 96(DI), Y15
loop:
	ZERO(Y0, Y1, Y2, Y3)
#define SIGNED(A, W, M, ACC) \
	VPSIGNB W, A, Y11; \
	VPMADDUBSW Y11, M, Y11; \
	VPMADDWD Y9, Y11, Y11; \
	VPADDD Y11, ACC, ACC
#define GROUP(g) \
	LOAD(g, 32); \
	VPXOR Y10, Y4, Y4; \
	VPABSB Y4, Y8; \
	SIGNED(Y6, Y4, Y8, Y0); \
	SIGNED(Y7, Y4, Y8, Y2); \
	VPXOR Y10, Y5, Y5; \
	VPABSB Y5, Y8; \
	SIGNED(Y6, Y5, Y8, Y1); \
	SIGNED(Y7, Y5, Y8, Y3)
	GROUP(0)
	GROUP(1)
	GROUP(2)
	GROUP(3)
	GROUP(4)
	GROUP(5)
	GROUP(6)
	GROUP(7)
#undef GROUP
#undef SIGNED
	JOIN32
	JNE loop
	STORE32
	INCQ AX
	CMPQ AX, $4
	JNE pair
	VZEROUPPER
	RET

// BLOCK begins two activations of formats with blocks of 256: results lie in memory between blocks.
#define BLOCK(sums) \
	PAIR(512, sums); \
	MOVQ scale+40(FP), R10; \
	MOVQ pair+48(FP), R11; \
	MOVQ dMin+32(FP), DX

// SCALES puts the next sixteen scales, twice each as words, into Y10 and Y11.
#define SCALES \
	VMOVDQU (R10), Y10; \
	VPSLLD $16, Y10, Y4; \
	VPBLENDW $0xaa, Y4, Y10, Y10; \
	VMOVDQU 32(R10), Y11; \
	VPSLLD $16, Y11, Y4; \
	VPBLENDW $0xaa, Y4, Y11, Y11; \
	ADDQ $64, R10

// SCALED adds the words Y0-Y3 times the scales to the sums Y12-Y15.
#define SCALED \
	VPMADDWD Y10, Y0, Y0; \
	VPADDD Y0, Y12, Y12; \
	VPMADDWD Y11, Y1, Y1; \
	VPADDD Y1, Y13, Y13; \
	VPMADDWD Y10, Y2, Y2; \
	VPADDD Y2, Y14, Y14; \
	VPMADDWD Y11, Y3, Y3; \
	VPADDD Y3, Y15, Y15

// SUMS adds pair p times two sums of each activation, n bytes apart.
#define SUMS(p, n, A0, A1, A2, A3) \
	VMOVDQU (64*p)(R11), Y4; \
	VMOVDQU (64*p+32)(R11), Y5; \
	VPBROADCASTD (4*p)(R13), Y6; \
	VPBROADCASTD (4*p+n)(R13), Y7; \
	VPMADDWD Y6, Y4, Y8; \
	VPADDD Y8, A0, A0; \
	VPMADDWD Y6, Y5, Y8; \
	VPADDD Y8, A1, A1; \
	VPMADDWD Y7, Y4, Y8; \
	VPADDD Y8, A2, A2; \
	VPMADDWD Y7, Y5, Y8; \
	VPADDD Y8, A3, A3

// JOINMIN ends a block with minima: sums Y12-Y15, products of minima Y0-Y3.
#define JOINMIN(S, M, half, t) \
	VCVTDQ2PS S, S; \
	VMULPS half(R9), S, S; \
	VCVTDQ2PS M, M; \
	VMOVUPS half(DX), Y4; \
	VFNMADD231PS Y4, M, S; \
	VBROADCASTSS (4*t)(R12), Y5; \
	VMOVUPS (64*t+half)(DI), M; \
	VFMADD231PS Y5, S, M; \
	VMOVUPS M, (64*t+half)(DI)

#define ENDMIN \
	ZERO(Y0, Y1, Y2, Y3); \
	SUMS(0, 16, Y0, Y1, Y2, Y3); \
	SUMS(1, 16, Y0, Y1, Y2, Y3); \
	SUMS(2, 16, Y0, Y1, Y2, Y3); \
	SUMS(3, 16, Y0, Y1, Y2, Y3); \
	JOINMIN(Y12, Y0, 0, 0); \
	JOINMIN(Y13, Y1, 32, 0); \
	JOINMIN(Y14, Y2, 0, 1); \
	JOINMIN(Y15, Y3, 32, 1); \
	ADDQ $64, R9; \
	ADDQ $64, DX; \
	ADDQ $256, R11; \
	ADDQ $1792, SI; \
	ADDQ $32, R12; \
	ADDQ $128, R13; \
	DECQ CX

// func tileQ4_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileQ4_K(SB), NOSPLIT, $0-112
	XORQ AX, AX
pair:
	BLOCK(32)
loop:
	ZERO(Y12, Y13, Y14, Y15)
	MOVQ $8, BX
sub:
	SCALES
	FIRST(0, 256)
	MORE(1, 256)
	MORE(2, 256)
	MORE(3, 256)
	MORE(4, 256)
	MORE(5, 256)
	MORE(6, 256)
	MORE(7, 256)
	SCALED
	ADDQ $512, R8
	ADDQ $32, SI
	DECQ BX
	JNE sub
	ENDMIN
	JNE loop
	INCQ AX
	CMPQ AX, $4
	JNE pair
	VZEROUPPER
	RET

// func tileQ5_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileQ5_K(SB), NOSPLIT, $0-112
	XORQ AX, AX
pair:
	BLOCK(32)
loop:
	ZERO(Y12, Y13, Y14, Y15)
	MOVQ $8, BX
sub:
	SCALES
	FIRST(0, 256)
	MORE(1, 256)
	MORE(2, 256)
	MORE(3, 256)
	SCALED
	FIRST(4, 256)
	MORE(5, 256)
	MORE(6, 256)
	MORE(7, 256)
	SCALED
	ADDQ $512, R8
	ADDQ $32, SI
	DECQ BX
	JNE sub
	ENDMIN
	JNE loop
	INCQ AX
	CMPQ AX, $4
	JNE pair
	VZEROUPPER
	RET

// func tileQ6_K(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)
TEXT ·tileQ6_K(SB), NOSPLIT, $0-112
	XORQ AX, AX
pair:
	BLOCK(64)
loop:
	ZERO(Y12, Y13, Y14, Y15)
	MOVQ $16, BX
sub:
	SCALES
	FIRST(0, 256)
	MORE(1, 256)
	SCALED
	FIRST(2, 256)
	MORE(3, 256)
	SCALED
	ADDQ $256, R8
	ADDQ $16, SI
	DECQ BX
	JNE sub
	SUMS(0, 32, Y12, Y13, Y14, Y15)
	SUMS(1, 32, Y12, Y13, Y14, Y15)
	SUMS(2, 32, Y12, Y13, Y14, Y15)
	SUMS(3, 32, Y12, Y13, Y14, Y15)
	SUMS(4, 32, Y12, Y13, Y14, Y15)
	SUMS(5, 32, Y12, Y13, Y14, Y15)
	SUMS(6, 32, Y12, Y13, Y14, Y15)
	SUMS(7, 32, Y12, Y13, Y14, Y15)
#define JOIN(S, half, t) \
	VCVTDQ2PS S, S; \
	VMULPS half(R9), S, S; \
	VBROADCASTSS (4*t)(R12), Y5; \
	VMOVUPS (64*t+half)(DI), Y4; \
	VFMADD231PS Y5, S, Y4; \
	VMOVUPS Y4, (64*t+half)(DI)
	JOIN(Y12, 0, 0)
	JOIN(Y13, 32, 0)
	JOIN(Y14, 0, 1)
	JOIN(Y15, 32, 1)
#undef JOIN
	ADDQ $64, R9
	ADDQ $512, R11
	ADDQ $1792, SI
	ADDQ $32, R12
	ADDQ $256, R13
	DECQ CX
	JNE loop
	INCQ AX
	CMPQ AX, $4
	JNE pair
	VZEROUPPER
	RET
