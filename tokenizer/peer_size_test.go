//go:build !slow

package tokenizer

const peerTexts = 5_000
