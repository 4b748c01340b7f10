#include "textflag.h"

// Transposition of strips of sixteen and of twelve rows, four columns at a time. A lane of a register takes four columns of one row as they lie, so that all that is
// left is to transpose 4x4 inside lanes; and so many rows at once keep as many reads of far memory going.

// QUAD puts four columns of rows a, b and c, four rows apart, into the lanes of Z.
#define QUAD(a, b, c, X, Z) \
	VMOVUPS      a, X \
	VINSERTF32X4 $1, b, Z, Z \
	VINSERTF32X4 $2, c, Z, Z

// COLUMNS transposes Z0-Z3: the four columns are in Z0-Z3.
#define COLUMNS \
	VUNPCKLPS Z1, Z0, Z4 \
	VUNPCKHPS Z1, Z0, Z5 \
	VUNPCKLPS Z3, Z2, Z6 \
	VUNPCKHPS Z3, Z2, Z7 \
	VUNPCKLPD Z6, Z4, Z0 \
	VUNPCKHPD Z6, Z4, Z1 \
	VUNPCKLPD Z7, Z5, Z2 \
	VUNPCKHPD Z7, Z5, Z3

#define ARGS \
	MOVQ dst+0(FP), DI \
	MOVQ w+8(FP), R8 \
	MOVQ src+16(FP), SI \
	MOVQ ld+24(FP), R10 \
	MOVQ k+32(FP), CX \
	SHLQ $2, R8 \
	SHLQ $2, R10 \
	LEAQ (R8)(R8*2), R9 \
	LEAQ (R10)(R10*2), R11 \
	LEAQ (SI)(R10*4), R12 \
	LEAQ (SI)(R10*8), R13 \
	SHRQ $2, CX

// func transpose16(dst *float32, w int, src *float32, ld, k int)
TEXT ·transpose16(SB), NOSPLIT, $0-40
	ARGS
	JZ   done
	LEAQ (R12)(R10*8), DX

loop:
	QUAD((SI), (R12), (R13), X0, Z0)
	QUAD((SI)(R10*1), (R12)(R10*1), (R13)(R10*1), X1, Z1)
	QUAD((SI)(R10*2), (R12)(R10*2), (R13)(R10*2), X2, Z2)
	QUAD((SI)(R11*1), (R12)(R11*1), (R13)(R11*1), X3, Z3)
	VINSERTF32X4 $3, (DX), Z0, Z0
	VINSERTF32X4 $3, (DX)(R10*1), Z1, Z1
	VINSERTF32X4 $3, (DX)(R10*2), Z2, Z2
	VINSERTF32X4 $3, (DX)(R11*1), Z3, Z3
	COLUMNS
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, (DI)(R8*1)
	VMOVUPS Z2, (DI)(R8*2)
	VMOVUPS Z3, (DI)(R9*1)
	LEAQ    (DI)(R8*4), DI
	ADDQ    $16, SI
	ADDQ    $16, R12
	ADDQ    $16, R13
	ADDQ    $16, DX
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

// func transpose12(dst *float32, w int, src *float32, ld, k int)
TEXT ·transpose12(SB), NOSPLIT, $0-40
	ARGS
	JZ    done
	MOVL  $0xfff, AX
	KMOVW AX, K1

loop:
	QUAD((SI), (R12), (R13), X0, Z0)
	QUAD((SI)(R10*1), (R12)(R10*1), (R13)(R10*1), X1, Z1)
	QUAD((SI)(R10*2), (R12)(R10*2), (R13)(R10*2), X2, Z2)
	QUAD((SI)(R11*1), (R12)(R11*1), (R13)(R11*1), X3, Z3)
	COLUMNS
	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z1, K1, (DI)(R8*1)
	VMOVUPS Z2, K1, (DI)(R8*2)
	VMOVUPS Z3, K1, (DI)(R9*1)
	LEAQ    (DI)(R8*4), DI
	ADDQ    $16, SI
	ADDQ    $16, R12
	ADDQ    $16, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET
