#include "textflag.h"

// One row of A times two vectors of B: Y0, Y1 hold B[k, 0:16].
#define ROW(addr, x, y) \
	VBROADCASTSS addr, Y2 \
	VFMADD231PS  Y0, Y2, x \
	VFMADD231PS  Y1, Y2, y

#define ROWS1 ROW((SI), Y4, Y5)
#define ROWS2 ROWS1; ROW((SI)(R8*1), Y6, Y7)
#define ROWS3 ROWS2; ROW((SI)(R8*2), Y8, Y9)
#define ROWS4 ROWS3; ROW((R10), Y10, Y11)
#define ROWS5 ROWS4; ROW((R10)(R8*1), Y12, Y13)
#define ROWS6 ROWS5; ROW((R10)(R8*2), Y14, Y15)

#define LOADB \
	VMOVUPS (DI), Y0 \
	VMOVUPS 32(DI), Y1 \
	ADDQ    R13, DI

#define NEXTA \
	ADDQ R12, SI \
	ADDQ R12, R10 \
	DECQ CX

#define PREFETCHROW \
	PREFETCHT0 (BX) \
	PREFETCHT0 60(BX) \
	ADDQ       DX, BX

#define ZERO(x, y) \
	VXORPS x, x, x \
	VXORPS y, y, y

// C = alpha*acc + (C or 0); Y3 is all ones when C is loaded, else zero.
#define STORE(x, y) \
	VMASKMOVPS  (BX), Y3, Y0 \
	VMASKMOVPS  32(BX), Y3, Y1 \
	VFMADD231PS Y2, x, Y0 \
	VFMADD231PS Y2, y, Y1 \
	VMOVUPS     Y0, (BX) \
	VMOVUPS     Y1, 32(BX) \
	ADDQ        DX, BX \
	DECQ        AX \
	JEQ         done

// func tile256(k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, m, n int, alpha float32, load bool)
// n is always 16.
TEXT ·tile256(SB), NOSPLIT, $0-85
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
	LEAQ (SI)(R9*1), R10    // rows 3-5
	ZERO(Y4, Y5)
	ZERO(Y6, Y7)
	ZERO(Y8, Y9)
	ZERO(Y10, Y11)
	ZERO(Y12, Y13)
	ZERO(Y14, Y15)

	CMPQ AX, $6
	JEQ  rows6
	CMPQ AX, $1
	JEQ  rows1
	CMPQ AX, $2
	JEQ  rows2
	CMPQ AX, $3
	JEQ  rows3
	CMPQ AX, $4
	JEQ  rows4
	JMP  rows5

rows6:
	// Fetch the tile of C: each row is in a page of its own, which no hardware prefetcher foresees.
	MOVQ c+48(FP), BX
	MOVQ ldc+56(FP), DX
	SHLQ $2, DX
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW
	PREFETCHROW

	PCALIGN $32
full:
	LOADB
	ROWS6
	NEXTA
	JNZ full
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
	VBROADCASTSS alpha+80(FP), Y2
	MOVBLZX      load+84(FP), CX
	NEGL         CX
	VMOVD        CX, X3
	VPBROADCASTD X3, Y3
	STORE(Y4, Y5)
	STORE(Y6, Y7)
	STORE(Y8, Y9)
	STORE(Y10, Y11)
	STORE(Y12, Y13)
	STORE(Y14, Y15)

done:
	VZEROUPPER
	RET

#define STORE4(x, y, off) \
	VMASKMOVPS  off(BX), Y3, Y0 \
	VMASKMOVPS  (off+32)(BX), Y3, Y1 \
	VFMADD231PS Y2, x, Y0 \
	VFMADD231PS Y2, y, Y1 \
	VMOVUPS     Y0, off(BX) \
	VMOVUPS     Y1, (off+32)(BX)

// func row256(k int, a *float32, acs int, b *float32, ldb, panel int, c *float32, alpha float32, load bool)
TEXT ·row256(SB), NOSPLIT, $0-61
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
	ZERO(Y4, Y5)
	ZERO(Y6, Y7)
	ZERO(Y8, Y9)
	ZERO(Y10, Y11)

	PCALIGN $32
loop:
	VBROADCASTSS (SI), Y2
	VFMADD231PS  (DI), Y2, Y4
	VFMADD231PS  32(DI), Y2, Y5
	VFMADD231PS  (DI)(R8*1), Y2, Y6
	VFMADD231PS  32(DI)(R8*1), Y2, Y7
	VFMADD231PS  (DI)(R8*2), Y2, Y8
	VFMADD231PS  32(DI)(R8*2), Y2, Y9
	VFMADD231PS  (DI)(R9*1), Y2, Y10
	VFMADD231PS  32(DI)(R9*1), Y2, Y11
	ADDQ         R12, SI
	ADDQ         R13, DI
	DECQ         CX
	JNZ          loop

	MOVQ         c+48(FP), BX
	VBROADCASTSS alpha+56(FP), Y2
	MOVBLZX      load+60(FP), CX
	NEGL         CX
	VMOVD        CX, X3
	VPBROADCASTD X3, Y3
	STORE4(Y4, Y5, 0)
	STORE4(Y6, Y7, 64)
	STORE4(Y8, Y9, 128)
	STORE4(Y10, Y11, 192)
	VZEROUPPER
	RET

