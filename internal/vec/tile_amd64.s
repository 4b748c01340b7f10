#include "textflag.h"
#include "avx2_amd64.h"
#include "avx512_amd64.h"

// Rows of a tile in one call: while one row waits for its sum, the next one is under way.

// ZEROFILL stores CX zeros from address A on; Z25 is zero. It changes A.
#define ZEROFILL(A, loop, tail, done) \
loop: \
	CMPQ CX, $16; \
	JLT tail; \
	VMOVUPS Z25, (A); \
	ADDQ $64, A; \
	SUBQ $16, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK16; \
	VMOVUPS Z25, K1, (A); \
done:

// func softmaxTileAVX512(p *float32, ld, width int, seen *int32, top, sum *float32, rows int)
TEXT ·softmaxTileAVX512(SB), NOSPLIT, $0-56
	MOVQ p+0(FP), DI
	MOVQ ld+8(FP), DX
	SHLQ $2, DX
	MOVQ seen+24(FP), R8
	MOVQ top+32(FP), R9
	MOVQ rows+48(FP), R10

maxRow:
	MOVL (R8), CX
	MOVQ DI, SI
	VBROADCASTSS (R9), Z0
maxLoop:
	CMPQ CX, $16
	JLT maxTail
	VMAXPS (SI), Z0, Z0
	ADDQ $64, SI
	SUBQ $16, CX
	JMP maxLoop
maxTail:
	TESTQ CX, CX
	JE maxDone
	MASK16
	VMAXPS (SI), Z0, K1, Z0
maxDone:
	VEXTRACTF64X4 $1, Z0, Y1
	VMAXPS Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VMAXPS X1, X0, X0
	VMOVHLPS X0, X0, X1
	VMAXPS X1, X0, X0
	VMOVSHDUP X0, X1
	VMAXSS X1, X0, X0
	VMOVSS X0, (R9)
	ADDQ $4, R8
	ADDQ $4, R9
	ADDQ DX, DI
	DECQ R10
	JNZ maxRow

	MOVQ p+0(FP), DI
	MOVQ seen+24(FP), R8
	MOVQ top+32(FP), R9
	MOVQ sum+40(FP), R11
	MOVQ rows+48(FP), R10
	VBROADCASTSS cSumMin, Z23
	VBROADCASTSS cNegInf, Z24
	VPXORD Z25, Z25, Z25
	EXP16REGS

row:
	MOVL (R8), CX
	MOVQ width+16(FP), R12
	SUBQ CX, R12
	LEAQ (DI)(CX*4), R13    // where the zeros begin
	MOVQ DI, SI
	VBROADCASTSS (R9), Z11
	VCMPPS $4, Z24, Z11, K3 // -Inf, of a row of nothing else, counts as 0
	VMOVAPS.Z Z11, K3, Z11
	VPXORD Z10, Z10, Z10    // the sixteen sums
loop:
	CMPQ CX, $16
	JLT tail
	VMOVUPS (SI), Z0
	VSUBPS Z11, Z0, Z0
	VCMPPS $5, Z23, Z0, K2  // not less, true for NaN
	EXP16(Z0, Z2, Z3)
	VMOVAPS.Z Z0, K2, Z0
	VADDPS Z0, Z10, Z10
	VMOVUPS Z0, (SI)
	ADDQ $64, SI
	SUBQ $16, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK16
	VMOVUPS.Z (SI), K1, Z0
	VSUBPS Z11, Z0, Z0
	VCMPPS $5, Z23, Z0, K2
	EXP16(Z0, Z2, Z3)
	VMOVAPS.Z Z0, K2, Z0
	VMOVUPS Z0, K1, (SI)
	VADDPS Z0, Z10, K1, Z10
done:
	VEXTRACTF64X4 $1, Z10, Y0
	VADDPS Y0, Y10, Y10
	HSUM(Y10, X10, X0)
	VMOVSS X10, (R11)
	MOVQ R12, CX
	ZEROFILL(R13, zeroLoop, zeroTail, zeroDone)
	ADDQ $4, R8
	ADDQ $4, R9
	ADDQ $4, R11
	ADDQ DX, DI
	DECQ R10
	JNZ row
	VZEROUPPER
	RET

// func softmaxTileGradAVX512(p, ds *float32, ld, width int, seen *int32, lse, delta *float32, rows int)
TEXT ·softmaxTileGradAVX512(SB), NOSPLIT, $0-64
	MOVQ p+0(FP), DI
	MOVQ ds+8(FP), BX
	MOVQ ld+16(FP), DX
	SHLQ $2, DX
	MOVQ seen+32(FP), R8
	MOVQ lse+40(FP), R9
	MOVQ delta+48(FP), R11
	MOVQ rows+56(FP), R10
	VBROADCASTSS cSumMin, Z23
	VPXORD Z25, Z25, Z25
	EXP16REGS

// Z0 scores to probabilities, Z1 their gradient to that of the scores.
#define GRAD16BODY \
	VSUBPS Z11, Z0, Z0; \
	VCMPPS $5, Z23, Z0, K2; \
	EXP16(Z0, Z2, Z3); \
	VMOVAPS.Z Z0, K2, Z0; \
	VMULPS Z0, Z1, Z1; \
	VFNMADD231PS Z9, Z0, Z1

row:
	MOVL (R8), CX
	MOVQ width+24(FP), R12
	SUBQ CX, R12
	MOVQ DI, SI
	MOVQ BX, R13
	VBROADCASTSS (R9), Z11
	VBROADCASTSS (R11), Z9
loop:
	CMPQ CX, $16
	JLT tail
	VMOVUPS (SI), Z0
	VMOVUPS (R13), Z1
	GRAD16BODY
	VMOVUPS Z0, (SI)
	VMOVUPS Z1, (R13)
	ADDQ $64, SI
	ADDQ $64, R13
	SUBQ $16, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE zeros
	MASK16
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (R13), K1, Z1
	GRAD16BODY
	VMOVUPS Z0, K1, (SI)
	VMOVUPS Z1, K1, (R13)
	LEAQ (SI)(CX*4), SI
	LEAQ (R13)(CX*4), R13
zeros:
	MOVQ R12, CX
	ZEROFILL(SI, zeroLoop, zeroTail, zeroDone)
	MOVQ R12, CX
	ZEROFILL(R13, zeroLoop2, zeroTail2, zeroDone2)
	ADDQ $4, R8
	ADDQ $4, R9
	ADDQ $4, R11
	ADDQ DX, DI
	ADDQ DX, BX
	DECQ R10
	JNZ row
	VZEROUPPER
	RET
