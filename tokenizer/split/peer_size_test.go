//go:build !slow

package split

const (
	peerTexts     = 20_000
	tiktokenShare = 4 // tiktoken gets every first of so many texts
)
