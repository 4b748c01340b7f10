package constrain

import "fmt"

// Matcher follows one sequence through a constraint. Its zero value is of no use. It is for one goroutine at a time; others may use the same Constraint.
type Matcher struct {
	c     *Constraint
	cache *cache // in which state is a number; nil: at the beginning
	state int32
	buf   Mask
}

// Start returns a matcher at the beginning of a text.
func (c *Constraint) Start() *Matcher { return &Matcher{c: c} }

// Vocab is the number of ids of the constraint's vocabulary.
func (c *Constraint) Vocab() int { return len(c.vocab.tokens) }

// use locks the cache that the matcher's state is in, one with room.
func (m *Matcher) use() (*cache, error) {
	s := &m.c.shared
	s.mu.Lock()
	if s.cache == nil || s.bytes > maxCache {
		fresh, err := m.c.newCache()
		if err != nil {
			return nil, err
		}
		s.cache = fresh
	}
	switch {
	case m.cache == nil:
		m.state = s.start
	case m.cache != s.cache:
		at, err := s.adopt(m.cache, m.state)
		if err != nil {
			return nil, err
		}
		m.state = at
	}
	m.cache = s.cache
	m.cache.effort = 0
	return m.cache, nil
}

// done unlocks the cache, and tells the vocabulary's Memory how large it is.
func (m *Matcher) done() {
	m.c.tell()
	m.c.shared.mu.Unlock()
}

// Mask returns the ids that may come next, of those in stops all where the text may end here, and none elsewhere. It is valid until the next call. An
// empty mask is an error, as is a grammar that is too ambiguous at this place.
func (m *Matcher) Mask(stops []int32) (Mask, error) {
	h, err := m.use()
	defer m.done()
	if err != nil {
		return nil, err
	}
	mask, err := h.maskOf(m.state)
	if err != nil {
		return nil, err
	}
	m.buf = append(m.buf[:0], mask...)
	end := h.has(m.state, frameDone)
	for _, id := range stops {
		if int(id) < m.c.Vocab() {
			m.buf.set(id, end)
		}
	}
	for _, w := range m.buf {
		if w != 0 {
			return m.buf, nil
		}
	}
	return nil, fmt.Errorf("constrain: no token of the vocabulary goes on here")
}

// Advance takes the next id, which must be in the mask and end nothing.
func (m *Matcher) Advance(id int32) error {
	h, err := m.use()
	defer m.done()
	if err != nil {
		return err
	}
	next, err := h.advance(m.state, id)
	if err == nil && next == stateDead {
		err = fmt.Errorf("constrain: token %d may not come here", id)
	}
	if err == nil {
		m.state = next
	}
	return err
}

// advance is the state behind a token.
func (h *cache) advance(at, id int32) (next int32, err error) {
	for i, special := range h.special {
		if special == id {
			return h.step(at, symbol(i))
		}
	}
	if h.others.Has(id) {
		return h.step(at, symbolOther)
	}
	if id < 0 || int(id) >= len(h.vocab.tokens) || h.vocab.tokens[id] == nil {
		return stateDead, nil
	}
	for _, b := range h.vocab.tokens[id] {
		if at, err = h.step(at, uint16(b)); err != nil || at == stateDead {
			return at, err
		}
	}
	return at, nil
}

// Complete reports whether the text may end here.
func (m *Matcher) Complete() bool { may, _ := m.end(); return may }

// Ended reports whether the text must end here: nothing can follow.
func (m *Matcher) Ended() bool { may, others := m.end(); return may && !others }

// end reports whether the text may end and whether it may go on; neither where the state cannot be told, which the next Mask says.
func (m *Matcher) end() (may, others bool) {
	h, err := m.use()
	defer m.done()
	if err != nil {
		return false, false
	}
	may = h.has(m.state, frameDone)
	return may, !may || len(h.states[m.state].members) > 1
}
