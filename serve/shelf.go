package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Source is a model that is opened when it is asked for, and closed when others need its memory.
type Source struct {
	Name string
	Open func() (*Model, error) // one at a time
}

// place is where a model of a server is, or may be.
type place struct {
	name string
	can  []ability
	open func() (*Model, error) // nil: the model is always there

	// Under shelf.mu:
	about modelInfo // this and the next as of the last opening
	bytes int64
	model *Model // nil: it is not loaded
	users int    // requests that use it
	used  time.Time
}

// shelf holds the models of a server within a budget of memory.
type shelf struct {
	most   int64         // bytes of models that can be closed, with their caches; 0: any number
	wait   time.Duration // that a request waits for others to leave room
	places []*place

	mu      sync.Mutex
	opening *place        // one is opened at a time
	changed chan struct{} // closed, and replaced, when a model may have become free or loaded
}

// newShelf opens each source once, so that what it can do is known and what is wrong with it is told early.
func newShelf(o *Options) (*shelf, error) {
	h := &shelf{most: o.Memory, wait: o.LoadWait, changed: make(chan struct{})}
	for _, m := range o.Models {
		if err := h.add(m.Name, nil, m); err != nil {
			return nil, err
		}
	}
	for _, source := range o.Sources {
		open := func() (*Model, error) {
			m, err := source.Open()
			if err != nil {
				return nil, err
			}
			m.Name = source.Name
			return m, nil
		}
		m, err := open()
		if err == nil {
			err = h.add(source.Name, open, m)
		}
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
	}
	if len(h.places) == 0 {
		return nil, errors.New("serve: no models")
	}
	return h, nil
}

// add puts a model that is open in a new place.
func (h *shelf) add(name string, open func() (*Model, error), m *Model) error {
	if name == "" || slices.ContainsFunc(h.places, func(p *place) bool { return p.name == name }) {
		return fmt.Errorf("serve: model name %q is empty or there twice", name)
	}
	m.turn = newTurn(1)
	p := &place{name: name, can: m.abilities(), open: open, about: m.info(), bytes: m.Bytes}
	if open != nil && h.most > 0 && p.bytes > h.most {
		return errors.Join(fmt.Errorf("serve: model %s takes %d bytes, more than the %d of all models together", name, p.bytes, h.most), m.close())
	}
	h.places = append(h.places, p)
	p.used = time.Now()
	if err := h.makeRoom(p); err != nil {
		return err
	}
	p.model = m
	return nil
}

// taken is the memory that is given back by closing the model.
func (p *place) taken() int64 {
	if p.open == nil || p.model == nil {
		return 0
	}
	n := p.bytes
	if p.model.Engine != nil {
		n += int64(p.model.Engine.CacheBytes())
	}
	return n
}

// makeRoom closes models that nobody uses, the one that was used the longest ago first, until the rest and p fit; errNoRoom where they do not.
func (h *shelf) makeRoom(p *place) error {
	if h.most == 0 || p.open == nil {
		return nil
	}
	for {
		sum := p.bytes
		var oldest *place
		for _, o := range h.places {
			if o == p {
				sum += max(0, p.taken()-p.bytes)
				continue
			}
			sum += o.taken()
			if o == h.opening {
				sum += o.bytes
			}
			if o.taken() > 0 && o.users == 0 && (oldest == nil || o.used.Before(oldest.used)) {
				oldest = o
			}
		}
		if sum <= h.most {
			return nil
		}
		if oldest == nil {
			return errNoRoom
		}
		m := oldest.model
		oldest.model = nil
		if err := m.close(); err != nil {
			return err
		}
	}
}

var errNoRoom = errors.New("the models that are in use leave no room for this one")

// find is the place of a name, or for "" of the first model that is able to do something.
func (h *shelf) find(name string, to ability) *place {
	i := slices.IndexFunc(h.places, func(p *place) bool { return name == "" && p.able(to) || name != "" && p.name == name })
	if i < 0 {
		return nil
	}
	return h.places[i]
}

