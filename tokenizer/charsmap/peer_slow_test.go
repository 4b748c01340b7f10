//go:build slow

package charsmap_test

const peerTexts = 100_000
