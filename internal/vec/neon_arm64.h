// Constants, instructions and macros shared by the arm64 assembly files. Registers go by number: V0 is 0.

#define CONSTANT(off) off
#include "const.h"

// CONST loads a constant; R11 holds their address.
#define CONSTS MOVD $·vecConst(SB), R11
#define CONST(c, d) WORD $(0x3dc00160 | (c)/16<<10 | (d)) // ldr qd, [x11, #c]

// Vector instructions that Go's assembler lacks, or would not take by number, with its order of operands: the destination
// comes last. TestEncodings compares each with what a disassembler makes of it, which is the comment.

#define FADD4S(m, n, d) WORD $(0x4e20d400 | (m)<<16 | (n)<<5 | (d)) // fadd vd.4s, vn.4s, vm.4s
#define FSUB4S(m, n, d) WORD $(0x4ea0d400 | (m)<<16 | (n)<<5 | (d)) // fsub vd.4s, vn.4s, vm.4s
#define FMUL4S(m, n, d) WORD $(0x6e20dc00 | (m)<<16 | (n)<<5 | (d)) // fmul vd.4s, vn.4s, vm.4s
#define FDIV4S(m, n, d) WORD $(0x6e20fc00 | (m)<<16 | (n)<<5 | (d)) // fdiv vd.4s, vn.4s, vm.4s
#define FMLA4S(m, n, d) WORD $(0x4e20cc00 | (m)<<16 | (n)<<5 | (d)) // fmla vd.4s, vn.4s, vm.4s
#define FMLS4S(m, n, d) WORD $(0x4ea0cc00 | (m)<<16 | (n)<<5 | (d)) // fmls vd.4s, vn.4s, vm.4s
#define FMAX4S(m, n, d) WORD $(0x4e20f400 | (m)<<16 | (n)<<5 | (d)) // fmax vd.4s, vn.4s, vm.4s
#define FMIN4S(m, n, d) WORD $(0x4ea0f400 | (m)<<16 | (n)<<5 | (d)) // fmin vd.4s, vn.4s, vm.4s
#define FABS4S(n, d) WORD $(0x4ea0f800 | (n)<<5 | (d)) // fabs vd.4s, vn.4s
#define FNEG4S(n, d) WORD $(0x6ea0f800 | (n)<<5 | (d)) // fneg vd.4s, vn.4s
#define FSQRT4S(n, d) WORD $(0x6ea1f800 | (n)<<5 | (d)) // fsqrt vd.4s, vn.4s

// Comparisons leave all ones where true, zero where false or a NaN.
#define FCMEQ4S(m, n, d) WORD $(0x4e20e400 | (m)<<16 | (n)<<5 | (d)) // fcmeq vd.4s, vn.4s, vm.4s
#define FCMGT4S(m, n, d) WORD $(0x6ea0e400 | (m)<<16 | (n)<<5 | (d)) // fcmgt vd.4s, vn.4s, vm.4s
#define FACGE4S(m, n, d) WORD $(0x6e20ec00 | (m)<<16 | (n)<<5 | (d)) // facge vd.4s, vn.4s, vm.4s
#define FACGT4S(m, n, d) WORD $(0x6ea0ec00 | (m)<<16 | (n)<<5 | (d)) // facgt vd.4s, vn.4s, vm.4s

#define AND16B(m, n, d) WORD $(0x4e201c00 | (m)<<16 | (n)<<5 | (d)) // and vd.16b, vn.16b, vm.16b
#define BIC16B(m, n, d) WORD $(0x4e601c00 | (m)<<16 | (n)<<5 | (d)) // bic vd.16b, vn.16b, vm.16b
#define ORR16B(m, n, d) WORD $(0x4ea01c00 | (m)<<16 | (n)<<5 | (d)) // orr vd.16b, vn.16b, vm.16b
#define BIT16B(m, n, d) WORD $(0x6ea01c00 | (m)<<16 | (n)<<5 | (d)) // bit vd.16b, vn.16b, vm.16b
#define BSL16B(m, n, d) WORD $(0x6e601c00 | (m)<<16 | (n)<<5 | (d)) // bsl vd.16b, vn.16b, vm.16b
#define ADD4S(m, n, d) WORD $(0x4ea08400 | (m)<<16 | (n)<<5 | (d)) // add vd.4s, vn.4s, vm.4s
#define SUB4S(m, n, d) WORD $(0x6ea08400 | (m)<<16 | (n)<<5 | (d)) // sub vd.4s, vn.4s, vm.4s
#define UMAX4S(m, n, d) WORD $(0x6ea06400 | (m)<<16 | (n)<<5 | (d)) // umax vd.4s, vn.4s, vm.4s
#define SHL4S(i, n, d) WORD $(0x4f205400 | (i)<<16 | (n)<<5 | (d)) // shl vd.4s, vn.4s, #i
#define SSHR4S(i, n, d) WORD $(0x4f000400 | (64-(i))<<16 | (n)<<5 | (d)) // sshr vd.4s, vn.4s, #i
#define USHR4S(i, n, d) WORD $(0x6f000400 | (64-(i))<<16 | (n)<<5 | (d)) // ushr vd.4s, vn.4s, #i

