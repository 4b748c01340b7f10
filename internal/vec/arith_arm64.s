#include "textflag.h"
#include "neon_arm64.h"

#define ARGS3 MOVD y_base+0(FP), R0; MOVD y_len+8(FP), R2; MOVD a_base+24(FP), R1; MOVD b_base+48(FP), R3

// func addNEON(y, a, b []float32)
TEXT ·addNEON(SB), NOSPLIT, $0-72
	ARGS3
#define ADDBODY FADD4S(1, 0, 0)
	MAP2(ADDBODY)

// func subNEON(y, a, b []float32)
TEXT ·subNEON(SB), NOSPLIT, $0-72
	ARGS3
#define SUBBODY FSUB4S(1, 0, 0)
	MAP2(SUBBODY)

// func mulNEON(y, a, b []float32)
TEXT ·mulNEON(SB), NOSPLIT, $0-72
	ARGS3
#define MULBODY FMUL4S(1, 0, 0)
	MAP2(MULBODY)

// func scaleNEON(y []float32, a float32, x []float32)
TEXT ·scaleNEON(SB), NOSPLIT, $0-56
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	SCALAR(a+24(FP), V16)
	MOVD x_base+32(FP), R1
#define SCALEBODY FMUL4S(16, 0, 0)
	MAP1(SCALEBODY)

// func axpyNEON(y []float32, a float32, x []float32)
TEXT ·axpyNEON(SB), NOSPLIT, $0-56
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	SCALAR(a+24(FP), V16)
	MOVD x_base+32(FP), R3
	MOVD R0, R1
#define AXPYBODY FMLA4S(16, 1, 0)
	MAP2(AXPYBODY)

// func fillNEON(y []float32, a float32)
TEXT ·fillNEON(SB), NOSPLIT, $0-28
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	SCALAR(a+24(FP), V0)
#define FILLSTEP(MOVE, size, none) MOVE.P F0, size(R0)
	EACH(FILLSTEP, )
	RET

// func sumNEON(x []float32) float32
TEXT ·sumNEON(SB), NOSPLIT, $32-28
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R2
	ZERO8
	SUBS $32, R2
	BLT  fold
block:
	FLDPQ.P 32(R1), (F16, F17)
	FLDPQ.P 32(R1), (F18, F19)
	FLDPQ.P 32(R1), (F20, F21)
	FLDPQ.P 32(R1), (F22, F23)
	FADD4S(16, 0, 0)
	FADD4S(17, 1, 1)
	FADD4S(18, 2, 2)
	FADD4S(19, 3, 3)
	FADD4S(20, 4, 4)
	FADD4S(21, 5, 5)
	FADD4S(22, 6, 6)
	FADD4S(23, 7, 7)
	SUBS $32, R2
	BGE  block
fold:
	FOLD
	ADDS $24, R2
	BLT  tail
loop:
	FLDPQ.P 32(R1), (F16, F17)
	FADD4S(16, 0, 0)
	FADD4S(17, 1, 1)
	SUBS $8, R2
	BGE  loop
tail:
	ADDS $8, R2
	BEQ  done
	PART(in, R1, x-32(SP), R6)
	FLDPQ (R6), (F16, F17)
	FADD4S(16, 0, 0)
	FADD4S(17, 1, 1)
done:
	HSUM
	FMOVS F0, ret+24(FP)
	RET

// func dotNEON(a, b []float32) float32
TEXT ·dotNEON(SB), NOSPLIT, $64-52
	MOVD a_base+0(FP), R1
	MOVD a_len+8(FP), R2
	MOVD b_base+24(FP), R3
	ZERO8
	SUBS $32, R2
	BLT  fold
block:
	FLDPQ.P 32(R1), (F16, F17)
	FLDPQ.P 32(R1), (F18, F19)
	FLDPQ.P 32(R1), (F20, F21)
	FLDPQ.P 32(R1), (F22, F23)
	FLDPQ.P 32(R3), (F24, F25)
	FLDPQ.P 32(R3), (F26, F27)
	FLDPQ.P 32(R3), (F28, F29)
	FLDPQ.P 32(R3), (F30, F31)
	FMLA4S(24, 16, 0)
	FMLA4S(25, 17, 1)
	FMLA4S(26, 18, 2)
	FMLA4S(27, 19, 3)
	FMLA4S(28, 20, 4)
	FMLA4S(29, 21, 5)
	FMLA4S(30, 22, 6)
	FMLA4S(31, 23, 7)
	SUBS $32, R2
	BGE  block
