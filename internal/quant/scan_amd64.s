#include "textflag.h"

// Inner products of one vector with rows of 8 bits: see scan.go.

#define ARGS \
	MOVQ dst+0(FP), DI; \
	MOVQ code+8(FP), SI; \
	MOVQ stride+16(FP), R8; \
	MOVQ groups+24(FP), R9; \
	MOVQ n+32(FP), R10; \
	MOVQ hi+40(FP), R11; \
	MOVQ lo+48(FP), R12; \
	LEAQ (R8)(R8*2), R13

// SUM adds the lanes of four sums of 256 bits into the four lanes of XA.
#define SUM(XA, YA, YB, YC, YD, XB) \
	VPHADDD YB, YA, YA; \
	VPHADDD YD, YC, YC; \
	VPHADDD YC, YA, YA; \
	VEXTRACTI128 $1, YA, XB; \
	VPADDD XB, XA, XA

// FINISH writes 256·(X0-hi0) + (X4-lo0). X13 is 256 in each lane, X14 is hi0, X15 is lo0.
#define FINISH \
	VPSUBD X14, X0, X0; \
	VPSUBD X15, X4, X4; \
	VCVTDQ2PS X0, X0; \
	VCVTDQ2PS X4, X4; \
	VFMADD213PS X4, X13, X0; \
	VMOVUPS X0, (DI); \
	ADDQ $16, DI

#define CONSTANTS \
	MOVL $0x43800000, AX; \
	VMOVD AX, X13; \
	VPBROADCASTD X13, X13; \
	VPBROADCASTD hi0+56(FP), X14; \
	VPBROADCASTD lo0+60(FP), X15

// func scan512(dst *float32, code *uint8, stride, groups, n int, hi, lo *int8, hi0, lo0 int32)
// AVX-512 with VNNI.
TEXT ·scan512(SB), NOSPLIT, $0-64
	ARGS
	CONSTANTS
group:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	XORQ CX, CX
	MOVQ SI, DX
	LEAQ (SI)(R13*1), BX
loop:
	VMOVDQU32 (R11)(CX*1), Z16
	VMOVDQU32 (R12)(CX*1), Z17
	VMOVDQU32 (DX), Z18
	VMOVDQU32 (DX)(R8*1), Z19
	VMOVDQU32 (DX)(R8*2), Z20
	VMOVDQU32 (BX), Z21
	VPDPBUSD Z16, Z18, Z0
	VPDPBUSD Z16, Z19, Z1
	VPDPBUSD Z16, Z20, Z2
	VPDPBUSD Z16, Z21, Z3
	VPDPBUSD Z17, Z18, Z4
	VPDPBUSD Z17, Z19, Z5
	VPDPBUSD Z17, Z20, Z6
	VPDPBUSD Z17, Z21, Z7
	ADDQ $64, DX
	ADDQ $64, BX
	ADDQ $64, CX
	CMPQ CX, R10
	JLT loop
#define HALVE(Z, Y, T) \
	VEXTRACTI64X4 $1, Z, T; \
	VPADDD T, Y, Y
	HALVE(Z0, Y0, Y8)
	HALVE(Z1, Y1, Y9)
	HALVE(Z2, Y2, Y10)
	HALVE(Z3, Y3, Y11)
	HALVE(Z4, Y4, Y8)
	HALVE(Z5, Y5, Y9)
	HALVE(Z6, Y6, Y10)
	HALVE(Z7, Y7, Y11)
	SUM(X0, Y0, Y1, Y2, Y3, X1)
	SUM(X4, Y4, Y5, Y6, Y7, X5)
	FINISH
	LEAQ (SI)(R8*4), SI
	DECQ R9
	JNE group
	VZEROUPPER
	RET

// func scan256(dst *float32, code *uint8, stride, groups, n int, hi, lo *int8, hi0, lo0 int32)
// AVX2.
TEXT ·scan256(SB), NOSPLIT, $0-64
	ARGS
	CONSTANTS
group:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	XORQ CX, CX
	MOVQ SI, DX
	LEAQ (SI)(R13*1), BX
loop:
	VPMOVSXBW (R11)(CX*1), Y8
	VPMOVSXBW (R12)(CX*1), Y9
#define ROW(M, H, L) \
	VPMOVZXBW M, Y10; \
	VPMADDWD Y8, Y10, Y11; \
	VPMADDWD Y9, Y10, Y12; \
	VPADDD Y11, H, H; \
	VPADDD Y12, L, L
	ROW((DX), Y0, Y4)
	ROW((DX)(R8*1), Y1, Y5)
	ROW((DX)(R8*2), Y2, Y6)
	ROW((BX), Y3, Y7)
	ADDQ $16, DX
	ADDQ $16, BX
	ADDQ $16, CX
	CMPQ CX, R10
	JLT loop
	SUM(X0, Y0, Y1, Y2, Y3, X1)
	SUM(X4, Y4, Y5, Y6, Y7, X5)
	FINISH
	LEAQ (SI)(R8*4), SI
	DECQ R9
	JNE group
	VZEROUPPER
	RET
