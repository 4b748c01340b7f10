#include "textflag.h"

// One row of A times two vectors of B: Z0, Z1 hold B[k, 0:32].
#define ROW(addr, x, y) \
	VBROADCASTSS addr, Z2 \
	VFMADD231PS  Z0, Z2, x \
	VFMADD231PS  Z1, Z2, y

#define ROWS1 ROW((SI), Z8, Z9)
#define ROWS2 ROWS1; ROW((SI)(R8*1), Z10, Z11)
#define ROWS3 ROWS2; ROW((SI)(R8*2), Z12, Z13)
#define ROWS4 ROWS3; ROW((SI)(R9*1), Z14, Z15)
#define ROWS5 ROWS4; ROW((R10), Z16, Z17)
#define ROWS6 ROWS5; ROW((R10)(R8*1), Z18, Z19)
#define ROWS7 ROWS6; ROW((R10)(R8*2), Z20, Z21)
#define ROWS8 ROWS7; ROW((R10)(R9*1), Z22, Z23)
#define ROWS9 ROWS8; ROW((R11), Z24, Z25)
#define ROWS10 ROWS9; ROW((R11)(R8*1), Z26, Z27)
#define ROWS11 ROWS10; ROW((R11)(R8*2), Z28, Z29)
#define ROWS12 ROWS11; ROW((R11)(R9*1), Z30, Z31)

#define LOADB \
	VMOVUPS.Z (DI), K1, Z0 \
	VMOVUPS.Z 64(DI), K2, Z1 \
	PREFETCHT0 (DI)(BX*1) \
	PREFETCHT0 64(DI)(BX*1) \
	ADDQ      R13, DI

#define NEXTA \
	ADDQ R12, SI \
	ADDQ R12, R10 \
	ADDQ R12, R11 \
	DECQ CX

#define ZERO(x, y) \
	VPXORD x, x, x \
	VPXORD y, y, y

// C = alpha*acc + (C or 0); K3, K4 are K1, K2 when C is loaded, else empty.
#define STORE(x, y) \
	VMOVUPS.Z   (BX), K3, Z0 \
	VMOVUPS.Z   64(BX), K4, Z1 \
	VFMADD231PS Z2, x, Z0 \
	VFMADD231PS Z2, y, Z1 \
	VMOVUPS     Z0, K1, (BX) \
	VMOVUPS     Z1, K2, 64(BX) \
	ADDQ        DX, BX \
	DECQ        AX \
	JEQ         done

// func tile512(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)
TEXT ·tile512(SB), NOSPLIT, $0-85
	MOVQ k+0(FP), CX
	MOVQ a+8(FP), SI
	MOVQ ars+16(FP), R8
	MOVQ acs+24(FP), R12
	MOVQ b+32(FP), DI
	MOVQ ldb+40(FP), R13
	MOVQ m+64(FP), AX
	SHLQ $2, R8             // bytes between rows of A
	SHLQ $2, R12            // bytes between columns of A
	SHLQ $2, R13            // bytes between rows of B
	LEAQ (R8)(R8*2), R9
	LEAQ (SI)(R8*4), R10    // rows 4-7
	LEAQ (SI)(R8*8), R11    // rows 8-11

	// K1, K2: the valid ones of 32 columns.
	MOVQ  n+72(FP), BX
	MOVQ  $-1, DX
	SHLXQ BX, DX, DX
	NOTQ  DX
	KMOVW DX, K1
	SHRQ  $16, DX
	KMOVW DX, K2

	ZERO(Z8, Z9)
	ZERO(Z10, Z11)
	ZERO(Z12, Z13)
	ZERO(Z14, Z15)
	ZERO(Z16, Z17)
	ZERO(Z18, Z19)
	ZERO(Z20, Z21)
	ZERO(Z22, Z23)
	ZERO(Z24, Z25)
	ZERO(Z26, Z27)
	ZERO(Z28, Z29)
	ZERO(Z30, Z31)

	MOVQ R13, BX
	SHLQ $5, BX             // bytes to a row of B that is needed soon: B is often read once, from far away
	CMPQ AX, $12
	JEQ  rows12
	CMPQ AX, $1
	JEQ  rows1
	CMPQ AX, $2
	JEQ  rows2
	CMPQ AX, $3
	JEQ  rows3
	CMPQ AX, $4
	JEQ  rows4
	CMPQ AX, $5
	JEQ  rows5
	CMPQ AX, $6
	JEQ  rows6
	CMPQ AX, $7
	JEQ  rows7
	CMPQ AX, $8
	JEQ  rows8
	CMPQ AX, $9
	JEQ  rows9
	CMPQ AX, $10
	JEQ  rows10
	JMP  rows11

	PCALIGN $32
rows12:
	LOADB
	ROWS12
	NEXTA
	JNZ rows12
	JMP store

rows11:
	LOADB
	ROWS11
	NEXTA
	JNZ rows11
	JMP store

rows10:
	LOADB
	ROWS10
	NEXTA
	JNZ rows10
	JMP store

rows9:
	LOADB
	ROWS9
	NEXTA
	JNZ rows9
	JMP store

