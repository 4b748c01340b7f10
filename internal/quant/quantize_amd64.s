#include "textflag.h"

// Rows of activations to codes, AVX2: see quantizeGo.

DATA order<>+0x00(SB)/8, $0x0000000400000000
DATA order<>+0x08(SB)/8, $0x0000000500000001
DATA order<>+0x10(SB)/8, $0x0000000600000002
DATA order<>+0x18(SB)/8, $0x0000000700000003
GLOBL order<>(SB), RODATA|NOPTR, $32

#define ARGS \
	MOVQ code+0(FP), DI; \
	MOVQ scale+8(FP), R8; \
	MOVQ sum+16(FP), R9; \
	MOVQ x+24(FP), SI; \
	MOVQ blocks+32(FP), CX; \
	MOVL $0x7fffffff, AX; \
	VMOVD AX, X15; \
	VPBROADCASTD X15, Y15; \
	MOVL $0x42fe0000, AX; \ // 127
	VMOVD AX, X14; \
	VPCMPEQW Y13, Y13, Y13; \
	VPSRLW $15, Y13, Y13; \ // words of 1
	VPABSB Y13, Y12; \
	VPSLLW $8, Y13, Y11; \
	VPOR Y11, Y12, Y12; \ // bytes of 1
	VMOVDQU order<>(SB), Y11

// MAGNITUDE raises Y8 to the magnitudes of 32 numbers at off, as integers.
#define MAGNITUDE(off) \
	VPAND off(SI), Y15, Y4; \
	VPAND off+32(SI), Y15, Y5; \
	VPAND off+64(SI), Y15, Y6; \
	VPAND off+96(SI), Y15, Y7; \
	VPMAXSD Y5, Y4, Y4; \
	VPMAXSD Y7, Y6, Y6; \
	VPMAXSD Y6, Y4, Y4; \
	VPMAXSD Y4, Y8, Y8

// TOP takes the largest lane of Y8 to X8 and AX.
#define TOP \
	VEXTRACTI128 $1, Y8, X4; \
	VPMAXSD X4, X8, X8; \
	VPSHUFD $0x4e, X8, X4; \
	VPMAXSD X4, X8, X8; \
	VPSHUFD $0xb1, X8, X4; \
	VPMAXSD X4, X8, X8; \
	VMOVD X8, AX

// INVERSE sets Y9 to 127 / X8.
#define INVERSE \
	VDIVSS X8, X14, X9; \
	VBROADCASTSS X9, Y9

// CODES makes 32 codes Y0 of the numbers at off.
#define CODES(off) \
	VMULPS off(SI), Y9, Y0; \
	VMULPS off+32(SI), Y9, Y1; \
	VMULPS off+64(SI), Y9, Y2; \
	VMULPS off+96(SI), Y9, Y3; \
	VCVTPS2DQ Y0, Y0; \
	VCVTPS2DQ Y1, Y1; \
	VCVTPS2DQ Y2, Y2; \
	VCVTPS2DQ Y3, Y3; \
	VPACKSSDW Y1, Y0, Y0; \
	VPACKSSDW Y3, Y2, Y2; \
	VPACKSSWB Y2, Y0, Y0; \
	VPERMD Y0, Y11, Y0

// FOURS makes Y1 the sums of four codes each.
#define FOURS \
	VPMADDUBSW Y0, Y12, Y1; \
	VPMADDWD Y13, Y1, Y1

// func quantize32(code *int8, scale *float32, sum *int32, x *float32, blocks, codeStep, slotStep int, bias int32)
TEXT ·quantize32(SB), NOSPLIT, $0-60
	ARGS
	MOVQ codeStep+40(FP), DX
	MOVQ slotStep+48(FP), R10
	MOVL bias+56(FP), R11
	NEGL R11
loop:
	VPXOR Y8, Y8, Y8
	MAGNITUDE(0)
	TOP
	CMPL AX, $0x7f800000
	JGE wild
	CMPL AX, $0x0d800000 // 2^-100
	JLT zero
	INVERSE
	VDIVSS X14, X8, X4
	CMPL AX, $0x4afdf020 // 127·65520
	JGE large
	VCVTPS2PH $0, X4, X4
	VCVTPH2PS X4, X4
large:
	VMOVSS X4, (R8)
	CODES(0)
	FOURS
	VEXTRACTI128 $1, Y1, X2
	VPADDD X2, X1, X1
	VPSHUFD $0x4e, X1, X2
	VPADDD X2, X1, X1
	VPSHUFD $0xb1, X1, X2
	VPADDD X2, X1, X1
	VMOVD X1, AX
	IMULL R11, AX
	JMP store
wild:
	MOVL $0x7fc00000, (R8)
	JMP none
zero:
	MOVL $0, (R8)
none:
	VPXOR Y0, Y0, Y0
	XORL AX, AX
store:
	MOVL AX, (R9)
	VMOVDQU Y0, (DI)
	ADDQ $128, SI
	ADDQ DX, DI
	ADDQ R10, R8
	ADDQ R10, R9
	DECQ CX
	JNE loop
	VZEROUPPER
	RET

// func quantize256(code *int8, scale *float32, sum *int16, x *float32, blocks, codeStep, scaleStep, sumStep int, sixteens bool)
TEXT ·quantize256(SB), NOSPLIT, $0-65
	ARGS
	MOVBLZX sixteens+64(FP), DX
	MOVL $0x3f800000, AX // 1
	VMOVD AX, X10
loop:
	VPXOR Y8, Y8, Y8
	MAGNITUDE(0)
	MAGNITUDE(128)
	MAGNITUDE(256)
	MAGNITUDE(384)
	MAGNITUDE(512)
	MAGNITUDE(640)
	MAGNITUDE(768)
	MAGNITUDE(896)
	TOP
	CMPL AX, $0x7f800000
	JGE wild
	CMPL AX, $0x0d800000 // 2^-100
	JLT zero
	INVERSE
	VDIVSS X9, X10, X4
	VMOVSS X4, (R8)
	JMP codes
wild:
	MOVL $0x7fc00000, (R8)
	JMP none
zero:
	MOVL $0, (R8)
none:
	XORL BX, BX
	JMP clear
codes:
	XORL BX, BX // numbers done
	MOVQ R9, R10
part:
	CODES(0)
	VMOVDQU Y0, (DI)(BX*1)
	FOURS
	VPHADDD Y1, Y1, Y1
	VPHADDD Y1, Y1, Y1 // sums of 16
	VEXTRACTI128 $1, Y1, X2
	TESTL DX, DX
	JNE two
	VPADDD X2, X1, X1
	VMOVD X1, AX
	MOVW AX, (R10)
	ADDQ $2, R10
	JMP more
two:
	VMOVD X1, AX
	MOVW AX, (R10)
	VMOVD X2, AX
	MOVW AX, 2(R10)
	ADDQ $4, R10
more:
	ADDQ $128, SI
	ADDL $32, BX
	CMPL BX, $256
	JNE part
	JMP next
clear:
	VPXOR Y0, Y0, Y0
	VMOVDQU Y0, (DI)(BX*1)
	ADDL $32, BX
	CMPL BX, $256
	JNE clear
	VMOVDQU X0, (R9)
	TESTL DX, DX
	JE cleared
	VMOVDQU X0, 16(R9)
cleared:
	ADDQ $1024, SI
next:
	ADDQ codeStep+40(FP), DI
	ADDQ scaleStep+48(FP), R8
	ADDQ sumStep+56(FP), R9
	DECQ CX
	JNE loop
	VZEROUPPER
	RET