#define FADDP2S(n, d) WORD $(0x7e30d800 | (n)<<5 | (d)) // faddp sd, vn.2s
#define FADDP2D(n, d) WORD $(0x7e70d800 | (n)<<5 | (d)) // faddp dd, vn.2d
#define FMAXV4S(n, d) WORD $(0x6e30f800 | (n)<<5 | (d)) // fmaxv sd, vn.4s
#define UMAXV4S(n, d) WORD $(0x6eb0a800 | (n)<<5 | (d)) // umaxv sd, vn.4s

#define FADD2D(m, n, d) WORD $(0x4e60d400 | (m)<<16 | (n)<<5 | (d)) // fadd vd.2d, vn.2d, vm.2d
#define FMLA2D(m, n, d) WORD $(0x4e60cc00 | (m)<<16 | (n)<<5 | (d)) // fmla vd.2d, vn.2d, vm.2d
#define FCVTL2D(n, d) WORD $(0x0e617800 | (n)<<5 | (d)) // fcvtl vd.2d, vn.2s
#define FCVTL2D2(n, d) WORD $(0x4e617800 | (n)<<5 | (d)) // fcvtl2 vd.2d, vn.4s

#define FCVTL4S(n, d) WORD $(0x0e217800 | (n)<<5 | (d)) // fcvtl vd.4s, vn.4h
#define FCVTL4S2(n, d) WORD $(0x4e217800 | (n)<<5 | (d)) // fcvtl2 vd.4s, vn.8h
#define FCVTN4H(n, d) WORD $(0x0e216800 | (n)<<5 | (d)) // fcvtn vd.4h, vn.4s
#define FCVTN8H(n, d) WORD $(0x4e216800 | (n)<<5 | (d)) // fcvtn2 vd.8h, vn.4s
#define ADDHN4H(m, n, d) WORD $(0x0e604000 | (m)<<16 | (n)<<5 | (d)) // addhn vd.4h, vn.4s, vm.4s
#define ADDHN8H(m, n, d) WORD $(0x4e604000 | (m)<<16 | (n)<<5 | (d)) // addhn2 vd.8h, vn.4s, vm.4s

// SCALAR copies a 32-bit argument to all lanes of V. It uses R10.
#define SCALAR(arg, V) MOVWU arg, R10; VDUP R10, V.S4

#define ZERO(V) VEOR V.B16, V.B16, V.B16

// EACH runs STEP over R2 floats, four at a time, then one at a time in lane 0 with zeros beside it: the same instructions
// give the same bits. STEP(MOVE, size, BODY) loads and stores size bytes with MOVE. It ends at done.
#define EACH(STEP, BODY) \
	SUBS $4, R2; \
	BLT  tail; \
loop: \
	STEP(FMOVQ, 16, BODY); \
	SUBS $4, R2; \
	BGE  loop; \
tail: \
	ADDS $4, R2; \
	BEQ  done; \
one: \
	STEP(FMOVS, 4, BODY); \
	SUBS $1, R2; \
	BNE  one; \
done:

// MAP1 runs BODY (V0 to V0) over R2 floats from R1 to R0 and returns.
#define STEP1(MOVE, size, BODY) MOVE.P size(R1), F0; BODY; MOVE.P F0, size(R0)
#define MAP1(BODY) EACH(STEP1, BODY) RET

// MAP2 runs BODY (V0, V1 to V0) over R2 floats from R1 and R3 to R0 and returns.
#define STEP2(MOVE, size, BODY) MOVE.P size(R1), F0; MOVE.P size(R3), F1; BODY; MOVE.P F0, size(R0)
#define MAP2(BODY) EACH(STEP2, BODY) RET

