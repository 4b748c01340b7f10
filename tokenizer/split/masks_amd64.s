#include "go_asm.h"
#include "textflag.h"

// Bytes of classifyAVX2: ' ' (also the bit between cases), 'a', 'z'-'a', '0', '9'-'0', '\t', '\r'-'\t', '\n'; '\r', '\'', '/'.
DATA bytes<>+0(SB)/8, $0x0a04090930196120
DATA bytes<>+8(SB)/8, $0x00000000002f270d
GLOBL bytes<>(SB), RODATA|NOPTR, $16

// SAVE stores the highest bits of the 32 bytes of a and the 32 of b.
#define SAVE(a, b, field) \
	VPMOVMSKB a, AX \
	VPMOVMSKB b, BX \
	SHLQ $32, BX \
	ORQ BX, AX \
	MOVQ AX, field(DI)

// BETWEEN sets to 0xff the bytes of x, put into to, that are at most span above least.
#define BETWEEN(x, least, span, to, tmp) \
	VPSUBB least, x, to \
	VPMINUB span, to, tmp \
	VPCMPEQB tmp, to, to

#define EQUAL(at, field) \
	VPBROADCASTB bytes<>+at(SB), Y2 \
	VPCMPEQB Y2, Y0, Y4 \
	VPCMPEQB Y2, Y1, Y5 \
	SAVE(Y4, Y5, field)

// func classifyAVX2(m *masks, text *[64]byte)
TEXT ·classifyAVX2(SB), NOSPLIT, $0-16
	MOVQ m+0(FP), DI
	MOVQ text+8(FP), SI
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SAVE(Y0, Y1, masks_high)

	VPBROADCASTB bytes<>+1(SB), Y2
	VPBROADCASTB bytes<>+2(SB), Y3
	BETWEEN(Y0, Y2, Y3, Y4, Y6)
	BETWEEN(Y1, Y2, Y3, Y5, Y6)
	SAVE(Y4, Y5, masks_lower)
	VPBROADCASTB bytes<>+0(SB), Y7
	VPOR Y7, Y0, Y8
	VPOR Y7, Y1, Y9
	BETWEEN(Y8, Y2, Y3, Y4, Y6)
	BETWEEN(Y9, Y2, Y3, Y5, Y6)
	SAVE(Y4, Y5, masks_letter)

	VPBROADCASTB bytes<>+3(SB), Y2
	VPBROADCASTB bytes<>+4(SB), Y3
	BETWEEN(Y0, Y2, Y3, Y4, Y6)
	BETWEEN(Y1, Y2, Y3, Y5, Y6)
	SAVE(Y4, Y5, masks_digit)

	VPCMPEQB Y7, Y0, Y8
	VPCMPEQB Y7, Y1, Y9
	SAVE(Y8, Y9, masks_space)
	VPBROADCASTB bytes<>+5(SB), Y2
	VPBROADCASTB bytes<>+6(SB), Y3
	BETWEEN(Y0, Y2, Y3, Y4, Y6)
	BETWEEN(Y1, Y2, Y3, Y5, Y6)
	VPOR Y4, Y8, Y8
	VPOR Y5, Y9, Y9
	SAVE(Y8, Y9, masks_white)

	VPBROADCASTB bytes<>+7(SB), Y2
	VPBROADCASTB bytes<>+8(SB), Y3
	VPCMPEQB Y2, Y0, Y4
	VPCMPEQB Y2, Y1, Y5
	VPCMPEQB Y3, Y0, Y8
	VPCMPEQB Y3, Y1, Y9
	VPOR Y8, Y4, Y4
	VPOR Y9, Y5, Y5
	SAVE(Y4, Y5, masks_newline)
	EQUAL(9, masks_quote)
	EQUAL(10, masks_slash)
	VZEROUPPER
	RET
