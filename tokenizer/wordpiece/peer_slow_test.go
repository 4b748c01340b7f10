//go:build slow

package wordpiece

const peerWords = 100_000
