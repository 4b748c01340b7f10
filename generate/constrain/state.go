package constrain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Bounds of what is found out on the way.
const (
	maxStacks = 1 << 13  // of a state, and frames looked at for one transition
	maxCache  = 24 << 20 // bytes; what does not fit is forgotten and found again
	maxEffort = 1 << 24  // for one token: nodes of the vocabulary's trie, and frames by the weight below
	frameCost = 16
)

// shared is what matchers found out so far.
type shared struct {
	mu sync.Mutex
	*cache
	told int // bytes that the Memory knows of
}

// A stack is known by its top frame. Frames and states are the same number wherever they are the same.
const (
	frameDone = 0 // the stack on which everything is read
	frameHole = 1 // the bottom of a stack of which only the top is known
)

// frame is a node, of which the automaton reads next if the frame is a top, or goes on with when it returns, and the frame under it.
type frame struct{ node, under int32 }

const (
	stateUnknown = 0 // a transition that was not needed yet
	stateDead    = 1 // no stack is left
)

// state is a set of stacks, all with a nodeSpan on top or done.
type state struct {
	members []int32 // frames, ascending
	next    []int32 // states, by class of symbol
	mask    Mask    // nil: not made yet
}

// cache holds states. When it is full, a new one takes its place, and matchers carry their states over.
type cache struct {
	*Constraint
	frames  []frame
	twins   []int32 // of frames: the one with the same short texts, see twin
	frameAt map[frame]int32
	states  []state
	stateAt map[string]int32
	locals  map[string]*local
	start   int32
	bytes   int // about
	effort  int // since the matcher began its step

	todo []frame // scratch of closure
	seen map[frame]bool
	key  []byte
}

func (c *Constraint) newCache() (*cache, error) {
	h := &cache{Constraint: c, frameAt: map[frame]int32{}, stateAt: map[string]int32{}, locals: map[string]*local{}, seen: map[frame]bool{}}
	h.frames, h.twins = []frame{{-1, -1}, {-1, -1}}, []int32{frameDone, frameHole}
	h.states = make([]state, 2)
	members, err := h.closure([]frame{{c.starts[c.root], frameDone}})
	if err != nil {
		return nil, err
	}
	h.start, err = h.state(members)
	return h, err
}

// ErrComplex is a grammar that costs more at some place than a token may.
var ErrComplex = errors.New("the grammar is too ambiguous here")

func errComplex(what string, most int) error {
	return fmt.Errorf("constrain: %w: more than %d %s", ErrComplex, most, what)
}

// spend counts effort.
func (h *cache) spend(n int) error {
	if h.effort += n; h.effort > maxEffort {
		return errComplex("steps for one token", maxEffort)
	}
	return nil
}

// frame returns the number of a frame.
func (h *cache) frame(f frame) int32 {
	if at, ok := h.frameAt[f]; ok {
		return at
	}
	like := int32(-1)
	if twin := (frame{h.twin(f.node), h.twins[f.under]}); twin != f {
		like = h.frame(twin) // which is its own twin
	}
	n := int32(len(h.frames))
	if like < 0 {
		like = n
	}
	h.frames, h.twins = append(h.frames, f), append(h.twins, like)
	h.frameAt[f] = n
	h.bytes += 48
	return n
}

// twin is the node that stands for all those of a chain of copies from which no token reaches the end of the chain: as a token takes at most
// one copy for each of its bytes, what it may be does not depend on how many more copies there are.
func (h *cache) twin(n int32) int32 {
	if more := h.nodes[n].ahead - int32(h.vocab.longest) - 1; more > 0 {
		return n - more*h.nodes[n].stride
	}
	return n
}

// closure returns the tops, ascending, that stacks come to without reading: it follows splits, calls and returns.
func (h *cache) closure(from []frame) ([]int32, error) {
	clear(h.seen)
	h.todo = append(h.todo[:0], from...)
	var members []int32
	for len(h.todo) > 0 {
		f := h.todo[len(h.todo)-1]
		h.todo = h.todo[:len(h.todo)-1]
		if h.seen[f] {
			continue
		}
		if len(h.seen) >= maxStacks {
			return nil, errComplex("stacks", maxStacks)
		}
		if err := h.spend(frameCost); err != nil {
			return nil, err
		}
		h.seen[f] = true
		switch n := h.nodes[f.node]; n.kind {
		case nodeSpan:
			members = append(members, h.frame(f))
		case nodeSplit:
			h.todo = append(h.todo, frame{n.other, f.under}, frame{n.next, f.under})
		case nodeCall:
			under := f.under
			if n.next != 0 { // a call at the end of a rule returns to where that rule returns
				under = h.frame(frame{n.next, f.under})
			}
			h.todo = append(h.todo, frame{h.starts[n.other], under})
		case nodeReturn:
			if f.under == frameDone || f.under == frameHole {
				members = append(members, f.under)
			} else {
				h.todo = append(h.todo, h.frames[f.under])
			}
		}
	}
	slices.Sort(members)
	return members, nil
}

// encode makes the key of a list of numbers, valid until the next.
func (h *cache) encode(list []int32) []byte {
	h.key = h.key[:0]
	for _, m := range list {
		h.key = binary.LittleEndian.AppendUint32(h.key, uint32(m))
	}
	return h.key
}

// state returns the number of a set of stacks.
func (h *cache) state(members []int32) (int32, error) {
	if len(members) == 0 {
		return stateDead, nil
	}
	key := h.encode(members)
	if at, ok := h.stateAt[string(key)]; ok {
		return at, nil
	}
	if h.bytes > 2*maxCache { // within one step; between steps it is forgotten before
		return 0, errComplex("bytes of states for one token", maxCache)
	}
	at := int32(len(h.states))
	h.states = append(h.states, state{members: members, next: make([]int32, h.classes)})
	h.stateAt[string(key)] = at
	h.bytes += 160 + 8*len(members) + 4*h.classes
	return at, nil
}

// step is the state behind a symbol.
func (h *cache) step(at int32, symbol uint16) (int32, error) {
	class := h.class[symbol]
	if next := h.states[at].next[class]; next != stateUnknown {
		return next, nil
	}
	if err := h.spend(len(h.states[at].members)); err != nil {
		return 0, err
	}
	var from []frame
	for _, m := range h.states[at].members {
		if m == frameDone || m == frameHole {
			continue
		}
		f := h.frames[m]
		if n := h.nodes[f.node]; n.lo <= symbol && symbol <= n.hi {
			from = append(from, frame{n.next, f.under})
		}
	}
	members, err := h.closure(from)
	if err != nil {
		return 0, err
	}
	next, err := h.state(members)
	if err == nil {
		h.states[at].next[class] = next
	}
	return next, err
}

// has reports whether a state holds frameDone or frameHole.
func (h *cache) has(at, bottom int32) bool {
	for _, m := range h.states[at].members {
		if m > frameHole {
			break
		}
		if m == bottom {
			return true
		}
	}
	return false
}

// adopt returns the state that equals one of another cache.
func (h *cache) adopt(old *cache, at int32) (int32, error) {
	members := make([]int32, 0, len(old.states[at].members))
	for _, m := range old.states[at].members {
		var stack []frame
		for ; m != frameDone; m = old.frames[m].under {
			stack = append(stack, old.frames[m])
		}
		top := int32(frameDone)
		for _, f := range slices.Backward(stack) {
			top = h.frame(frame{f.node, top})
		}
		members = append(members, top)
	}
	slices.Sort(members)
	return h.state(members)
}
