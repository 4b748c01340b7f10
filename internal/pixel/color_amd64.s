#include "textflag.h"

// The constants of jfifGo, less whole multiples of 2^16: pairs of factors of Cb and Cr.
DATA red<>+0(SB)/8, $0x66e9000066e90000
DATA red<>+8(SB)/8, $0x66e9000066e90000
DATA red<>+16(SB)/8, $0x66e9000066e90000
DATA red<>+24(SB)/8, $0x66e9000066e90000
GLOBL red<>(SB), RODATA|NOPTR, $32
DATA green<>+0(SB)/8, $0x492ea7e6492ea7e6
DATA green<>+8(SB)/8, $0x492ea7e6492ea7e6
DATA green<>+16(SB)/8, $0x492ea7e6492ea7e6
DATA green<>+24(SB)/8, $0x492ea7e6492ea7e6
GLOBL green<>(SB), RODATA|NOPTR, $32
DATA blue<>+0(SB)/8, $0x0000c5a20000c5a2
DATA blue<>+8(SB)/8, $0x0000c5a20000c5a2
DATA blue<>+16(SB)/8, $0x0000c5a20000c5a2
DATA blue<>+24(SB)/8, $0x0000c5a20000c5a2
GLOBL blue<>(SB), RODATA|NOPTR, $32
DATA half16<>+0(SB)/8, $0x0000800000008000
DATA half16<>+8(SB)/8, $0x0000800000008000
DATA half16<>+16(SB)/8, $0x0000800000008000
DATA half16<>+24(SB)/8, $0x0000800000008000
GLOBL half16<>(SB), RODATA|NOPTR, $32
DATA middle<>+0(SB)/8, $0x0080008000800080
DATA middle<>+8(SB)/8, $0x0080008000800080
DATA middle<>+16(SB)/8, $0x0080008000800080
DATA middle<>+24(SB)/8, $0x0080008000800080
GLOBL middle<>(SB), RODATA|NOPTR, $32
// Where the bytes of 8 pixels go, of red and green and of blue: the first 16 bytes and the other 8.
DATA firstRG<>+0(SB)/8, $0x0a02800901800800
DATA firstRG<>+8(SB)/8, $0x05800c04800b0380
DATA firstRG<>+16(SB)/8, $0x0a02800901800800
DATA firstRG<>+24(SB)/8, $0x05800c04800b0380
GLOBL firstRG<>(SB), RODATA|NOPTR, $32
DATA firstB<>+0(SB)/8, $0x8080018080008080
DATA firstB<>+8(SB)/8, $0x8004808003808002
DATA firstB<>+16(SB)/8, $0x8080018080008080
DATA firstB<>+24(SB)/8, $0x8004808003808002
GLOBL firstB<>(SB), RODATA|NOPTR, $32
DATA otherRG<>+0(SB)/8, $0x800f07800e06800d
DATA otherRG<>+8(SB)/8, $0x8080808080808080
DATA otherRG<>+16(SB)/8, $0x800f07800e06800d
DATA otherRG<>+24(SB)/8, $0x8080808080808080
GLOBL otherRG<>(SB), RODATA|NOPTR, $32
DATA otherB<>+0(SB)/8, $0x0780800680800580
DATA otherB<>+8(SB)/8, $0x8080808080808080
DATA otherB<>+16(SB)/8, $0x0780800680800580
DATA otherB<>+24(SB)/8, $0x8080808080808080
GLOBL otherB<>(SB), RODATA|NOPTR, $32

// func blendAVX2(sum *int16, near, far *uint8, n int)
TEXT ·blendAVX2(SB), NOSPLIT, $0-32
	MOVQ sum+0(FP), DI
	MOVQ near+8(FP), SI
	MOVQ far+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	VPMOVZXBW (SI), Y0
	VPMOVZXBW (DX), Y1
	VPADDW    Y0, Y0, Y2
	VPADDW    Y0, Y1, Y1
	VPADDW    Y2, Y1, Y1
	VMOVDQU   Y1, (DI)
	ADDQ      $16, SI
	ADDQ      $16, DX
	ADDQ      $32, DI
	SUBQ      $16, CX
	JNZ       loop
	VZEROUPPER
	RET

