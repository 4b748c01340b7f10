#include "textflag.h"
#include "neon_arm64.h"

// DEVIATION adds the squares of X - V24 to A.
#define DEVIATION(X, A) FSUB4S(24, X, X); FMLA4S(X, X, A)

// func sumDeviationsNEON(x []float32, mean float32) float32
//
// The sum of (x-mean)^2, in the lanes of sumNEON. The tail is masked after the subtraction.
TEXT ·sumDeviationsNEON(SB), NOSPLIT, $32-36
	MOVD x_base+0(FP), R1
	MOVD x_len+8(FP), R2
	SCALAR(mean+24(FP), V24)
	ZERO8
	SUBS $32, R2
	BLT  fold
block:
	FLDPQ.P 32(R1), (F16, F17)
	FLDPQ.P 32(R1), (F18, F19)
	FLDPQ.P 32(R1), (F20, F21)
	FLDPQ.P 32(R1), (F22, F23)
	DEVIATION(16, 0)
	DEVIATION(17, 1)
	DEVIATION(18, 2)
	DEVIATION(19, 3)
	DEVIATION(20, 4)
	DEVIATION(21, 5)
	DEVIATION(22, 6)
	DEVIATION(23, 7)
	SUBS $32, R2
	BGE  block
fold:
	FOLD
	ADDS $24, R2
	BLT  tail
loop:
	FLDPQ.P 32(R1), (F16, F17)
	DEVIATION(16, 0)
	DEVIATION(17, 1)
	SUBS $8, R2
	BGE  loop
tail:
	ADDS $8, R2
	BEQ  done
	PART(in, R1, x-32(SP), R6)
	FLDPQ (R6), (F16, F17)
	MASK(F18, F19)
	FSUB4S(24, 16, 16)
	FSUB4S(24, 17, 17)
	AND16B(18, 16, 16)
	AND16B(19, 17, 17)
	FMLA4S(16, 16, 0)
	FMLA4S(17, 17, 1)
done:
	HSUM
	FMOVS F0, ret+32(FP)
	RET

// XHAT is X = (X-mean)*rstd with mean in V16, rstd in V17.
#define XHAT(X) FSUB4S(16, X, X); FMUL4S(17, X, X)

// func normScaleNEON(y, x, w, b []float32, mean, rstd float32)
//
// y = (x-mean)*rstd*w + b; b may be nil.
TEXT ·normScaleNEON(SB), NOSPLIT, $0-104
	MOVD y_base+0(FP), R0
	MOVD y_len+8(FP), R2
	MOVD x_base+24(FP), R1
	MOVD w_base+48(FP), R3
	MOVD b_base+72(FP), R4
	SCALAR(mean+96(FP), V16)
	SCALAR(rstd+100(FP), V17)
	CBZ  R4, plain
#define SCALESTEP(MOVE, size, none) \
	MOVE.P size(R1), F0; \
	MOVE.P size(R3), F1; \
	MOVE.P size(R4), F2; \
	XHAT(0); \
	FMLA4S(1, 0, 2); \
	MOVE.P F2, size(R0)
	EACH(SCALESTEP, )
	RET
#define PLAINBODY XHAT(0); FMUL4S(1, 0, 0)
plain:
	SUBS $4, R2
	BLT  plaintail
plainloop:
	STEP2(FMOVQ, 16, PLAINBODY)
	SUBS $4, R2
	BGE  plainloop
plaintail:
	ADDS $4, R2
	BEQ  done
plainone:
	STEP2(FMOVS, 4, PLAINBODY)
	SUBS $1, R2
	BNE  plainone
	RET

// NORMGRADSUMS takes dy, x, w, dw in DY, X, W, DW: it adds g = dy*w to SG, g*xh to SGX and dy*xh to DW. In the sum, xh is
// masked by M: 0 * (0-mean)*rstd may be NaN when mean or rstd is not finite.
#define NORMGRADSUMS(DY, X, W, DW, SG, SGX, M) \
	XHAT(X); \
	FMLA4S(X, DY, DW); \
	FMUL4S(W, DY, W); \
	AND16B(M, X, X); \
	FADD4S(W, SG, SG); \
	FMLA4S(X, W, SGX)

