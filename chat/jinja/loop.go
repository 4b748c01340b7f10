package jinja

// loop is the loop variable. It takes items from source one at a time, and looks ahead only when it must: the test of a for statement may read
// what the body of an earlier round changed.
type loop struct {
	r       *run
	source  []Value
	at      int                // of source
	keep    func(x Value) bool // nil: all
	ahead   []Value            // items taken early
	index0  int
	current Value
	before  Value
	seen    *Seq // of the last call of changed
}

// next moves to the next item.
func (l *loop) next() bool {
	if !l.fetch(1) {
		return false
	}
	l.index0++
	l.before, l.current = l.current, l.ahead[0]
	l.ahead = l.ahead[1:]
	return true
}

// fetch tries to have n items ahead.
func (l *loop) fetch(n int) bool {
	for len(l.ahead) < n && l.at < len(l.source) {
		x := l.source[l.at]
		l.at++
		l.r.step(1)
		if l.keep == nil || l.keep(x) {
			l.ahead = append(l.ahead, x)
		}
	}
	return len(l.ahead) >= n
}

func (l *loop) length() int {
	if l.keep == nil {
		return len(l.source)
	}
	l.fetch(len(l.source) + 1)
	return l.index0 + 1 + len(l.ahead)
}

// attr returns an attribute; nil where there is none.
func (l *loop) attr(name string) (Value, bool) {
	switch name {
	case "index":
		return int64(l.index0 + 1), true
	case "index0":
		return int64(l.index0), true
	case "revindex":
		return int64(l.length() - l.index0), true
	case "revindex0":
		return int64(l.length() - l.index0 - 1), true
	case "first":
		return l.index0 == 0, true
	case "last":
		return !l.fetch(1), true
	case "length":
		return int64(l.length()), true
	case "depth":
		return int64(1), true
	case "depth0":
		return int64(0), true
	case "previtem":
		if l.index0 == 0 {
			return undefined("there is no previous item"), true
		}
		return l.before, true
	case "nextitem":
		if !l.fetch(1) {
			return undefined("there is no next item"), true
		}
		return l.ahead[0], true
	case "cycle":
		return &function{"loop.cycle", func(r *run, a *args) Value {
			if len(a.list) == 0 {
				r.fail("loop.cycle needs arguments")
			}
			return a.list[l.index0%len(a.list)]
		}}, true
	case "changed":
		return &function{"loop.changed", func(r *run, a *args) Value {
			now := tuple(a.list...)
			if l.seen != nil && r.equal(l.seen, now) {
				return false
			}
			l.seen = now
			return true
		}}, true
	}
	return nil, false
}