// func widenAVX2(dst *uint8, sum *int16, even, odd int16, shift, n int)
TEXT ·widenAVX2(SB), NOSPLIT, $0-40
	MOVQ         dst+0(FP), DI
	MOVQ         sum+8(FP), SI
	VPBROADCASTW even+16(FP), Y10
	VPBROADCASTW odd+18(FP), Y11
	VMOVQ        shift+24(FP), X12
	MOVQ         n+32(FP), CX

loop:
	VMOVDQU 2(SI), Y0
	VPADDW  Y0, Y0, Y1
	VPADDW  Y0, Y1, Y1
	VPADDW  Y10, Y1, Y2
	VPADDW  (SI), Y2, Y2
	VPADDW  Y11, Y1, Y3
	VPADDW  4(SI), Y3, Y3
	VPSRLW  X12, Y2, Y2
	VPSRLW  X12, Y3, Y3
	VPSLLW  $8, Y3, Y3
	VPOR    Y2, Y3, Y3
	VMOVDQU Y3, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	SUBQ    $16, CX
	JNZ     loop
	VZEROUPPER
	RET

// CHANNEL sets Y to the factors K times the colours in Y3 and Y4. It uses Y9.
#define CHANNEL(K, Y) \
	VPMADDWD  K<>(SB), Y3, Y; \
	VPMADDWD  K<>(SB), Y4, Y9; \
	VPADDD    half16<>(SB), Y, Y; \
	VPADDD    half16<>(SB), Y9, Y9; \
	VPSRAD    $16, Y, Y; \
	VPSRAD    $16, Y9, Y9; \
	VPACKSSDW Y9, Y, Y

// func jfifAVX2(dst, y, cb, cr *uint8, n int)
TEXT ·jfifAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ cb+16(FP), DX
	MOVQ cr+24(FP), R8
	MOVQ n+32(FP), CX

loop:
	VPMOVZXBW  (SI), Y0
	VPMOVZXBW  (DX), Y1
	VPMOVZXBW  (R8), Y2
	VPSUBW     middle<>(SB), Y1, Y1
	VPSUBW     middle<>(SB), Y2, Y2
	VPUNPCKLWD Y2, Y1, Y3
	VPUNPCKHWD Y2, Y1, Y4
	CHANNEL(red, Y5)
	VPADDW     Y2, Y5, Y5
	VPADDW     Y0, Y5, Y5
	CHANNEL(green, Y6)
	VPSUBW     Y2, Y6, Y6
	VPADDW     Y0, Y6, Y6
	CHANNEL(blue, Y7)
	VPADDW     Y1, Y7, Y7
	VPADDW     Y1, Y7, Y7
	VPADDW     Y0, Y7, Y7
	VPACKUSWB  Y6, Y5, Y5
	VPACKUSWB  Y7, Y7, Y7
	VPSHUFB    firstRG<>(SB), Y5, Y8
	VPSHUFB    firstB<>(SB), Y7, Y9
	VPOR       Y8, Y9, Y8
	VPSHUFB    otherRG<>(SB), Y5, Y5
	VPSHUFB    otherB<>(SB), Y7, Y7
	VPOR       Y5, Y7, Y5
	VMOVDQU    X8, (DI)
	VMOVQ      X5, 16(DI)
	VEXTRACTI128 $1, Y8, X8
	VEXTRACTI128 $1, Y5, X5
	VMOVDQU    X8, 24(DI)
	VMOVQ      X5, 40(DI)
	ADDQ       $16, SI
	ADDQ       $16, DX
	ADDQ       $16, R8
	ADDQ       $48, DI
	SUBQ       $16, CX
	JNZ        loop
	VZEROUPPER
	RET
