#include "textflag.h"
#include "avx2_amd64.h"

// func geluTanhAVX2(y, x []float32)
TEXT ·geluTanhAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXPREGS
	VMOVUPS cOne, Y11
	VMOVUPS cTanhGelu0, Y10
	VMOVUPS cTanhGelu1, Y9
	// Y1 = -2u = -x * (Gelu1 x^2 + Gelu0); y = x / (1 + e^-2u)
#define GELUTANHBODY \
	VMULPS Y0, Y0, Y1; \
	VFMADD213PS Y10, Y9, Y1; \
	VMULPS Y0, Y1, Y1; \
	VXORPS cSign, Y1, Y1; \
	EXP(Y1, Y2, Y3); \
	VADDPS Y11, Y1, Y1; \
	VDIVPS Y1, Y0, Y0
	MAP1(GELUTANHBODY)

// func geluTanhGradAVX2(dx, dy, x []float32)
TEXT ·geluTanhGradAVX2(SB), NOSPLIT, $0-72
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ x_base+48(FP), R8
	EXPREGS
	VMOVUPS cOne, Y11
	VMOVUPS cTanhGelu0, Y10
	// Y1 = x in [-16, 16], Y4 = x^2, Y5 = e = e^min(-2u, 80), Y2 = s; slope = s + x * 2u' * e s^2
#define GELUTANHGRADBODY \
	VMOVUPS cSlopeMin, Y2; \
	VMOVUPS cSlopeMax, Y3; \
	VMAXPS Y1, Y2, Y1; \
	VMINPS Y1, Y3, Y1; \
	VMULPS Y1, Y1, Y4; \
	VMOVUPS cTanhGelu1, Y5; \
	VFMADD213PS Y10, Y4, Y5; \
	VMULPS Y1, Y5, Y5; \
	VXORPS cSign, Y5, Y5; \
	VMOVUPS cEMax, Y3; \
	VMINPS Y5, Y3, Y5; \
	EXP(Y5, Y2, Y3); \
	VADDPS Y11, Y5, Y2; \
	VDIVPS Y2, Y11, Y2; \
	VMULPS Y2, Y5, Y5; \
	VMULPS Y2, Y5, Y5; \
	VMOVUPS cTanhGelu3, Y3; \
	VFMADD213PS Y10, Y4, Y3; \
	VMULPS Y1, Y3, Y3; \
	VFMADD231PS Y3, Y5, Y2; \
	VMULPS Y2, Y0, Y0
	MAP2(GELUTANHGRADBODY)
