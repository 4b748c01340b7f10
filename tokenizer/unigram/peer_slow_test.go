//go:build slow

package unigram_test

const peerTexts = 100_000
