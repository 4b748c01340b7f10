// Macros of the AVX-512 files.

// LOOP16 runs BODY (Z0 to Z0) over CX floats from SI to DI, the tail under mask K1, and returns.
#define LOOP16(BODY) \
loop: \
	CMPQ CX, $16; \
	JLT tail; \
	VMOVUPS (SI), Z0; \
	BODY; \
	VMOVUPS Z0, (DI); \
	ADDQ $64, SI; \
	ADDQ $64, DI; \
	SUBQ $16, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK16; \
	VMOVUPS.Z (SI), K1, Z0; \
	BODY; \
	VMOVUPS Z0, K1, (DI); \
done: \
	VZEROUPPER; \
	RET

// MAP16 is LOOP16 for a BODY (Z0, Z1 to Z0) over SI and R8.
#define MAP16(BODY) \
loop: \
	CMPQ CX, $16; \
	JLT tail; \
	VMOVUPS (SI), Z0; \
	VMOVUPS (R8), Z1; \
	BODY; \
	VMOVUPS Z0, (DI); \
	ADDQ $64, SI; \
	ADDQ $64, R8; \
	ADDQ $64, DI; \
	SUBQ $16, CX; \
	JMP loop; \
tail: \
	TESTQ CX, CX; \
	JE done; \
	MASK16; \
	VMOVUPS.Z (SI), K1, Z0; \
	VMOVUPS.Z (R8), K1, Z1; \
	BODY; \
	VMOVUPS Z0, K1, (DI); \
done: \
	VZEROUPPER; \
	RET

// MASK16 sets K1 to the first CX lanes, 0 < CX < 16. It uses AX.
#define MASK16 \
	MOVL $1, AX; \
	SHLL CX, AX; \
	DECL AX; \
	KMOVW AX, K1

#define EXP16REGS \
	VBROADCASTSS cExpMax, Z15; \
	VBROADCASTSS cExpMin, Z14; \
	VBROADCASTSS cLog2e, Z13; \
	VBROADCASTSS cOne, Z12; \
	VBROADCASTSS cExpP4, Z16; \
	VBROADCASTSS cExpP3, Z17; \
	VBROADCASTSS cExpP2, Z18; \
	VBROADCASTSS cExpP1, Z19; \
	VBROADCASTSS cExpP0, Z20; \
	VBROADCASTSS cLn2Hi, Z21; \
	VBROADCASTSS cLn2Lo, Z22

// EXP16 is X = e^X over the whole range, with temporaries A, B; VSCALEFPS multiplies by 2^n and rounds once.
#define EXP16(X, A, B) \
	VMAXPS X, Z14, X; \
	VMINPS X, Z15, X; \
	VMULPS Z13, X, A; \
	VRNDSCALEPS $8, A, A; \
	VFNMADD231PS Z21, A, X; \
	VFNMADD231PS Z22, A, X; \
	VMOVAPS Z16, B; \
	VFMADD213PS Z17, X, B; \
	VFMADD213PS Z18, X, B; \
	VFMADD213PS Z19, X, B; \
	VFMADD213PS Z20, X, B; \
	VFMADD213PS Z12, X, B; \
	VFMADD213PS Z12, X, B; \
	VSCALEFPS A, B, X
