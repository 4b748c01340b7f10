package index

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/quant"
)

// Entry is a vector to be put into an index, under a key; a note is free text that is kept beside it.
type Entry struct {
	Key, Note string
	Vector    []float32
}

// Change says what becomes different with Save: keys are deleted, then entries put. An entry whose key there is already takes the place of the earlier one.
type Change struct {
	Put    []Entry
	Delete []string // keys; one that there is not is an error
}

// row is where a row of the next file comes from: row i of the present one, or entry ^i of a change.
type row int32

// Save writes the index to path with what changes, in one step, and goes on from there: until it returns, and where it fails before the file is in
// place, path and the index are as they were. A vector whose length is not 0 or within 1e-15 to 1e15 is an error that names its key.
func (x *Index) Save(path string, change Change) error {
	if err := x.save(path, change); err != nil {
		return fmt.Errorf("index: %s: %w", path, err)
	}
	return nil
}

func (x *Index) save(path string, change Change) error {
	put := slices.Clone(change.Put)
	rows, err := x.merge(put, change.Delete)
	if err != nil {
		return err
	}
	if len(rows) >= maxRows || len(x.Note) > maxNote {
		return fmt.Errorf("%d rows, a note of %d bytes: the most are %d, %d", len(rows), len(x.Note), maxRows-1, maxNote)
	}
	next := &Index{contents: &contents{header: x.header}, kernel: x.kernel, team: x.workers()}
	next.start.Do(func() {}) // it has x's team
	next.Rows, next.NoteBytes = uint64(len(rows)), uint32(len(x.Note))
	w := &writer{x: x, next: next, rows: rows, put: put}
	w.listRows()
	w.codeRows()
	if next.Centres > 0 && next.Probe == 0 {
		probe, err := next.calibrate(w.vector)
		if err != nil {
			return err
		}
		next.Probe = uint32(probe)
	}
	return w.write(path)
}

// merge returns the rows after a change, in their order, and checks it. Vectors of put are brought to length 1 where the index wants that.
func (x *Index) merge(put []Entry, remove []string) ([]row, error) {
	have := make(map[string]int, x.Len())
	rows := make([]row, x.Len(), x.Len()+len(put))
	for i := range rows {
		key := x.Key(i)
		if _, twice := have[key]; twice {
			return nil, fmt.Errorf("key %q stands twice", key)
		}
		have[key], rows[i] = i, row(i)
	}
	const gone = math.MaxInt32
	for _, key := range remove {
		i, ok := have[key]
		if !ok {
			return nil, fmt.Errorf("there is no key %q to delete", key)
		}
		delete(have, key)
		rows[i] = gone
	}
	for i := range put {
		e := &put[i]
		n, err := norm(e.Vector, x.Dim())
		if err == nil && x.Cosine() {
			e.Vector, err = unit(e.Vector, n)
		}
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", e.Key, err)
		}
		at, ok := have[e.Key]
		if !ok {
			at = len(rows)
			have[e.Key], rows = at, append(rows, 0)
		}
		rows[at] = ^row(i)
	}
	return slices.DeleteFunc(rows, func(r row) bool { return r == gone }), nil
}

// writer makes the next file of an index.
type writer struct {
	x, next *Index
	rows    []row
	put     []Entry
}

func (w *writer) vector(i int) []float32 {
	if r := w.rows[i]; r < 0 {
		return w.put[^r].Vector
	}
	return w.x.Vector(int(w.rows[i]))
}

func (w *writer) text(i int) (key, note string) {
	if r := w.rows[i]; r < 0 {
		return w.put[^r].Key, w.put[^r].Note
	}
	return w.x.Key(int(w.rows[i])), w.x.NoteOf(int(w.rows[i]))
}

// listRows gives next its lists, those of before where they still do, and sorts the rows by them.
func (w *writer) listRows() {
	next, n, had, want := w.next, len(w.rows), int(w.x.Centres), w.x.wantedLists(len(w.rows))
	grown := uint64(n) >= listGrowth*w.x.Listed
	var list []int32
	switch {
	case had > 0 && had <= n && !grown && (w.x.Lists == 0 || w.x.Lists == had):
		next.centres = slices.Clone(w.x.centres)
		next.codeCentres()
		list = make([]int32, n)
		var fresh []int
		for i, r := range w.rows {
			if r < 0 {
				fresh = append(fresh, i)
			} else {
				list[i] = w.x.listOf(int(r))
			}
		}
		for i, l := range next.assign(len(fresh), func(i int) []float32 { return w.vector(fresh[i]) }) {
			list[fresh[i]] = l
		}
	case want > 0:
		next.makeCentres(want, n, w.vector)
		list = next.assign(n, w.vector)
		next.Listed, next.Probe = uint64(n), 0
	default:
		next.Centres, next.Probe, next.Listed = 0, 0, 0
		return
	}
	sorted := make([]row, 0, n)
	next.starts = []uint64{0}
	for _, members := range group(list, int(next.Centres)) {
		for _, i := range members {
			sorted = append(sorted, w.rows[i])
		}
		next.starts = append(next.starts, uint64(len(sorted)))
	}
	w.rows = sorted
}

