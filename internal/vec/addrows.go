package vec

import "fmt"

// AddRows adds rows of len(y) elements, ld apart in x, to y, in ascending order: the same bits as AddTo of one after the other, but y stays in registers.
func AddRows(y, x []float32, ld, rows int) {
	if rows <= 0 || len(y) == 0 {
		return
	}
	if ld < 0 || len(x) < (rows-1)*ld+len(y) {
		panic(fmt.Sprintf("vec: AddRows: x has %d elements, want %d rows of %d, %d apart", len(x), rows, len(y), ld))
	}
	active.addRows(y, x, ld, rows)
}

func addRowsGo(y, x []float32, ld, rows int) {
	for i := range rows {
		addGo(y, y, x[i*ld:][:len(y)])
	}
}
