#include "textflag.h"
#include "neon_arm64.h"

// func geluTanhNEON(y, x []float32)
TEXT ·geluTanhNEON(SB), NOSPLIT, $0-48
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	EXPFASTREGS
	CONST(cLowest, 16)
	CONST(cTanhGelu1, 17)
	// V5 = -2u = -x * (Gelu1 x^2 + Gelu0); y = x / (1 + e^-2u)
#define GELUTANHBODY \
	FMAX4S(16, 0, 0); \
	FMUL4S(0, 0, 1); \
	HORNER(cTanhGelu0, 17, 1, 5); \
	FMUL4S(0, 5, 5); \
	FNEG4S(5, 5); \
	EXPFAST(5, 2, 3, 4); \
	FADD4S(31, 5, 5); \
	FDIV4S(5, 0, 0)
	MAP1(GELUTANHBODY)

// func geluTanhGradNEON(dx, dy, x []float32)
TEXT ·geluTanhGradNEON(SB), NOSPLIT, $0-72
	MOVD dx_base+0(FP), R0
	MOVD dx_len+8(FP), R2
	MOVD dy_base+24(FP), R1
	MOVD x_base+48(FP), R3
	EXPFASTREGS
	CONST(cSlopeMin, 16)
	CONST(cSlopeMax, 17)
	CONST(cTanhGelu1, 18)
	CONST(cTanhGelu3, 19)
	CONST(cEMax, 20)
	// V1 = x in [-16, 16], V6 = x^2, V5 = e = e^min(-2u, 80), V2 = s; slope = s + x * 2u' * e s^2
#define GELUTANHGRADBODY \
	FMAX4S(16, 1, 1); \
	FMIN4S(17, 1, 1); \
	FMUL4S(1, 1, 6); \
	HORNER(cTanhGelu0, 18, 6, 5); \
	FMUL4S(1, 5, 5); \
	FNEG4S(5, 5); \
	FMIN4S(20, 5, 5); \
	EXPFAST(5, 2, 3, 4); \
	FADD4S(31, 5, 2); \
	FDIV4S(2, 31, 2); \
	FMUL4S(2, 5, 5); \
	FMUL4S(2, 5, 5); \
	HORNER(cTanhGelu0, 19, 6, 3); \
	FMUL4S(1, 3, 3); \
	FMLA4S(3, 5, 2); \
	FMUL4S(2, 0, 0)
	MAP2(GELUTANHGRADBODY)

// TAIL takes x in X; it sets A = min(|x|, 15), E = e^(-a^2/2), P = Phi(-a); K, S, T are temporaries (see act_go.go).
// It wants EXPFASTREGS and TAILREGS.
#define TAILREGS \
	CONST(cTailMax, 16); \
	CONST(cNegHalf, 17); \
	CONST(cTailK, 18); \
	CONST(cTailC, 19)

#define TAIL(X, A, E, P, K, S, T) \
	FABS4S(X, A); \
	FMIN4S(16, A, A); \
	FMUL4S(A, A, E); \
	FMUL4S(17, E, E); \
	EXPFAST(E, K, S, T); \
	HORNER(cOne, A, 18, K); \
	FDIV4S(K, 31, K); \
	FSUB4S(19, K, S); \
	CONST(cTail7, P); \
	HORNER(cTail6, S, P, T); \
	HORNER(cTail5, S, T, P); \
	HORNER(cTail4, S, P, T); \
	HORNER(cTail3, S, T, P); \
	HORNER(cTail2, S, P, T); \
	HORNER(cTail1, S, T, P); \
	HORNER(cTail0, S, P, T); \
	FMUL4S(K, T, P); \
	FMUL4S(E, P, P)

// func geluNEON(y, x []float32)
TEXT ·geluNEON(SB), NOSPLIT, $0-48
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	EXPFASTREGS
	TAILREGS
	ZERO(V20)
	// max(x, 0) - a * Phi(-a)
#define GELUBODY \
	TAIL(0, 1, 2, 3, 4, 5, 6); \
	FMAX4S(20, 0, 0); \
	FMLS4S(1, 3, 0)
	MAP1(GELUBODY)

// func geluGradNEON(dx, dy, x []float32)
TEXT ·geluGradNEON(SB), NOSPLIT, $0-72
	MOVD dx_base+0(FP), R0
	MOVD dx_len+8(FP), R2
	MOVD dy_base+24(FP), R1
	MOVD x_base+48(FP), R3
	EXPFASTREGS
	TAILREGS
	CONST(cInvSqrt2Pi, 20)
	// V2 = a*phi(a), V3 = Phi(-a); slope = Phi(-a) - a*phi(a), one minus that where the sign of x is clear
