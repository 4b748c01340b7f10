#include "textflag.h"

// One row of A times 32 columns of B in Z0, Z1: the element of A is loaded once into a register, or by both multiply-adds.
// Nine rows of twelve take the second way: one instruction less, for one load more. On a quiet core both run at the peak; at
// times when the tile falls behind it (docs/LOG.md), fewer instructions lose less. Twelve of twelve were no better.
#define ROW(addr, x, y) \
	VBROADCASTSS addr, Z2 \
	VFMADD231PS  Z0, Z2, x \
	VFMADD231PS  Z1, Z2, y

#define ROWM(addr, x, y) \
	VFMADD231PS.BCST addr, Z0, x \
	VFMADD231PS.BCST addr, Z1, y

// One k of a full tile of packed operands, u steps ahead of the pointers.
#define STEP(u) \
	VMOVUPS (128*u)(DI), Z0 \
	VMOVUPS (128*u+64)(DI), Z1 \
	ROW((48*u+0)(SI), Z8, Z9) \
	ROWM((48*u+4)(SI), Z10, Z11) \
	ROWM((48*u+8)(SI), Z12, Z13) \
	ROWM((48*u+12)(SI), Z14, Z15) \
	ROW((48*u+16)(SI), Z16, Z17) \
	ROWM((48*u+20)(SI), Z18, Z19) \
	ROWM((48*u+24)(SI), Z20, Z21) \
	ROWM((48*u+28)(SI), Z22, Z23) \
	ROW((48*u+32)(SI), Z24, Z25) \
	ROWM((48*u+36)(SI), Z26, Z27) \
	ROWM((48*u+40)(SI), Z28, Z29) \
	ROWM((48*u+44)(SI), Z30, Z31)

#define ZERO(x, y) \
	VPXORD x, x, x \
	VPXORD y, y, y

// The same for rows of A where they lie: bytes between rows in R8 and three times that in R9.
#define DIRECT(u) \
	VMOVUPS (128*u)(DI), Z0 \
	VMOVUPS (128*u+64)(DI), Z1 \
	ROW((4*u)(SI), Z8, Z9) \
	ROWM((4*u)(SI)(R8*1), Z10, Z11) \
	ROWM((4*u)(SI)(R8*2), Z12, Z13) \
	ROWM((4*u)(SI)(R9*1), Z14, Z15) \
	ROW((4*u)(R10), Z16, Z17) \
	ROWM((4*u)(R10)(R8*1), Z18, Z19) \
	ROWM((4*u)(R10)(R8*2), Z20, Z21) \
	ROWM((4*u)(R10)(R9*1), Z22, Z23) \
	ROW((4*u)(R11), Z24, Z25) \
	ROWM((4*u)(R11)(R8*1), Z26, Z27) \
	ROWM((4*u)(R11)(R8*2), Z28, Z29) \
	ROWM((4*u)(R11)(R9*1), Z30, Z31)

#define ADDTO(x, y) \
	VFMADD213PS (SI), Z3, x \
	VFMADD213PS 64(SI), Z3, y \
	VMOVUPS     x, (SI) \
	VMOVUPS     y, 64(SI) \
	ADDQ        DX, SI

// Adding to zero makes a negative zero positive, as the other tiles do.
#define SET(x, y) \
	VFMADD213PS Z4, Z3, x \
	VFMADD213PS Z4, Z3, y \
	VMOVUPS     x, (SI) \
	VMOVUPS     y, 64(SI) \
	ADDQ        DX, SI

#define ZEROALL \
	ZERO(Z8, Z9) \
	ZERO(Z10, Z11) \
	ZERO(Z12, Z13) \
	ZERO(Z14, Z15) \
	ZERO(Z16, Z17) \
	ZERO(Z18, Z19) \
	ZERO(Z20, Z21) \
	ZERO(Z22, Z23) \
	ZERO(Z24, Z25) \
	ZERO(Z26, Z27) \
	ZERO(Z28, Z29) \
	ZERO(Z30, Z31)

#define ADDTOALL \
	ADDTO(Z8, Z9) \
	ADDTO(Z10, Z11) \
	ADDTO(Z12, Z13) \
	ADDTO(Z14, Z15) \
	ADDTO(Z16, Z17) \
	ADDTO(Z18, Z19) \
	ADDTO(Z20, Z21) \
	ADDTO(Z22, Z23) \
	ADDTO(Z24, Z25) \
	ADDTO(Z26, Z27) \
	ADDTO(Z28, Z29) \
	ADDTO(Z30, Z31)

#define SETALL \
	SET(Z8, Z9) \
	SET(Z10, Z11) \
	SET(Z12, Z13) \
	SET(Z14, Z15) \
	SET(Z16, Z17) \
	SET(Z18, Z19) \
	SET(Z20, Z21) \
	SET(Z22, Z23) \
	SET(Z24, Z25) \
	SET(Z26, Z27) \
	SET(Z28, Z29) \
	SET(Z30, Z31)

// One of the AX lines from R13 on, which come next, is asked for.
#define FETCH \
	TESTQ      AX, AX \
	JEQ        fetched \
	PREFETCHT1 (R13) \
	ADDQ       $64, R13 \
	DECQ       AX \
