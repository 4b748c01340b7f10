// Package unigram segments text by a unigram language model over pieces (Kudo 2018, arXiv:1804.10959) and trains such models.
// Segmentations are exactly those of Hugging Face tokenizers or, on request, of SentencePiece.
package unigram
