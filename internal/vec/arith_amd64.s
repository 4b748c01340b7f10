#include "textflag.h"
#include "avx2_amd64.h"

#define ARGS3 MOVQ y_base+0(FP), DI; MOVQ y_len+8(FP), CX; MOVQ a_base+24(FP), SI; MOVQ b_base+48(FP), R8

// func addAVX2(y, a, b []float32)
TEXT ·addAVX2(SB), NOSPLIT, $0-72
	ARGS3
#define ADDBODY VADDPS Y1, Y0, Y0
	MAP2(ADDBODY)

// func subAVX2(y, a, b []float32)
TEXT ·subAVX2(SB), NOSPLIT, $0-72
	ARGS3
#define SUBBODY VSUBPS Y1, Y0, Y0
	MAP2(SUBBODY)

// func mulAVX2(y, a, b []float32)
TEXT ·mulAVX2(SB), NOSPLIT, $0-72
	ARGS3
#define MULBODY VMULPS Y1, Y0, Y0
	MAP2(MULBODY)

// func scaleAVX2(y []float32, a float32, x []float32)
TEXT ·scaleAVX2(SB), NOSPLIT, $0-56
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	VBROADCASTSS a+24(FP), Y9
	MOVQ x_base+32(FP), SI
#define SCALEBODY VMULPS Y9, Y0, Y0
	MAP1(SCALEBODY)

// func axpyAVX2(y []float32, a float32, x []float32)
TEXT ·axpyAVX2(SB), NOSPLIT, $0-56
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	VBROADCASTSS a+24(FP), Y9
	MOVQ x_base+32(FP), R8
	MOVQ DI, SI
#define AXPYBODY VFMADD231PS Y9, Y1, Y0
	MAP2(AXPYBODY)

// func fillAVX2(y []float32, a float32)
TEXT ·fillAVX2(SB), NOSPLIT, $0-28
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	VBROADCASTSS a+24(FP), Y0
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS Y0, Y8, (DI)
done:
	VZEROUPPER
	RET

// Reductions keep 32 lanes over blocks of 32; what is left goes to the first eight.

// func sumAVX2(x []float32) float32
TEXT ·sumAVX2(SB), NOSPLIT, $0-28
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
block:
	CMPQ CX, $32
	JLT fold
	VADDPS (SI), Y0, Y0
	VADDPS 32(SI), Y1, Y1
	VADDPS 64(SI), Y2, Y2
	VADDPS 96(SI), Y3, Y3
	ADDQ $128, SI
	SUBQ $32, CX
	JMP block
fold:
	VADDPS Y1, Y0, Y0
	VADDPS Y3, Y2, Y2
	VADDPS Y2, Y0, Y0
loop:
	CMPQ CX, $8
	JLT tail
	VADDPS (SI), Y0, Y0
	ADDQ $32, SI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y1
	VADDPS Y1, Y0, Y0
done:
	HSUM(Y0, X0, X1)
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func dotAVX2(a, b []float32) float32
TEXT ·dotAVX2(SB), NOSPLIT, $0-52
	MOVQ a_base+0(FP), SI
	MOVQ a_len+8(FP), CX
	MOVQ b_base+24(FP), R8
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
block:
	CMPQ CX, $32
	JLT fold
	VMOVUPS (SI), Y4
	VMOVUPS 32(SI), Y5
	VMOVUPS 64(SI), Y6
	VMOVUPS 96(SI), Y7
	VFMADD231PS (R8), Y4, Y0
	VFMADD231PS 32(R8), Y5, Y1
	VFMADD231PS 64(R8), Y6, Y2
	VFMADD231PS 96(R8), Y7, Y3
	ADDQ $128, SI
	ADDQ $128, R8
	SUBQ $32, CX
	JMP block
fold:
	VADDPS Y1, Y0, Y0
	VADDPS Y3, Y2, Y2
	VADDPS Y2, Y0, Y0
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y4
	VFMADD231PS (R8), Y4, Y0
	ADDQ $32, SI
	ADDQ $32, R8
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y4
	VMASKMOVPS (R8), Y8, Y5
	VFMADD231PS Y5, Y4, Y0
done:
	HSUM(Y0, X0, X1)
	VMOVSS X0, ret+48(FP)
	VZEROUPPER
	RET

// func sumSquaresAVX2(x []float32) float64
TEXT ·sumSquaresAVX2(SB), NOSPLIT, $0-32
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VXORPD Y0, Y0, Y0
	VXORPD Y1, Y1, Y1
	VXORPD Y2, Y2, Y2
	VXORPD Y3, Y3, Y3
block:
	CMPQ CX, $16
	JLT fold
	PREFETCHT0 2048(SI) // gradients of a model come from memory
	VCVTPS2PD (SI), Y4
	VCVTPS2PD 16(SI), Y5
	VCVTPS2PD 32(SI), Y6
	VCVTPS2PD 48(SI), Y7
	VFMADD231PD Y4, Y4, Y0
	VFMADD231PD Y5, Y5, Y1
	VFMADD231PD Y6, Y6, Y2
	VFMADD231PD Y7, Y7, Y3
	ADDQ $64, SI
	SUBQ $16, CX
	JMP block
fold:
	VADDPD Y1, Y0, Y0
	VADDPD Y3, Y2, Y2
	VADDPD Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPD X1, X0, X0
	VPERMILPD $1, X0, X1
	VADDSD X1, X0, X0
	VXORPS X1, X1, X1
loop:
	TESTQ CX, CX
	JE done
	VCVTSS2SD (SI), X1, X4
	VFMADD231SD X4, X4, X0
	ADDQ $4, SI
	DECQ CX
	JMP loop
done:
	VMOVSD X0, ret+24(FP)
	VZEROUPPER
	RET

// Max keeps the greatest numbers in Y0 and, in Y1, the lanes that met a NaN.

// func maxAVX2(x []float32) float32
TEXT ·maxAVX2(SB), NOSPLIT, $0-28
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VMOVUPS cNegInf, Y0
	VMOVAPS Y0, Y4
	VXORPS Y1, Y1, Y1
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y2
	VCMPPS $3, Y2, Y2, Y3
	VORPS Y3, Y1, Y1
	VMAXPS Y2, Y0, Y0
	ADDQ $32, SI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y2
	VBLENDVPS Y8, Y2, Y4, Y2
	VCMPPS $3, Y2, Y2, Y3
	VORPS Y3, Y1, Y1
	VMAXPS Y2, Y0, Y0
done:
	VEXTRACTF128 $1, Y0, X2
	VMAXPS X2, X0, X0
	VMOVHLPS X0, X0, X2
	VMAXPS X2, X0, X0
	VMOVSHDUP X0, X2
	VMAXSS X2, X0, X0
	VMOVMSKPS Y1, AX
	TESTL AX, AX
	JE number
	VPCMPEQD X0, X0, X0 // all bits set is a NaN
number:
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func allFiniteAVX2(x []float32) bool
TEXT ·allFiniteAVX2(SB), NOSPLIT, $0-25
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VMOVUPS cInf, Y0 // also the exponent's bits
	VXORPS Y1, Y1, Y1
loop:
	CMPQ CX, $8
	JLT tail
	VANDPS (SI), Y0, Y2
	VPCMPEQD Y2, Y0, Y2
	VORPS Y2, Y1, Y1
	ADDQ $32, SI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y2
	VANDPS Y2, Y0, Y2
	VPCMPEQD Y2, Y0, Y2
	VORPS Y2, Y1, Y1
done:
	VMOVMSKPS Y1, AX
	TESTL AX, AX
	SETEQ ret+24(FP)
	VZEROUPPER
	RET
