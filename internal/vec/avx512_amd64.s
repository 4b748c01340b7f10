#include "textflag.h"
#include "avx2_amd64.h"

// The functions built on exp, sixteen lanes at a time. Constants are broadcast from their first lane.

// LOOP16 runs BODY (Z0 to Z0) over CX floats from SI to DI, the tail under mask K1, and returns.
#define LOOP16(BODY) \
loop: \
	CMPQ CX, $16; \
	JLT tail; \
	VMOVUPS (SI), Z0; \
	BODY; \
	VMOVUPS Z0, (DI); \
	ADDQ $64, SI; \
	ADDQ $64, DI; \
	SUBQ $16, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK16; \
	VMOVUPS.Z (SI), K1, Z0; \
	BODY; \
	VMOVUPS Z0, K1, (DI); \
done: \
	VZEROUPPER; \
	RET

// MASK16 sets K1 to the first CX lanes, 0 < CX < 16. It uses AX.
#define MASK16 \
	MOVL $1, AX; \
	SHLL CX, AX; \
	DECL AX; \
	KMOVW AX, K1

#define EXP16REGS \
	VBROADCASTSS cExpMax, Z15; \
	VBROADCASTSS cExpMin, Z14; \
	VBROADCASTSS cLog2e, Z13; \
	VBROADCASTSS cOne, Z12; \
	VBROADCASTSS cExpP4, Z16; \
	VBROADCASTSS cExpP3, Z17; \
	VBROADCASTSS cExpP2, Z18; \
	VBROADCASTSS cExpP1, Z19; \
	VBROADCASTSS cExpP0, Z20; \
	VBROADCASTSS cLn2Hi, Z21; \
	VBROADCASTSS cLn2Lo, Z22

// EXP16 is X = e^X over the whole range, with temporaries A, B; VSCALEFPS multiplies by 2^n and rounds once.
#define EXP16(X, A, B) \
	VMAXPS X, Z14, X; \
	VMINPS X, Z15, X; \
	VMULPS Z13, X, A; \
	VRNDSCALEPS $8, A, A; \
	VFNMADD231PS Z21, A, X; \
	VFNMADD231PS Z22, A, X; \
	VMOVAPS Z16, B; \
	VFMADD213PS Z17, X, B; \
	VFMADD213PS Z18, X, B; \
	VFMADD213PS Z19, X, B; \
	VFMADD213PS Z20, X, B; \
	VFMADD213PS Z12, X, B; \
	VFMADD213PS Z12, X, B; \
	VSCALEFPS A, B, X

// func expAVX512(y, x []float32)
TEXT ·expAVX512(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXP16REGS
#define EXP16BODY EXP16(Z0, Z2, Z3)
	LOOP16(EXP16BODY)

// func expSumAVX512(y, x []float32, max float32) float32
TEXT ·expSumAVX512(SB), NOSPLIT, $0-60
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VBROADCASTSS max+48(FP), Z11
	VBROADCASTSS cSumMin, Z23
	VPXORD Z10, Z10, Z10 // the sixteen sums
	EXP16REGS
loop:
	CMPQ CX, $16
	JLT tail
	VMOVUPS (SI), Z0
	VSUBPS Z11, Z0, Z0
	VCMPPS $5, Z23, Z0, K2 // not less, true for NaN
	EXP16(Z0, Z2, Z3)
	VMOVAPS.Z Z0, K2, Z0
	VADDPS Z0, Z10, Z10
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK16
	VMOVUPS.Z (SI), K1, Z0
	VSUBPS Z11, Z0, Z0
	VCMPPS $5, Z23, Z0, K2 // not less, true for NaN
	EXP16(Z0, Z2, Z3)
	VMOVAPS.Z Z0, K2, Z0
	VMOVUPS Z0, K1, (DI)
	VADDPS Z0, Z10, K1, Z10
done:
	VEXTRACTF64X4 $1, Z10, Y0
	VADDPS Y0, Y10, Y10
	HSUM(Y10, X10, X0)
	VMOVSS X10, ret+56(FP)
	VZEROUPPER
	RET

// func geluTanhAVX512(y, x []float32)
TEXT ·geluTanhAVX512(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXP16REGS
	VBROADCASTSS cTanhGelu0, Z10
	VBROADCASTSS cTanhGelu1, Z9
	VBROADCASTSS cSign, Z11
	VBROADCASTSS cLowest, Z23
	// as GELUTANHBODY
#define GELUTANH16BODY \
	VMAXPS Z0, Z23, Z0; \
	VMULPS Z0, Z0, Z1; \
	VFMADD213PS Z10, Z9, Z1; \
	VMULPS Z0, Z1, Z1; \
	VPXORD Z11, Z1, Z1; \
	EXP16(Z1, Z2, Z3); \
	VADDPS Z12, Z1, Z1; \
	VDIVPS Z1, Z0, Z0
	LOOP16(GELUTANH16BODY)

// func geluTanhGradAVX512(dx, dy, x []float32)
TEXT ·geluTanhGradAVX512(SB), NOSPLIT, $0-72
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ x_base+48(FP), R8
	EXP16REGS
	VBROADCASTSS cTanhGelu0, Z10
	VBROADCASTSS cTanhGelu1, Z9
	VBROADCASTSS cTanhGelu3, Z8
	VBROADCASTSS cSign, Z11
	VBROADCASTSS cSlopeMin, Z23
	VBROADCASTSS cSlopeMax, Z24
	VBROADCASTSS cEMax, Z25
	// as GELUTANHGRADBODY
#define GELUTANHGRAD16BODY \
	VMAXPS Z1, Z23, Z1; \
	VMINPS Z1, Z24, Z1; \
	VMULPS Z1, Z1, Z4; \
	VMOVAPS Z9, Z5; \
	VFMADD213PS Z10, Z4, Z5; \
	VMULPS Z1, Z5, Z5; \
	VPXORD Z11, Z5, Z5; \
	VMINPS Z5, Z25, Z5; \
	EXP16(Z5, Z2, Z3); \
	VADDPS Z12, Z5, Z2; \
	VDIVPS Z2, Z12, Z2; \
	VMULPS Z2, Z5, Z5; \
	VMULPS Z2, Z5, Z5; \
	VMOVAPS Z8, Z3; \
	VFMADD213PS Z10, Z4, Z3; \
	VMULPS Z1, Z3, Z3; \
	VFMADD231PS Z3, Z5, Z2; \
	VMULPS Z2, Z0, Z0
loop:
	CMPQ CX, $16
	JLT tail
	VMOVUPS (SI), Z0
	VMOVUPS (R8), Z1
	GELUTANHGRAD16BODY
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, R8
	ADDQ $64, DI
	SUBQ $16, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK16
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (R8), K1, Z1
	GELUTANHGRAD16BODY
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET
