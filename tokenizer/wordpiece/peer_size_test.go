//go:build !slow

package wordpiece

const peerWords = 5_000
