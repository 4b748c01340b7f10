package gemm

// Scratch is the memory that a product needs beside its operands. The zero value is ready; it grows on demand and is
// then reused. It must not be used by two products at once.
type Scratch struct {
	job    job
	ap, bp []float32 // packed operands
	own    []float32 // the rows of A of a task in one block of K, when A is not packed as a whole
	rows   []float32 // patches before they are packed
	panel  []float32 // one panel of one block of B, when B is not packed as a whole
	tile   []float32 // one tile of C, for kernels that are not masked
	wide   []float32 // some columns of stored rows of B, as float32
}

// Sizes that bound a packed operand, in elements, and steer the cutting into tasks. None of them changes a bit.
const (
	packLimit  = 8 << 20 // larger operands are taken in chunks of rows or columns
	minTasks   = 16
	large      = 1 << 19 // A of so many elements is better packed in parts by its users than written and read again, or read where it lies
	ownTasks   = 8       // as minTasks, where each cut along N packs A once more
	ownRows    = 132     // rows of a task that packs its part of A, about
	ownCols    = 1536    // most columns of such a task
	patchTiles = 4       // tiles of rows of a task that makes patches, unless it has all

	directPanels = 24 // with so few panels of B, A is read where it lies if the variant can
)

// job is a product cut into tasks. Tasks of phase 1 (pack) may run in any order, then those of phase 2 (run).
type job struct {
	Product // resolved
	k       *Kernel
	ap, bp  []float32 // packed A: panels of mr rows, each [K,mr]; packed B as in Packed; or nil
	bk      int       // rows of a panel of packed B
	rows    int       // most rows of C in a task, a multiple of mr
	cols    int       // a multiple of nr
	blocks  int       // tasks along M
	tasks   int
	end     int       // of its tasks among those of a loop over several jobs
	pa, pb  packing   // phase 1
	ownA    bool      // tasks pack A, in parts
	act     []float32 // where Act puts its results, when not in C
}

// plan cuts m into tasks, into few large ones when a single worker does them all; the packed operands live in s.
func (j *job) plan(k *Kernel, m Product, s *Scratch, alone bool) {
	*j = job{Product: m, k: k, bk: m.K}
	if m.Pre != nil && m.Act != nil { // the tiles go to Pre, so that nothing is copied
		j.C, j.act = m.Pre, m.C
	}
	if m.M == 0 || m.N == 0 {
		return
	}
	np := panels(m.N, k.nr)
	j.ownA = m.M*m.K >= large && np >= 4 || m.Patches != nil
	least := minTasks
	switch {
	case alone:
		least = 1
	case j.ownA:
		least = ownTasks
	}
	block := k.block
	if j.ownA {
		block = max(ownRows/k.mr, 1) * k.mr
	}
	if m.Patches != nil { // rather fewer rows than columns: who cuts along N makes the rows once more
		block = min(block, max(panels(m.M, least*k.mr), patchTiles)*k.mr)
	}
	j.blocks = panels(m.M, block)
	if next := j.blocks + 1; !j.ownA && j.blocks > 2 && k.waste(m.M, next) < k.waste(m.M, j.blocks) {
		j.blocks = next
	}
	j.rows = panels(panels(m.M, j.blocks), k.mr) * k.mr
	switch {
	case m.Packed != nil:
		j.bp, j.bk = m.Packed.data, m.Packed.k
	case j.blocks > 1 && m.K > 0: // else each panel has one user, who packs it
		s.bp = grow(s.bp, np*k.nr*m.K)
		j.bp = s.bp
		j.pb = packing{dst: s.bp, src: m.B, ld: m.LDB, across: m.TransB, width: k.nr, n: m.N, k: m.K}
		if m.Stored != nil {
			j.pb.stored, j.pb.format, j.pb.ld, j.pb.across = m.Stored, m.Format, m.K, true
		}
	}
	if direct := k.direct != nil && !m.TransA && np <= directPanels; !direct && !j.ownA && m.M > k.mr && np >= 4 && m.K > 0 {
		s.ap = grow(s.ap, panels(m.M, k.mr)*k.mr*m.K)
		j.ap = s.ap
		j.pa = packing{dst: s.ap, src: m.A, ld: m.LDA, across: !m.TransA, width: k.mr, n: m.M, k: m.K}
	}
	per := k.cols / k.nr
	if j.ownA {
		per = panels(np, panels(m.N, ownCols))
	}
	for per > 1 && j.blocks*panels(np, per) < least {
		per = (per + 1) / 2
	}
	if m.M == 1 && k.row4 != nil {
		per = (per + 3) &^ 3
	}
	j.cols = per * k.nr
	for j.bp != nil && j.rows > 2*k.mr && j.blocks*panels(np, per) < least {
		j.rows = panels(j.rows/2, k.mr) * k.mr
		j.blocks = panels(m.M, j.rows)
	}
	j.blocks = panels(m.M, j.rows)
	j.tasks = j.blocks * panels(np, per)
}

