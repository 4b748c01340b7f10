// Constants and macros shared by the assembly files. Every constant is eight equal lanes in vecConst.

#define cOne ·vecConst+0(SB)
#define cExpMin ·vecConst+32(SB)
#define cExpMax ·vecConst+64(SB)
#define cLog2e ·vecConst+96(SB)
#define cRounder ·vecConst+128(SB)
#define cLn2Hi ·vecConst+160(SB)
#define cLn2Lo ·vecConst+192(SB)
#define cExpP0 ·vecConst+224(SB)
#define cExpP1 ·vecConst+256(SB)
#define cExpP2 ·vecConst+288(SB)
#define cExpP3 ·vecConst+320(SB)
#define cExpP4 ·vecConst+352(SB)
#define cInt127 ·vecConst+384(SB)
#define cSign ·vecConst+416(SB)
#define cAbs ·vecConst+448(SB)
#define cInf ·vecConst+480(SB)
#define cNegInf ·vecConst+512(SB)
#define cTanhGelu0 ·vecConst+544(SB)
#define cTanhGelu1 ·vecConst+576(SB)
#define cTanhGelu3 ·vecConst+608(SB)
#define cSlopeMax ·vecConst+640(SB)
#define cSlopeMin ·vecConst+672(SB)
#define cEMax ·vecConst+704(SB)
#define cEMin ·vecConst+736(SB)
#define cTanhMax ·vecConst+768(SB)
#define cTanhMin ·vecConst+800(SB)
#define cTanhA0 ·vecConst+832(SB)
#define cTanhA1 ·vecConst+864(SB)
#define cTanhA2 ·vecConst+896(SB)
#define cTanhA3 ·vecConst+928(SB)
#define cTanhA4 ·vecConst+960(SB)
#define cTanhA5 ·vecConst+992(SB)
#define cTanhA6 ·vecConst+1024(SB)
#define cTanhB0 ·vecConst+1056(SB)
#define cTanhB1 ·vecConst+1088(SB)
#define cTanhB2 ·vecConst+1120(SB)
#define cTanhB3 ·vecConst+1152(SB)
#define cTailMax ·vecConst+1184(SB)
#define cTailK ·vecConst+1216(SB)
#define cTailC ·vecConst+1248(SB)
#define cNegHalf ·vecConst+1280(SB)
#define cTail0 ·vecConst+1312(SB)
#define cTail1 ·vecConst+1344(SB)
#define cTail2 ·vecConst+1376(SB)
#define cTail3 ·vecConst+1408(SB)
#define cTail4 ·vecConst+1440(SB)
#define cTail5 ·vecConst+1472(SB)
#define cTail6 ·vecConst+1504(SB)
#define cTail7 ·vecConst+1536(SB)
#define cInvSqrt2Pi ·vecConst+1568(SB)
#define cBF16Bias ·vecConst+1600(SB)
#define cBF16Quiet ·vecConst+1632(SB)
#define cExpFastMin ·vecConst+1696(SB)
#define cSumMin ·vecConst+1728(SB)
#define cLowest ·vecConst+1760(SB)
#define cIntOne ·vecConst+1664(SB)

// MASK sets Y8 to the first CX lanes, 0 < CX < 8. It uses AX, BX.
#define MASK \
	LEAQ ·vecMask(SB), AX; \
	MOVQ $8, BX; \
	SUBQ CX, BX; \
	VMOVDQU (AX)(BX*4), Y8

// MAP1 runs BODY (Y0 to Y0) over CX floats from SI to DI and returns; the tail runs the same BODY on masked lanes.
#define MAP1(BODY) \
loop: \
	CMPQ CX, $8; \
	JLT tail; \
	VMOVUPS (SI), Y0; \
	BODY; \
	VMOVUPS Y0, (DI); \
	ADDQ $32, SI; \
	ADDQ $32, DI; \
	SUBQ $8, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK; \
	VMASKMOVPS (SI), Y8, Y0; \
	BODY; \
	VMASKMOVPS Y0, Y8, (DI); \
done: \
	VZEROUPPER; \
	RET

// MAP2 runs BODY (Y0, Y1 to Y0) over CX floats from SI and R8 to DI and returns.
#define MAP2(BODY) \
loop: \
	CMPQ CX, $8; \
	JLT tail; \
	VMOVUPS (SI), Y0; \
	VMOVUPS (R8), Y1; \
	BODY; \
	VMOVUPS Y0, (DI); \
	ADDQ $32, SI; \
	ADDQ $32, R8; \
	ADDQ $32, DI; \
	SUBQ $8, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK; \
	VMASKMOVPS (SI), Y8, Y0; \
	VMASKMOVPS (R8), Y8, Y1; \
	BODY; \
	VMASKMOVPS Y0, Y8, (DI); \
done: \
	VZEROUPPER; \
	RET

// EXPREGS loads the registers that EXP expects: Y15, Y14 limits, Y13 log2(e), Y12 rounder.
#define EXPREGS \
	VMOVUPS cExpMax, Y15; \
	VMOVUPS cExpMin, Y14; \
	VMOVUPS cLog2e, Y13; \
	VMOVUPS cRounder, Y12

// EXPFASTREGS is EXPREGS for EXPFAST.
#define EXPFASTREGS \
	VMOVUPS cExpMax, Y15; \
	VMOVUPS cExpFastMin, Y14; \
	VMOVUPS cLog2e, Y13; \
	VMOVUPS cRounder, Y12

// EXPPOLY takes X to B = e^r and leaves n + 1.5*2^23 in A (see exp_go.go). In MIN and MAX the limit is the first
// operand, so that NaN passes.
#define EXPPOLY(X, A, B) \
	VMAXPS X, Y14, X; \
	VMINPS X, Y15, X; \
	VMOVAPS Y12, A; \
	VFMADD231PS Y13, X, A; \
	VSUBPS Y12, A, B; \
	VFNMADD231PS cLn2Hi, B, X; \
	VFNMADD231PS cLn2Lo, B, X; \
	VMOVUPS cExpP4, B; \
	VFMADD213PS cExpP3, X, B; \
	VFMADD213PS cExpP2, X, B; \
	VFMADD213PS cExpP1, X, B; \
	VFMADD213PS cExpP0, X, B; \
	VFMADD213PS cOne, X, B; \
	VFMADD213PS cOne, X, B

// EXP is X = e^X over the whole range, with temporaries A, B. It multiplies by 2^n in two halves.
#define EXP(X, A, B) \
	EXPPOLY(X, A, B); \
	VPSUBD Y12, A, A; \
	VPSRAD $1, A, X; \
	VPSUBD X, A, A; \
	VPADDD cInt127, X, X; \
	VPADDD cInt127, A, A; \
	VPSLLD $23, X, X; \
	VPSLLD $23, A, A; \
	VMULPS X, B, B; \
	VMULPS A, B, X

// EXPFAST is EXP for n in [-126, 127]; n = -127 makes the factor and the result 0, n = 128 makes both +Inf.
#define EXPFAST(X, A, B) \
	EXPPOLY(X, A, B); \
	VPSLLD $23, A, A; \
	VPADDD cOne, A, A; \
	VMULPS A, B, X

// HSUM adds the eight lanes of Y into the low lane of X, the same register, in one fixed order; XT is a temporary.
#define HSUM(Y, X, XT) \
	VEXTRACTF128 $1, Y, XT; \
	VADDPS XT, X, X; \
	VMOVHLPS X, X, XT; \
	VADDPS XT, X, X; \
	VMOVSHDUP X, XT; \
	VADDSS XT, X, X
