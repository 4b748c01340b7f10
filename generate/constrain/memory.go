package constrain

import (
	"sync"
	"sync/atomic"
)

// Memory bounds what the constraints of some vocabularies keep of what their matchers found out: states and masks, which are found again where they were forgotten. Beyond the
// bound the constraint that was used the longest ago forgets first. What one step of a sequence needs is there whatever the bound.
type Memory struct {
	mu    sync.Mutex
	most  int
	used  int
	users map[*Constraint]int // bytes of those that have something to forget
	clock atomic.Int64
}

// NewMemory returns a memory of so many bytes.
func NewMemory(bytes int) *Memory { return &Memory{most: bytes, users: map[*Constraint]int{}} }

// Used is about the bytes that are kept.
func (m *Memory) Used() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// coarse is how many bytes a constraint grows by before it tells.
const coarse = 1 << 15

// tell tells the vocabulary's memory of a change, and forgets what is too much. The constraint is locked.
func (c *Constraint) tell() {
	m, s := c.vocab.Memory, &c.shared
	if m == nil || s.cache == nil {
		return
	}
	if c.last.Store(m.clock.Add(1)); s.bytes >= s.told && s.bytes < s.told+coarse {
		return
	}
	if s.told = s.bytes; m.keep(c, s.bytes) {
		s.cache, s.told = nil, 0
	}
}

// keep notes what c has, and reports whether it has to forget it, as others had to before.
func (m *Memory) keep(c *Constraint, bytes int) (forget bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used += bytes - m.users[c]
	m.users[c] = bytes
	for m.used > m.most {
		var oldest *Constraint
		for u := range m.users {
			if u != c && (oldest == nil || u.last.Load() < oldest.last.Load()) {
				oldest = u
			}
		}
		switch {
		case oldest == nil:
			m.drop(c)
			return true
		case oldest.shared.mu.TryLock():
			oldest.shared.cache, oldest.shared.told = nil, 0
			oldest.shared.mu.Unlock()
			m.drop(oldest)
		default: // a step is using it, and will tell again
			return false
		}
	}
	return false
}

func (m *Memory) drop(c *Constraint) {
	m.used -= m.users[c]
	delete(m.users, c)
}

// Forget gives back what the constraint found out, and what the Memory holds of it. Sequences that are being written go on.
func (c *Constraint) Forget() {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	c.shared.cache, c.shared.told = nil, 0
	if m := c.vocab.Memory; m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.drop(c)
	}
}
