// Package trie holds a set of byte strings, each with a number, in one flat array, for segmenters that look for the prefixes of
// a text at every position.
package trie

import (
	"cmp"
	"fmt"
	"slices"
)

// Trie is a double array (Aoe 1989) whose children are found by exclusive or: the child of a node under byte c is unit
// node^c, if that unit says that it is reached by c. The zero value holds nothing. It is safe for concurrent use.
type Trie struct {
	units []uint64
	root  Node
}

// Node is a place in a trie: the string that leads to it. It is the place of the node's children, which no other node has;
// nodes without children share 0, where no child is.
type Node uint32

// A unit is value+1 in 27 bits, the place of its children in 28, and the byte that leads to it in 9 (0: free).
const (
	labelBits = 9
	nodeBits  = 28
	valueAt   = labelBits + nodeBits

	// MaxValue is the greatest value of a key.
	MaxValue = 1<<(64-valueAt) - 2
)

// Root is the empty string's node.
func (t *Trie) Root() Node { return t.root }

// Next returns the node of n's string followed by c, and the value of that string, -1 where it is no key. The node is good
// only where ok.
func (t *Trie) Next(n Node, c byte) (next Node, value int32, ok bool) {
	i := uint(n) ^ uint(c)
	if i >= uint(len(t.units)) {
		return 0, -1, false
	}
	u := t.units[i]
	return Node(u >> labelBits & (1<<nodeBits - 1)), int32(u>>valueAt) - 1, u&(1<<labelBits-1) == uint64(c)+1
}

// Walk follows s from n.
func (t *Trie) Walk(n Node, s string) (next Node, value int32, ok bool) {
	value, ok = -1, true
	for i := 0; i < len(s) && ok; i++ {
		n, value, ok = t.Next(n, s[i])
	}
	if !ok {
		return 0, -1, false
	}
	return n, value, true
}

// Get returns the value of a key, -1 where there is none.
func (t *Trie) Get(key string) int32 {
	_, value, _ := t.Walk(t.root, key)
	return value
}

// Entry is a key and its value.
type Entry struct {
	Key   string
	Value int32
}

// Build makes a trie; it sorts entries. Keys must be different and not empty, values in [0, MaxValue].
func Build(entries []Entry) (*Trie, error) {
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
	for i, e := range entries {
		switch {
		case e.Key == "":
			return nil, fmt.Errorf("trie: empty key")
		case i > 0 && entries[i-1].Key == e.Key:
			return nil, fmt.Errorf("trie: key %q twice", e.Key)
		case e.Value < 0 || e.Value > MaxValue:
			return nil, fmt.Errorf("trie: value %d of key %q is not in [0, %d]", e.Value, e.Key, MaxValue)
		}
	}
	b := builder{entries: entries}
	b.grow()
	b.take(0) // the root's own unit would be here; place 0 is for nodes without children
	b.taken[0] = true
	root, err := b.children(0, len(entries), 0)
	if err != nil {
		return nil, err
	}
	return &Trie{units: b.units, root: root}, nil
}

// builder places nodes. Free units form a list; only those of the last blocks are on it, so that building stays linear.
type builder struct {
	entries    []Entry
	units      []uint64
	taken      []bool  // places that are a node's
	next, prev []int32 // list of free units
	head       int32   // of the list, -1: empty
	labels     []byte  // scratch
}

const (
	block      = 256 // units that one place reaches
	openBlocks = 16
)

// grow appends a block of free units and drops the free units of an old one.
func (b *builder) grow() {
	n := int32(len(b.units))
	if n == 0 {
		b.head = -1
	}
	if old := n - openBlocks*block; old >= 0 {
		for i := old; i < old+block; i++ {
			if b.units[i] == 0 && b.next[i] >= 0 {
				b.take(i)
			}
		}
	}
	b.units = append(b.units, make([]uint64, block)...)
	b.taken = append(b.taken, make([]bool, block)...)
	for i := n; i < n+block; i++ {
		if b.head < 0 {
			b.head = i
			b.next, b.prev = append(b.next, i), append(b.prev, i)
			continue
		}
		last := b.prev[b.head]
		b.next, b.prev = append(b.next, b.head), append(b.prev, last)
		b.next[last], b.prev[b.head] = i, i
	}
}

// take removes a unit from the list of free ones.
func (b *builder) take(i int32) {
	b.next[b.prev[i]], b.prev[b.next[i]] = b.next[i], b.prev[i]
	if b.head == i {
		b.head = b.next[i]
		if b.head == i {
			b.head = -1
		}
	}
	b.next[i] = -1
}

// children places the nodes below the string that entries[from:to] share up to depth.
func (b *builder) children(from, to, depth int) (Node, error) {
	for from < to && len(b.entries[from].Key) == depth {
		from++ // the string itself, whose value its own unit has
	}
	if from == to {
		return 0, nil
	}
	labels := b.labels[len(b.labels):]
	for i := from; i < to; i++ {
		if c := b.entries[i].Key[depth]; len(labels) == 0 || labels[len(labels)-1] != c {
			labels = append(labels, c)
		}
	}
	at, err := b.place(labels)
	if err != nil {
		return 0, err
	}
	b.taken[at] = true
	for _, c := range labels {
		i := at ^ int32(c)
		b.take(i)
		b.units[i] = uint64(c) + 1
	}
	for _, c := range labels {
		end := from
		for end < to && b.entries[end].Key[depth] == c {
			end++
		}
		below, err := b.children(from, end, depth+1)
		if err != nil {
			return 0, err
		}
		u := uint64(c) + 1 | uint64(below)<<labelBits
		if e := &b.entries[from]; len(e.Key) == depth+1 {
			u |= uint64(e.Value+1) << valueAt
		}
		b.units[at^int32(c)] = u
		from = end
	}
	return Node(at), nil
}

// place finds a place that no node has, with free units for all labels.
func (b *builder) place(labels []byte) (int32, error) {
	for i := b.head; i >= 0; {
		at := i ^ int32(labels[0])
		if !b.taken[at] && b.fits(at, labels) {
			return at, nil
		}
		if i = b.next[i]; i == b.head {
			break
		}
	}
	at := len(b.units)
	if at+block > 1<<nodeBits {
		return 0, fmt.Errorf("trie: more than %d nodes", 1<<nodeBits)
	}
	b.grow()
	return int32(at), nil
}

func (b *builder) fits(at int32, labels []byte) bool {
	for _, c := range labels[1:] {
		if i := at ^ int32(c); b.units[i] != 0 || b.next[i] < 0 {
			return false
		}
	}
	return true
}
