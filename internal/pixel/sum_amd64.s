#include "textflag.h"

DATA half22<>+0(SB)/8, $0x0020000000200000
DATA half22<>+8(SB)/8, $0x0020000000200000
DATA half22<>+16(SB)/8, $0x0020000000200000
DATA half22<>+24(SB)/8, $0x0020000000200000
GLOBL half22<>(SB), RODATA|NOPTR, $32
// Where the channels of four pixels go, as words: red and green, and blue.
DATA planes<>+0(SB)/8, $0x8009800680038000
DATA planes<>+8(SB)/8, $0x800a800780048001
DATA planes<>+16(SB)/8, $0x800b800880058002
DATA planes<>+24(SB)/8, $0x8080808080808080
GLOBL planes<>(SB), RODATA|NOPTR, $32

// PAIR adds two rows, in Y4 and Y5 as words, times their weights at R11. It uses Y6 to Y10.
#define PAIR \
	VPUNPCKLWD   Y5, Y4, Y6; \
	VPUNPCKHWD   Y5, Y4, Y7; \
	VPBROADCASTD (R11), Y8; \
	VPBROADCASTD 4(R11), Y9; \
	VPMADDWD     Y8, Y6, Y10; \
	VPADDD       Y10, Y0, Y0; \
	VPMADDWD     Y8, Y7, Y10; \
	VPADDD       Y10, Y1, Y1; \
	VPMADDWD     Y9, Y6, Y10; \
	VPADDD       Y10, Y2, Y2; \
	VPMADDWD     Y9, Y7, Y10; \
	VPADDD       Y10, Y3, Y3

// func sumRowsAVX2(dst, src *uint8, stride int, parts *int16, rows, n int)
TEXT ·sumRowsAVX2(SB), NOSPLIT, $0-48
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    stride+16(FP), R8
	MOVQ    parts+24(FP), DX
	MOVQ    rows+32(FP), R9
	MOVQ    n+40(FP), CX
	VMOVDQU half22<>(SB), Y15

columns:
	VMOVDQU Y15, Y0 // low parts, with the half
	VMOVDQU Y15, Y1
	VPXOR   Y2, Y2, Y2 // high parts
	VPXOR   Y3, Y3, Y3
	MOVQ    SI, R10
	MOVQ    DX, R11
	MOVQ    R9, R12
	SUBQ    $2, R12
	JLT     odd

pairs:
	VPMOVZXBW (R10), Y4
	VPMOVZXBW (R10)(R8*1), Y5
	PAIR
	LEAQ (R10)(R8*2), R10
	ADDQ $8, R11
	SUBQ $2, R12
	JGE  pairs

odd:
	CMPQ R12, $-1
	JNE  store
	VPMOVZXBW (R10), Y4
	VPXOR     Y5, Y5, Y5
	PAIR

store:
	VPSLLD    $15, Y2, Y2
	VPSLLD    $15, Y3, Y3
	VPADDD    Y2, Y0, Y0
	VPADDD    Y3, Y1, Y1
	VPSRAD    $22, Y0, Y0
	VPSRAD    $22, Y1, Y1
	VPACKSSDW Y1, Y0, Y0
	VPACKUSWB Y0, Y0, Y0
	VPERMQ    $0x08, Y0, Y0
	VMOVDQU   X0, (DI)
	ADDQ      $16, DI
	ADDQ      $16, SI
	SUBQ      $16, CX
	JNZ       columns
	VZEROUPPER
	RET

// func sumRGBAVX2(dst, src *uint8, starts *int32, parts *int16, groups, n int)
TEXT ·sumRGBAVX2(SB), NOSPLIT, $0-48
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    starts+16(FP), R8
	MOVQ    parts+24(FP), R11
	MOVQ    groups+32(FP), R9
	MOVQ    n+40(FP), CX
	VMOVDQU planes<>(SB), Y14
	VMOVDQU half22<>(SB), Y15

pixels:
	MOVLQSX (R8), R10
	LEAQ    (R10)(R10*2), R10
	ADDQ    SI, R10
	VPXOR   Y0, Y0, Y0
	VPXOR   Y1, Y1, Y1
	MOVQ    R9, R12

groups:
	VBROADCASTI128 (R10), Y2
	VPSHUFB        Y14, Y2, Y2
	VPBROADCASTQ   (R11), Y3
	VPBROADCASTQ   8(R11), Y4
	VPMADDWD       Y3, Y2, Y3
	VPMADDWD       Y4, Y2, Y4
	VPADDD         Y3, Y0, Y0
	VPADDD         Y4, Y1, Y1
	ADDQ           $12, R10
	ADDQ           $16, R11
	DECQ           R12
	JNZ            groups

	VPSLLD       $15, Y1, Y1
	VPADDD       Y1, Y0, Y0
	VPHADDD      Y0, Y0, Y0 // red and green in the lower lane, blue in the upper one
	VPADDD       Y15, Y0, Y0
	VPSRAD       $22, Y0, Y0
	VPACKSSDW    Y0, Y0, Y0
	VPACKUSWB    Y0, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPUNPCKLWD   X1, X0, X0
	VMOVD        X0, AX
	MOVW         AX, (DI)
	SHRL         $16, AX
	MOVB         AX, 2(DI)
	ADDQ         $3, DI
	ADDQ         $4, R8
	DECQ         CX
	JNZ          pixels
	VZEROUPPER
	RET
