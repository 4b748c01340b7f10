package imagetext

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/media"
)

// Options are the settings of a Set.
type Options struct {
	Batch   int                                // items of a step
	Prepare media.Preprocess                   // what the tower wants
	Encode  func(text string) ([]int32, error) // ids of a caption, as the tower takes them; an error refuses the data
	Augment *media.Augment                     // of training, its Crop.Size that of Prepare; nil: pictures are as in use
	Grounds [][3]uint8                         // colours under transparent pictures, of which each step draws one; nil: alpha is dropped, as PIL does
	Limits  media.Limits
	Skip    bool  // a picture that cannot be read is replaced by that of the next item, and counted, instead of an error
	Keep    int64 // bytes of decoded pictures kept in memory; 0: 1 GiB, negative: none
	Threads int   // that decode; 0: all processors
	Seed    uint64
}

// Set draws batches of pictures and captions. It is used by one goroutine.
type Set struct {
	items []Item
	o     Options
	ids   [][][][]int32 // of each item, row and caption
	says  [][][]int     // of each item, row and caption, its number among all that differ
	share bool          // a caption of one item is also another's

	kept    sync.Map // of *Row and ground: *media.Image
	room    atomic.Int64
	skipped sync.Map // *Row
}

// Batch is pictures and a caption for each.
type Batch struct {
	Pixels   []float32 // [B, 3, Size, Size]
	IDs      []int32   // captions, one after the other
	Lengths  []int     // of each
	Captions []string
	Says     []int   // of each, its number: equal captions of a Set have the same
	True     [][]int // of the picture of each, the numbers of all its captions
}

// New encodes all captions and looks for all files, so that a caption which the tower cannot take and a picture that is not there are told of before training, by
// their row and how many there are; with Skip the latter are counted alone. What is in the files is not read.
func New(items []Item, o Options) (*Set, error) {
	if o.Batch < 1 || o.Batch > len(items) {
		return nil, fmt.Errorf("imagetext: a batch of %d out of %d items", o.Batch, len(items))
	}
	if o.Keep == 0 {
		o.Keep = 1 << 30
	}
	if o.Threads < 1 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Augment != nil && o.Augment.Crop.Size != o.Prepare.Size {
		return nil, fmt.Errorf("imagetext: pictures are augmented to %d pixels, and prepared for %d", o.Augment.Crop.Size, o.Prepare.Size)
	}
	s := &Set{items: items, o: o, ids: make([][][][]int32, len(items)), says: make([][][]int, len(items))}
	s.room.Store(o.Keep)
	type known struct{ number, item int }
	all := map[string]known{}
	var missing error // the first one
	pictures := 0
	for i, it := range items {
		for j := range it.Rows {
			r := &it.Rows[j]
			if err := r.there(); err != nil {
				s.skipped.Store(r, true)
				missing = cmp.Or(missing, err)
			}
			pictures++
			list, numbers := make([][]int32, len(r.Captions)), make([]int, len(r.Captions))
			for c, text := range r.Captions {
				ids, err := o.Encode(text)
				if err != nil {
					return nil, fmt.Errorf("imagetext: %s: %w", r.Name, err)
				}
				list[c] = ids
				k, ok := all[text]
				if !ok {
					k = known{len(all), i}
					all[text] = k
				}
				s.share = s.share || k.item != i
				numbers[c] = k.number
			}
			s.ids[i], s.says[i] = append(s.ids[i], list), append(s.says[i], numbers)
		}
	}
	if missing != nil && !o.Skip {
		return nil, fmt.Errorf("imagetext: %w (%d of %d pictures are not there)", missing, s.Skipped(), pictures)
	}
	return s, nil
}

// Items is the number of items.
func (s *Set) Items() int { return len(s.items) }

// Shares says whether a caption of one item is also a caption of another.
func (s *Set) Shares() bool { return s.share }

// Batch is the number of items of a step.
func (s *Set) Batch() int { return s.o.Batch }

// Size is the side of the pictures in pixels.
func (s *Set) Size() int { return s.o.Prepare.Size }

// Tokens is the mean number of ids of a caption, each item, of it each row, and of that each caption as likely as the others.
func (s *Set) Tokens() float64 {
	sum := 0.0
	for _, rows := range s.ids {
		for _, captions := range rows {
			for _, ids := range captions {
				sum += float64(len(ids)) / float64(len(captions)*len(rows)*len(s.ids))
			}
		}
	}
	return sum
}

// Skipped is the number of pictures that are not there or could not be read so far.
func (s *Set) Skipped() (n int) {
	s.skipped.Range(func(any, any) bool { n++; return true })
	return n
}

// Fingerprint names the pairs, by captions and names of files without their folders, and the settings that batches depend on.
func (s *Set) Fingerprint() string {
	h := sha256.New()
	o := s.o
	fmt.Fprintf(h, "%d %+v %v %+v %v %d\n", o.Batch, o.Prepare, o.Grounds, o.Limits, o.Skip, o.Seed)
	if o.Augment != nil {
		fmt.Fprintf(h, "%+v\n", *o.Augment)
	}
	for i, it := range s.items {
		fmt.Fprintln(h, len(it.Rows))
		for j, r := range it.Rows {
			fmt.Fprintf(h, "%q %d %d %q %v\n", filepath.Base(r.path), r.offset, r.size, r.Captions, s.ids[i][j])
		}
	}
	return fmt.Sprintf("imagetext %x", h.Sum(nil)[:16])
}

