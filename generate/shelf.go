package generate

import (
	"slices"

	"github.com/plinth-ml/plinth/nn"
)

// shelf holds the keys and values of sequences that ended, the one used last at the end. A sequence is known by its ids, one for each position; a position
// that is no token of the vocabulary, such as a part of an image, would have a negative id that stands for its content.
type shelf struct {
	kv   *nn.KV
	kept []entry
}

// scope says among which sequences keys and values are the same for the same ids.
type scope struct {
	name string    // of the request
	long bool      // turned with the frequencies of sequences longer than model.Sizes.Switch
	own  *sequence // turned with frequencies that follow the length of this one: nobody shares them
}

// entry is a sequence on the shelf; ids are those of all positions of its slot.
type entry struct {
	slot  int
	scope scope
	ids   []int32
}

// shelved is the most sequences kept; what they take is bounded by the cache.
const shelved = 64

// worth is the fewest common first ids for which a sequence takes a share in another's pages, or waits for it: fewer are computed sooner.
const worth = 16

// common is the length of the longest common prefix.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// find returns the place of the sequence that shares the most first ids, and how many, or -1 and 0.
func (h *shelf) find(scope scope, ids []int32) (at, n int) {
	at = -1
	for i, k := range h.kept {
		if k.scope == scope && common(k.ids, ids) > n {
			at, n = i, common(k.ids, ids)
		}
	}
	return at, n
}

// reuse gives an empty slot the first positions of the sequence at a place.
func (h *shelf) reuse(to, at, n int) {
	k := h.kept[at]
	h.kv.Share(to, k.slot, n)
	h.kept = append(slices.Delete(h.kept, at, at+1), k)
}

// keep shelves a slot in the place of those that it begins with.
func (h *shelf) keep(slot int, scope scope, ids []int32) {
	h.kept = slices.DeleteFunc(h.kept, func(k entry) bool {
		covered := k.scope == scope && common(k.ids, ids) == len(k.ids)
		if covered {
			h.kv.Release(k.slot)
		}
		return covered
	})
	if len(h.kept) == shelved {
		h.forget()
	}
	h.kept = append(h.kept, entry{slot, scope, ids})
}

// forget drops the sequence that was not used for the longest time, and reports whether there was one.
func (h *shelf) forget() bool {
	if len(h.kept) == 0 {
		return false
	}
	h.kv.Release(h.kept[0].slot)
	h.kept = slices.Delete(h.kept, 0, 1)
	return true
}

// waits prepares active sequence i, of which nothing is computed yet: it takes over what another has computed of the same beginning, or waits
// while an earlier one is about to compute more of it.
func (e *Engine) waits(i int) bool {
	s, r := e.active[i], e.target
	ids := s.ids[:s.reusable()]
	at, have := r.find(s.scope, ids)
	from := -1
	for _, o := range e.active[:i] {
		if o.scope != s.scope {
			continue
		}
		n, done := common(o.ids[:o.feed()], ids), r.kv.Len(o.slot)
		if n > done && n >= have+worth {
			return true
		}
		if n = min(n, done); n > have {
			from, have = o.slot, n
		}
	}
	switch {
	case have < worth:
		return false
	case from >= 0:
		r.kv.Share(s.slot, from, have)
	default:
		r.reuse(s.slot, at, have)
	}
	s.out.Cached = min(have, s.prompt)
	e.stats.Cached += have
	e.pace.cached += float64(have)
	return false
}
