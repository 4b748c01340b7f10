#include "textflag.h"

// func fetchAMD64(x *float32, ld, rows, n int)
TEXT ·fetchAMD64(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ ld+8(FP), DX
	MOVQ rows+16(FP), CX
	MOVQ n+24(FP), R8
	SHLQ $2, DX
	SHLQ $2, R8
	ADDQ SI, R8 // end of the row

row:
	MOVQ SI, DI

line:
	PREFETCHT1 (DI)
	ADDQ       $64, DI
	CMPQ       DI, R8
	JLT        line
	PREFETCHT1 -4(R8) // the last line, where the row is not aligned
	ADDQ       DX, SI
	ADDQ       DX, R8
	DECQ       CX
	JNZ        row
	RET
