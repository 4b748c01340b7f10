// Package spm reads and writes the model files of SentencePiece (tokenizer.model, spiece.model), a protocol buffer message,
// and does what that program does with text before and after it is segmented.
package spm
