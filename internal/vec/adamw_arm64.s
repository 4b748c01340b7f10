#include "textflag.h"
#include "neon_arm64.h"

// ADAMW takes g in V0, m in V1, v in V2, p in V3 and leaves the new m, v, p in V1, V2, V5. A moment that is not less than
// its limit stays, NaN too.
#define ADAMW \
	FMUL4S(16, 0, 0); \
	FMUL4S(18, 1, 1); \
	FMLA4S(19, 0, 1); \
	FMUL4S(20, 2, 2); \
	FMUL4S(21, 0, 4); \
	FMLA4S(4, 0, 2); \
	FACGT4S(1, 25, 4); \
	BIC16B(4, 1, 1); \
	FACGT4S(2, 26, 4); \
	BIC16B(4, 2, 2); \
	FSQRT4S(2, 4); \
	ORR16B(24, 24, 5); \
	FMLA4S(4, 23, 5); \
	FMUL4S(22, 1, 0); \
	FDIV4S(5, 0, 5); \
	FNEG4S(5, 5); \
	FMLA4S(17, 3, 5)

// The zero in V6 goes to the gradient, or, where that must stay, to the place that p takes next.
#define ADAMWSTEP(MOVE, size, none) \
	MOVE.P size(R1), F0; \
	MOVE   (R3), F1; \
	MOVE   (R4), F2; \
	MOVE   (R0), F3; \
	ADAMW; \
	MOVE.P F6, size(R5); \
	MOVE.P F1, size(R3); \
	MOVE.P F2, size(R4); \
	MOVE.P F5, size(R0)

// func adamWNEON(p, g, m, v []float32, c adamWConsts)
TEXT ·adamWNEON(SB), NOSPLIT, $0-144
	MOVD p_base+0(FP), R0
	MOVD p_len+8(FP), R2
	MOVD g_base+24(FP), R1
	MOVD m_base+48(FP), R3
	MOVD v_base+72(FP), R4
	SCALAR(c_scale+96(FP), V16)
	SCALAR(c_decay+100(FP), V17)
	SCALAR(c_b1+104(FP), V18)
	SCALAR(c_c1+108(FP), V19)
	SCALAR(c_b2+112(FP), V20)
	SCALAR(c_c2+116(FP), V21)
	SCALAR(c_step+120(FP), V22)
	SCALAR(c_invBias+124(FP), V23)
	SCALAR(c_eps+128(FP), V24)
	SCALAR(c_mMin+136(FP), V25)
	SCALAR(c_vMin+140(FP), V26)
	ZERO(V6)
	MOVWU c_keep+132(FP), R10
	CMPW  $0, R10
	CSEL  EQ, R1, R0, R5
	EACH(ADAMWSTEP, )
	RET
