package quant

import "unsafe"

// panel holds blocks of rows of weights taken apart in the order in which a tile reads them.
type panel struct {
	code    []uint8   // [blocks, elements/4, panelRows, 4]
	d, dMin []float32 // [blocks, panelRows]; dMin has any content without minima
	scale   []int32   // [blocks, sub-blocks, panelRows]; not for blocks of 32
	pair    []int16   // [blocks, sub-blocks/2, panelRows, 2]: what sums of activations are multiplied with, minima or -Bias·scale; not for blocks of 32
	out     []float32 // [groups, group, panelRows]

	rows   []byte  // the weights, when there are fewer rows than in a panel: the others are zero
	codes  []uint8 // [panelRows, blocks·elements], row by row; and so the next two
	scales []int32
	pairs  []int16
}

// panelElements is how many elements of a row are taken apart at a time: a panel and its activations stay in the first-level cache.
const panelElements = 1024

// fetched is how many bytes of a block of 256, in four rows, a panelFunc asks for.
const fetched = 256

// unpack takes blocks of panelRows rows of weights apart, four of each of four streams, the first at w. The bytes between streams and between rows are given.
func (q *panel) unpack(k *Kernel, f Format, w []byte, stream, row, ahead, blocks int) {
	elements, size := f.Block()
	sh := f.shape()
	q.code, q.d, q.dMin = room(q.code, panelRows*blocks*elements), room(q.d, blocks*panelRows), room(q.dMin, blocks*panelRows)
	var scale *int32
	var pair *int16
	if subs := sh.subs(); subs > 1 {
		q.scale, q.pair = room(q.scale, blocks*subs*panelRows), room(q.pair, blocks*max(subs, 16)*panelRows)
		scale, pair = &q.scale[0], &q.pair[0]
	}
	halves := func(dst []float32, at int) { halves16(&dst[0], &w[at], stream, row, size, blocks) }
	if unpack := k.panel[f]; unpack != nil {
		unpack(&q.code[0], &q.d[0], &q.dMin[0], scale, pair, &w[0], stream, row, ahead, blocks)
	} else {
		width := blocks * elements
		q.codes = room(q.codes, panelRows*width)
		for r := range panelRows {
			k.codes[f](&q.codes[r*width], &w[r*row], blocks)
		}
		interleave(&q.code[0], &q.codes[0], width, width/32)
		switch f {
		case Q4_K, Q5_K:
			halves(q.d, 0)
			halves(q.dMin, 2)
			q.unpackScales(w, row, blocks, 8, func(scale *int32, pair *int16, w *byte) { scalesK(scale, pair, w, size, blocks) })
		case Q6_K:
			q.unpackScales(w, row, blocks, 16, func(scale *int32, pair *int16, w *byte) { scales6(scale, pair, w, blocks) })
		}
	}
	switch f {
	case Q8_0, Q4_0:
		halves(q.d, 0)
	case Q6_K:
		halves(q.d, 208)
	}
}

// unpackScales makes scale and pair; one makes those of one row of weights.
func (q *panel) unpackScales(w []byte, row, blocks, subs int, one func(scale *int32, pair *int16, w *byte)) {
	const unit = 8                                                   // 32-bit words that interleave takes at once
	scales, pairs := blocks*subs, (blocks*subs/2+unit-1)/unit*unit*2 // of a row
	q.scales, q.pairs = room(q.scales, scales*panelRows), room(q.pairs, pairs*panelRows)
	q.pair = room(q.pair, pairs*panelRows)
	for r := range panelRows {
		one(&q.scales[r*scales], &q.pairs[r*pairs], &w[r*row])
	}
	interleave((*uint8)(unsafe.Pointer(&q.scale[0])), (*uint8)(unsafe.Pointer(&q.scales[0])), 4*scales, scales/unit)
	interleave((*uint8)(unsafe.Pointer(&q.pair[0])), (*uint8)(unsafe.Pointer(&q.pairs[0])), 2*pairs, pairs/2/unit)
}

// mulPanels multiplies whole groups of activations with panels of weights.
func (k *Kernel) mulPanels(s *Scratch, p *Product) {
	whole := (p.N1 - p.N0) / panelRows
	stream, next := 4, panelRows // rows between the streams of a panel, and between panels
	if k.scatter != nil && whole > 0 && p.To-p.From <= groupRows { // with more rows memory does not matter, but the rows of C do
		stream, next = 4*whole, 4
	}
	for i := range whole {
		n, ahead := p.N0+next*i, next
		if i == whole-1 {
			ahead = p.N1 - n // where the next task is likely to begin
		}
		k.mulPanel(s, p, n, stream, panelRows, ahead)
	}
	if n := p.N0 + whole*panelRows; n < p.N1 {
		k.mulPanel(s, p, n, 4, p.N1-n, 0)
	}
}

// mulPanel does so with a panel of so many rows: four from n on, four a stream of rows further, and so on; those that follow are so many rows ahead.
func (k *Kernel) mulPanel(s *Scratch, p *Product, n, stream, rows, ahead int) {
	a, q, sh := p.A, &s.panel, p.A.format.shape()
	w := p.W[n*p.weightRow:]
	if rows < panelRows {
		q.rows = room(q.rows, panelRows*p.weightRow)
		clear(q.rows[copy(q.rows, w[:rows*p.weightRow]):])
		w = q.rows
	}
	tile := k.tile[a.format][a.group]
	first, end := p.From/a.group, (p.To+a.group-1)/a.group // groups
	tileOut := a.group * panelRows
	q.out = room(q.out, (end-first)*tileOut)
	clear(q.out)
	step := panelElements / sh.elements
	for b := 0; b < p.blocks; b += step {
		blocks := min(step, p.blocks-b)
		offset := b * p.blockBytes
		next := ahead*p.weightRow + 3*offset
		q.unpack(k, a.format, w[offset:], stream*p.weightRow, p.weightRow, next, blocks)
		next, fetch := next+fetched, (4*p.blockBytes-fetched+sh.subs()-1)/sh.subs()
		var scale *int32
		var pair *int16
		if sh.subs() > 1 {
			scale, pair = &q.scale[0], &q.pair[0]
		}
		for g := range end - first {
			at := a.slot((first+g)*a.group, b)
			sum, _ := a.sums(at)
			tile(&q.out[g*tileOut], blocks, &q.code[0], &q.d[0], &q.dMin[0], scale, pair, &a.code[at*sh.elements], &a.scale[at], sum, &w[offset], next, stream*p.weightRow, fetch)
			next, fetch = 0, 0 // the others ask for nothing new
		}
	}
	out := q.out[(p.From-first*a.group)*panelRows:]
	if stream > 4 {
		k.scatter(&p.C[p.From*p.LDC+n], 4*p.LDC, 4*stream, &out[0], p.To-p.From)
		return
	}
	for i := p.From; i < p.To; i++ {
		copy(p.C[i*p.LDC+n:][:rows], out[(i-p.From)*panelRows:])
	}
}
