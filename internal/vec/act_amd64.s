#include "textflag.h"
#include "avx2_amd64.h"

// func geluTanhAVX2(y, x []float32)
TEXT ·geluTanhAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXPFASTREGS
	VMOVUPS cOne, Y11
	VMOVUPS cTanhGelu0, Y10
	VMOVUPS cTanhGelu1, Y9
	// Y1 = -2u = -x * (Gelu1 x^2 + Gelu0); y = x / (1 + e^-2u)
#define GELUTANHBODY \
	VMOVUPS cLowest, Y1; \
	VMAXPS Y0, Y1, Y0; \
	VMULPS Y0, Y0, Y1; \
	VFMADD213PS Y10, Y9, Y1; \
	VMULPS Y0, Y1, Y1; \
	VXORPS cSign, Y1, Y1; \
	EXPFAST(Y1, Y2, Y3); \
	VADDPS Y11, Y1, Y1; \
	VDIVPS Y1, Y0, Y0
	MAP1(GELUTANHBODY)

// func geluTanhGradAVX2(dx, dy, x []float32)
TEXT ·geluTanhGradAVX2(SB), NOSPLIT, $0-72
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ x_base+48(FP), R8
	EXPFASTREGS
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
	EXPFAST(Y5, Y2, Y3); \
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

// TAIL takes x in X; it sets A = min(|x|, 15), E = e^(-a^2/2), P = Phi(-a); K and T are temporaries (see act_go.go).
// It wants cOne in Y11 and EXPFASTREGS.
#define TAIL(X, A, E, P, K, T) \
	VANDPS cAbs, X, A; \
	VMOVUPS cTailMax, T; \
	VMINPS A, T, A; \
	VMULPS A, A, E; \
	VMULPS cNegHalf, E, E; \
	EXPFAST(E, K, T); \
	VMOVUPS cTailK, K; \
	VFMADD213PS Y11, A, K; \
	VDIVPS K, Y11, K; \
	VSUBPS cTailC, K, T; \
	VMOVUPS cTail7, P; \
	VFMADD213PS cTail6, T, P; \
	VFMADD213PS cTail5, T, P; \
	VFMADD213PS cTail4, T, P; \
	VFMADD213PS cTail3, T, P; \
	VFMADD213PS cTail2, T, P; \
	VFMADD213PS cTail1, T, P; \
	VFMADD213PS cTail0, T, P; \
	VMULPS K, P, P; \
	VMULPS E, P, P

// func geluAVX2(y, x []float32)
TEXT ·geluAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXPFASTREGS
	VMOVUPS cOne, Y11
	VXORPS Y10, Y10, Y10
	// max(x, 0) - a * Phi(-a)
#define GELUBODY \
	TAIL(Y0, Y1, Y2, Y3, Y4, Y5); \
	VMAXPS Y0, Y10, Y0; \
	VFNMADD231PS Y1, Y3, Y0
	MAP1(GELUBODY)

// func geluGradAVX2(dx, dy, x []float32)
TEXT ·geluGradAVX2(SB), NOSPLIT, $0-72
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ x_base+48(FP), R8
	EXPFASTREGS
	VMOVUPS cOne, Y11
	// Y2 = a*phi(a), Y3 = Phi(-a); slope = Phi(-a) - a*phi(a), one minus that where the sign of x is clear
#define GELUGRADBODY \
	TAIL(Y1, Y7, Y2, Y3, Y4, Y5); \
	VMULPS Y7, Y2, Y2; \
	VFNMADD231PS cInvSqrt2Pi, Y2, Y3; \
	VSUBPS Y3, Y11, Y2; \
	VBLENDVPS Y1, Y3, Y2, Y2; \
	VMULPS Y2, Y0, Y0
	MAP2(GELUGRADBODY)

// func reluAVX2(y, x []float32)
TEXT ·reluAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VXORPS Y10, Y10, Y10
	// the comparison is "not x <= 0", true for NaN
#define RELUBODY VCMPPS $6, Y10, Y0, Y1; VANDPS Y1, Y0, Y0
	MAP1(RELUBODY)

// func reluGradAVX2(dx, dy, x []float32)
TEXT ·reluGradAVX2(SB), NOSPLIT, $0-72
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ x_base+48(FP), R8
	VXORPS Y10, Y10, Y10
	// 0 < x, false for NaN
