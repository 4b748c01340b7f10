#include "textflag.h"
#include "avx2_amd64.h"

// func rotateHalfAVX2(y, x, cos, sin []float32, sign float32)
//
// Y0 = a, Y1 = b, Y2 = cos, Y3 = sign*sin: the first half becomes a*cos - b*sin, the second b*cos + a*sin.
TEXT ·rotateHalfAVX2(SB), NOSPLIT, $0-100
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ cos_base+48(FP), R8
	MOVQ sin_base+72(FP), R9
	VBROADCASTSS sign+96(FP), Y9
	SHRQ $1, CX
	LEAQ (SI)(CX*4), R10
	LEAQ (DI)(CX*4), R11
#define ROTATE \
	VMULPS Y9, Y3, Y3; \
	VMULPS Y3, Y1, Y4; \
	VMULPS Y3, Y0, Y5; \
	VFMSUB231PS Y2, Y0, Y4; \
	VFMADD231PS Y2, Y1, Y5
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VMOVUPS (R10), Y1
	VMOVUPS (R8), Y2
	VMOVUPS (R9), Y3
	ROTATE
	VMOVUPS Y4, (DI)
	VMOVUPS Y5, (R11)
	ADDQ $32, SI
	ADDQ $32, R10
	ADDQ $32, R8
	ADDQ $32, R9
	ADDQ $32, DI
	ADDQ $32, R11
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VMASKMOVPS (R10), Y8, Y1
	VMASKMOVPS (R8), Y8, Y2
	VMASKMOVPS (R9), Y8, Y3
	ROTATE
	VMASKMOVPS Y4, Y8, (DI)
	VMASKMOVPS Y5, Y8, (R11)
done:
	VZEROUPPER
	RET

// func rotatePairsAVX2(y, x, cos, sin []float32, sign float32)
//
// Four pairs at a time: x is [a b ...], Y2 = [c c ...], Y3 = sign*[s s ...], Y1 = [b a ...];
// x*Y2 -+ Y1*Y3 subtracts in even lanes and adds in odd ones. The products b*s and a*s are rounded first, as in ROTATE.
TEXT ·rotatePairsAVX2(SB), NOSPLIT, $0-100
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ cos_base+48(FP), R8
	MOVQ sin_base+72(FP), R9
	VBROADCASTSS sign+96(FP), Y9
#define PAIRS \
	VMOVSLDUP Y2, Y2; \
	VMOVSLDUP Y3, Y3; \
	VMULPS Y9, Y3, Y3; \
	VPERMILPS $0xb1, Y0, Y1; \
	VMULPS Y3, Y1, Y1; \
	VFMADDSUB132PS Y2, Y1, Y0
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VPMOVZXDQ (R8), Y2
	VPMOVZXDQ (R9), Y3
	PAIRS
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $16, R8
	ADDQ $16, R9
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	SHRQ $1, CX
	MASK
	VMASKMOVPS (R8), X8, X2
	VMASKMOVPS (R9), X8, X3
	ADDQ CX, CX
	MASK
	VPMOVZXDQ X2, Y2
	VPMOVZXDQ X3, Y3
	PAIRS
	VMASKMOVPS Y0, Y8, (DI)
done:
	VZEROUPPER
	RET
