#include "textflag.h"

// Products of a few rows of A with a narrow B. See few.go for the contract. Registers:
// CX k, SI A, R8 a row of A in bytes, DI B, R13 a row of B in bytes, R10 C, R11 a row of C in bytes.

#define ARGS \
	MOVQ k+0(FP), CX; \
	MOVQ a+8(FP), SI; \
	MOVQ lda+16(FP), R8; \
	MOVQ b+24(FP), DI; \
	MOVQ ldb+32(FP), R13; \
	MOVQ c+40(FP), R10; \
	MOVQ ldc+48(FP), R11; \
	SHLQ $2, R8; \
	SHLQ $2, R11; \
	XORQ BX, BX; \
	CMPQ m+56(FP), $2; \
	CMOVQLT BX, R8

// ---- AVX-512: 1 or 4 rows, 32 or 64 columns. K1 is the valid ones of the upper 32.

#define START512 \
	MOVQ n+64(FP), BX; \
	XORQ DX, DX; \
	CMPQ BX, $64; \
	JLT  narrow; \
	MOVQ $-1, DX; \
narrow: \
	KMOVW DX, K1; \
	VPXORD Z0, Z0, Z0; VPXORD Z1, Z1, Z1; VPXORD Z2, Z2, Z2; VPXORD Z3, Z3, Z3; \
	VPXORD Z4, Z4, Z4; VPXORD Z5, Z5, Z5; VPXORD Z6, Z6, Z6; VPXORD Z7, Z7, Z7; \
	VPXORD Z8, Z8, Z8; VPXORD Z9, Z9, Z9; VPXORD Z10, Z10, Z10; VPXORD Z11, Z11, Z11; \
	VPXORD Z12, Z12, Z12; VPXORD Z13, Z13, Z13; VPXORD Z14, Z14, Z14; VPXORD Z15, Z15, Z15

// OFFSETS sets BX and R9 to the third and the fourth row of A; a row that is missing is the one before.
#define OFFSETS512 \
	LEAQ (R8)(R8*1), BX; \
	CMPQ m+56(FP), $3; \
	CMOVQLT R8, BX; \
	LEAQ (BX)(R8*1), R9; \
	CMPQ m+56(FP), $4; \
	CMOVQLT BX, R9

// ROW adds an element of A times B (Z16-Z19) to a row's sums.
#define ROW512(AT, A, B, C, D) \
	VBROADCASTSS AT, Z20; \
	VFMADD231PS Z16, Z20, A; \
	VFMADD231PS Z17, Z20, B; \
	VFMADD231PS Z18, Z20, C; \
	VFMADD231PS Z19, Z20, D

#define ROWS1_512 ROW512((SI), Z0, Z1, Z2, Z3)
#define ROWS4_512 \
	ROW512((SI), Z0, Z1, Z2, Z3); \
	ROW512((SI)(R8*1), Z4, Z5, Z6, Z7); \
	ROW512((SI)(BX*1), Z8, Z9, Z10, Z11); \
	ROW512((SI)(R9*1), Z12, Z13, Z14, Z15)

#define PUT512(A, B, C, D) \
	VMULPS Z20, A, A; \
	VMULPS Z20, B, B; \
	VMULPS Z20, C, C; \
	VMULPS Z20, D, D; \
	VMOVUPS A, (R10); \
	VMOVUPS B, 64(R10); \
	VMOVUPS C, K1, 128(R10); \
	VMOVUPS D, K1, 192(R10)

#define ADD512(A, B, C, D) \
	VADDPS (R10), A, A; \
	VADDPS 64(R10), B, B; \
	VADDPS.Z 128(R10), C, K1, C; \
	VADDPS.Z 192(R10), D, K1, D; \
	VMOVUPS A, (R10); \
	VMOVUPS B, 64(R10); \
	VMOVUPS C, K1, 128(R10); \
	VMOVUPS D, K1, 192(R10)

// FINISH512 stores m rows: alpha times the sums, or with load the sums added to C.
#define FINISH512 \
	MOVQ m+56(FP), BX; \
	VBROADCASTSS alpha+72(FP), Z20; \
	CMPB load+76(FP), $0; \
	JNE  add; \
	PUT512(Z0, Z1, Z2, Z3); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	PUT512(Z4, Z5, Z6, Z7); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	PUT512(Z8, Z9, Z10, Z11); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	PUT512(Z12, Z13, Z14, Z15); \
	JMP  done; \
add: \
	ADD512(Z0, Z1, Z2, Z3); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	ADD512(Z4, Z5, Z6, Z7); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	ADD512(Z8, Z9, Z10, Z11); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	ADD512(Z12, Z13, Z14, Z15); \
