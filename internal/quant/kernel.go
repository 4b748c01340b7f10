package quant

import (
	"fmt"
	"sync"
	"unsafe"
)

// Kernel is one variant of the products. All variants give the same bits.
type Kernel struct {
	name     string
	quantize func(a *Activations, i int, x []float32)
	dot      [Formats]dotFunc // rows of activations one after the other; nil: everything in Go
	tile     [Formats]tiles   // rows of activations together, where there is a tile for the size of their group
	panel    [Formats]panelFunc
	scatter  func(c *float32, ldc, stream int, out *float32, rows int) // with panel: stores out [rows, panelRows] in C, whose rows and streams are so many bytes apart
	codes    [Formats]codesFunc                                        // in the place of panel
	int8     *int8Kernel                                               // nil: in Go
	scan     scanFunc                                                  // nil: in Go
}

// dotFunc computes y[s*rows+r], row r of stream s of dotRows streams of weights, stride bytes apart, with one row of activations, whose blocks have their codes,
// scales and sums so many bytes apart.
type dotFunc func(y *float32, w *byte, stride, rows, blocks int, code *int8, scale *float32, sum unsafe.Pointer, codeStep, scaleStep, sumStep int)

// tileFunc adds to out [group, panelRows] the products of all blocks of a panel and of a group of activations; aSum is their start for blocks of 32, else their sum.
// Those of blocks of 256 may ask for what panelFunc has not asked for of each block: lines from w+ahead on, step bytes further in each sub-block, of four streams.
type tileFunc func(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer, w *byte, ahead, stream, step int)

// tiles holds a tileFunc for each size of a group that has one.
type tiles [groupRows + 1]tileFunc

// panelFunc takes panelRows rows of weights apart, four of each of four streams, into a panel; the bytes between streams and between the rows of one are given. d and
// dMin are left to others where they do not stand at the beginning of a block. It asks for what lies ahead bytes further on in each stream: of the bytes of a block of 256 in four rows, the first fetched.
type panelFunc func(code *uint8, d, dMin *float32, scale *int32, pair *int16, w *byte, stream, row, ahead, blocks int)

// codesFunc writes the codes of a row of weights to dst.
type codesFunc func(dst *uint8, w *byte, blocks int)

// panelRows is the number of weight rows in a panel.
const panelRows = 16

// dotRows is the number of weight rows that a dotFunc takes at once, each of a stream of its own.
const dotRows = 4

// Scratch is a worker's memory for products. The zero value is ready.
type Scratch struct {
	sums  []float32
	block unpacked
	panel panel

	tile       [int8Rows * int8Cols]float32 // of 8 bits, at the edges
	bias, none [int8Cols]float32            // none stays 0
}

// Product is C = A·Wᵀ for some of the rows of each. C[i, n] is C[i*LDC+n].
type Product struct {
	A          *Activations
	From, To   int    // rows of A
	W          []byte // rows of A.K elements
	N0, N1     int    // rows of W
	C          []float32
	LDC        int
	weightRow  int // bytes
	blocks     int
	blockBytes int
}

// resolve checks p and fills in what follows from it.
func (p *Product) resolve() {
	a := p.A
	elements, bytes := a.format.Block()
	p.blocks, p.blockBytes = a.K/elements, bytes
	p.weightRow = p.blocks * bytes
	if p.From < 0 || p.From > p.To || p.To > a.Rows || p.N0 < 0 || p.N0 > p.N1 || p.N1*p.weightRow > len(p.W) {
		panic(fmt.Sprintf("quant: rows [%d, %d) of %d, rows [%d, %d) of %d bytes of weights in rows of %d", p.From, p.To, a.Rows, p.N0, p.N1, len(p.W), p.weightRow))
	}
	if p.From < p.To && p.N0 < p.N1 && (p.LDC < p.N1 || (p.To-1)*p.LDC+p.N1 > len(p.C)) {
		panic(fmt.Sprintf("quant: C has %d elements in rows of %d, element [%d, %d] is wanted", len(p.C), p.LDC, p.To-1, p.N1-1))
	}
}

// Name is "go", "avx2" or "avx512".
func (k *Kernel) Name() string { return k.name }

// Quantize stores x [K] as row i of a. Rows may be stored by several goroutines.
func (k *Kernel) Quantize(a *Activations, i int, x []float32) {
	if i < 0 || i >= a.Rows || len(x) != a.K {
		panic(fmt.Sprintf("quant: row %d of %d elements for %d rows of %d", i, len(x), a.Rows, a.K))
	}
	k.quantize(a, i, x)
}

// Mul computes p. It allocates nothing once s is warm.
func (k *Kernel) Mul(s *Scratch, p *Product) {
	p.resolve()
	switch {
	case p.From == p.To || p.N0 == p.N1:
	case k.dot[p.A.format] == nil:
		mulGo(s, p)
	case p.blocks == 0:
		for i := p.From; i < p.To; i++ {
			clear(p.C[i*p.LDC+p.N0 : i*p.LDC+p.N1])
		}
	case k.tile[p.A.format][p.A.group] != nil:
		k.mulPanels(s, p)
	default:
		k.mulFew(p)
	}
}

// mulFew multiplies few rows of activations, one after the other with some rows of weights that stay in the cache.
func (k *Kernel) mulFew(p *Product) {
	a, dot, sh := p.A, k.dot[p.A.format], p.A.format.shape()
	step := p.N1 - p.N0
	if p.To-p.From > 1 {
		step = 2 * dotRows
	}
	for n := p.N0; n < p.N1; n += step {
		rows := min(step, p.N1-n)
		whole := rows / dotRows * dotRows
		for i := p.From; i < p.To; i++ {
			at := a.slot(i, 0)
			sum, size := a.sums(at)
			run := func(y *float32, n, stride, rows int) { // rows of each stream
				dot(y, &p.W[n*p.weightRow], stride, rows, p.blocks, &a.code[at*sh.elements], &a.scale[at], sum, a.group*sh.elements, a.group*4, a.group*size)
			}
			if whole > 0 {
				run(&p.C[i*p.LDC+n], n, whole/dotRows*p.weightRow, whole/dotRows)
			}
			for r := whole; r < rows; r++ {
				var y [dotRows]float32
				run(&y[0], n+r, 0, 1)
				p.C[i*p.LDC+n+r] = y[0]
			}
		}
	}
}

var goKernel = &Kernel{name: "go", quantize: (*Activations).quantizeGo}

// Variants lists the kernels that this CPU can run and that pass their self-check, slowest first; "go" is always the first. Do not modify the list.
func Variants() []*Kernel { return variants() }

var variants = sync.OnceValue(func() []*Kernel {
	list := []*Kernel{goKernel}
	for _, k := range simdKernels() {
		if k.selfCheck() == nil {
			list = append(list, k)
		}
	}
	return list
})

// For returns the variant called name, or else the best there is.
func For(name string) *Kernel {
	ks := Variants()
	for _, k := range ks {
		if k.name == name {
			return k
		}
	}
	return ks[len(ks)-1]
}
