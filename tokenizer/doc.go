// Package tokenizer turns text into token ids and back, exactly as Hugging Face tokenizers does with any tokenizer.json: BPE of bytes
// or characters, WordPiece, Unigram and whole words, with all normalizers, pre-tokenizers, post-processors and decoders. It reads
// SentencePiece's model files, vocab.txt, vocab.json with merges.txt, tiktoken's rank files and the vocabularies inside GGUF, trains
// BPE, WordPiece and Unigram, and writes tokenizer.json.
//
// Byte-level BPE without a normalizer has a fast path. It works on bytes: any input, valid UTF-8 or not, comes back unchanged from
// Decode(Encode(x)) as long as the vocabulary holds all 256 bytes (every trained one does). Everything else, and all offsets, goes
// through the plain pipeline (pipeline.go), which replaces what is not UTF-8 by U+FFFD.
//
// Encode never turns text into special tokens; EncodeSpecial does. No input takes more than about n log n time, except under a split
// pattern that has no scanner.
package tokenizer
