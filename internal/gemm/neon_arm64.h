// Vector instructions that Go's assembler lacks, with its order of operands: the destination comes last.
// TestEncodings of internal/vec compares each with what a disassembler makes of it, which is the comment.

#define FADD4S(m, n, d) WORD $(0x4e20d400 | (m)<<16 | (n)<<5 | (d)) // fadd vd.4s, vn.4s, vm.4s
#define FMLA0(m, n, d) WORD $(0x4f801000 | (m)<<16 | (n)<<5 | (d)) // fmla vd.4s, vn.4s, vm.s[0]
#define FMLA1(m, n, d) WORD $(0x4fa01000 | (m)<<16 | (n)<<5 | (d)) // fmla vd.4s, vn.4s, vm.s[1]
#define FMLA2(m, n, d) WORD $(0x4f801800 | (m)<<16 | (n)<<5 | (d)) // fmla vd.4s, vn.4s, vm.s[2]
#define FMLA3(m, n, d) WORD $(0x4fa01800 | (m)<<16 | (n)<<5 | (d)) // fmla vd.4s, vn.4s, vm.s[3]
