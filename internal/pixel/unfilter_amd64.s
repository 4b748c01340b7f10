#include "textflag.h"

// PAETH sets X0 to the pixel at DI, given its left neighbour in X0 and the upper left one in X1, which becomes the upper one at SI. All are
// words; X15 is zero. It uses X2 to X8, and leaves the pixel's bytes in AX.
#define PAETH \
	VMOVD      (SI), X2; \
	VMOVD      (DI), X3; \
	VPUNPCKLBW X15, X2, X2; \
	VPUNPCKLBW X15, X3, X3; \
	VPSUBW     X1, X2, X4; \
	VPSUBW     X1, X0, X5; \
	VPADDW     X4, X5, X6; \
	VPABSW     X4, X4; \
	VPABSW     X5, X5; \
	VPABSW     X6, X6; \
	VPMINSW    X4, X5, X7; \
	VPMINSW    X6, X7, X7; \
	VPCMPEQW   X7, X4, X4; \
	VPCMPEQW   X7, X5, X5; \
	VPBLENDVB  X5, X2, X1, X8; \
	VPBLENDVB  X4, X0, X8, X8; \
	VMOVDQU    X2, X1; \
	VPADDB     X8, X3, X0; \
	VPACKUSWB  X0, X0, X2; \
	VMOVD      X2, AX

// func paeth3AVX2(row, above *uint8, n int)
TEXT ·paeth3AVX2(SB), NOSPLIT, $0-24
	MOVQ  row+0(FP), DI
	MOVQ  above+8(FP), SI
	MOVQ  n+16(FP), CX
	VPXOR X15, X15, X15
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1

loop:
	PAETH
	MOVW AX, (DI)
	SHRL $16, AX
	MOVB AX, 2(DI)
	ADDQ $3, DI
	ADDQ $3, SI
	DECQ CX
	JNZ  loop
	RET

// func paeth4AVX2(row, above *uint8, n int)
TEXT ·paeth4AVX2(SB), NOSPLIT, $0-24
	MOVQ  row+0(FP), DI
	MOVQ  above+8(FP), SI
	MOVQ  n+16(FP), CX
	VPXOR X15, X15, X15
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1

loop:
	PAETH
	MOVL AX, (DI)
	ADDQ $4, DI
	ADDQ $4, SI
	DECQ CX
	JNZ  loop
	RET
