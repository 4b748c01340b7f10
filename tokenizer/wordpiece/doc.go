// Package wordpiece cuts words into the longest tokens of a vocabulary from left to right, as BERT does, and makes such
// vocabularies. Both are those of Hugging Face tokenizers (WordPiece, WordPieceTrainer). Text is cut into words elsewhere.
package wordpiece
