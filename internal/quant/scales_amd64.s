#include "textflag.h"

// The scales of rows of weights, as a panel holds them. AVX2.

// HALF4 appends the halves at the first four rows from R on, S bytes apart and three times that S3, to X from element i on.
#define HALF4(R, i, X) \
	VPINSRW $(i), (R), X, X; \
	VPINSRW $(i+1), (R)(DX*1), X, X; \
	VPINSRW $(i+2), (R)(DX*2), X, X; \
	VPINSRW $(i+3), (R)(BX*1), X, X

// func halves16(dst *float32, w *byte, stream, row, step, blocks int)
// dst [blocks, 16] is the half at w of each of 16 rows, four of each of four streams, then those step bytes further.
TEXT ·halves16(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ w+8(FP), R8
	MOVQ stream+16(FP), AX
	MOVQ row+24(FP), DX
	MOVQ step+32(FP), SI
	MOVQ blocks+40(FP), CX
	LEAQ (DX)(DX*2), BX
	LEAQ (R8)(AX*1), R9
	LEAQ (R8)(AX*2), R10
	LEAQ (R9)(AX*2), R11
loop:
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1
	HALF4(R8, 0, X0)
	HALF4(R10, 0, X1)
	HALF4(R9, 4, X0)
	HALF4(R11, 4, X1)
	VCVTPH2PS X0, Y0
	VCVTPH2PS X1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ SI, R8
	ADDQ SI, R9
	ADDQ SI, R10
	ADDQ SI, R11
	ADDQ $64, DI
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func scales6(scale *int32, pair *int16, w *byte, blocks int)
// The 16 scales of each block of a row of Q6_K, and -32 times them.
TEXT ·scales6(SB), NOSPLIT, $0-32
	MOVQ scale+0(FP), DI
	MOVQ pair+8(FP), R8
	MOVQ w+16(FP), SI
	MOVQ blocks+24(FP), CX
	VPXOR Y3, Y3, Y3
loop:
	VPMOVSXBD 192(SI), Y0
	VPMOVSXBD 200(SI), Y1
	VPMOVSXBW 192(SI), Y2
	VPSLLW $5, Y2, Y2
	VPSUBW Y2, Y3, Y2
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, (R8)
	ADDQ $210, SI
	ADDQ $64, DI
	ADDQ $32, R8
	DECQ CX
	JNE loop
	VZEROUPPER
	RET
