#include "textflag.h"
#include "avx2_amd64.h"

// func sumDeviationsAVX2(x []float32, mean float32) float32
//
// The sum of (x-mean)^2, in the lanes of sumAVX2. The tail is masked after the subtraction.
TEXT ·sumDeviationsAVX2(SB), NOSPLIT, $0-36
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	VBROADCASTSS mean+24(FP), Y9
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
	VSUBPS Y9, Y4, Y4
	VSUBPS Y9, Y5, Y5
	VSUBPS Y9, Y6, Y6
	VSUBPS Y9, Y7, Y7
	VFMADD231PS Y4, Y4, Y0
	VFMADD231PS Y5, Y5, Y1
	VFMADD231PS Y6, Y6, Y2
	VFMADD231PS Y7, Y7, Y3
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
	VMOVUPS (SI), Y4
	VSUBPS Y9, Y4, Y4
	VFMADD231PS Y4, Y4, Y0
	ADDQ $32, SI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y4
	VSUBPS Y9, Y4, Y4
	VANDPS Y8, Y4, Y4
	VFMADD231PS Y4, Y4, Y0
done:
	HSUM(Y0, X0, X1)
	VMOVSS X0, ret+32(FP)
	VZEROUPPER
	RET

// func normScaleAVX2(y, x, w, b []float32, mean, rstd float32)
//
// y = (x-mean)*rstd*w + b; b may be nil.
TEXT ·normScaleAVX2(SB), NOSPLIT, $0-104
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ w_base+48(FP), R8
	MOVQ b_base+72(FP), R9
	VBROADCASTSS mean+96(FP), Y15
	VBROADCASTSS rstd+100(FP), Y14
	TESTQ R9, R9
	JE plain
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VMOVUPS (R9), Y2
	VSUBPS Y15, Y0, Y0
	VMULPS Y14, Y0, Y0
	VFMADD132PS (R8), Y2, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, R8
	ADDQ $32, R9
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VMASKMOVPS (R8), Y8, Y1
	VMASKMOVPS (R9), Y8, Y2
	VSUBPS Y15, Y0, Y0
	VMULPS Y14, Y0, Y0
	VFMADD132PS Y1, Y2, Y0
	VMASKMOVPS Y0, Y8, (DI)
done:
	VZEROUPPER
	RET
plain:
	CMPQ CX, $8
	JLT plaintail
	VMOVUPS (SI), Y0
	VSUBPS Y15, Y0, Y0
	VMULPS Y14, Y0, Y0
	VMULPS (R8), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, R8
	ADDQ $32, DI
	SUBQ $8, CX
	JMP plain
plaintail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VMASKMOVPS (R8), Y8, Y1
	VSUBPS Y15, Y0, Y0
	VMULPS Y14, Y0, Y0
	VMULPS Y1, Y0, Y0
	VMASKMOVPS Y0, Y8, (DI)
	JMP done

// func normGradSumsAVX2(dw, db, dy, x, w []float32, mean, rstd float32) (sg, sgx float32)
//
// With xh = (x-mean)*rstd and g = dy*w: dw += dy*xh, db += dy unless nil; returns the sums of g and of g*xh.
TEXT ·normGradSumsAVX2(SB), NOSPLIT, $0-136
	MOVQ dw_base+0(FP), DI
	MOVQ dw_len+8(FP), CX
	MOVQ db_base+24(FP), R10
	MOVQ dy_base+48(FP), SI
	MOVQ x_base+72(FP), R8
	MOVQ w_base+96(FP), R9
	VBROADCASTSS mean+120(FP), Y15
	VBROADCASTSS rstd+124(FP), Y14
	VXORPS Y13, Y13, Y13
	VXORPS Y12, Y12, Y12
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VMOVUPS (R8), Y1
	VSUBPS Y15, Y1, Y1
	VMULPS Y14, Y1, Y1
	VMULPS (R9), Y0, Y2
	VADDPS Y2, Y13, Y13
	VFMADD231PS Y1, Y2, Y12
	VFMADD213PS (DI), Y0, Y1
	VMOVUPS Y1, (DI)
	TESTQ R10, R10
	JE next
	VADDPS (R10), Y0, Y0
	VMOVUPS Y0, (R10)
	ADDQ $32, R10
next:
	ADDQ $32, SI
	ADDQ $32, R8
	ADDQ $32, R9
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VMASKMOVPS (R8), Y8, Y1
	VMASKMOVPS (R9), Y8, Y2
	VMASKMOVPS (DI), Y8, Y3
	VSUBPS Y15, Y1, Y1
	VMULPS Y14, Y1, Y1
	VMULPS Y2, Y0, Y2
	VANDPS Y8, Y1, Y4 // 0 * (0-mean)*rstd may be NaN when mean or rstd is not finite
	VADDPS Y2, Y13, Y13
	VFMADD231PS Y4, Y2, Y12
	VFMADD213PS Y3, Y0, Y1
	VMASKMOVPS Y1, Y8, (DI)
	TESTQ R10, R10
	JE done
	VMASKMOVPS (R10), Y8, Y1
	VADDPS Y1, Y0, Y0
	VMASKMOVPS Y0, Y8, (R10)
done:
	HSUM(Y13, X13, X0)
	HSUM(Y12, X12, X0)
	VMOVSS X13, sg+128(FP)
	VMOVSS X12, sgx+132(FP)
	VZEROUPPER
	RET

// func normGradAVX2(dx, dy, x, w []float32, mean, rstd, mg, mgx float32)
//
// dx = rstd * (dy*w - mg - xh*mgx)
TEXT ·normGradAVX2(SB), NOSPLIT, $0-112
	MOVQ dx_base+0(FP), DI
	MOVQ dx_len+8(FP), CX
	MOVQ dy_base+24(FP), SI
	MOVQ x_base+48(FP), R8
	MOVQ w_base+72(FP), R9
	VBROADCASTSS mean+96(FP), Y15
	VBROADCASTSS rstd+100(FP), Y14
	VBROADCASTSS mg+104(FP), Y13
	VBROADCASTSS mgx+108(FP), Y12
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VMOVUPS (R8), Y1
	VSUBPS Y15, Y1, Y1
	VMULPS Y14, Y1, Y1
	VFMSUB132PS (R9), Y13, Y0
	VFNMADD231PS Y1, Y12, Y0
	VMULPS Y14, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, R8
	ADDQ $32, R9
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VMASKMOVPS (R8), Y8, Y1
	VMASKMOVPS (R9), Y8, Y2
	VSUBPS Y15, Y1, Y1
	VMULPS Y14, Y1, Y1
	VFMSUB132PS Y2, Y13, Y0
	VFNMADD231PS Y1, Y12, Y0
	VMULPS Y14, Y0, Y0
	VMASKMOVPS Y0, Y8, (DI)
done:
	VZEROUPPER
	RET
