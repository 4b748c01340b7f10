#include "textflag.h"
#include "avx2_amd64.h"

// func expAVX2(y, x []float32)
TEXT ·expAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXPREGS
#define EXPBODY EXP(Y0, Y2, Y3)
	MAP1(EXPBODY)

// func sigmoidAVX2(y, x []float32)
TEXT ·sigmoidAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXPFASTREGS
	VMOVUPS cOne, Y11
	VMOVUPS cSign, Y10
#define SIGMOIDBODY VXORPS Y10, Y0, Y0; EXPFAST(Y0, Y2, Y3); VADDPS Y11, Y0, Y0; VDIVPS Y0, Y11, Y0
	MAP1(SIGMOIDBODY)

// func expSumAVX2(y, x []float32, max float32) float32
TEXT ·expSumAVX2(SB), NOSPLIT, $0-60
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VBROADCASTSS max+48(FP), Y11
	VXORPS Y10, Y10, Y10 // the eight sums
	EXPFASTREGS
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VSUBPS Y11, Y0, Y0
	VCMPPS $5, cSumMin, Y0, Y4 // not less, true for NaN
	EXPFAST(Y0, Y2, Y3)
	VANDPS Y4, Y0, Y0
	VADDPS Y0, Y10, Y10
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VSUBPS Y11, Y0, Y0
	VCMPPS $5, cSumMin, Y0, Y4 // not less, true for NaN
	EXPFAST(Y0, Y2, Y3)
	VANDPS Y4, Y0, Y0
	VMASKMOVPS Y0, Y8, (DI)
	VANDPS Y8, Y0, Y0
	VADDPS Y0, Y10, Y10
done:
	HSUM(Y10, X10, X0)
	VMOVSS X10, ret+56(FP)
	VZEROUPPER
	RET

// func softmaxGradScaleAVX2(dx, dy, y []float32, s float32)
//
// dx = y * (dy - s)
TEXT ·softmaxGradScaleAVX2(SB), NOSPLIT, $0-76
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ y_base+48(FP), R8
	VBROADCASTSS s+72(FP), Y9
#define SOFTMAXGRADBODY VSUBPS Y9, Y0, Y0; VMULPS Y1, Y0, Y0
	MAP2(SOFTMAXGRADBODY)

// func tanhAVX2(y, x []float32)
TEXT ·tanhAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VMOVUPS cTanhMax, Y15
	VMOVUPS cTanhMin, Y14
	VMOVUPS cOne, Y13
	// Y1 = x^2, Y2 = P, Y3 = Q, Y4 the lanes with |x| >= tanhMax, Y5 = 1 with the sign of x
#define TANHBODY \
	VMAXPS Y0, Y14, Y0; \
	VMINPS Y0, Y15, Y0; \
	VANDPS cAbs, Y0, Y4; \
	VCMPPS $13, Y15, Y4, Y4; \
	VANDPS cSign, Y0, Y5; \
	VORPS Y13, Y5, Y5; \
	VMULPS Y0, Y0, Y1; \
	VMOVUPS cTanhA6, Y2; \
	VMOVUPS cTanhB3, Y3; \
	VFMADD213PS cTanhA5, Y1, Y2; \
	VFMADD213PS cTanhA4, Y1, Y2; \
	VFMADD213PS cTanhB2, Y1, Y3; \
	VFMADD213PS cTanhA3, Y1, Y2; \
	VFMADD213PS cTanhB1, Y1, Y3; \
	VFMADD213PS cTanhA2, Y1, Y2; \
	VFMADD213PS cTanhB0, Y1, Y3; \
	VFMADD213PS cTanhA1, Y1, Y2; \
	VFMADD213PS cTanhA0, Y1, Y2; \
	VDIVPS Y3, Y2, Y2; \
	VMINPS Y2, Y13, Y2; \
	VMULPS Y2, Y0, Y0; \
	VBLENDVPS Y4, Y5, Y0, Y0
	MAP1(TANHBODY)
