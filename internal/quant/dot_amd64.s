#include "textflag.h"

// Dot products of four rows of weights at a time, lane r of a register for row r, with one row of activations. AVX2. The four rows lie apart, so that each is the
// beginning of a stream through many rows: what a core gets from memory is limited by how much is asked for ahead, and the processor itself asks ahead in
// streams longer than a row.

DATA words<>+0x00(SB)/8, $0x0100010001000100
DATA words<>+0x08(SB)/8, $0x0100010001000100
DATA words<>+0x10(SB)/8, $0x0100010001000100
DATA words<>+0x18(SB)/8, $0x0100010001000100
DATA words<>+0x20(SB)/8, $0x0302030203020302
DATA words<>+0x28(SB)/8, $0x0302030203020302
DATA words<>+0x30(SB)/8, $0x0302030203020302
DATA words<>+0x38(SB)/8, $0x0302030203020302
DATA words<>+0x40(SB)/8, $0x0504050405040504
DATA words<>+0x48(SB)/8, $0x0504050405040504
DATA words<>+0x50(SB)/8, $0x0504050405040504
DATA words<>+0x58(SB)/8, $0x0504050405040504
DATA words<>+0x60(SB)/8, $0x0706070607060706
DATA words<>+0x68(SB)/8, $0x0706070607060706
DATA words<>+0x70(SB)/8, $0x0706070607060706
DATA words<>+0x78(SB)/8, $0x0706070607060706
DATA words<>+0x80(SB)/8, $0x0908090809080908
DATA words<>+0x88(SB)/8, $0x0908090809080908
DATA words<>+0x90(SB)/8, $0x0908090809080908
DATA words<>+0x98(SB)/8, $0x0908090809080908
DATA words<>+0xa0(SB)/8, $0x0b0a0b0a0b0a0b0a
DATA words<>+0xa8(SB)/8, $0x0b0a0b0a0b0a0b0a
DATA words<>+0xb0(SB)/8, $0x0b0a0b0a0b0a0b0a
DATA words<>+0xb8(SB)/8, $0x0b0a0b0a0b0a0b0a
DATA words<>+0xc0(SB)/8, $0x0d0c0d0c0d0c0d0c
DATA words<>+0xc8(SB)/8, $0x0d0c0d0c0d0c0d0c
DATA words<>+0xd0(SB)/8, $0x0d0c0d0c0d0c0d0c
DATA words<>+0xd8(SB)/8, $0x0d0c0d0c0d0c0d0c
DATA words<>+0xe0(SB)/8, $0x0f0e0f0e0f0e0f0e
DATA words<>+0xe8(SB)/8, $0x0f0e0f0e0f0e0f0e
DATA words<>+0xf0(SB)/8, $0x0f0e0f0e0f0e0f0e
DATA words<>+0xf8(SB)/8, $0x0f0e0f0e0f0e0f0e
GLOBL words<>(SB), RODATA|NOPTR, $256
DATA evenOdd<>+0x00(SB)/8, $0x0e0c0a0806040200
DATA evenOdd<>+0x08(SB)/8, $0x0f0d0b0907050301
GLOBL evenOdd<>(SB), RODATA|NOPTR, $16
DATA shiftK<>+0x00(SB)/8, $0x0000000000000000
DATA shiftK<>+0x08(SB)/8, $0x0000000400000000
GLOBL shiftK<>(SB), RODATA|NOPTR, $16
DATA lowK<>+0x00(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA lowK<>+0x08(SB)/8, $0x0f0f0f0f3f3f3f3f
GLOBL lowK<>(SB), RODATA|NOPTR, $16
DATA highK<>+0x00(SB)/8, $0x3030303000000000
DATA highK<>+0x08(SB)/8, $0x3030303000000000
GLOBL highK<>(SB), RODATA|NOPTR, $16
DATA splitHalves<>+0x00(SB)/8, $0x0d0c090805040100
DATA splitHalves<>+0x08(SB)/8, $0x0f0e0b0a07060302
GLOBL splitHalves<>(SB), RODATA|NOPTR, $16

// ARGS loads what all functions take: w the first row of the first of four streams, stride bytes between streams, rows of each of them one after the other,
// blocks of a row, and of the activations the codes, scales and sums, whose blocks are so many bytes apart.
// R8-R11 rows, BX blocks, SI codes, R12 scales, R13 sums; DX bytes between the streams of y.
#define ARGS \
	MOVQ y+0(FP), DI; \
	MOVQ w+8(FP), R8; \
	MOVQ stride+16(FP), DX; \
	MOVQ rows+24(FP), CX; \
	LEAQ (R8)(DX*1), R9; \
	LEAQ (R9)(DX*1), R10; \
	LEAQ (R10)(DX*1), R11; \
	LEAQ (CX*4), DX

// ROWS begins a row of each stream.
#define ROWS \
	MOVQ blocks+32(FP), BX; \
	MOVQ code+40(FP), SI; \
	MOVQ scale+48(FP), R12; \
	MOVQ sum+56(FP), R13; \
	VXORPS X12, X12, X12

// NEXT goes on to the next block; w the bytes of a block.
#define NEXT(w) \
	ADDQ $w, R8; \
	ADDQ $w, R9; \
	ADDQ $w, R10; \
	ADDQ $w, R11; \
	ADDQ codeStep+64(FP), SI; \
	ADDQ scaleStep+72(FP), R12; \
	ADDQ sumStep+80(FP), R13; \
	DECQ BX

// FETCH asks for what comes later in the streams.
#define AHEAD 1024
#define FETCH(off) \
	PREFETCHT0 (AHEAD+off)(R8); \
	PREFETCHT0 (AHEAD+off)(R9); \
	PREFETCHT0 (AHEAD+off)(R10); \
	PREFETCHT0 (AHEAD+off)(R11)

// STORE ends a row of each stream.
#define STORE \
	LEAQ (DX)(DX*2), R14; \
	VMOVSS X12, (DI); \
	VEXTRACTPS $1, X12, (DI)(DX*1); \
	VEXTRACTPS $2, X12, (DI)(DX*2); \
	VEXTRACTPS $3, X12, (DI)(R14*1); \
	ADDQ $4, DI; \
	DECQ CX

// HALVES puts the scales at off of the four blocks into X4.
#define HALVES(off) \
	MOVWLZX off(R8), R14; \
	MOVWLZX off(R9), R15; \
	SHLL $16, R15; \
	ORL R15, R14; \
	VMOVD R14, X4; \
	MOVWLZX off(R10), R14; \
	MOVWLZX off(R11), R15; \
	SHLL $16, R15; \
	ORL R15, R14; \
	VPINSRD $1, R14, X4, X4; \
	VCVTPH2PS X4, X4

// SUMS adds up Y0, Y1, Y2, Y3 each to a lane of X0.
#define SUMS \
	VPHADDD Y1, Y0, Y0; \
	VPHADDD Y3, Y2, Y2; \
	VPHADDD Y2, Y0, Y0; \
	VEXTRACTI128 $1, Y0, X1; \
	VPADDD X1, X0, X0

// JOIN adds scale of activations times X4·X0.
#define JOIN \
	VCVTDQ2PS X0, X0; \
	VMULPS X4, X0, X0; \
	VBROADCASTSS (R12), X5; \
	VFMADD231PS X5, X0, X12

// func dotQ8_0(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)
TEXT ·dotQ8_0(SB), NOSPLIT, $0-88
	ARGS
	VPCMPEQW Y15, Y15, Y15
	VPSRLW $15, Y15, Y15
rows:
	ROWS
loop:
	FETCH(0)
	VMOVDQU (SI), Y4
#define ROW(R, ACC) \
	VMOVDQU 2(R), Y5; \
	VPABSB Y5, Y6; \
	VPSIGNB Y5, Y4, Y7; \
	VPMADDUBSW Y7, Y6, ACC; \
	VPMADDWD Y15, ACC, ACC
	ROW(R8, Y0)
	ROW(R9, Y1)
	ROW(R10, Y2)
	ROW(R11, Y3)
#undef ROW
	SUMS
	HALVES(0)
	JOIN
	NEXT(34)
	JNE loop
	STORE
	JNE rows
	VZEROUPPER
	RET

// func dotQ4_0(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)
// sum is Activations.start.
TEXT ·dotQ4_0(SB), NOSPLIT, $0-88
	ARGS
	VPCMPEQW Y15, Y15, Y15
	VPSRLW $15, Y15, Y15
	VPSLLW $4, Y15, Y14
	VPSUBW Y15, Y14, Y14
	VPSLLW $8, Y14, Y13
	VPOR Y13, Y14, Y14 // bytes of 15
rows:
	ROWS
loop:
	FETCH(0)
	VBROADCASTI128 (SI), Y4
	VBROADCASTI128 16(SI), Y7
#define PAIR(R, S, ACC) \
	VMOVDQU 2(R), X5; \
	VINSERTI128 $1, 2(S), Y5, Y5; \
	VPAND Y14, Y5, Y6; \
	VPSRLW $4, Y5, Y5; \
	VPAND Y14, Y5, Y5; \
	VPMADDUBSW Y4, Y6, Y6; \
	VPMADDUBSW Y7, Y5, Y5; \
	VPADDW Y6, Y5, ACC; \
	VPMADDWD Y15, ACC, ACC
	PAIR(R8, R9, Y0) // a half of a register for a row
	PAIR(R10, R11, Y1)
#undef PAIR
	VPHADDD Y1, Y0, Y0
	VPHADDD Y0, Y0, Y0 // rows 0, 2, 0, 2; 1, 3, 1, 3
	VEXTRACTI128 $1, Y0, X1
	VPUNPCKLDQ X1, X0, X0
	VPBROADCASTD (R13), X1
	VPADDD X1, X0, X0
	HALVES(0)
	JOIN
	NEXT(18)
	JNE loop
	STORE
	JNE rows
	VZEROUPPER
	RET

// SPLITK makes the scales and minima of a block of Q4_K or Q5_K bytes of X5, scales first; see unpacked.scalesK.
#define SPLITK(R) \
	VMOVDQU (R), X4; \
	VPSHUFD $0xed, X4, X5; \
	VPSRLVD shiftK<>(SB), X5, X5; \
	VPAND lowK<>(SB), X5, X5; \
	VPSHUFD $0x95, X4, X6; \
	VPSRLD $2, X6, X6; \
	VPAND highK<>(SB), X6, X6; \
	VPOR X6, X5, X5

// SCALESK makes the scales of a block words, in both halves of Y5, and MIN the products of minima and sums.
#define SCALESK(R, MIN) \
	SPLITK(R); \
	VPMOVZXBW X5, Y5; \
	VEXTRACTI128 $1, Y5, X6; \
	VPMADDWD (R13), X6, MIN; \
	VINSERTI128 $1, X5, Y5, Y5

// SCALED adds to ACC the codes U times activations at off, times scale k of Y5.
#define SCALED(U, off, k, ACC) \
	VPMADDUBSW off(SI), U, U; \
	VPSHUFB words<>+(32*k)(SB), Y5, Y4; \
	VPMADDWD Y4, U, U; \
	VPADDD U, ACC, ACC

// JOINK ends a block of Q4_K or Q5_K: sums in Y0-Y3, products of minima in X8-X11.
#define JOINK \
	SUMS; \
	VPHADDD X9, X8, X8; \
	VPHADDD X11, X10, X10; \
	VPHADDD X10, X8, X8; \
	VMOVD (R8), X4; \
	VPINSRD $1, (R9), X4, X4; \
	VPINSRD $2, (R10), X4, X4; \
	VPINSRD $3, (R11), X4, X4; \
	VPSHUFB splitHalves<>(SB), X4, X4; \
	VCVTPH2PS X4, Y4; \
	VEXTRACTF128 $1, Y4, X5; \
	VCVTDQ2PS X0, X0; \
	VMULPS X4, X0, X0; \
	VCVTDQ2PS X8, X8; \
	VFNMADD231PS X8, X5, X0; \
	VBROADCASTSS (R12), X5; \
	VFMADD231PS X5, X0, X12

// func dotQ4_K(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)
// sum is Activations.sum.
TEXT ·dotQ4_K(SB), NOSPLIT, $0-88
	ARGS
	MOVL $0x0f0f0f0f, AX
	VMOVD AX, X14
	VPBROADCASTD X14, Y14
rows:
	ROWS
loop:
	FETCH(0)
	FETCH(64)
#define PART(R, j, ACC) \
	VMOVDQU (16+32*j)(R), Y6; \
	VPAND Y14, Y6, Y7; \
	VPSRLW $4, Y6, Y6; \
	VPAND Y14, Y6, Y6; \
	SCALED(Y7, (64*j), (2*j), ACC); \
	SCALED(Y6, (64*j+32), (2*j+1), ACC)
#define ROW(R, ACC, MIN) \
	SCALESK(R, MIN); \
	VPXOR ACC, ACC, ACC; \
	PART(R, 0, ACC); \
	PART(R, 1, ACC); \
	PART(R, 2, ACC); \
	PART(R, 3, ACC)
	ROW(R8, Y0, X8)
	ROW(R9, Y1, X9)
	ROW(R10, Y2, X10)
	ROW(R11, Y3, X11)
#undef ROW
#undef PART
	JOINK
	NEXT(144)
	JNE loop
	STORE
	JNE rows
	VZEROUPPER
	RET

// func dotQ5_K(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)
// sum is Activations.sum.
TEXT ·dotQ5_K(SB), NOSPLIT, $0-88
	ARGS
	MOVL $0x0f0f0f0f, AX
	VMOVD AX, X14
	VPBROADCASTD X14, Y14
	MOVL $0x10101010, AX
	VMOVD AX, X15
	VPBROADCASTD X15, Y15
rows:
	ROWS
loop:
	FETCH(0)
	FETCH(64)
	FETCH(128)
#define PART(R, j, SHIFT0, n0, SHIFT1, n1, ACC) \
	VMOVDQU (48+32*j)(R), Y6; \
	VPAND Y14, Y6, Y7; \
	VPSRLW $4, Y6, Y6; \
	VPAND Y14, Y6, Y6; \
	SHIFT0 $n0, Y13, Y4; \
	VPAND Y15, Y4, Y4; \
	VPOR Y4, Y7, Y7; \
	SHIFT1 $n1, Y13, Y4; \
	VPAND Y15, Y4, Y4; \
	VPOR Y4, Y6, Y6; \
	SCALED(Y7, (64*j), (2*j), ACC); \
	SCALED(Y6, (64*j+32), (2*j+1), ACC)
#define ROW(R, ACC, MIN) \
	SCALESK(R, MIN); \
	VMOVDQU 16(R), Y13; \
	VPXOR ACC, ACC, ACC; \
	PART(R, 0, VPSLLW, 4, VPSLLW, 3, ACC); \
	PART(R, 1, VPSLLW, 2, VPSLLW, 1, ACC); \
	PART(R, 2, VPSLLW, 0, VPSRLW, 1, ACC); \
	PART(R, 3, VPSRLW, 2, VPSRLW, 3, ACC)
	ROW(R8, Y0, X8)
	ROW(R9, Y1, X9)
	ROW(R10, Y2, X10)
	ROW(R11, Y3, X11)
#undef ROW
#undef PART
	JOINK
	NEXT(176)
	JNE loop
	STORE
	JNE rows
	VZEROUPPER
	RET

// func dotQ6_K(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)
// sum is Activations.sum.
TEXT ·dotQ6_K(SB), NOSPLIT, $0-88
	ARGS
	MOVL $0x0f0f0f0f, AX
	VMOVD AX, X14
	VPBROADCASTD X14, Y14
	MOVL $0x30303030, AX
	VMOVD AX, X15
	VPBROADCASTD X15, Y15
rows:
	ROWS
loop:
	FETCH(0)
	FETCH(64)
	FETCH(128)
#define HALF(R, h, ACC) \
	VMOVDQU (64*h)(R), Y6; \
	VMOVDQU (128+32*h)(R), Y13; \
	VPAND Y14, Y6, Y7; \
	VPSLLW $4, Y13, Y8; \
	VPAND Y15, Y8, Y8; \
	VPOR Y8, Y7, Y7; \
	SCALED(Y7, (128*h), (4*h), ACC); \
	VPSRLW $4, Y6, Y6; \
	VPAND Y14, Y6, Y6; \
	VPAND Y15, Y13, Y8; \
	VPOR Y8, Y6, Y6; \
	SCALED(Y6, (128*h+64), (4*h+2), ACC); \
	VMOVDQU (64*h+32)(R), Y6; \
	VPAND Y14, Y6, Y7; \
	VPSLLW $2, Y13, Y8; \
	VPAND Y15, Y8, Y8; \
	VPOR Y8, Y7, Y7; \
	SCALED(Y7, (128*h+32), (4*h+1), ACC); \
	VPSRLW $4, Y6, Y6; \
	VPAND Y14, Y6, Y6; \
	VPSRLW $2, Y13, Y8; \
	VPAND Y15, Y8, Y8; \
	VPOR Y8, Y6, Y6; \
	SCALED(Y6, (128*h+96), (4*h+3), ACC)
#define ROW(R, ACC) \
	VMOVDQU 192(R), X4; \
	VPSHUFB evenOdd<>(SB), X4, X5; \
	VPMOVSXBW X5, Y5; \
	VPMOVSXBW X4, Y4; \
	VPMADDWD (R13), Y4, Y4; \
	VPSLLD $5, Y4, Y4; \
	VPXOR ACC, ACC, ACC; \
	VPSUBD Y4, ACC, ACC; \
	HALF(R, 0, ACC); \
	HALF(R, 1, ACC)
	ROW(R8, Y0)
	ROW(R9, Y1)
	ROW(R10, Y2)
	ROW(R11, Y3)
#undef ROW
#undef HALF
	SUMS
	HALVES(208)
	JOIN
	NEXT(210)
	JNE loop
	STORE
	JNE rows
	VZEROUPPER
	RET

// func scalesK(scale *int32, pair *int16, w *byte, step, blocks int)
// The 8 scales and the 8 minima of each block of a row of Q4_K or Q5_K, int32 and int16.
TEXT ·scalesK(SB), NOSPLIT, $0-40
	MOVQ scale+0(FP), DI
	MOVQ pair+8(FP), R8
	MOVQ w+16(FP), SI
	MOVQ step+24(FP), DX
	MOVQ blocks+32(FP), CX
loop:
	SPLITK(SI)
	VPMOVZXBD X5, Y6
	VPSRLDQ $8, X5, X5
	VPMOVZXBW X5, X5
	VMOVDQU Y6, (DI)
	VMOVDQU X5, (R8)
	ADDQ DX, SI
	ADDQ $32, DI
	ADDQ $16, R8
	DECQ CX
	JNE loop
	VZEROUPPER
	RET