// Fill sets b to items [from, to) of the batch of a step: a pure function of these and of the seed. Every epoch takes the items in an order of its own,
// and of each one row, one of its captions, one ground and one way to augment; the rest that fills no batch waits for another epoch's order, so that no item
// meets itself.
func (s *Set) Fill(b *Batch, step, from, to int) error {
	if step < 0 || from < 0 || from > to || to > s.o.Batch {
		return fmt.Errorf("imagetext: step %d, items %d to %d of a batch of %d", step, from, to, s.o.Batch)
	}
	perEpoch := len(s.items) / s.o.Batch
	order := random.NewPerm(uint64(len(s.items)), random.NewKey(s.o.Seed, uint64(step/perEpoch)).Named("order"))
	draws := make([]draw, to-from)
	for i := range draws {
		at := step%perEpoch*s.o.Batch + from + i
		draws[i] = draw{item: int(order.At(uint64(at))), key: random.NewKey(s.o.Seed, uint64(step), uint64(from+i)).Named("pair")}
	}
	return s.fill(b, draws)
}

// Plain sets b to the first rows of items [from, to), each as it is in use, without augmentation, with its first caption and over the first ground.
func (s *Set) Plain(b *Batch, from, to int) error {
	draws := make([]draw, to-from)
	for i := range draws {
		draws[i] = draw{item: from + i, plain: true}
	}
	return s.fill(b, draws)
}

// AllCaptions sets b to all captions of the rows that Plain takes of items [from, to), and to no pictures.
func (s *Set) AllCaptions(b *Batch, from, to int) {
	b.Pixels = b.Pixels[:0]
	b.clear()
	for i := from; i < to; i++ {
		for c := range s.Captions(i) {
			s.add(b, i, 0, c)
		}
	}
}

// clear forgets the captions.
func (b *Batch) clear() {
	b.IDs, b.Lengths, b.Captions, b.Says, b.True = b.IDs[:0], b.Lengths[:0], b.Captions[:0], b.Says[:0], b.True[:0]
}

// add appends a caption of a row.
func (s *Set) add(b *Batch, item, row, caption int) {
	ids := s.ids[item][row][caption]
	b.IDs, b.Lengths, b.Captions = append(b.IDs, ids...), append(b.Lengths, len(ids)), append(b.Captions, s.items[item].Rows[row].Captions[caption])
	b.Says, b.True = append(b.Says, s.says[item][row][caption]), append(b.True, s.says[item][row])
}

// Captions are all captions of the row that Plain takes of an item, encoded.
func (s *Set) Captions(item int) [][]int32 { return s.ids[item][0] }

// draw is an item of a batch and what its random numbers are made of.
type draw struct {
	item  int
	key   random.Key
	plain bool // nothing is drawn: the first row, caption and ground
}

func (d draw) pick(i uint64, n int) int {
	if d.plain {
		return 0
	}
	return d.key.IntN(i, n)
}

// fill decodes on all threads.
func (s *Set) fill(b *Batch, draws []draw) error {
	n := 3 * s.Size() * s.Size()
	if cap(b.Pixels) < n*len(draws) {
		b.Pixels = make([]float32, n*len(draws))
	}
	b.Pixels = b.Pixels[:n*len(draws)]
	chosen := make([]struct{ item, row int }, len(draws))
	errs := make([]error, len(draws))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(s.o.Threads, len(draws)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(draws); i = int(next.Add(1)) - 1 {
				c := &chosen[i]
				c.item, c.row, errs[i] = s.picture(b.Pixels[n*i:n*(i+1)], draws[i])
			}
		})
	}
	wg.Wait()
	b.clear()
	for i, c := range chosen {
		if errs[i] != nil {
			return fmt.Errorf("imagetext: %w", errs[i])
		}
		s.add(b, c.item, c.row, draws[i].pick(1, len(s.ids[c.item][c.row])))
	}
	return nil
}

// most is how many pictures one after the other may be skipped.
const most = 100

// picture writes the picture of a draw to dst [3, Size, Size], and tells which row it is.
func (s *Set) picture(dst []float32, d draw) (item, row int, err error) {
	for tries := range most {
		item = (d.item + tries) % len(s.items)
		rows := s.items[item].Rows
		row = d.pick(0, len(rows))
		m, err := s.decode(&rows[row], d)
		if err == nil {
			if s.o.Augment != nil && !d.plain {
				m = s.o.Augment.Apply(m, d.key.Named("augment"))
			}
			s.o.Prepare.Apply(dst, m)
			return item, row, nil
		}
		if !s.o.Skip {
			return item, row, err
		}
		s.skipped.Store(&rows[row], true)
	}
	return item, row, fmt.Errorf("%d pictures one after the other cannot be read, the last of them %s", most, s.items[item].Rows[row].Name)
}

// decode returns a row's picture over the ground that is drawn, from memory where it is there.
func (s *Set) decode(r *Row, d draw) (*media.Image, error) {
	type place struct {
		row    *Row
		ground int
	}
	at, ground := place{row: r}, (*[3]uint8)(nil)
	if len(s.o.Grounds) > 0 {
		at.ground = d.pick(2, len(s.o.Grounds))
		ground = &s.o.Grounds[at.ground]
	}
	if m, ok := s.kept.Load(at); ok {
		return m.(*media.Image), nil
	}
	m, err := r.Decode(s.o.Limits, ground)
	if err == nil && s.room.Add(-int64(len(m.Pix))) > 0 {
		s.kept.Store(at, m)
	}
	return m, err
}