fold:
	FOLD
	ADDS $24, R2
	BLT  tail
loop:
	FLDPQ.P 32(R1), (F16, F17)
	FLDPQ.P 32(R3), (F24, F25)
	FMLA4S(24, 16, 0)
	FMLA4S(25, 17, 1)
	SUBS $8, R2
	BGE  loop
tail:
	ADDS $8, R2
	BEQ  done
	PART(ina, R1, a-32(SP), R6)
	PART(inb, R3, b-64(SP), R7)
	FLDPQ (R6), (F16, F17)
	FLDPQ (R7), (F24, F25)
	FMLA4S(24, 16, 0)
	FMLA4S(25, 17, 1)
done:
	HSUM
	FMOVS F0, ret+48(FP)
	RET

// WIDESQUARE adds the squares of the four floats in X to the float64 sums in A, B.
#define WIDESQUARE(X, A, B) \
	FCVTL2D(X, 20); \
	FCVTL2D2(X, 21); \
	FMLA2D(20, 20, A); \
	FMLA2D(21, 21, B)

// func sumSquaresNEON(x []float32) float64
TEXT ·sumSquaresNEON(SB), NOSPLIT, $0-32
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R2
	ZERO8
	SUBS $16, R2
	BLT  fold
block:
	FLDPQ.P 32(R1), (F16, F17)
	FLDPQ.P 32(R1), (F18, F19)
	WIDESQUARE(16, 0, 1)
	WIDESQUARE(17, 2, 3)
	WIDESQUARE(18, 4, 5)
	WIDESQUARE(19, 6, 7)
	SUBS $16, R2
	BGE  block
fold:
	FADD2D(2, 0, 0)
	FADD2D(3, 1, 1)
	FADD2D(6, 4, 4)
	FADD2D(7, 5, 5)
	FADD2D(4, 0, 0)
	FADD2D(5, 1, 1)
	FADD2D(1, 0, 0)
	FADDP2D(0, 0)
	ADDS $16, R2
	BEQ  done
loop:
	FMOVS.P 4(R1), F1
	FCVTSD  F1, F1
	FMADDD  F1, F0, F1, F0
	SUBS    $1, R2
	BNE     loop
done:
	FMOVD F0, ret+24(FP)
	RET

// func maxNEON(x []float32) float32
//
// FMAX keeps a NaN.
TEXT ·maxNEON(SB), NOSPLIT, $0-28
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R2
	CONSTS
	CONST(cNegInf, 0)
	CONST(cNegInf, 1)
	SUBS $8, R2
	BLT  fold
block:
	FLDPQ.P 32(R1), (F16, F17)
	FMAX4S(16, 0, 0)
	FMAX4S(17, 1, 1)
	SUBS $8, R2
	BGE  block
fold:
	FMAX4S(1, 0, 0)
	FMAXV4S(0, 0)
	ADDS $8, R2
	BEQ  done
loop:
	FMOVS.P 4(R1), F1
	FMAXS   F1, F0, F0
	SUBS    $1, R2
	BNE     loop
done:
	FMOVS F0, ret+24(FP)
	RET

// func allFiniteNEON(x []float32) bool
//
// The greatest number without its sign, as an integer, is then less than that of infinity.
TEXT ·allFiniteNEON(SB), NOSPLIT, $0-25
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R2
	CONSTS
	CONST(cAbs, 16)
	ZERO(V1)
#define FINITESTEP(MOVE, size, none) MOVE.P size(R1), F0; AND16B(16, 0, 0); UMAX4S(0, 1, 1)
	EACH(FINITESTEP, )
	UMAXV4S(1, 1)
	FMOVS F1, R3
	MOVD  $0x7f800000, R4
	CMPW  R4, R3
	CSET  LO, R3
	MOVB  R3, ret+24(FP)
	RET
