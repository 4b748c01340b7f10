#include "textflag.h"
#include "neon_arm64.h"

// ROTATE takes V0 = a, V1 = b, V2 = cos, V3 = sin, V16 = sign to V4 = a*cos - b*s, V5 = b*cos + a*s with s = sign*sin.
// The products with s are rounded first.
#define ROTATE \
	FMUL4S(16, 3, 3); \
	FMUL4S(3, 1, 4); \
	FMUL4S(3, 0, 5); \
	FNEG4S(4, 4); \
	FMLA4S(2, 0, 4); \
	FMLA4S(2, 1, 5)

#define ROTATEARGS \
	MOVD y_base+0(FP), R0; \
	MOVD y_len+8(FP), R2; \
	MOVD x_base+24(FP), R1; \
	MOVD cos_base+48(FP), R3; \
	MOVD sin_base+72(FP), R4; \
	SCALAR(sign+96(FP), V16); \
	LSR $1, R2

// func rotateHalfNEON(y, x, cos, sin []float32, sign float32)
TEXT ·rotateHalfNEON(SB), NOSPLIT, $0-100
	ROTATEARGS
	ADD R2<<2, R1, R5
	ADD R2<<2, R0, R6
#define HALFSTEP(MOVE, size, none) \
	MOVE.P size(R1), F0; \
	MOVE.P size(R5), F1; \
	MOVE.P size(R3), F2; \
	MOVE.P size(R4), F3; \
	ROTATE; \
	MOVE.P F4, size(R0); \
	MOVE.P F5, size(R6)
	EACH(HALFSTEP, )
	RET

// func rotatePairsNEON(y, x, cos, sin []float32, sign float32)
TEXT ·rotatePairsNEON(SB), NOSPLIT, $0-100
	ROTATEARGS
	SUBS $4, R2
	BLT  tail
loop:
	VLD2.P  32(R1), [V0.S4, V1.S4]
	FMOVQ.P 16(R3), F2
	FMOVQ.P 16(R4), F3
	ROTATE
	VST2.P  [V4.S4, V5.S4], 32(R0)
	SUBS    $4, R2
	BGE     loop
tail:
	ADDS $4, R2
	BEQ  done
one:
	FMOVS.P 4(R1), F0
	FMOVS.P 4(R1), F1
	FMOVS.P 4(R3), F2
	FMOVS.P 4(R4), F3
	ROTATE
	FMOVS.P F4, 4(R0)
	FMOVS.P F5, 4(R0)
	SUBS    $1, R2
	BNE     one
done:
	RET
