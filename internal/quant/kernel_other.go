//go:build !amd64

package quant

// panel would hold rows of weights taken apart for a tile; there is none.
type panel struct{}

func simdKernels() []*Kernel { return nil }

func (k *Kernel) mulPanels(*Scratch, *Product) { panic("quant: no tiles in Go") }