#define RELUGRADBODY VCMPPS $1, Y1, Y10, Y1; VANDPS Y1, Y0, Y0
	MAP2(RELUGRADBODY)

// SILU is X = x/(1 + e^-x); D, A, B are temporaries. It wants cOne in Y11, cSign in Y10 and EXPFASTREGS.
#define SILU(X, D, A, B) \
	VMOVUPS cLowest, D; \
	VMAXPS X, D, X; \
	VXORPS Y10, X, D; \
	EXPFAST(D, A, B); \
	VADDPS Y11, D, D; \
	VDIVPS D, X, X

// SILUSLOPE is X = s + x * e^-x * s^2 with x in [-80, 80]; E, A, B are temporaries. Registers as in SILU.
#define SILUSLOPE(X, E, A, B) \
	VMOVUPS cEMin, A; \
	VMOVUPS cEMax, B; \
	VMAXPS X, A, X; \
	VMINPS X, B, X; \
	VXORPS Y10, X, E; \
	EXPFAST(E, A, B); \
	VADDPS Y11, E, A; \
	VDIVPS A, Y11, A; \
	VMULPS A, E, E; \
	VMULPS A, E, E; \
	VFMADD213PS A, E, X

// func siluAVX2(y, x []float32)
TEXT ·siluAVX2(SB), NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	EXPFASTREGS
	VMOVUPS cOne, Y11
	VMOVUPS cSign, Y10
#define SILUBODY SILU(Y0, Y1, Y2, Y3)
	MAP1(SILUBODY)

// func siluGradAVX2(dx, dy, x []float32)
TEXT ·siluGradAVX2(SB), NOSPLIT, $0-72
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ x_base+48(FP), R8
	EXPFASTREGS
	VMOVUPS cOne, Y11
	VMOVUPS cSign, Y10
#define SILUGRADBODY SILUSLOPE(Y1, Y2, Y3, Y4); VMULPS Y1, Y0, Y0
	MAP2(SILUGRADBODY)

// func swiGLUAVX2(y, gate, up []float32)
TEXT ·swiGLUAVX2(SB), NOSPLIT, $0-72
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ gate_base+24(FP), SI
	MOVQ up_base+48(FP), R8
	EXPFASTREGS
	VMOVUPS cOne, Y11
	VMOVUPS cSign, Y10
#define SWIGLUBODY SILU(Y0, Y2, Y3, Y4); VMULPS Y1, Y0, Y0
	MAP2(SWIGLUBODY)

// func swiGLUGradAVX2(dgate, dup, dy, gate, up []float32)
TEXT ·swiGLUGradAVX2(SB), NOSPLIT, $0-120
	MOVQ dgate_base+0(FP), DI
	MOVQ dgate_len+8(FP), CX
	MOVQ dup_base+24(FP), R9
	MOVQ dy_base+48(FP), SI
	MOVQ gate_base+72(FP), R8
	MOVQ up_base+96(FP), R10
	EXPFASTREGS
	VMOVUPS cOne, Y11
	VMOVUPS cSign, Y10
	// Y0 = dy, Y1 = gate, Y2 = up; leaves dgate in Y1 and dup in Y3
#define SWIGLUGRADBODY \
	VMOVAPS Y1, Y3; \
	SILU(Y3, Y4, Y5, Y6); \
	VMULPS Y3, Y0, Y3; \
	SILUSLOPE(Y1, Y4, Y5, Y6); \
	VMULPS Y2, Y0, Y0; \
	VMULPS Y1, Y0, Y1
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VMOVUPS (R8), Y1
	VMOVUPS (R10), Y2
	SWIGLUGRADBODY
	VMOVUPS Y1, (DI)
	VMOVUPS Y3, (R9)
	ADDQ $32, SI
	ADDQ $32, R8
	ADDQ $32, R10
	ADDQ $32, DI
	ADDQ $32, R9
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VMASKMOVPS (R8), Y8, Y1
	VMASKMOVPS (R10), Y8, Y2
	SWIGLUGRADBODY
	VMASKMOVPS Y1, Y8, (DI)
	VMASKMOVPS Y3, Y8, (R9)
done:
	VZEROUPPER
	RET
