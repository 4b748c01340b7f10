// Package charsmap applies the precompiled character map of a SentencePiece model: rules that replace a few characters by
// others, such as those of NFKC, in a double-array trie (Darts) with the replacements behind it.
//
// SentencePiece replaces the longest prefix of the rest of the text that has a rule. Hugging Face tokenizers go by extended
// grapheme clusters (Unicode 17): one of less than six bytes is replaced as a whole by the rule of its shortest prefix,
// which loses what follows in the cluster ("ﬁ" with an acute accent becomes "fi"); otherwise each character is looked up by
// itself, so that rules of several characters apply to whole short clusters only. Both ways are here.
package charsmap