// func normGradSumsNEON(dw, db, dy, x, w []float32, mean, rstd float32) (sg, sgx float32)
//
// With xh = (x-mean)*rstd and g = dy*w: dw += dy*xh, db += dy unless nil; returns the sums of g and of g*xh. A tail is
// copied to the stack with zeros behind it, and is then the last group of eight.
TEXT ·normGradSumsNEON(SB), NOSPLIT, $160-136
	MOVD dw_base+0(FP), R0
	MOVD dw_len+8(FP), R2
	MOVD db_base+24(FP), R5
	MOVD dy_base+48(FP), R1
	MOVD x_base+72(FP), R3
	MOVD w_base+96(FP), R4
	SCALAR(mean+120(FP), V16)
	SCALAR(rstd+124(FP), V17)
	ZERO(V18) // sums of g in V18, V19, of g*xh in V20, V21
	ZERO(V19)
	ZERO(V20)
	ZERO(V21)
	VCMEQ V22.S4, V22.S4, V22.S4 // the mask is V22, V23
	VCMEQ V23.S4, V23.S4, V23.S4
	MOVD $0, R13                 // the length of the tail on the stack
	SUBS $8, R2
	BLT  tail
loop:
	FLDPQ.P 32(R1), (F0, F1)
	FLDPQ.P 32(R3), (F2, F3)
	FLDPQ.P 32(R4), (F4, F5)
	FLDPQ   (R0), (F6, F7)
	NORMGRADSUMS(0, 2, 4, 6, 18, 20, 22)
	NORMGRADSUMS(1, 3, 5, 7, 19, 21, 23)
	FSTPQ.P (F6, F7), 32(R0)
	CBZ     R5, next
	FLDPQ   (R5), (F6, F7)
	FADD4S(6, 0, 0)
	FADD4S(7, 1, 1)
	FSTPQ.P (F0, F1), 32(R5)
next:
	SUBS $8, R2
	BGE  loop
	CBNZ R13, out
tail:
	ADDS $8, R2
	BEQ  done
	MOVD R2, R13
	MASK(F22, F23)
	PART(inw, R4, w-32(SP), R8)
	PART(inx, R3, x-64(SP), R7)
	PART(indy, R1, dy-96(SP), R6)
	PART(indw, R0, dw-128(SP), R12)
	MOVD R8, R4
	MOVD R7, R3
	MOVD R6, R1
	MOVD R0, R15
	MOVD R12, R0
	MOVD R5, R16
	CBZ  R5, again
	PART(indb, R16, db-160(SP), R14)
	MOVD R14, R5
again:
	MOVD $0, R2
	B    loop
out:
	MOVD R13, R2
	COPY(outdw, R12, R15)
	CBZ  R16, done
	COPY(outdb, R14, R16)
done:
	VMOV V18.B16, V0.B16
	VMOV V19.B16, V1.B16
	HSUM
	FMOVS F0, sg+128(FP)
	VMOV V20.B16, V0.B16
	VMOV V21.B16, V1.B16
	HSUM
	FMOVS F0, sgx+132(FP)
	RET

// func normGradNEON(dx, dy, x, w []float32, mean, rstd, mg, mgx float32)
//
// dx = rstd * (dy*w - mg - xh*mgx)
TEXT ·normGradNEON(SB), NOSPLIT, $0-112
	MOVD dx_base+0(FP), R0
	MOVD dx_len+8(FP), R2
	MOVD dy_base+24(FP), R1
	MOVD x_base+48(FP), R3
	MOVD w_base+72(FP), R4
	SCALAR(mean+96(FP), V16)
	SCALAR(rstd+100(FP), V17)
	SCALAR(mg+104(FP), V18)
	SCALAR(mgx+108(FP), V19)
	FNEG4S(18, 18)
#define NORMGRADSTEP(MOVE, size, none) \
	MOVE.P size(R1), F0; \
	MOVE.P size(R3), F1; \
	MOVE.P size(R4), F2; \
	XHAT(1); \
	ORR16B(18, 18, 3); \
	FMLA4S(2, 0, 3); \
	FMLS4S(19, 1, 3); \
	FMUL4S(17, 3, 3); \
	MOVE.P F3, size(R0)
	EACH(NORMGRADSTEP, )
	RET
