package quant

import "unsafe"

// panelRows is the number of weight rows in a panel.
const panelRows = 16

// panel holds rows of weights taken apart in the order in which a tile reads them; rows that are missing are zero.
type panel struct {
	code    []uint8   // [blocks, elements/4, panelRows, 4]
	d, dMin []float32 // [blocks, panelRows]; dMin is 0 without minima
	scale   []int32   // [blocks, sub-blocks, panelRows]; not for blocks of 32
	pair    []int16   // [blocks, sub-blocks/2, panelRows, 2]: what sums of activations are multiplied with, minima or -Bias·scale; not for blocks of 32
	line    []uint8   // [panelRows, K]: the codes row by row
	out     [groupRows * panelRows]float32
}

// tileFunc computes out [groupRows, panelRows] from all blocks of a panel and of a group of activations; aSum is their start for blocks of 32, else their sum.
type tileFunc func(out *float32, blocks int, code *uint8, d, dMin *float32, scale *int32, pair *int16, aCode *int8, aScale *float32, aSum unsafe.Pointer)

// codesFunc writes the codes of a row of weights to dst.
type codesFunc func(dst *uint8, w *byte, blocks int)

// unpack takes rows [n, n+rows) of the weights apart.
func (q *panel) unpack(k *Kernel, p *Product, n, rows int) {
	f, sh := p.A.format, p.A.format.shape()
	subs := sh.subs()
	q.line, q.code = room(q.line, panelRows*p.A.K), room(q.code, panelRows*p.A.K)
	q.d, q.dMin = room(q.d, p.blocks*panelRows), room(q.dMin, p.blocks*panelRows)
	if subs > 1 {
		q.scale, q.pair = room(q.scale, p.blocks*subs*panelRows), room(q.pair, p.blocks*subs*panelRows)
	}
	if rows < panelRows {
		clear(q.line[rows*p.A.K:])
		clear(q.d)
		clear(q.dMin)
		clear(q.scale)
		clear(q.pair)
	}
	for r := range rows {
		row := p.W[(n+r)*p.weightRow:][:p.weightRow]
		k.codes[f](&q.line[r*p.A.K], &row[0], p.blocks)
		switch f {
		case Q8_0, Q4_0:
			for b := range p.blocks {
				q.d[b*panelRows+r] = half(row[b*p.blockBytes:])
			}
		case Q4_K, Q5_K:
			q.scalesK(row, r, p.blocks, p.blockBytes)
		case Q6_K:
			q.scales6(row, r, p.blocks)
		}
	}
	interleave(&q.code[0], &q.line[0], p.A.K, p.A.K/32)
}

// scalesK is for Q4_K and Q5_K: see unpacked.scalesK.
func (q *panel) scalesK(row []byte, r, blocks, blockBytes int) {
	for b := range blocks {
		block := row[b*blockBytes:][:16]
		q.d[b*panelRows+r], q.dMin[b*panelRows+r] = half(block), half(block[2:])
		low, mid, high := block[4:8], block[8:12], block[12:16]
		scale, pair := q.scale[b*8*panelRows+r:][:7*panelRows+1], q.pair[b*8*panelRows+2*r:][:6*panelRows+2]
		for j := range 4 {
			l, m, h := low[j], mid[j], high[j]
			scale[j*panelRows] = int32(l & 63)
			scale[(4+j)*panelRows] = int32(h&15 | l>>6<<4)
			pair[j/2*2*panelRows+j%2] = int16(m & 63)
			pair[(2+j/2)*2*panelRows+j%2] = int16(h>>4 | m>>6<<4)
		}
	}
}

// scales6 is for Q6_K.
func (q *panel) scales6(row []byte, r, blocks int) {
	const size = 210
	for b := range blocks {
		block := row[b*size:][:size]
		q.d[b*panelRows+r], q.dMin[b*panelRows+r] = half(block[208:]), 0
		scale, pair := q.scale[b*16*panelRows+r:][:15*panelRows+1], q.pair[b*16*panelRows+2*r:][:14*panelRows+2]
		for j, c := range block[192:208] {
			s := int32(int8(c))
			scale[j*panelRows] = s
			pair[j/2*2*panelRows+j%2] = int16(-32 * s)
		}
	}
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
