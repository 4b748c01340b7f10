#include "textflag.h"
#include "neon_arm64.h"

// Eight numbers at a time, then one at a time by the same instructions.

// EIGHTS runs WHOLE for eight numbers and ONE for one, from R1 to R0, R2 in all, and returns.
#define EIGHTS(WHOLE, ONE) \
	SUBS $8, R2; \
	BLT  tail; \
loop: \
	WHOLE; \
	SUBS $8, R2; \
	BGE  loop; \
tail: \
	ADDS $8, R2; \
	BEQ  done; \
one: \
	ONE; \
	SUBS $1, R2; \
	BNE  one; \
done: \
	RET

#define ARGS2 MOVD y_base+0(FP), R0; MOVD y_len+8(FP), R2; MOVD x_base+24(FP), R1

#define LOADHALF MOVHU.P 2(R1), R3; FMOVS R3, F0

// func f32FromF16NEON(y []float32, x []uint16)
TEXT ·f32FromF16NEON(SB), NOSPLIT, $0-48
	ARGS2
#define WIDEN8 \
	FMOVQ.P 16(R1), F0; \
	FCVTL4S(0, 1); \
	FCVTL4S2(0, 2); \
	FSTPQ.P (F1, F2), 32(R0)
#define WIDEN1 LOADHALF; FCVTL4S(0, 1); FMOVS.P F1, 4(R0)
	EIGHTS(WIDEN8, WIDEN1)

// func f32FromBF16NEON(y []float32, x []uint16)
TEXT ·f32FromBF16NEON(SB), NOSPLIT, $0-48
	ARGS2
	ZERO(V3)
#define BRAINWIDEN8 \
	FMOVQ.P 16(R1), F0; \
	VZIP1 V0.H8, V3.H8, V1.H8; \
	VZIP2 V0.H8, V3.H8, V2.H8; \
	FSTPQ.P (F1, F2), 32(R0)
#define BRAINWIDEN1 LOADHALF; VZIP1 V0.H8, V3.H8, V1.H8; FMOVS.P F1, 4(R0)
	EIGHTS(BRAINWIDEN8, BRAINWIDEN1)

#define STOREHALF(F) FMOVS F, R3; MOVH.P R3, 2(R0)

// func f16FromF32NEON(y []uint16, x []float32)
TEXT ·f16FromF32NEON(SB), NOSPLIT, $0-48
	ARGS2
#define NARROW8 \
	FLDPQ.P 32(R1), (F0, F1); \
	FCVTN4H(0, 2); \
	FCVTN8H(1, 2); \
	FMOVQ.P F2, 16(R0)
#define NARROW1 FMOVS.P 4(R1), F0; FCVTN4H(0, 2); STOREHALF(F2)
	EIGHTS(NARROW8, NARROW1)

// BRAIN prepares the floats of X so that the upper half of X + R is the bfloat16: R = 0x7fff + the last kept bit, or, for
// NaN, X gets the quiet bit and R is 0. It wants V16 = 1, V17 = 0x7fff, V18 = the quiet bit.
#define BRAIN(X, R, N) \
	FCMEQ4S(X, X, N); \
	USHR4S(16, X, R); \
	AND16B(16, R, R); \
	ADD4S(17, R, R); \
	AND16B(N, R, R); \
	BIC16B(N, 18, N); \
	ORR16B(N, X, X)

// func bf16FromF32NEON(y []uint16, x []float32)
TEXT ·bf16FromF32NEON(SB), NOSPLIT, $0-48
	ARGS2
	CONSTS
	CONST(cIntOne, 16)
	CONST(cBF16Bias, 17)
	CONST(cBF16Quiet, 18)
	SHL4S(16, 18, 18)
#define BRAIN8 \
	FLDPQ.P 32(R1), (F0, F1); \
	BRAIN(0, 2, 3); \
	BRAIN(1, 4, 5); \
	ADDHN4H(2, 0, 6); \
	ADDHN8H(4, 1, 6); \
	FMOVQ.P F6, 16(R0)
#define BRAIN1 FMOVS.P 4(R1), F0; BRAIN(0, 2, 3); ADDHN4H(2, 0, 6); STOREHALF(F6)
	EIGHTS(BRAIN8, BRAIN1)
