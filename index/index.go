package index

import (
	"fmt"
	"hash/crc32"
	"math"
	"sync"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/quant"
)

// Index is vectors under keys. Rows are numbered as they lie in the file. Any number of goroutines may search at once; none may during Save or Close.
type Index struct {
	Threads int    // workers; 0: GOMAXPROCS. It is read by the first search or Save.
	Lists   int    // lists that Save makes for Near; 0: none below a million rows, else about 2√rows; -1: none
	Note    string // free text that Save writes, such as what the vectors were made with

	path string
	file *file.Mapping // nil where nothing is saved
	*contents
	centreCodes  []uint8 // [lists, stride]
	centreScales []float32

	kernel *quant.Kernel
	start  sync.Once
	team   *team
}

// team is the workers with their memory.
type team struct {
	*pool.Pool
	sums [][]float32 // [threads, blockRows]
}

// Hit is a row that was found.
type Hit struct {
	Row   int
	Key   string
	Score float32 // the inner product, as vec.Dot gives it
}

// New returns an empty index of vectors of dim numbers. With cosine, Save brings vectors to length 1 and a search its queries.
func New(dim int, cosine bool) (*Index, error) {
	h := header{Width: uint32(dim)}
	copy(h.Magic[:], magic)
	if cosine {
		h.Flags = flagCosine
	}
	if _, _, err := h.layout(); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return &Index{contents: &contents{header: h}, kernel: quant.For("")}, nil
}

// Open maps the index at path and checks all of it but its numbers, for which there is Verify. Where it is none, or damaged, ErrFormat is in the chain
// of the error.
func Open(path string) (*Index, error) {
	x := &Index{kernel: quant.For("")}
	if err := x.open(path); err != nil {
		return nil, err
	}
	return x, nil
}

func (x *Index) open(path string) error {
	m, err := file.Map(path)
	if err != nil {
		return err
	}
	c, err := parse(m.Bytes())
	if err != nil {
		m.Close()
		return fmt.Errorf("index: %s: %w: %w", path, ErrFormat, err)
	}
	x.path, x.file, x.contents, x.Note = path, m, c, c.note
	x.codeCentres()
	return nil
}

// Verify compares the file with the checksum that Save wrote behind it, for which it reads all of it; Open does not, so that opening takes no longer for
// a large index. Where they differ ErrFormat is in the chain of the error. Of an index that is not saved there is nothing to compare.
func (x *Index) Verify() error {
	if x.file == nil {
		return nil
	}
	return x.file.Guard(func(b []byte) error {
		if sum := crc32.Checksum(b[:len(b)-sumBytes], castagnoli); sum != x.sum {
			return fmt.Errorf("index: %s: %w: its bytes have the checksum %08x, and %08x was saved", x.path, ErrFormat, sum, x.sum)
		}
		return nil
	})
}

// codeCentres makes the codes of the lists' centres.
func (x *Index) codeCentres() {
	dim, stride := x.Dim(), x.stride()
	x.centreCodes, x.centreScales = make([]uint8, int(x.Centres)*stride), make([]float32, x.Centres)
	for i := range x.centreScales {
		x.centreScales[i] = quant.ScanCodes(x.centreCodes[i*stride:(i+1)*stride], x.centres[i*dim:(i+1)*dim])
	}
}

// Close unmaps the file; the index must not be used afterwards.
func (x *Index) Close() error {
	if x.team != nil {
		x.team.Close()
	}
	return x.unmap()
}

func (x *Index) unmap() error {
	if x.file == nil {
		return nil
	}
	err := x.file.Close()
	x.file, x.contents = nil, &contents{header: x.header} // a stray use panics where it would fault
	return err
}

// workers returns the team, which the first call makes.
func (x *Index) workers() *team {
	x.start.Do(func() {
		x.team = &team{Pool: pool.New(x.Threads)}
		for range x.team.Threads() {
			x.team.sums = append(x.team.sums, make([]float32, blockRows))
		}
	})
	return x.team
}

// Len is the number of rows.
func (x *Index) Len() int { return int(x.Rows) }

// Dim is the numbers of a vector.
func (x *Index) Dim() int { return int(x.Width) }

// Cosine tells whether vectors and queries are brought to length 1.
func (x *Index) Cosine() bool { return x.Flags&flagCosine != 0 }

// ListCount is the number of lists that Near chooses from, 0 where it goes through all rows, and how many it takes unless told otherwise.
func (x *Index) ListCount() (lists, probed int) { return int(x.Centres), int(x.Probe) }

// Bytes is the size of the file, and of that part of it which an exact search reads.
func (x *Index) Bytes() (file, searched int64) {
	_, size, err := x.layout()
	if err != nil {
		panic(err) // the header was checked
	}
	return size, int64(x.Len()) * int64(x.stride()+8)
}

func (x *Index) stride() int { return quant.ScanStride(x.Dim()) }

// Key returns the key of row i.
func (x *Index) Key(i int) string {
	begin := uint64(0)
	if i > 0 {
		begin = x.ends[2*i-1]
	}
	return string(x.text[begin:x.ends[2*i]])
}

// NoteOf returns the note of row i.
func (x *Index) NoteOf(i int) string { return string(x.text[x.ends[2*i]:x.ends[2*i+1]]) }

// Vector returns row i, which must not be changed; it is valid until Save or Close.
func (x *Index) Vector(i int) []float32 { return x.vectors[i*x.Dim() : (i+1)*x.Dim()] }

// The norms of vectors and queries other than 0: their products and the errors of these are then normal numbers.
const (
	minNorm = 1e-15
	maxNorm = 1e15
)

// norm returns the length of a vector of dim numbers, and an error where it is not one to search with.
func norm(v []float32, dim int) (float64, error) {
	if len(v) != dim {
		return 0, fmt.Errorf("%d numbers, the index has vectors of %d", len(v), dim)
	}
	sum := 0.0
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	n := math.Sqrt(sum)
	if n != 0 && !(n >= minNorm && n <= maxNorm) {
		return 0, fmt.Errorf("its length is %v, not 0 or within %g to %g", n, minNorm, maxNorm)
	}
	return n, nil
}

// unit returns v at length 1.
func unit(v []float32, n float64) ([]float32, error) {
	if n == 0 {
		return nil, fmt.Errorf("all numbers are 0: there is no cosine")
	}
	u := make([]float32, len(v))
	for i, f := range v {
		u[i] = float32(float64(f) / n)
	}
	return u, nil
}
