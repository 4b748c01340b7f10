package serve

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/plinth-ml/plinth/generate/constrain"
)

// compiled are the constraints of all models: those in use, and those that may be asked for again. Their automata have half of the memory, what their matchers find out the
// other half.
type compiled struct {
	mu     sync.Mutex
	list   []*held // the one that was asked for last at the end
	bytes  int     // of automata
	most   int
	found  *constrain.Memory
	makers chan struct{} // takes a place for each that is being compiled
}

// held is a constraint that requests hold.
type held struct {
	m       *Model
	key     string
	c       *constrain.Constraint
	bytes   int // of the automaton, and of the key
	holders int
}

// Bounds of compiled.
const (
	defaultConstraints = 256 << 20 // bytes
	maxMakers          = 2         // at once: each takes some tens of megabytes for as many milliseconds
)

func newCompiled(bytes int) *compiled {
	if bytes == 0 {
		bytes = defaultConstraints
	}
	return &compiled{most: bytes / 2, found: constrain.NewMemory(bytes / 2), makers: make(chan struct{}, maxMakers)}
}

// vocabulary is a model's, made when it is first needed.
type vocabulary struct {
	once sync.Once
	*constrain.Vocabulary
	err error
}

// hold returns the constraint of a language for a model, which stays until the context ends.
func (l *compiled) hold(ctx context.Context, m *Model, a *asked) (*constrain.Constraint, error) {
	h := l.find(m, a.key)
	if h == nil {
		c, err := l.compile(ctx, m, a)
		if err != nil {
			return nil, err
		}
		h = &held{m: m, key: a.key, c: c, bytes: c.Bytes() + len(a.key)}
		if h.bytes > l.most {
			return nil, badRequest(a.param, "its automaton takes %d bytes, at most %d", h.bytes, l.most)
		}
		if h = l.add(h); h == nil {
			return nil, &apiError{Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "queue_full", Param: a.param, RetryAfter: 1, Message: a.param + ": the constraints of requests that are being answered leave no room for this one: try again"}
		}
	}
	context.AfterFunc(ctx, func() { l.release(h) })
	return h.c, nil
}

// find takes a constraint that is there.
func (l *compiled) find(m *Model, key string) *held {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.list, func(h *held) bool { return h.m == m && h.key == key })
	if i < 0 {
		return nil
	}
	h := l.list[i]
	l.list = append(slices.Delete(l.list, i, i+1), h)
	h.holders++
	return h
}

// add takes a new constraint in, or nil where those in use leave no room.
func (l *compiled) add(h *held) *held {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.holders = 1
	l.list = append(l.list, h)
	if l.bytes += h.bytes; !l.trim() {
		h.holders = 0
		l.trim()
		return nil
	}
	return h
}

func (l *compiled) release(h *held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.holders--
	l.trim()
}

// trim drops those that nobody holds, the oldest first, as long as all are too large, and reports whether they are not in the end.
func (l *compiled) trim() bool {
	l.list = slices.DeleteFunc(l.list, func(h *held) bool {
		if l.bytes <= l.most || h.holders > 0 {
			return false
		}
		l.bytes -= h.bytes
		h.c.Forget()
		return true
	})
	return l.bytes <= l.most
}

// automata are the bytes of all automata.
func (l *compiled) automata() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.bytes)
}

// compile makes a constraint and its first mask, so that what is too complex is refused here and not at the engine's first step.
func (l *compiled) compile(ctx context.Context, m *Model, a *asked) (*constrain.Constraint, error) {
	select {
	case l.makers <- struct{}{}:
		defer func() { <-l.makers }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v := &m.vocabulary
	v.once.Do(func() {
		if v.Vocabulary, v.err = constrain.NewVocabulary(m.Tokenizer.Texts()); v.err == nil {
			v.Memory = l.found
		}
	})
	g, err := a.parse()
	var c *constrain.Constraint
	if err = cmp.Or(err, v.err); err == nil {
		c, err = g.Compile(v.Vocabulary)
	}
	if err == nil {
		_, err = c.Start().Mask(m.Stops)
	}
	if err != nil {
		return nil, badRequest(a.param, "%s", clip(strings.TrimPrefix(err.Error(), "constrain: "), 500))
	}
	return c, nil
}
