package constrain

import (
	"cmp"
	"slices"
)

// Mask is a set of ids, a bit each.
type Mask []uint64

// Has reports whether id is in the set.
func (m Mask) Has(id int32) bool {
	return uint(id)>>6 < uint(len(m)) && m[id>>6]>>(id&63)&1 != 0
}

func (m Mask) set(id int32, on bool) {
	if bit := uint64(1) << (id & 63); on {
		m[id>>6] |= bit
	} else {
		m[id>>6] &^= bit
	}
}

func (m Mask) or(o Mask) {
	for i, w := range o {
		m[i] |= w
	}
}

func (c *Constraint) newMask() Mask { return make(Mask, (len(c.vocab.tokens)+63)/64) }

// local is what is known of tokens from some nodes of a rule, whatever stack they stand on.
type local struct {
	mask    Mask    // tokens that end within the rule, or with it
	escapes []int32 // nodes of the trie at which the rule may end: tokens that go on are up to the stack
}

// maskOf returns the tokens that may come next in a state.
func (h *cache) maskOf(at int32) (Mask, error) {
	if m := h.states[at].mask; m != nil {
		return m, nil
	}
	twins := make([]int32, len(h.states[at].members))
	for i, m := range h.states[at].members {
		twins[i] = h.twins[m]
	}
	slices.Sort(twins)
	like, err := h.state(slices.Compact(twins))
	if err != nil {
		return nil, err
	}
	if h.states[like].mask == nil {
		if h.states[like].mask, err = h.makeMask(like); err != nil {
			return nil, err
		}
	}
	h.states[at].mask = h.states[like].mask
	return h.states[at].mask, nil
}

// makeMask joins the masks of a state's stacks, those with the same frames below the top together.
func (h *cache) makeMask(at int32) (Mask, error) {
	mask := h.newMask()
	h.bytes += 8 * len(mask)
	tops := make([]frame, 0, len(h.states[at].members))
	for _, m := range h.states[at].members {
		if m != frameDone {
			tops = append(tops, h.frames[m])
		}
	}
	slices.SortFunc(tops, func(a, b frame) int {
		return cmp.Or(cmp.Compare(a.under, b.under), cmp.Compare(a.node, b.node))
	})
	for len(tops) > 0 {
		under, n := tops[0].under, 1
		for n < len(tops) && tops[n].under == under {
			n++
		}
		nodes := make([]int32, n)
		for i := range nodes {
			nodes[i] = tops[i].node
		}
		tops = tops[n:]
		if err := h.spend(len(mask)); err != nil {
			return nil, err
		}
		l, err := h.local(nodes)
		if err != nil {
			return nil, err
		}
		mask.or(l.mask)
		if under == frameDone || len(l.escapes) == 0 {
			continue
		}
		members, err := h.closure([]frame{h.frames[under]})
		if err != nil {
			return nil, err
		}
		behind, err := h.state(members)
		if err != nil {
			return nil, err
		}
		for _, e := range l.escapes {
			if err := h.walk(e+1, h.vocab.trie[e].end, behind, mask, nil); err != nil {
				return nil, err
			}
		}
	}
	for i, id := range h.special {
		next, err := h.step(at, symbol(i))
		if err != nil {
			return nil, err
		}
		mask.set(id, next != stateDead)
	}
	if h.others != nil {
		next, err := h.step(at, symbolOther)
		if err != nil {
			return nil, err
		}
		if next != stateDead {
			mask.or(h.others)
		}
	}
	return mask, nil
}

// local returns what is known of tokens from nodes, ascending, of one rule.
func (h *cache) local(nodes []int32) (*local, error) {
	key := string(h.encode(nodes))
	if l, ok := h.locals[key]; ok {
		return l, nil
	}
	members := make([]int32, len(nodes))
	for i, n := range nodes {
		members[i] = h.frame(frame{n, frameHole})
	}
	slices.Sort(members)
	at, err := h.state(members)
	if err != nil {
		return nil, err
	}
	l := &local{mask: h.newMask()}
	if err := h.walk(0, int32(len(h.vocab.trie)-1), at, l.mask, &l.escapes); err != nil {
		return nil, err
	}
	h.locals[key] = l
	h.bytes += 8*len(l.mask) + 4*len(l.escapes) + 64
	return l, nil
}

// walk adds the tokens of the trie's nodes from first to end, siblings and what is below them, that may come in a state. escapes gets the nodes behind
// which a hole is reached.
func (h *cache) walk(first, end, at int32, mask Mask, escapes *[]int32) error {
	if first >= end {
		return nil
	}
	trie := h.vocab.trie
	base := trie[first].depth
	var path [maxToken + 1]int32 // states by depth
	path[0] = at
	for n := first; n < end; {
		if err := h.spend(1); err != nil {
			return err
		}
		t := &trie[n]
		depth := t.depth - base
		next, err := h.step(path[depth], uint16(t.b))
		if err != nil {
			return err
		}
		if next == stateDead {
			n = t.end
			continue
		}
		for _, id := range h.vocab.order[t.first:trie[n+1].first] {
			mask.set(id, true)
		}
		if escapes != nil && h.has(next, frameHole) {
			*escapes = append(*escapes, n)
		}
		path[depth+1] = next
		n++
	}
	return nil
}
