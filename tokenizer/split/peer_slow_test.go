//go:build slow

package split

const (
	peerTexts     = 100_000
	tiktokenShare = 1
)
