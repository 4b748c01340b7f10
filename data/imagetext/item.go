package imagetext

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/media"
)

// Item is what a batch holds at most once: a picture with its captions, or several that show the same thing, of which each step draws one.
type Item struct {
	Key  string // what its rows have in common: the picture's name, or the value of the column for groups
	Rows []Row
}

// Row is a picture and the captions that are true of it; each time that it is drawn, one of them is.
type Row struct {
	Name     string // file and row, for errors
	Captions []string

	path         string // the file that holds the picture
	offset, size int64  // of the picture's bytes in it; size 0: the whole file
}

// Decode reads the picture behind the limits, laid over a ground where it is transparent; without one its alpha is dropped. Errors name the row.
func (r *Row) Decode(limits media.Limits, ground *[3]uint8) (*media.Image, error) {
	f, err := file.Open(r.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	defer f.Close()
	var in io.Reader = f
	if r.size > 0 {
		in = io.NewSectionReader(f, r.offset, r.size)
	}
	var m *media.Image
	if ground != nil {
		m, err = media.DecodeOver(in, limits, *ground)
	} else {
		m, err = media.Decode(in, limits)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	return m, nil
}

// there says why a row's file cannot be one, without opening it. Shards were read when they were listed.
func (r *Row) there() error {
	if r.size > 0 {
		return nil
	}
	info, err := os.Stat(r.path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", r.Name, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: it is a folder, or no plain file", r.Name)
	}
	return nil
}

// Split takes the given share of the items out, chosen by their keys alone: the same item is held out whatever else there is.
func Split(items []Item, share float64, seed uint64) (train, held []Item) {
	key := random.NewKey(seed).Named("held out")
	for _, it := range items {
		if key.Named(it.Key).Float64(0) < share {
			held = append(held, it)
		} else {
			train = append(train, it)
		}
	}
	return train, held
}

// gathered collects rows into items by their keys, in order of appearance.
type gathered struct {
	items []Item
	rows  int
	at    map[string]int
}

func (g *gathered) add(key string, r Row) error {
	var list []string // without those that say it again
	for _, c := range r.Captions {
		c = strings.TrimSpace(c)
		switch {
		case c == "":
			return fmt.Errorf("%s: an empty caption", r.Name)
		case !utf8.ValidString(c):
			return fmt.Errorf("%s: a caption that is not UTF-8: %.60q", r.Name, c)
		case !slices.Contains(list, c):
			list = append(list, c)
		}
	}
	r.Captions = list
	g.rows++
	if len(r.Captions) == 0 {
		return fmt.Errorf("%s: no caption", r.Name)
	}
	i, ok := g.at[key]
	if !ok {
		if g.at == nil {
			g.at = map[string]int{}
		}
		i = len(g.items)
		g.at[key] = i
		g.items = append(g.items, Item{Key: key})
	}
	g.items[i].Rows = append(g.items[i].Rows, r)
	return nil
}

// ErrNoPairs is in the chain of the error about data without a pair.
var ErrNoPairs = errors.New("no pair of a picture and a caption")

// limit is the most bytes of a picture.
func limit(l media.Limits) int64 { return int64(cmp.Or(l.Bytes, 16<<20)) }
