//go:build !slow

package tokenizer

const peerTexts = 3_000
