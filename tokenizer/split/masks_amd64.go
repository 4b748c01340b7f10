package split

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2

//go:noescape
func classifyAVX2(m *masks, text *[window]byte)

func classify(m *masks, text *[window]byte) {
	if hasAVX2 {
		classifyAVX2(m, text)
		return
	}
	classifyGo(m, text)
}
