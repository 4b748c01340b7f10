package ref

import (
	"fmt"

	"github.com/plinth-ml/plinth/internal/kernel"
)

// rowIDs returns the ids, checked against a table of rows.
func rowIDs(op string, ids buf, rows int) []int32 {
	for i, id := range ids.I32() {
		if id < 0 || int(id) >= rows {
			panic(fmt.Sprintf("ref: %s: ids[%d] is %d, the table has %d rows", op, i, id, rows))
		}
	}
	return ids.I32()
}

func gather[T float](y, w, ids buf, c int, acc bool) {
	want("Gather", "y", y, ids.Len()*c)
	ys := of[T](y)
	var ws []T
	if w.DType().Stored() {
		ws = stored[T](w)
	} else {
		ws = of[T](w)
	}
	for i, id := range rowIDs("Gather", ids, rowsOf("Gather", "w", w, c)) {
		for j, v := range ws[int(id)*c : (int(id)+1)*c] {
			put(&ys[i*c+j], float64(v), acc)
		}
	}
}

func scatterAdd[T float](dw, dy, ids buf, c int) {
	want("ScatterAdd", "dy", dy, ids.Len()*c)
	dws, dys := of[T](dw), of[T](dy)
	sums := make([]float64, len(dws))
	for i, id := range rowIDs("ScatterAdd", ids, rowsOf("ScatterAdd", "dw", dw, c)) {
		for j, v := range dys[i*c : (i+1)*c] {
			sums[int(id)*c+j] += float64(v)
		}
	}
	addTo(dws, sums)
}

func sumRows[T float](y, x buf) {
	c := y.Len()
	xs, sums := of[T](x), make([]float64, c)
	for i := range rowsOf("SumRows", "x", x, c) {
		for j, v := range xs[i*c : (i+1)*c] {
			sums[j] += float64(v)
		}
	}
	addTo(of[T](y), sums)
}

// checkSpans panics unless every span lies in [0, rows).
func checkSpans(op string, spans []kernel.Span, rows int) {
	for i, s := range spans {
		if s.Start < 0 || s.Len < 0 || s.End() > rows {
			panic(fmt.Sprintf("ref: %s: span %d is [%d:%d] of %d rows", op, i, s.Start, s.End(), rows))
		}
	}
}

func seqMean[T float](y, x buf, spans []kernel.Span, c int) {
	want("SeqMean", "y", y, len(spans)*c)
	checkSpans("SeqMean", spans, rowsOf("SeqMean", "x", x, c))
	ys, xs := of[T](y), of[T](x)
	sum := make([]float64, c)
	for s, span := range spans {
		clear(sum)
		for i := span.Start; i < span.End(); i++ {
			for j, v := range xs[i*c : (i+1)*c] {
				sum[j] += float64(v)
			}
		}
		for j, v := range sum {
			ys[s*c+j] = T(v / float64(max(span.Len, 1))) // an empty span gives zeros
		}
	}
}

// seqMeanGrad writes zeros to the rows that are in no span, unless acc.
func seqMeanGrad[T float](dx, dy buf, spans []kernel.Span, c int, acc bool) {
	want("SeqMeanGrad", "dy", dy, len(spans)*c)
	checkSpans("SeqMeanGrad", spans, rowsOf("SeqMeanGrad", "dx", dx, c))
	dxs, dys := of[T](dx), of[T](dy)
	if !acc {
		clear(dxs)
	}
	for s, span := range spans {
		for i := span.Start; i < span.End(); i++ {
			for j, v := range dys[s*c : (s+1)*c] {
				put(&dxs[i*c+j], float64(v)/float64(span.Len), true)
			}
		}
	}
}
