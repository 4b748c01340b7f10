#include "textflag.h"
#include "neon_arm64.h"

// func expNEON(y, x []float32)
TEXT ·expNEON(SB), NOSPLIT, $0-48
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	EXPREGS
#define EXPBODY EXP(0, 2, 3, 4)
	MAP1(EXPBODY)

// func sigmoidNEON(y, x []float32)
TEXT ·sigmoidNEON(SB), NOSPLIT, $0-48
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	EXPFASTREGS
#define SIGMOIDBODY FNEG4S(0, 0); EXPFAST(0, 2, 3, 4); FADD4S(31, 0, 0); FDIV4S(0, 31, 0)
	MAP1(SIGMOIDBODY)

// EXPLESS is X = e^(X - V16), 0 where the difference is less than V17.
#define EXPLESS(X, A, B, T, M) \
	FSUB4S(16, X, X); \
	FCMGT4S(X, 17, M); \
	EXPFAST(X, A, B, T); \
	BIC16B(M, X, X)

// func expSumNEON(y, x []float32, max float32) float32
TEXT ·expSumNEON(SB), NOSPLIT, $32-60
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	SCALAR(max+48(FP), V16)
	EXPFASTREGS
	CONST(cSumMin, 17)
	ZERO(V18) // the eight sums are in V18, V19
	ZERO(V19)
	SUBS $8, R2
	BLT  tail
loop:
	FLDPQ.P 32(R1), (F0, F1)
	EXPLESS(0, 2, 3, 4, 5)
	EXPLESS(1, 2, 3, 4, 5)
	FADD4S(0, 18, 18)
	FADD4S(1, 19, 19)
	FSTPQ.P (F0, F1), 32(R0)
	SUBS    $8, R2
	BGE     loop
tail:
	ADDS $8, R2
	BEQ  done
	PART(in, R1, x-32(SP), R6)
	FLDPQ (R6), (F0, F1)
	EXPLESS(0, 2, 3, 4, 5)
	EXPLESS(1, 2, 3, 4, 5)
	FSTPQ (F0, F1), (R6)
	COPY(out, R6, R0)
	MASK(F6, F7)
	AND16B(6, 0, 0)
	AND16B(7, 1, 1)
	FADD4S(0, 18, 18)
	FADD4S(1, 19, 19)
done:
	VMOV V18.B16, V0.B16
	VMOV V19.B16, V1.B16
	HSUM
	FMOVS F0, ret+56(FP)
	RET

// func softmaxGradScaleNEON(dx, dy, y []float32, s float32)
//
// dx = y * (dy - s)
TEXT ·softmaxGradScaleNEON(SB), NOSPLIT, $0-76
	MOVD dx_base+0(FP), R0
	MOVD dx_len+8(FP), R2
	MOVD dy_base+24(FP), R1
	MOVD y_base+48(FP), R3
	SCALAR(s+72(FP), V16)
#define SOFTMAXGRADBODY FSUB4S(16, 0, 0); FMUL4S(1, 0, 0)
	MAP2(SOFTMAXGRADBODY)

// func tanhNEON(y, x []float32)
TEXT ·tanhNEON(SB), NOSPLIT, $0-48
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	CONSTS
	CONST(cTanhMax, 16)
	CONST(cTanhMin, 17)
	CONST(cOne, 18)
	CONST(cSign, 19)
	// V1 = x^2, V2 or V3 = P, V4 or V5 = Q, V6 the lanes with |x| >= tanhMax, V7 = 1 with the sign of x
#define TANHBODY \
	FMAX4S(17, 0, 0); \
	FMIN4S(16, 0, 0); \
	FACGE4S(16, 0, 6); \
	AND16B(19, 0, 7); \
	ORR16B(18, 7, 7); \
	FMUL4S(0, 0, 1); \
	CONST(cTanhA6, 2); \
	CONST(cTanhB3, 4); \
	HORNER(cTanhA5, 1, 2, 3); \
	HORNER(cTanhA4, 1, 3, 2); \
	HORNER(cTanhB2, 1, 4, 5); \
	HORNER(cTanhA3, 1, 2, 3); \
	HORNER(cTanhB1, 1, 5, 4); \
	HORNER(cTanhA2, 1, 3, 2); \
	HORNER(cTanhB0, 1, 4, 5); \
	HORNER(cTanhA1, 1, 2, 3); \
	HORNER(cTanhA0, 1, 3, 2); \
	FDIV4S(5, 2, 2); \
	FMIN4S(18, 2, 2); \
	FMUL4S(2, 0, 0); \
	BIT16B(6, 7, 0)
	MAP1(TANHBODY)
