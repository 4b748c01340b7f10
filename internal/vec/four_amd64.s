#include "textflag.h"

DATA lowHalves<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA lowHalves<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL lowHalves<>(SB), RODATA|NOPTR, $16

// CODES leaves the 32 codes of 16 bytes at mem in their order, a byte each, in a and b. X9 is lowHalves.
#define CODES(mem, a, b) \
	VMOVDQU mem, b \
	VPSRLW $4, b, a \
	VPAND X9, a, a \
	VPAND X9, b, X8 \
	VPUNPCKHBW X8, a, b \
	VPUNPCKLBW X8, a, a

// func f32From4AVX2(y []float32, x []byte, table *[16]float32)
// len(y) is a multiple of 64.
TEXT ·f32From4AVX2(SB), NOSPLIT, $0-56
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ table+48(FP), BX
	VMOVUPS (BX), Y10
	VMOVUPS 32(BX), Y11
	VMOVDQU lowHalves<>(SB), X9
	SHRQ $6, CX
	JE done

// EIGHT looks the low eight codes of a up and stores them, scaled, at mem: bit 3 of a code, moved to the sign, chooses the half of the table.
#define EIGHT(a, mem) \
	VPMOVZXBD a, Y0 \
	VPERMPS Y10, Y0, Y1 \
	VPERMPS Y11, Y0, Y2 \
	VPSLLD $28, Y0, Y0 \
	VBLENDVPS Y0, Y2, Y1, Y1 \
	VMULPS Y12, Y1, Y1 \
	VMOVUPS Y1, mem

loop:
	VBROADCASTSS (SI), Y12
	CODES(4(SI), X4, X5)
	CODES(20(SI), X6, X7)
	EIGHT(X4, (DI))
	VPSRLDQ $8, X4, X4
	EIGHT(X4, 32(DI))
	EIGHT(X5, 64(DI))
	VPSRLDQ $8, X5, X5
	EIGHT(X5, 96(DI))
	EIGHT(X6, 128(DI))
	VPSRLDQ $8, X6, X6
	EIGHT(X6, 160(DI))
	EIGHT(X7, 192(DI))
	VPSRLDQ $8, X7, X7
	EIGHT(X7, 224(DI))
	ADDQ $36, SI
	ADDQ $256, DI
	DECQ CX
	JNE loop
done:
	VZEROUPPER
	RET

// func f32From4AVX512(y []float32, x []byte, table *[16]float32)
// len(y) is a multiple of 64.
TEXT ·f32From4AVX512(SB), NOSPLIT, $0-56
	MOVQ y_base+0(FP), DI
	MOVQ y_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ table+48(FP), BX
	VMOVUPS (BX), Z10
	VMOVDQU lowHalves<>(SB), X9
	SHRQ $6, CX
	JE done

// SIXTEEN looks the codes of a up and stores them, scaled, at mem.
#define SIXTEEN(a, mem) \
	VPMOVZXBD a, Z0 \
	VPERMPS Z10, Z0, Z1 \
	VMULPS Z12, Z1, Z1 \
	VMOVUPS Z1, mem

loop:
	VBROADCASTSS (SI), Z12
	CODES(4(SI), X4, X5)
	CODES(20(SI), X6, X7)
	SIXTEEN(X4, (DI))
	SIXTEEN(X5, 64(DI))
	SIXTEEN(X6, 128(DI))
	SIXTEEN(X7, 192(DI))
	ADDQ $36, SI
	ADDQ $256, DI
	DECQ CX
	JNE loop
done:
	VZEROUPPER
	RET