// waste is how many rows M falls short of equal blocks of whole tiles: the share of the last block that has no work.
func (k *Kernel) waste(M, blocks int) int {
	return panels(panels(M, blocks), k.mr)*k.mr*blocks - M
}

// packs is the number of tasks of phase 1.
func (j *job) packs() int { return j.pa.tasks() + j.pb.tasks() }

// pack does one task of phase 1: a part of A or B.
func (j *job) pack(task int, s *Scratch) {
	if n := j.pb.tasks(); task >= n {
		j.pa.run(j.k, task-n, s)
	} else {
		j.pb.run(j.k, task, s)
	}
}

// run does one task of phase 2: a rectangle of C, all of K, and its epilogue.
func (j *job) run(task int, s *Scratch) {
	across := j.tasks / j.blocks // tasks of one block of rows follow each other: a worker keeps to its rows, see package pool
	i0, i1 := j.cut(task/across), j.cut(task/across+1)
	n0 := task % across * j.cols
	n1 := min(n0+j.cols, j.N)
	if j.K == 0 && !j.Accumulate {
		for i := i0; i < i1; i++ {
			clear(j.C[i*j.LDC+n0 : i*j.LDC+n1])
		}
	}
	if few := i1-i0 <= j.k.mr && !j.ownA; few && (j.bp != nil && i1-i0 > 1 || j.bp == nil && (j.Stored != nil || j.TransB)) { // B is read once: in the order in which it lies
		n := n0
		if i1-i0 == 1 {
			n = j.dots(i0, n0, n1, s)
		}
		for ; n < n1; n += j.k.nr {
			for k0 := 0; k0 < j.K; k0 += KC {
				j.column(i0, i1, n, min(j.k.nr, n1-n), k0, min(KC, j.K-k0), nil, s)
			}
		}
		j.epilogue(i0, i1, n0, n1)
		return
	}
	for k0 := 0; k0 < j.K; k0 += KC {
		kc := min(KC, j.K-k0)
		switch {
		case j.Patches != nil:
			j.ownPatches(i0, i1, k0, kc, s)
		case j.ownA:
			s.own = grow(s.own, panels(i1-i0, j.k.mr)*j.k.mr*kc)
			j.packOwn(s.own, i0, i1, k0, kc)
		}
		n := n0
		if i1-i0 == 1 {
			n = j.row(i0, n0, n1, k0, kc, s)
		}
		for ; n < n1; n += j.k.nr {
			j.column(i0, i1, n, min(j.k.nr, n1-n), k0, kc, j.after(n, n0, n1, k0), s)
		}
	}
	j.epilogue(i0, i1, n0, n1)
}

// cut is where block b of rows begins: blocks differ by one tile at most, so that workers with as many of them end together.
func (j *job) cut(b int) int {
	return min(b*panels(j.M, j.k.mr)/j.blocks*j.k.mr, j.M)
}

// row computes row i of C over groups of four whole panels and returns the first column that is left.
func (j *job) row(i, n0, n1, k0, kc int, s *Scratch) int {
	nr := j.k.nr
	if j.k.row4 == nil || j.bp == nil && j.TransB {
		return n0
	}
	a, _, acs := j.left(i, i, k0, kc, s)
	load := j.Accumulate || k0 > 0
	for ; n0+4*nr <= n1; n0 += 4 * nr {
		c := &j.C[i*j.LDC+n0]
		if j.bp != nil {
			j.k.row4(kc, a, acs, &j.bp[n0*j.bk+k0*nr], nr, j.bk*nr, c, j.Alpha, load)
		} else {
			j.k.row4(kc, a, acs, &j.B[k0*j.LDB+n0], j.LDB, nr, c, j.Alpha, load)
		}
	}
	return n0
}

