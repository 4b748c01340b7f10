//go:build !amd64

package split

func classify(m *masks, text *[window]byte) { classifyGo(m, text) }