fetched:

// The rows of C are in pages of their own, which no hardware prefetcher foresees: R9 is one, to be written soon.
#define FETCHC \
	PREFETCHT0 (R9) \
	PREFETCHT0 64(R9) \
	PREFETCHT0 124(R9) \
	ADDQ       DX, R9

// func panel512(k int, a *float32, step int, b, c *float32, ldc, tiles int, next *float32, lines int, alpha float32, load bool)
TEXT ·panel512(SB), NOSPLIT, $0-77
	MOVQ a+8(FP), R8
	MOVQ b+24(FP), R10
	MOVQ c+32(FP), R11
	MOVQ ldc+40(FP), DX
	SHLQ $2, DX
	MOVQ tiles+48(FP), BX
	MOVQ next+56(FP), R13
	MOVQ lines+64(FP), AX
	VBROADCASTSS alpha+72(FP), Z3
	VPXORD Z4, Z4, Z4

tile:
	MOVQ R8, SI
	MOVQ R10, DI
	MOVQ R11, R9
	ZEROALL
	MOVQ k+0(FP), CX
	CMPQ CX, $48
	JLT  small
	MOVQ $12, R15
	SUBQ $48, CX

	PCALIGN $32
first:
	FETCHC
	STEP(0)
	STEP(1)
	STEP(2)
	STEP(3)
	ADDQ $192, SI
	ADDQ $512, DI
	DECQ R15
	JNZ  first

small:
	MOVQ CX, R15
	SHRQ $2, R15
	JZ   rest

	PCALIGN $32
four:
	FETCH
	STEP(0)
	STEP(1)
	STEP(2)
	STEP(3)
	ADDQ $192, SI
	ADDQ $512, DI
	DECQ R15
	JNZ  four

rest:
	ANDQ $3, CX
	JZ   store

one:
	STEP(0)
	ADDQ $48, SI
	ADDQ $128, DI
	DECQ CX
	JNZ  one

store:
	MOVQ R11, SI
	CMPB load+76(FP), $0
	JEQ  set
	ADDTOALL
	JMP  stored

set:
	SETALL

stored:
	MOVQ SI, R11            // the next tile of C begins where this one ended
	MOVQ step+16(FP), R9
	LEAQ (R8)(R9*4), R8
	DECQ BX
	JNZ  tile
	VZEROUPPER
	RET

// func direct512(k int, a *float32, lda int, b, c *float32, ldc, tiles int, next *float32, lines int, alpha float32, load bool)
TEXT ·direct512(SB), NOSPLIT, $0-77
	MOVQ a+8(FP), SI
	MOVQ c+32(FP), BX
	MOVQ ldc+40(FP), DX
	SHLQ $2, DX
	MOVQ next+56(FP), R13
	MOVQ lines+64(FP), AX
	VBROADCASTSS alpha+72(FP), Z3
	VPXORD Z4, Z4, Z4

tile:
	MOVQ lda+16(FP), R8
	SHLQ $2, R8
	LEAQ (SI)(R8*4), R10
	LEAQ (SI)(R8*8), R11
	MOVQ b+24(FP), DI
	ZEROALL
	MOVQ k+0(FP), CX
	CMPQ CX, $48
	JLT  small
	MOVQ $12, R15
	SUBQ $48, CX

	// R9 is two things in turn: three rows of A, the row of C that is asked for. The latter waits in c.
	PCALIGN $32
first:
	MOVQ c+32(FP), R9
	FETCHC
	MOVQ R9, c+32(FP)
	LEAQ (R8)(R8*2), R9
	DIRECT(0)
	DIRECT(1)
	DIRECT(2)
	DIRECT(3)
	ADDQ $16, SI
	ADDQ $16, R10
	ADDQ $16, R11
	ADDQ $512, DI
	DECQ R15
	JNZ  first

small:
	MOVQ CX, R15
	SHRQ $2, R15
	JZ   rest

	PCALIGN $32
four:
	FETCH
	LEAQ (R8)(R8*2), R9
	DIRECT(0)
	DIRECT(1)
	DIRECT(2)
	DIRECT(3)
	ADDQ $16, SI
	ADDQ $16, R10
	ADDQ $16, R11
	ADDQ $512, DI
	DECQ R15
	JNZ  four

rest:
	LEAQ (R8)(R8*2), R9
	ANDQ $3, CX
	JZ   store

one:
	DIRECT(0)
	ADDQ $4, SI
	ADDQ $4, R10
	ADDQ $4, R11
	ADDQ $128, DI
	DECQ CX
	JNZ  one

store:
	LEAQ (R11)(R8*4), R9    // the next tile, k elements ahead
	MOVQ k+0(FP), CX
	SHLQ $2, CX
	SUBQ CX, R9
	MOVQ BX, SI
	CMPB load+76(FP), $0
	JEQ  set
	ADDTOALL
	JMP  stored

set:
	SETALL

stored:
	MOVQ SI, BX
	MOVQ SI, c+32(FP)
	MOVQ R9, SI
	DECQ tiles+48(FP)
	JNZ  tile
	VZEROUPPER
	RET