// packOwn packs rows [i0,i1) of A in block [k0,k0+kc) into panels of mr rows, each [kc,mr].
func (j *job) packOwn(own []float32, i0, i1, k0, kc int) {
	if j.TransA {
		j.packRows(own, j.A[k0*j.LDA+i0:], j.LDA, i1-i0, kc)
		return
	}
	for mr, i := j.k.mr, i0; i < i1; i += mr {
		j.k.strip(own[(i-i0)*kc:], mr, j.A[i*j.LDA+k0:], j.LDA, true, min(mr, i1-i), kc)
	}
}

// packRows packs the first n columns of kc rows of a, lda elements apart, into panels of mr columns.
func (j *job) packRows(own, a []float32, lda, n, kc int) {
	for mr, p := j.k.mr, 0; p < kc; p += packRows {
		for i := 0; i < n; i += mr {
			j.k.strip(own[i*kc+p*mr:], mr, a[p*lda+i:], lda, false, min(mr, n-i), min(packRows, kc-p))
		}
	}
}

// left returns where A has element (i,k0) and its strides, in a task whose rows begin at i0; i-i0 is a multiple of mr.
func (j *job) left(i, i0, k0, kc int, s *Scratch) (a *float32, ars, acs int) {
	switch mr := j.k.mr; {
	case j.Patches != nil && !j.TransA:
		return &s.own[(i-i0)*patchLD(kc)], patchLD(kc), 1
	case j.ownA:
		return &s.own[(i-i0)*kc], 1, mr
	case j.ap != nil:
		return &j.ap[i*j.K+k0*mr], 1, mr
	case j.TransA:
		return &j.A[k0*j.LDA+i], 1, j.LDA
	default:
		return &j.A[i*j.LDA+k0], j.LDA, 1
	}
}

// after is the part of packed B that run needs after columns n and block k0; nil when there is none.
func (j *job) after(n, n0, n1, k0 int) []float32 {
	n += j.k.nr
	if n >= n1 {
		n, k0 = n0, k0+KC
	}
	if j.bp == nil || j.k.fetch == nil || k0 >= j.K {
		return nil
	}
	return j.bp[n*j.bk+k0*j.k.nr:][:min(KC, j.K-k0)*j.k.nr]
}

// column adds block [k0,k0+kc) of K to rows [i0,i1) of the w columns from n, a multiple of nr. Each tile fetches a share of
// next into the cache.
func (j *job) column(i0, i1, n, w, k0, kc int, next []float32, s *Scratch) {
	k := j.k
	var b *float32
	ldb := k.nr
	whole := w == k.nr || k.masked
	switch {
	case j.bp != nil:
		b = &j.bp[n*j.bk+k0*k.nr]
	case j.Stored != nil:
		s.panel = grow(s.panel, KC*k.nr)
		b = &s.panel[0]
		k.stripStored(s, s.panel, j.Stored[j.Format.Bytes(n*j.K+k0):], j.Format, j.K, w, kc, j.ahead(k.nr, k0, 2, 2*j.K))
	case !j.TransB && whole && i1-i0 <= k.mr:
		b, ldb = &j.B[k0*j.LDB+n], j.LDB
	default:
		s.panel = grow(s.panel, KC*k.nr)
		b = &s.panel[0]
		if j.TransB {
			k.strip(s.panel, k.nr, j.B[n*j.LDB+k0:], j.LDB, true, w, kc)
		} else {
			k.strip(s.panel, k.nr, j.B[k0*j.LDB+n:], j.LDB, false, w, kc)
		}
	}
	load := j.Accumulate || k0 > 0
	var at *float32
	if len(next) > 0 {
		at = &next[0]
	}
	first := i0
	if tiles := (i1 - i0) / k.mr; tiles > 0 && ldb == k.nr && w == k.nr {
		switch a, lda, acs := j.left(i0, i0, k0, kc, s); {
		case k.panel != nil && acs == k.mr && (j.ownA || j.ap != nil):
			step := k.mr * j.K
			if j.ownA {
				step = k.mr * kc
			}
			k.panel(kc, a, step, b, &j.C[i0*j.LDC+n], j.LDC, tiles, at, len(next)/16, j.Alpha, load)
			first, next = i0+tiles*k.mr, nil
		case k.direct != nil && acs == 1:
			k.direct(kc, a, lda, b, &j.C[i0*j.LDC+n], j.LDC, tiles, at, len(next)/16, j.Alpha, load)
			first, next = i0+tiles*k.mr, nil
		}
		if first == i1 {
			return
		}
	}
	tile := k.tile
	if j.Stored != nil && k.fused != nil {
		tile = k.fused
	}
	share := len(next) / panels(i1-first, k.mr)
	for i := first; i < i1; i += k.mr {
		m := min(k.mr, i1-i)
		a, ars, acs := j.left(i, i0, k0, kc, s)
		corner := i*j.LDC + n
		if share > 0 {
			k.fetch(&next[0], share)
			next = next[share:]
		}
		if whole {
			tile(kc, a, ars, acs, b, ldb, &j.C[corner], j.LDC, m, w, j.Alpha, load)
			continue
		}
		s.tile = grow(s.tile, k.mr*k.nr)
		for r := 0; load && r < m; r++ {
			copy(s.tile[r*k.nr:][:w], j.C[corner+r*j.LDC:])
		}
		tile(kc, a, ars, acs, b, ldb, &s.tile[0], k.nr, m, k.nr, j.Alpha, load)
		for r := range m {
			copy(j.C[corner+r*j.LDC:][:w], s.tile[r*k.nr:])
		}
	}
}