// COPY copies R2 floats, at least one. It uses R9, R10.
#define COPY(again, from, to) \
	MOVD $0, R10; \
again: \
	MOVWU (from)(R10<<2), R9; \
	MOVW  R9, (to)(R10<<2); \
	ADD   $1, R10; \
	CMP   R2, R10; \
	BLT   again

// PART copies the last R2 floats, fewer than eight, to the 32 bytes of stack called buf, with zeros behind them, and leaves
// the address of the copy in at.
#define PART(again, from, buf, at) \
	MOVD $buf, at; \
	STP  (ZR, ZR), (at); \
	STP  (ZR, ZR), 16(at); \
	COPY(again, from, at)

// MASK sets two registers to the first R2 of eight lanes. It uses R9, R10.
#define MASK(low, high) \
	MOVD  $·vecMask+32(SB), R9; \
	SUB   R2<<2, R9; \
	FLDPQ (R9), (low, high)

// Sums keep 32 lanes over blocks of 32, in V0 to V7; what is left goes to the first eight.

#define ZERO8 ZERO(V0); ZERO(V1); ZERO(V2); ZERO(V3); ZERO(V4); ZERO(V5); ZERO(V6); ZERO(V7)

// FOLD adds the 32 lanes into the first eight.
#define FOLD \
	FADD4S(2, 0, 0); \
	FADD4S(3, 1, 1); \
	FADD4S(6, 4, 4); \
	FADD4S(7, 5, 5); \
	FADD4S(4, 0, 0); \
	FADD4S(5, 1, 1)

// HSUM adds the eight lanes of V0, V1 into S0, in the order of the other instruction sets: halves, quarters, pairs.
#define HSUM \
	FADD4S(1, 0, 0); \
	VEXT $8, V0.B16, V0.B16, V1.B16; \
	FADD4S(1, 0, 0); \
	FADDP2S(0, 0)

// HORNER is Q = P*X + c.
#define HORNER(c, X, P, Q) CONST(c, Q); FMLA4S(X, P, Q)

// EXPREGS loads the registers that EXP expects; EXPFASTREGS, those for EXPFAST. V31 is 1.
#define EXPREGS \
	CONSTS; \
	CONST(cExpMax, 24); \
	CONST(cExpMin, 25); \
	CONST(cLog2e, 26); \
	CONST(cRounder, 27); \
	CONST(cLn2Hi, 28); \
	CONST(cLn2Lo, 29); \
	CONST(cInt127, 30); \
	CONST(cOne, 31)

#define EXPFASTREGS EXPREGS; CONST(cExpFastMin, 25)

// EXPPOLY takes X to B = e^r and leaves n + 1.5*2^23 in A (see exp_go.go); T is a temporary. NaN passes.
#define EXPPOLY(X, A, B, T) \
	FMAX4S(25, X, X); \
	FMIN4S(24, X, X); \
	CONST(cRounder, A); \
	FMLA4S(26, X, A); \
	FSUB4S(27, A, B); \
	FMLS4S(28, B, X); \
	FMLS4S(29, B, X); \
	CONST(cExpP4, B); \
	HORNER(cExpP3, X, B, T); \
	HORNER(cExpP2, X, T, B); \
	HORNER(cExpP1, X, B, T); \
	HORNER(cExpP0, X, T, B); \
	HORNER(cOne, X, B, T); \
	HORNER(cOne, X, T, B)

// EXP is X = e^X over the whole range. It multiplies by 2^n in two halves.
#define EXP(X, A, B, T) \
	EXPPOLY(X, A, B, T); \
	SUB4S(27, A, A); \
	SSHR4S(1, A, X); \
	SUB4S(X, A, A); \
	ADD4S(30, X, X); \
	ADD4S(30, A, A); \
	SHL4S(23, X, X); \
	SHL4S(23, A, A); \
	FMUL4S(X, B, B); \
	FMUL4S(A, B, X)

// EXPFAST is EXP for n in [-126, 127]; n = -127 makes the factor and the result 0, n = 128 makes both +Inf.
#define EXPFAST(X, A, B, T) \
	EXPPOLY(X, A, B, T); \
	SHL4S(23, A, A); \
	ADD4S(31, A, A); \
	FMUL4S(A, B, X)