// func peak256(n int)
TEXT ·peak256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
	ZERO(Y0, Y1)
	ZERO(Y2, Y3)
	ZERO(Y4, Y5)
	ZERO(Y6, Y7)
	ZERO(Y8, Y9)
	ZERO(Y10, Y11)
	ZERO(Y12, Y13)

	PCALIGN $32
loop:
	VFMADD231PS Y12, Y13, Y0
	VFMADD231PS Y12, Y13, Y1
	VFMADD231PS Y12, Y13, Y2
	VFMADD231PS Y12, Y13, Y3
	VFMADD231PS Y12, Y13, Y4
	VFMADD231PS Y12, Y13, Y5
	VFMADD231PS Y12, Y13, Y6
	VFMADD231PS Y12, Y13, Y7
	VFMADD231PS Y12, Y13, Y8
	VFMADD231PS Y12, Y13, Y9
	VFMADD231PS Y12, Y13, Y10
	VFMADD231PS Y12, Y13, Y11
	DECQ        CX
	JNZ         loop
	VZEROUPPER
	RET

// func transpose4(dst *float32, w int, src *float32, ld, k int)
// dst[p*w+i] = src[i*ld+p] for i < 4, p < k; k is a multiple of 8.
TEXT ·transpose4(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ w+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ ld+24(FP), R10
	MOVQ k+32(FP), CX
	SHLQ $2, R8
	SHLQ $2, R10
	LEAQ (R8)(R8*2), R9
	LEAQ (R10)(R10*2), R11
	SHRQ $3, CX
	JZ   done

loop:
	VMOVUPS      (SI), Y0
	VMOVUPS      (SI)(R10*1), Y1
	VMOVUPS      (SI)(R10*2), Y2
	VMOVUPS      (SI)(R11*1), Y3
	VUNPCKLPS    Y1, Y0, Y4
	VUNPCKHPS    Y1, Y0, Y5
	VUNPCKLPS    Y3, Y2, Y6
	VUNPCKHPS    Y3, Y2, Y7
	VUNPCKLPD    Y6, Y4, Y0     // columns 0 and 4
	VUNPCKHPD    Y6, Y4, Y1     // 1 and 5
	VUNPCKLPD    Y7, Y5, Y2     // 2 and 6
	VUNPCKHPD    Y7, Y5, Y3     // 3 and 7
	LEAQ         (DI)(R8*4), DX
	VMOVUPS      X0, (DI)
	VMOVUPS      X1, (DI)(R8*1)
	VMOVUPS      X2, (DI)(R8*2)
	VMOVUPS      X3, (DI)(R9*1)
	VEXTRACTF128 $1, Y0, (DX)
	VEXTRACTF128 $1, Y1, (DX)(R8*1)
	VEXTRACTF128 $1, Y2, (DX)(R8*2)
	VEXTRACTF128 $1, Y3, (DX)(R9*1)
	LEAQ         (DX)(R8*4), DI
	ADDQ         $32, SI
	DECQ         CX
	JNZ          loop

done:
	VZEROUPPER
	RET

// func copy4(dst *float32, w int, src *float32, ld, k int)
// dst[p*w+i] = src[p*ld+i] for i < 4, p < k.
TEXT ·copy4(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ w+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ ld+24(FP), R10
	MOVQ k+32(FP), CX
	SHLQ $2, R8
	SHLQ $2, R10

loop:
	VMOVUPS (SI), X0
	VMOVUPS X0, (DI)
	ADDQ    R10, SI
	ADDQ    R8, DI
	DECQ    CX
	JNZ     loop
	RET

// func copy12(dst *float32, w int, src *float32, ld, k int)
TEXT ·copy12(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ w+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ ld+24(FP), R10
	MOVQ k+32(FP), CX
	SHLQ $2, R8
	SHLQ $2, R10

loop:
	PREFETCHT0 384(SI) // what a later panel takes from this row
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), X1
	VMOVUPS Y0, (DI)
	VMOVUPS X1, 32(DI)
	ADDQ    R10, SI
	ADDQ    R8, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func copy16(dst *float32, w int, src *float32, ld, k int)
// dst[p*w+i] = src[p*ld+i] for i < 16, p < k.
TEXT ·copy16(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ w+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ ld+24(FP), R10
	MOVQ k+32(FP), CX
	SHLQ $2, R8
	SHLQ $2, R10

loop:
	PREFETCHT0 512(SI) // what a later panel takes from this row
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    R10, SI
	ADDQ    R8, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func addTo8(y, x *float32, n int)
// y += x over n elements, n a multiple of 8.
TEXT ·addTo8(SB), NOSPLIT, $0-24
	MOVQ y+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	SHRQ $3, CX
	JZ   done

loop:
	VMOVUPS (DI), Y0
	VADDPS  (SI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

// func fetch(p *float32, n int)
// Asks for n elements from p to come into the second-level cache.
TEXT ·fetch(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX

loop:
	PREFETCHT1 (SI)
	ADDQ       $64, SI
	SUBQ       $16, CX
	JG         loop
	RET
