package quant

import "unsafe"

// panel holds rows of weights taken apart in the order in which a tile reads them.
type panel struct {
	code    []uint8   // [blocks, elements/4, panelRows, 4]
	d, dMin []float32 // [blocks, panelRows]; dMin is 0 without minima
	scale   []int32   // [blocks, sub-blocks, panelRows]; not for blocks of 32
	pair    []int16   // [blocks, sub-blocks/2, panelRows, 2]: what sums of activations are multiplied with, minima or -Bias·scale; not for blocks of 32
	out     [groupRows * panelRows]float32

	rows   []byte  // the weights, when there are fewer rows than in a panel: the others are zero
	codes  []uint8 // [panelRows, K], row by row; and so the next two
	scales []int32
	pairs  []int16
}

// unpack takes rows [n, n+rows) of the weights apart.
func (q *panel) unpack(k *Kernel, p *Product, n, rows int) {
	f, w := p.A.format, p.W[n*p.weightRow:][:rows*p.weightRow]
	if rows < panelRows {
		q.rows = room(q.rows, panelRows*p.weightRow)
		clear(q.rows[copy(q.rows, w):])
		w = q.rows
	}
	q.codes, q.code = room(q.codes, panelRows*p.A.K), room(q.code, panelRows*p.A.K)
	for r := range panelRows {
		k.codes[f](&q.codes[r*p.A.K], &w[r*p.weightRow], p.blocks)
	}
	interleave(&q.code[0], &q.codes[0], p.A.K, p.A.K/32)
	q.d, q.dMin = room(q.d, p.blocks*panelRows), room(q.dMin, p.blocks*panelRows)
	halves := func(dst []float32, at int) { halves16(&dst[0], &w[at], p.weightRow, p.blockBytes, p.blocks) }
	switch f {
	case Q8_0, Q4_0:
		halves(q.d, 0)
	case Q4_K, Q5_K:
		halves(q.d, 0)
		halves(q.dMin, 2)
		q.unpackScales(w, p, 8, func(scale *int32, pair *int16, w *byte) { scalesK(scale, pair, w, p.blockBytes, p.blocks) })
	case Q6_K:
		halves(q.d, 208)
		clear(q.dMin)
		q.unpackScales(w, p, 16, func(scale *int32, pair *int16, w *byte) { scales6(scale, pair, w, p.blocks) })
	}
}

// unpackScales makes scale and pair; row writes those of one row of weights.
func (q *panel) unpackScales(w []byte, p *Product, subs int, row func(scale *int32, pair *int16, w *byte)) {
	const unit = 8                                                       // 32-bit words that interleave takes at once
	scales, pairs := p.blocks*subs, (p.blocks*subs/2+unit-1)/unit*unit*2 // of a row
	q.scale, q.scales = room(q.scale, scales*panelRows), room(q.scales, scales*panelRows)
	q.pair, q.pairs = room(q.pair, pairs*panelRows), room(q.pairs, pairs*panelRows)
	for r := range panelRows {
		row(&q.scales[r*scales], &q.pairs[r*pairs], &w[r*p.weightRow])
	}
	interleave((*uint8)(unsafe.Pointer(&q.scale[0])), (*uint8)(unsafe.Pointer(&q.scales[0])), 4*scales, scales/unit)
	interleave((*uint8)(unsafe.Pointer(&q.pair[0])), (*uint8)(unsafe.Pointer(&q.pairs[0])), 2*pairs, pairs/2/unit)
}

// mulPanels multiplies whole groups of activations with panels of weights.
func (k *Kernel) mulPanels(s *Scratch, p *Product) {
	a, q, sh := p.A, &s.panel, p.A.format.shape()
	tile := k.tile[a.format]
	for n := p.N0; n < p.N1; n += panelRows {
		rows := min(panelRows, p.N1-n)
		q.unpack(k, p, n, rows)
		var scale *int32
		var pair *int16
		if sh.subs() > 1 {
			scale, pair = &q.scale[0], &q.pair[0]
		}
		for i := p.From / groupRows * groupRows; i < p.To; i += groupRows {
			at := a.slot(i, 0)
			sum, _ := a.sums(at)
			tile(&q.out[0], p.blocks, &q.code[0], &q.d[0], &q.dMin[0], scale, pair, &a.code[at*sh.elements], &a.scale[at], sum)
			for t := max(i, p.From); t < min(i+groupRows, p.To); t++ {
				copy(p.C[t*p.LDC+n:][:rows], q.out[(t-i)*panelRows:])
			}
		}
	}
}
