//go:build !slow

package charsmap_test

const peerTexts = 5_000
