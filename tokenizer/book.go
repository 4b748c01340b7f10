package tokenizer

import (
	"bytes"
	"hash/maphash"
)

const (
	bookKey   = 64      // longest piece that a book takes, bytes
	bookSlots = 1 << 17 // a power of two
	bookPages = bookSlots / 2
	bookIDs   = 1 << 20 // room for ids
)

// book holds the ids of pieces that were merged: those that the cache cannot take or has lost. When it is full it starts anew.
type book struct {
	seed  maphash.Seed
	slots []int32 // page + 1, or 0
	pages []page
	text  []byte
	ids   []int32
}

// page is one piece: text[text:text+size], ids[ids:ids+n].
type page struct {
	hash      uint32
	text, ids int32
	size, n   uint8
}

// find returns the ids of a piece of at most bookKey bytes, and whether they are known; if not, hash is for enter.
func (b *book) find(p []byte) (ids []int32, hash uint64, ok bool) {
	if b.slots == nil {
		b.slots, b.seed = make([]int32, bookSlots), maphash.MakeSeed()
	}
	hash = maphash.Bytes(b.seed, p)
	for i := hash % bookSlots; b.slots[i] > 0; i = (i + 1) % bookSlots {
		g := &b.pages[b.slots[i]-1]
		if g.hash == uint32(hash>>32) && bytes.Equal(b.text[g.text:g.text+int32(g.size)], p) {
			return b.ids[g.ids : g.ids+int32(g.n)], hash, true
		}
	}
	return nil, hash, false
}

// enter adds a piece that find has just not found.
func (b *book) enter(hash uint64, p []byte, ids []int32) {
	if len(b.pages) == bookPages || len(b.ids)+len(ids) > bookIDs {
		clear(b.slots)
		b.pages, b.text, b.ids = b.pages[:0], b.text[:0], b.ids[:0]
	}
	i := hash % bookSlots
	for b.slots[i] > 0 {
		i = (i + 1) % bookSlots
	}
	b.pages = append(b.pages, page{uint32(hash >> 32), int32(len(b.text)), int32(len(b.ids)), uint8(len(p)), uint8(len(ids))})
	b.slots[i] = int32(len(b.pages))
	b.text, b.ids = append(b.text, p...), append(b.ids, ids...)
}
