#include "textflag.h"
#include "avx2_amd64.h"

// Eight numbers at a time. A tail goes through 16 bytes of stack, so that the same instruction converts it.

#define LOAD16(SRC) \
	MOVQ $0, buf-16(SP); \
	MOVQ $0, buf-8(SP); \
	LEAQ buf-16(SP), R9; \
	MOVQ CX, DX; \
	MOVQ SRC, R10; \
copyin: \
	MOVW (R10), AX; \
	MOVW AX, (R9); \
	ADDQ $2, R10; \
	ADDQ $2, R9; \
	DECQ DX; \
	JNE copyin

#define STORE16 \
	LEAQ buf-16(SP), R9; \
copyout: \
	MOVW (R9), AX; \
	MOVW AX, (DI); \
	ADDQ $2, R9; \
	ADDQ $2, DI; \
	DECQ CX; \
	JNE copyout

// func f32FromF16AVX2(y []float32, x []uint16)
TEXT ·f32FromF16AVX2(SB), NOSPLIT, $16-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
loop:
	CMPQ CX, $8
	JLT tail
	VCVTPH2PS (SI), Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	LOAD16(SI)
	VCVTPH2PS buf-16(SP), Y0
	MASK
	VMASKMOVPS Y0, Y8, (DI)
done:
	VZEROUPPER
	RET

// func f32FromBF16AVX2(y []float32, x []uint16)
TEXT ·f32FromBF16AVX2(SB), NOSPLIT, $16-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
loop:
	CMPQ CX, $8
	JLT tail
	VPMOVZXWD (SI), Y0
	VPSLLD $16, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	LOAD16(SI)
	VPMOVZXWD buf-16(SP), Y0
	VPSLLD $16, Y0, Y0
	MASK
	VMASKMOVPS Y0, Y8, (DI)
done:
	VZEROUPPER
	RET

// func f16FromF32AVX2(y []uint16, x []float32)
TEXT ·f16FromF32AVX2(SB), NOSPLIT, $16-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	VCVTPS2PH $0, Y0, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	VCVTPS2PH $0, Y0, buf-16(SP)
	STORE16
done:
	VZEROUPPER
	RET

// BRAIN rounds the eight floats of Y0 to bfloat16 in X0: bits + 0x7fff + the last kept bit, or the quiet bit for NaN.
#define BRAIN \
	VPSRLD $16, Y0, Y1; \
	VPAND cIntOne, Y1, Y2; \
	VPADDD cBF16Bias, Y2, Y2; \
	VPADDD Y0, Y2, Y2; \
	VPSRLD $16, Y2, Y2; \
	VPOR cBF16Quiet, Y1, Y1; \
	VCMPPS $3, Y0, Y0, Y3; \
	VBLENDVPS Y3, Y1, Y2, Y0; \
	VEXTRACTI128 $1, Y0, X1; \
	VPACKUSDW X1, X0, X0

// func bf16FromF32AVX2(y []uint16, x []float32)
TEXT ·bf16FromF32AVX2(SB), NOSPLIT, $16-48
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
loop:
	CMPQ CX, $8
	JLT tail
	VMOVUPS (SI), Y0
	BRAIN
	VMOVDQU X0, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
	JMP loop
tail:
	TESTQ CX, CX
	JE done
	MASK
	VMASKMOVPS (SI), Y8, Y0
	BRAIN
	VMOVDQU X0, buf-16(SP)
	STORE16
done:
	VZEROUPPER
	RET