// able says whether the model is able to do something; every model can do "".
func (p *place) able(to ability) bool { return to == "" || slices.Contains(p.can, to) }

// take returns the model of a place, which stays until it is given back. It opens it where need be, and waits for room.
func (h *shelf) take(ctx context.Context, p *place) (*Model, error) {
	deadline := time.NewTimer(cmp.Or(h.wait, 30*time.Second))
	defer deadline.Stop()
	for {
		m, changed, err := h.tryTake(p)
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return nil, &apiError{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "no_room", RetryAfter: 5, Message: fmt.Sprintf("model %s: %v: try again", p.name, errNoRoom)}
		}
	}
}

// tryTake is take without waiting; where it has to be waited for something, changed tells of it.
func (h *shelf) tryTake(p *place) (m *Model, changed chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.model == nil {
		if h.opening != nil {
			return nil, h.changed, nil
		}
		if err := h.makeRoom(p); err == errNoRoom {
			return nil, h.changed, nil
		} else if err != nil {
			return nil, nil, err
		}
		m, err := h.openUnlocked(p)
		if err != nil {
			return nil, nil, err
		}
		m.turn = newTurn(1)
		p.model, p.about, p.bytes = m, m.info(), m.Bytes
	}
	p.users++
	p.used = time.Now()
	if err := h.makeRoom(p); err != nil && err != errNoRoom { // caches have grown meanwhile
		p.users--
		return nil, nil, err
	}
	return p.model, nil, nil
}

// openUnlocked opens the model of a place; meanwhile others may take theirs.
func (h *shelf) openUnlocked(p *place) (*Model, error) {
	h.opening = p
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.opening = nil
		h.tell()
	}()
	return p.open()
}

// give gives a model back.
func (h *shelf) give(p *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.users--
	p.used = time.Now()
	h.tell()
}

// tell wakes those who wait.
func (h *shelf) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// loaded is the model of a place as it is now, nil where it is not loaded. It may be closed at any time: only its Engine's Load may be asked for.
func (h *shelf) loaded(p *place) *Model {
	h.mu.Lock()
	defer h.mu.Unlock()
	return p.model
}

// info is what GET /v1/models tells of a place.
func (h *shelf) info(p *place) modelInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := p.about
	i.Loaded = p.model != nil
	return i
}

// close closes all models that can be opened again. Nobody may use them any more.
func (h *shelf) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, p := range h.places {
		if p.open != nil && p.model != nil {
			errs = append(errs, p.model.close())
			p.model = nil
		}
	}
	return errors.Join(errs...)
}

// close gives back what the model's files take.
func (m *Model) close() error {
	if m.Close == nil {
		return nil
	}
	return m.Close()
}

// lease are the places whose models a request uses.
type lease struct{ list []*place }

type leaseKey struct{}

// model is the one that a request names, until the request has ended; "" is the first that can do what is asked for.
func (s *Server) model(ctx context.Context, name string, to ability) (*Model, error) {
	p := s.shelf.find(name, to)
	switch {
	case p == nil && name == "":
		return nil, badRequest("model", "no model of this server is for this route (%s)", to)
	case p == nil:
		return nil, modelNotFound(name)
	case !p.able(to) && to != chats:
		return nil, badRequest("model", "%q is not for this route (%s): it can do %v", clip(name, 100), to, p.can)
	}
	m, err := s.shelf.take(ctx, p)
	if err != nil {
		return nil, err
	}
	l := ctx.Value(leaseKey{}).(*lease)
	l.list = append(l.list, p)
	return m, nil
}

// modelNotFound is the answer to a name that no model has.
func modelNotFound(name string) error {
	return &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found", Message: fmt.Sprintf("The model %q does not exist; GET /v1/models lists those that do.", clip(name, 100))}
}

// leased is a context in which models are taken, and what gives all of them back.
func (s *Server) leased(ctx context.Context) (context.Context, func()) {
	l := &lease{}
	return context.WithValue(ctx, leaseKey{}, l), func() {
		for _, p := range l.list {
			s.shelf.give(p)
		}
	}
}
