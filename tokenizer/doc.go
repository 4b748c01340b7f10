// Package tokenizer turns text into token ids and back by byte-level byte-pair encoding, exactly as Hugging Face tokenizers
// and tiktoken do: it trains vocabularies, reads and writes tokenizer.json, reads vocab.json with merges.txt and tiktoken's
// rank files. It works on bytes: any input, valid UTF-8 or not, comes back unchanged from Decode(Encode(x)) as long as the
// vocabulary holds all 256 bytes (every trained one does). Encode never turns text into special tokens; EncodeSpecial does.
// No input takes more than about n log n time, except under a split pattern that has no scanner.
package tokenizer
