// Package gguf reads and writes GGUF files, versions 2 and 3, little-endian, alone or split: typed metadata, and tensors in ggml's types.
//
// A file is checked whole before anything is allocated for it: counts, lengths, types, shapes, and offsets that cover the data in order, each tensor padded
// to the alignment, without hole or overlap. It accepts what llama.cpp accepts, but for these, which it refuses:
//
//   - bytes after the last tensor's padding;
//   - truth values other than 0 and 1;
//   - an alignment above 1 MiB;
//   - more than 65,536 metadata keys or 262,144 tensors, or a key of more than 65,535 bytes.
//
// Arrays of arrays are refused, as there.
package gguf