done: \
	VZEROUPPER; \
	RET

#define LOADF16_512 \
	VCVTPH2PS (DI), Z16; \
	VCVTPH2PS 32(DI), Z17; \
	VCVTPH2PS.Z 64(DI), K1, Z18; \
	VCVTPH2PS.Z 96(DI), K1, Z19

// func fewF16AVX512(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)
TEXT ·fewF16AVX512(SB), NOSPLIT, $0-77
	ARGS
	START512
	OFFSETS512
	CMPQ m+56(FP), $1
	JNE  four
one:
	LOADF16_512
	ROWS1_512
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ CX
	JNE  one
	JMP  finish
four:
	LOADF16_512
	ROWS4_512
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ CX
	JNE  four
finish:
	FINISH512

// CODES512 makes numbers of the codes at four places.
#define CODES512(P, Q, R, S) \
	VPMOVSXBD P, Z16; \
	VPMOVSXBD Q, Z17; \
	VPMOVSXBD.Z R, K1, Z18; \
	VPMOVSXBD.Z S, K1, Z19; \
	VCVTDQ2PS Z16, Z16; \
	VCVTDQ2PS Z17, Z17; \
	VCVTDQ2PS Z18, Z18; \
	VCVTDQ2PS Z19, Z19

#define LOADVALUES512 \
	VPBROADCASTW (DI), X21; \
	VPBROADCASTW.Z 34(DI), K1, X22; \
	VPBROADCASTQ X21, Y21; \
	VPBROADCASTQ X22, Y22; \
	VCVTPH2PS Y21, Z21; \
	VCVTPH2PS Y22, Z22; \
	CODES512(2(DI), 18(DI), 36(DI), 52(DI)); \
	VMULPS Z21, Z16, Z16; \
	VMULPS Z21, Z17, Z17; \
	VMULPS Z22, Z18, Z18; \
	VMULPS Z22, Z19, Z19

// func fewValuesAVX512(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)
TEXT ·fewValuesAVX512(SB), NOSPLIT, $0-77
	ARGS
	START512
	OFFSETS512
	CMPQ m+56(FP), $1
	JNE  four
one:
	LOADVALUES512
	ROWS1_512
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ CX
	JNE  one
	JMP  finish
four:
	LOADVALUES512
	ROWS4_512
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ CX
	JNE  four
finish:
	FINISH512

// SCALES512 loads the scales at R12 of a group's columns.
#define SCALES512 \
	VCVTPH2PS (R12), Z21; \
	VCVTPH2PS 32(R12), Z22; \
	VCVTPH2PS.Z 64(R12), K1, Z23; \
	VCVTPH2PS.Z 96(R12), K1, Z24

#define LOADKEYS512 \
	CODES512((DI), 16(DI), 32(DI), 48(DI)); \
	VMULPS Z21, Z16, Z16; \
	VMULPS Z22, Z17, Z17; \
	VMULPS Z23, Z18, Z18; \
	VMULPS Z24, Z19, Z19

// func fewKeysAVX512(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool, col int)
// k is a multiple of 32. R12 is the scales, AX the bytes of a group, DX counts its rows.
TEXT ·fewKeysAVX512(SB), NOSPLIT, $0-88
	ARGS
	MOVQ DI, R12
	IMUL3Q $34, R13, AX
	MOVQ col+80(FP), BX
	LEAQ (DI)(R13*2), DI
	ADDQ BX, DI
	LEAQ (R12)(BX*2), R12
	START512
	OFFSETS512
	CMPQ m+56(FP), $1
	JNE  four
one:
	SCALES512
	ADDQ AX, R12
	MOVQ $32, DX
oneRow:
	LOADKEYS512
	ROWS1_512
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ DX
	JNE  oneRow
	LEAQ (DI)(R13*2), DI
	SUBQ $32, CX
	JNE  one
	JMP  finish
four:
	SCALES512
	ADDQ AX, R12
	MOVQ $32, DX
fourRow:
	LOADKEYS512
	ROWS4_512
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ DX
	JNE  fourRow
	LEAQ (DI)(R13*2), DI
	SUBQ $32, CX
	JNE  four
finish:
	FINISH512

// ---- AVX2: 2 rows, 32 columns. Y0-Y3 and Y4-Y7 are the sums.

#define START256 \
	VXORPS Y0, Y0, Y0; VXORPS Y1, Y1, Y1; VXORPS Y2, Y2, Y2; VXORPS Y3, Y3, Y3; \
	VXORPS Y4, Y4, Y4; VXORPS Y5, Y5, Y5; VXORPS Y6, Y6, Y6; VXORPS Y7, Y7, Y7

