//go:build !slow

package unigram_test

const peerTexts = 5_000