// epilogue applies Bias, Pre, Act and Residual, in the order of the product, to a rectangle of C that is still in the cache.
func (j *job) epilogue(i0, i1, n0, n1 int) {
	if j.Bias == nil && j.Act == nil && j.Pre == nil && j.Residual == nil {
		return
	}
	for i := i0; i < i1; i++ {
		at := i*j.LDC + n0
		w := n1 - n0
		c := j.C[at:][:w]
		if j.k.fetch != nil && i+1 < i1 { // the next row of what the tiles have not touched
			if j.Residual != nil {
				j.k.fetch(&j.Residual[at+j.LDC], w)
			}
			if j.act != nil {
				j.k.fetch(&j.act[at+j.LDC], w)
			}
		}
		if j.Bias != nil {
			j.k.addTo(c, j.Bias[n0:n1])
		}
		y := c
		if j.act != nil {
			y = j.act[at:][:w]
		} else if j.Pre != nil {
			copy(j.Pre[at:][:w], c)
		}
		if j.Residual != nil && j.ActLast {
			j.k.addTo(c, j.Residual[at:][:w])
		}
		if j.Act != nil {
			j.Act(y, c)
		}
		if j.Residual != nil && !j.ActLast {
			j.k.addTo(y, j.Residual[at:][:w])
		}
	}
}

// addTo is y += x.
func (k *Kernel) addTo(y, x []float32) {
	x = x[:len(y)]
	i := 0
	if k.addTo8 != nil && len(y) >= 8 {
		i = len(y) &^ 7
		k.addTo8(&y[0], &x[0], i)
	}
	for ; i < len(y); i++ {
		y[i] += x[i]
	}
}

// chunk is the size of a product along M and N that is planned at once, so that packed operands stay bounded.
func (k *Kernel) chunk(m *Product) (rows, cols int) {
	cols = max(packLimit/max(m.K, 1)/k.nr, 1) * k.nr
	if m.Packed != nil {
		cols = max(m.N, 1)
	}
	rows = max(packLimit/max(m.K, 1)/k.block, 1) * k.block
	if m.M*m.K >= large && m.N >= 4*k.nr {
		rows = m.M // tasks pack A in parts
	}
	if m.Patches != nil {
		rows = max(m.M, 1)
	}
	return rows, cols
}

// Serial computes m on the calling goroutine, with the same bits as Engine.Mul; it may run inside a task of a pool.
// It allocates nothing once s is warm. It panics when sizes are inconsistent.
func (k *Kernel) Serial(s *Scratch, m *Product) {
	all := *m
	all.resolve(k.nr)
	rows, cols := k.chunk(&all)
	j := &s.job
	for n := 0; n < all.N; n += cols {
		for i := 0; i < all.M; i += rows {
			j.plan(k, all.sub(i, min(rows, all.M-i), n, min(cols, all.N-n)), s, true)
			for t := range j.packs() {
				j.pack(t, s)
			}
			for t := range j.tasks {
				j.run(t, s)
			}
		}
	}
	*j = job{} // keep no reference to the operands
}
