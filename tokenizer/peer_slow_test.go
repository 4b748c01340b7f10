//go:build slow

package tokenizer

const peerTexts = 100_000
