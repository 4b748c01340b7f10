// Macros shared by the assembly files.

#define CONSTANT(off) ·vecConst+off(SB)
#include "const.h"

// MASK sets Y8 to the first CX lanes, 0 < CX < 8. It uses AX, BX.
#define MASK \
	LEAQ ·vecMask(SB), AX; \
	MOVQ $8, BX; \
	SUBQ CX, BX; \
	VMOVDQU (AX)(BX*4), Y8

// MAP1 runs BODY (Y0 to Y0) over CX floats from SI to DI and returns; the tail runs the same BODY on masked lanes.
#define MAP1(BODY) \
loop: \
	CMPQ CX, $8; \
	JLT tail; \
	VMOVUPS (SI), Y0; \
	BODY; \
	VMOVUPS Y0, (DI); \
	ADDQ $32, SI; \
	ADDQ $32, DI; \
	SUBQ $8, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK; \
	VMASKMOVPS (SI), Y8, Y0; \
	BODY; \
	VMASKMOVPS Y0, Y8, (DI); \
done: \
	VZEROUPPER; \
	RET

// MAP2 runs BODY (Y0, Y1 to Y0) over CX floats from SI and R8 to DI and returns.
#define MAP2(BODY) \
loop: \
	CMPQ CX, $8; \
	JLT tail; \
	VMOVUPS (SI), Y0; \
	VMOVUPS (R8), Y1; \
	BODY; \
	VMOVUPS Y0, (DI); \
	ADDQ $32, SI; \
	ADDQ $32, R8; \
	ADDQ $32, DI; \
	SUBQ $8, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK; \
	VMASKMOVPS (SI), Y8, Y0; \
	VMASKMOVPS (R8), Y8, Y1; \
	BODY; \
	VMASKMOVPS Y0, Y8, (DI); \
done: \
	VZEROUPPER; \
	RET

// EXPREGS loads the registers that EXP expects: Y15, Y14 limits, Y13 log2(e), Y12 rounder.
#define EXPREGS \
	VMOVUPS cExpMax, Y15; \
	VMOVUPS cExpMin, Y14; \
	VMOVUPS cLog2e, Y13; \
	VMOVUPS cRounder, Y12

// EXPFASTREGS is EXPREGS for EXPFAST.
#define EXPFASTREGS \
	VMOVUPS cExpMax, Y15; \
	VMOVUPS cExpFastMin, Y14; \
	VMOVUPS cLog2e, Y13; \
	VMOVUPS cRounder, Y12

// EXPPOLY takes X to B = e^r and leaves n + 1.5*2^23 in A (see exp_go.go). In MIN and MAX the limit is the first
// operand, so that NaN passes.
#define EXPPOLY(X, A, B) \
	VMAXPS X, Y14, X; \
	VMINPS X, Y15, X; \
	VMOVAPS Y12, A; \
	VFMADD231PS Y13, X, A; \
	VSUBPS Y12, A, B; \
	VFNMADD231PS cLn2Hi, B, X; \
	VFNMADD231PS cLn2Lo, B, X; \
	VMOVUPS cExpP4, B; \
	VFMADD213PS cExpP3, X, B; \
	VFMADD213PS cExpP2, X, B; \
	VFMADD213PS cExpP1, X, B; \
	VFMADD213PS cExpP0, X, B; \
	VFMADD213PS cOne, X, B; \
	VFMADD213PS cOne, X, B

// EXP is X = e^X over the whole range, with temporaries A, B. It multiplies by 2^n in two halves.
#define EXP(X, A, B) \
	EXPPOLY(X, A, B); \
	VPSUBD Y12, A, A; \
	VPSRAD $1, A, X; \
	VPSUBD X, A, A; \
	VPADDD cInt127, X, X; \
	VPADDD cInt127, A, A; \
	VPSLLD $23, X, X; \
	VPSLLD $23, A, A; \
	VMULPS X, B, B; \
	VMULPS A, B, X

// EXPFAST is EXP for n in [-126, 127]; n = -127 makes the factor and the result 0, n = 128 makes both +Inf.
#define EXPFAST(X, A, B) \
	EXPPOLY(X, A, B); \
	VPSLLD $23, A, A; \
	VPADDD cOne, A, A; \
	VMULPS A, B, X

// HSUM adds the eight lanes of Y into the low lane of X, the same register, in one fixed order; XT is a temporary.
#define HSUM(Y, X, XT) \
	VEXTRACTF128 $1, Y, XT; \
	VADDPS XT, X, X; \
	VMOVHLPS X, X, XT; \
	VADDPS XT, X, X; \
	VMOVSHDUP X, XT; \
	VADDSS XT, X, X