// codeRows gives next the codes of the rows, their scales and bounds.
func (w *writer) codeRows() {
	n, stride, dim := len(w.rows), w.x.stride(), float64(w.x.Dim())
	w.next.codes, w.next.scales, w.next.bounds = make([]uint8, n*stride), make([]float32, n), make([]float32, n)
	// What is lost beside the codes' error, for a query and a row of length 1: the query's 16 bits, half a unit of at most 1/(127·256) for each
	// number; the error of vec.Dot; and some roundings to float32.
	eps := math.Sqrt(dim)/(2*127*256) + (10+dim/32)*0x1p-24 + 0x1p-19
	const step = 256
	w.next.workers().Run((n+step-1)/step, func(task, _ int) {
		for i := task * step; i < min(n, (task+1)*step); i++ {
			code := w.next.codes[i*stride : (i+1)*stride]
			if r := int(w.rows[i]); r >= 0 {
				copy(code, w.x.codes[r*stride:])
				w.next.scales[i], w.next.bounds[i] = w.x.scales[r], w.x.bounds[r]
				continue
			}
			v := w.vector(i)
			scale := quant.ScanCodes(code, v)
			norm, off := 0.0, 0.0
			for j, f := range v {
				d := float64(f) - float64(scale)*float64(int(code[j])-128)
				norm, off = norm+float64(f)*float64(f), off+d*d
			}
			w.next.scales[i] = scale
			w.next.bounds[i] = float32((math.Sqrt(off)*(1+eps) + math.Sqrt(norm)*eps) * (1 + 1e-6))
		}
	})
}

// write puts next at path, and makes x what lies there.
func (w *writer) write(path string) error {
	ends := make([]uint64, 0, 2*len(w.rows))
	w.next.TextBytes = 0
	for i := range w.rows {
		key, note := w.text(i)
		w.next.TextBytes += uint64(len(key))
		ends = append(ends, w.next.TextBytes, w.next.TextBytes+uint64(len(note)))
		w.next.TextBytes += uint64(len(note))
	}
	at, size, err := w.next.layout()
	if err != nil {
		return err
	}
	if err := file.NeedSpace(path, uint64(size)); err != nil {
		return err
	}
	before := w.x.path
	err = file.WriteAtomic(path, 0o644, func(f io.Writer) error {
		out := &output{w: bufio.NewWriterSize(f, 1<<20), at: at}
		w.fill(out, ends)
		if out.err == nil {
			out.err = out.w.Flush()
		}
		if out.err == nil {
			out.err = w.x.unmap() // Windows renames nothing onto a file that is mapped
		}
		return out.err
	})
	if err == nil {
		return w.x.open(path)
	}
	if w.x.file == nil && before != "" {
		return errors.Join(err, w.x.open(before))
	}
	return err
}

// fill writes the file.
func (w *writer) fill(out *output, ends []uint64) {
	next := w.next
	if out.err = binary.Write(out, binary.LittleEndian, &next.header); out.err != nil {
		return
	}
	out.section(secCodes, next.codes)
	out.section(secScales, raw(next.scales))
	out.section(secBounds, raw(next.bounds))
	out.section(secVectors, nil)
	for i := range w.rows {
		out.write(raw(w.vector(i)))
	}
	out.section(secEnds, raw(ends))
	out.section(secText, nil)
	for i := range w.rows {
		key, note := w.text(i)
		out.write([]byte(key))
		out.write([]byte(note))
	}
	out.section(secCentres, raw(next.centres))
	out.section(secStarts, raw(next.starts))
	out.section(secNote, []byte(w.x.Note))
	out.section(secSum, nil)
	out.write(binary.LittleEndian.AppendUint32(nil, out.sum))
}

// output writes sections with the space between them. After an error it does nothing.
type output struct {
	w    *bufio.Writer
	size int64
	sum  uint32 // of what was written
	at   [sections][2]int64
	err  error
}

// Write makes output an io.Writer, for the header.
func (o *output) Write(b []byte) (int, error) {
	o.write(b)
	return len(b), o.err
}

func (o *output) write(b []byte) {
	if o.err == nil {
		_, o.err = o.w.Write(b)
		o.size += int64(len(b))
		o.sum = crc32.Update(o.sum, castagnoli, b)
	}
}

// section begins a section, and writes b there.
func (o *output) section(i int, b []byte) {
	o.write(make([]byte, o.at[i][0]-o.size))
	o.write(b)
}