#define GELUGRADBODY \
	TAIL(1, 7, 2, 3, 4, 5, 6); \
	FMUL4S(7, 2, 2); \
	FMLS4S(20, 2, 3); \
	FSUB4S(3, 31, 2); \
	SSHR4S(31, 1, 1); \
	BSL16B(2, 3, 1); \
	FMUL4S(1, 0, 0)
	MAP2(GELUGRADBODY)

// func reluNEON(y, x []float32)
TEXT ·reluNEON(SB), NOSPLIT, $0-48
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	ZERO(V16)
	// NaN stays NaN, and of two zeros the greater is +0
#define RELUBODY FMAX4S(16, 0, 0)
	MAP1(RELUBODY)

// func reluGradNEON(dx, dy, x []float32)
TEXT ·reluGradNEON(SB), NOSPLIT, $0-72
	MOVD dx_base+0(FP), R0
	MOVD dx_len+8(FP), R2
	MOVD dy_base+24(FP), R1
	MOVD x_base+48(FP), R3
	ZERO(V16)
	// x > 0, false for NaN
#define RELUGRADBODY FCMGT4S(16, 1, 1); AND16B(1, 0, 0)
	MAP2(RELUGRADBODY)

// SILU is X = x/(1 + e^-x); D, A, B, T are temporaries. It wants EXPFASTREGS and SILUREGS.
#define SILUREGS \
	CONST(cLowest, 16); \
	CONST(cEMin, 17); \
	CONST(cEMax, 18)

#define SILU(X, D, A, B, T) \
	FMAX4S(16, X, X); \
	FNEG4S(X, D); \
	EXPFAST(D, A, B, T); \
	FADD4S(31, D, D); \
	FDIV4S(D, X, X)

// SILUSLOPE is S = s + x * e^-x * s^2 with x in [-80, 80]; E, A, B are temporaries, and X is lost. Registers as in SILU.
#define SILUSLOPE(X, S, E, A, B) \
	FMAX4S(17, X, X); \
	FMIN4S(18, X, X); \
	FNEG4S(X, E); \
	EXPFAST(E, A, B, S); \
	FADD4S(31, E, S); \
	FDIV4S(S, 31, S); \
	FMUL4S(S, E, E); \
	FMUL4S(S, E, E); \
	FMLA4S(E, X, S)

// func siluNEON(y, x []float32)
TEXT ·siluNEON(SB), NOSPLIT, $0-48
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	EXPFASTREGS
	SILUREGS
#define SILUBODY SILU(0, 1, 2, 3, 4)
	MAP1(SILUBODY)

// func siluGradNEON(dx, dy, x []float32)
TEXT ·siluGradNEON(SB), NOSPLIT, $0-72
	MOVD dx_base+0(FP), R0
	MOVD dx_len+8(FP), R2
	MOVD dy_base+24(FP), R1
	MOVD x_base+48(FP), R3
	EXPFASTREGS
	SILUREGS
#define SILUGRADBODY SILUSLOPE(1, 2, 3, 4, 5); FMUL4S(2, 0, 0)
	MAP2(SILUGRADBODY)

// func swiGLUNEON(y, gate, up []float32)
TEXT ·swiGLUNEON(SB), NOSPLIT, $0-72
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD gate_base+24(FP), R1
	MOVD up_base+48(FP), R3
	EXPFASTREGS
	SILUREGS
#define SWIGLUBODY SILU(0, 2, 3, 4, 5); FMUL4S(1, 0, 0)
	MAP2(SWIGLUBODY)

// func swiGLUGradNEON(dgate, dup, dy, gate, up []float32)
TEXT ·swiGLUGradNEON(SB), NOSPLIT, $0-120
	MOVD dgate_base+0(FP), R0
	MOVD dgate_len+8(FP), R2
	MOVD dup_base+24(FP), R5
	MOVD dy_base+48(FP), R1
	MOVD gate_base+72(FP), R3
	MOVD up_base+96(FP), R4
	EXPFASTREGS
	SILUREGS
	// V0 = dy, V1 and V3 = gate, V2 = up; leaves dup in V3 and dgate in V4
#define SWIGLUGRADSTEP(MOVE, size, none) \
	MOVE.P size(R1), F0; \
	MOVE.P size(R3), F1; \
	MOVE.P size(R4), F2; \
	ORR16B(1, 1, 3); \
	SILU(3, 4, 5, 6, 7); \
	FMUL4S(3, 0, 3); \
	SILUSLOPE(1, 4, 5, 6, 7); \
	FMUL4S(2, 0, 0); \
	FMUL4S(4, 0, 4); \
	MOVE.P F4, size(R0); \
	MOVE.P F3, size(R5)
	EACH(SWIGLUGRADSTEP, )
	RET