rows8:
	LOADB
	ROWS8
	NEXTA
	JNZ rows8
	JMP store

rows7:
	LOADB
	ROWS7
	NEXTA
	JNZ rows7
	JMP store

rows6:
	LOADB
	ROWS6
	NEXTA
	JNZ rows6
	JMP store

rows5:
	LOADB
	ROWS5
	NEXTA
	JNZ rows5
	JMP store

rows4:
	LOADB
	ROWS4
	NEXTA
	JNZ rows4
	JMP store

rows3:
	LOADB
	ROWS3
	NEXTA
	JNZ rows3
	JMP store

rows2:
	LOADB
	ROWS2
	NEXTA
	JNZ rows2
	JMP store

rows1:
	LOADB
	ROWS1
	NEXTA
	JNZ rows1

store:
	MOVQ         c+48(FP), BX
	MOVQ         ldc+56(FP), DX
	SHLQ         $2, DX
	VBROADCASTSS alpha+80(FP), Z2
	MOVBLZX      load+84(FP), CX
	NEGL         CX
	KMOVW        CX, K3
	KANDW        K3, K2, K4
	KANDW        K3, K1, K3
	STORE(Z8, Z9)
	STORE(Z10, Z11)
	STORE(Z12, Z13)
	STORE(Z14, Z15)
	STORE(Z16, Z17)
	STORE(Z18, Z19)
	STORE(Z20, Z21)
	STORE(Z22, Z23)
	STORE(Z24, Z25)
	STORE(Z26, Z27)
	STORE(Z28, Z29)
	STORE(Z30, Z31)

done:
	VZEROUPPER
	RET

#define STORE4(x, y, off) \
	VMOVUPS.Z   off(BX), K3, Z0 \
	VMOVUPS.Z   (off+64)(BX), K3, Z1 \
	VFMADD231PS Z2, x, Z0 \
	VFMADD231PS Z2, y, Z1 \
	VMOVUPS     Z0, off(BX) \
	VMOVUPS     Z1, (off+64)(BX)

// func row512(k int, a *float32, acs int, b *float32, ldb, panel int, c *float32, alpha float32, load bool)
TEXT ·row512(SB), NOSPLIT, $0-61
	MOVQ k+0(FP), CX
	MOVQ a+8(FP), SI
	MOVQ acs+16(FP), R12
	MOVQ b+24(FP), DI
	MOVQ ldb+32(FP), R13
	MOVQ panel+40(FP), R8
	SHLQ $2, R12
	SHLQ $2, R13
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R9
	ZERO(Z8, Z9)
	ZERO(Z10, Z11)
	ZERO(Z12, Z13)
	ZERO(Z14, Z15)

	PCALIGN $32
loop:
	VBROADCASTSS (SI), Z2
	VFMADD231PS  (DI), Z2, Z8
	VFMADD231PS  64(DI), Z2, Z9
	VFMADD231PS  (DI)(R8*1), Z2, Z10
	VFMADD231PS  64(DI)(R8*1), Z2, Z11
	VFMADD231PS  (DI)(R8*2), Z2, Z12
	VFMADD231PS  64(DI)(R8*2), Z2, Z13
	VFMADD231PS  (DI)(R9*1), Z2, Z14
	VFMADD231PS  64(DI)(R9*1), Z2, Z15
	ADDQ         R12, SI
	ADDQ         R13, DI
	DECQ         CX
	JNZ          loop

	MOVQ         c+48(FP), BX
	VBROADCASTSS alpha+56(FP), Z2
	MOVBLZX      load+60(FP), CX
	NEGL         CX
	KMOVW        CX, K3
	STORE4(Z8, Z9, 0)
	STORE4(Z10, Z11, 128)
	STORE4(Z12, Z13, 256)
	STORE4(Z14, Z15, 384)
	VZEROUPPER
	RET

// func peak512(n int)
TEXT ·peak512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
	ZERO(Z0, Z1)
	ZERO(Z2, Z3)
	ZERO(Z4, Z5)
	ZERO(Z6, Z7)
	ZERO(Z8, Z9)
	ZERO(Z10, Z11)
	ZERO(Z12, Z13)
	ZERO(Z14, Z15)
	ZERO(Z16, Z17)

	PCALIGN $32
loop:
	VFMADD231PS Z16, Z17, Z0
	VFMADD231PS Z16, Z17, Z1
	VFMADD231PS Z16, Z17, Z2
	VFMADD231PS Z16, Z17, Z3
	VFMADD231PS Z16, Z17, Z4
	VFMADD231PS Z16, Z17, Z5
	VFMADD231PS Z16, Z17, Z6
	VFMADD231PS Z16, Z17, Z7
	VFMADD231PS Z16, Z17, Z8
	VFMADD231PS Z16, Z17, Z9
	VFMADD231PS Z16, Z17, Z10
	VFMADD231PS Z16, Z17, Z11
	VFMADD231PS Z16, Z17, Z12
	VFMADD231PS Z16, Z17, Z13
	VFMADD231PS Z16, Z17, Z14
	VFMADD231PS Z16, Z17, Z15
	DECQ        CX
	JNZ         loop
	VZEROUPPER
	RET