// ELEMENTS loads one element of each row of A, PAIR adds them times Y8 to two sums.
#define ELEMENTS VBROADCASTSS (SI), Y9; VBROADCASTSS (SI)(R8*1), Y10
#define PAIR(A, B) \
	VFMADD231PS Y8, Y9, A; \
	VFMADD231PS Y8, Y10, B

#define ALL256(LOAD, P0, P1, P2, P3) \
	LOAD(P0); \
	PAIR(Y0, Y4); \
	LOAD(P1); \
	PAIR(Y1, Y5); \
	LOAD(P2); \
	PAIR(Y2, Y6); \
	LOAD(P3); \
	PAIR(Y3, Y7)

#define PUT256(A, B, C, D) \
	VMULPS Y9, A, A; \
	VMULPS Y9, B, B; \
	VMULPS Y9, C, C; \
	VMULPS Y9, D, D; \
	VMOVUPS A, (R10); \
	VMOVUPS B, 32(R10); \
	VMOVUPS C, 64(R10); \
	VMOVUPS D, 96(R10)

#define ADD256(A, B, C, D) \
	VADDPS (R10), A, A; \
	VADDPS 32(R10), B, B; \
	VADDPS 64(R10), C, C; \
	VADDPS 96(R10), D, D; \
	VMOVUPS A, (R10); \
	VMOVUPS B, 32(R10); \
	VMOVUPS C, 64(R10); \
	VMOVUPS D, 96(R10)

#define FINISH256 \
	MOVQ m+56(FP), BX; \
	VBROADCASTSS alpha+72(FP), Y9; \
	CMPB load+76(FP), $0; \
	JNE  add; \
	PUT256(Y0, Y1, Y2, Y3); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	PUT256(Y4, Y5, Y6, Y7); \
	JMP  done; \
add: \
	ADD256(Y0, Y1, Y2, Y3); \
	DECQ BX; \
	JE   done; \
	ADDQ R11, R10; \
	ADD256(Y4, Y5, Y6, Y7); \
done: \
	VZEROUPPER; \
	RET

#define HALVES256(P) VCVTPH2PS P, Y8

// func fewF16AVX2(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)
TEXT ·fewF16AVX2(SB), NOSPLIT, $0-77
	ARGS
	START256
loop:
	ELEMENTS
	ALL256(HALVES256, (DI), 16(DI), 32(DI), 48(DI))
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ CX
	JNE  loop
	FINISH256

#define VALUES256(P) \
	VPMOVSXBD P, Y8; \
	VCVTDQ2PS Y8, Y8; \
	VMULPS Y11, Y8, Y8

// func fewValuesAVX2(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)
TEXT ·fewValuesAVX2(SB), NOSPLIT, $0-77
	ARGS
	START256
loop:
	ELEMENTS
	VPBROADCASTW (DI), X11
	VCVTPH2PS X11, Y11
	ALL256(VALUES256, 2(DI), 10(DI), 18(DI), 26(DI))
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ CX
	JNE  loop
	FINISH256

#define KEYS256(P, S) \
	VPMOVSXBD P, Y8; \
	VCVTDQ2PS Y8, Y8; \
	VMULPS S, Y8, Y8

// func fewKeysAVX2(k int, a *float32, lda int, b *byte, ldb int, c *float32, ldc, m, n int, alpha float32, load bool, col int)
TEXT ·fewKeysAVX2(SB), NOSPLIT, $0-88
	ARGS
	MOVQ DI, R12
	IMUL3Q $34, R13, AX
	MOVQ col+80(FP), BX
	LEAQ (DI)(R13*2), DI
	ADDQ BX, DI
	LEAQ (R12)(BX*2), R12
	START256
group:
	VCVTPH2PS (R12), Y12
	VCVTPH2PS 16(R12), Y13
	VCVTPH2PS 32(R12), Y14
	VCVTPH2PS 48(R12), Y15
	ADDQ AX, R12
	MOVQ $32, DX
row:
	ELEMENTS
	KEYS256((DI), Y12)
	PAIR(Y0, Y4)
	KEYS256(8(DI), Y13)
	PAIR(Y1, Y5)
	KEYS256(16(DI), Y14)
	PAIR(Y2, Y6)
	KEYS256(24(DI), Y15)
	PAIR(Y3, Y7)
	ADDQ $4, SI
	ADDQ R13, DI
	DECQ DX
	JNE  row
	LEAQ (DI)(R13*2), DI
	SUBQ $32, CX
	JNE  group
	FINISH256
