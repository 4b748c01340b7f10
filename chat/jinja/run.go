package jinja

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Limits bound a run. Published templates take some thousand steps and some ten kilobytes for a short conversation. A zero field stands for its default; "input" is the size in bytes of the given values.
type Limits struct {
	Steps  int64         // evaluated expressions, executed statements, items gone through, and one per 64 bytes handled; 0: 200,000 + 100 times the input
	Memory int64         // bytes made in all, garbage included; 0: 4 MB + 512 times the input
	Output int64         // bytes of the result; 0: 1 MB + 16 times the input
	Depth  int           // nesting of evaluations, which macro calls deepen by about seven; 0: 2000
	Time   time.Duration // 0: 5 s
}

func (l Limits) withDefaults(input int64) Limits {
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&l.Steps, 200_000+100*input)
	set(&l.Memory, 4<<20+512*input)
	set(&l.Output, 1<<20+16*input)
	if l.Depth == 0 {
		l.Depth = 2000
	}
	if l.Time == 0 {
		l.Time = 5 * time.Second
	}
	return l
}

// ErrBudget is wrapped by the error of a run that used up one of its limits.
var ErrBudget = errors.New("budget used up")

// Error is what is wrong with a template or with what it does. Line counts from 1.
type Error struct {
	Line   int
	Msg    string
	Raised bool // the template called raise_exception(Msg)
	err    error
}

func (e *Error) Error() string { return fmt.Sprintf("template line %d: %s", e.Line, e.Msg) }

func (e *Error) Unwrap() error { return e.err }

// fail ends parsing or running: Parse and Render recover the error.
func fail(line int, format string, args ...any) {
	panic(&Error{Line: line, Msg: fmt.Sprintf(format, args...)})
}

// catch turns a panic of fail into an error.
func catch(err *error) {
	switch e := recover().(type) {
	case nil:
	case *Error:
		*err = e
	default:
		panic(e)
	}
}

// Template is a parsed template. It may be used by several goroutines.
type Template struct{ body []stmt }

// maxSource bounds a template's size; the longest published ones have about 20 kB.
const maxSource = 128 << 10

// Parse reads a template of at most 128 kB. Its error is an *Error.
func Parse(src string) (t *Template, err error) {
	defer catch(&err)
	if len(src) > maxSource {
		fail(1, "a template of %d bytes, more than %d", len(src), maxSource)
	}
	if strings.ToValidUTF8(src, "") != src {
		fail(1, "the template is not UTF-8")
	}
	p := &parser{tokens: lex(src), uses: map[string]int{}}
	return &Template{p.template()}, nil
}

// Options of a run; the zero value is good.
type Options struct {
	Limits Limits
	Now    func() time.Time // what strftime_now tells; nil: time.Now
}

// Render runs the template with the values, which From must accept. What goes wrong in the template is an *Error.
func (t *Template) Render(ctx context.Context, values map[string]any, o Options) (out string, err error) {
	root := &scope{}
	input := int64(0)
	for name, v := range values {
		x, err := From(v)
		if err != nil {
			return "", fmt.Errorf("%w (value %s)", err, name)
		}
		root.set(name, x)
		input += size(x)
	}
	limits := o.Limits.withDefaults(input)
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, ErrBudget)
	defer cancel()
	r := &run{ctx: ctx, now: o.Now, left: limits, scope: &scope{parent: root}, line: 1}
	if r.now == nil {
		r.now = time.Now
	}
	r.out = &output{limit: limits.Output}
	defer catch(&err)
	r.stmts(t.body)
	return string(r.out.text), nil
}

// run is the state of one rendering.
type run struct {
	ctx   context.Context
	now   func() time.Time
	left  Limits // what is not used yet
	check int    // steps until the next look at ctx
	line  int
	scope *scope
	out   *output
}

// output collects what statements write.
type output struct {
	text  []byte
	limit int64
}

func (r *run) fail(format string, args ...any) { fail(r.line, format, args...) }

func (r *run) exhausted(format string, args ...any) {
	panic(&Error{Line: r.line, Msg: "stopped: " + fmt.Sprintf(format, args...), err: ErrBudget})
}

// step takes n steps from the budget.
func (r *run) step(n int) {
	if r.left.Steps -= int64(n); r.left.Steps < 0 {
		r.exhausted("too many steps")
	}
	if r.check -= n; r.check > 0 {
		return
	}
	r.check = 1000
	if err := context.Cause(r.ctx); err != nil {
		if err == ErrBudget {
			r.exhausted("too much time")
		}
		panic(&Error{Line: r.line, Msg: "stopped: " + err.Error(), err: err})
	}
}

// alloc takes n bytes from the budget, before they are made.
func (r *run) alloc(n int) {
	if r.left.Memory -= int64(n); n < 0 || r.left.Memory < 0 {
		r.exhausted("too much memory")
	}
	r.step(n / 64)
}

// scan takes the steps of going through n bytes.
func (r *run) scan(n int) { r.step(n / 64) }

// enter goes one level deeper; leave comes back.
func (r *run) enter() {
	if r.left.Depth--; r.left.Depth < 0 {
		r.exhausted("nested too deep")
	}
	r.step(1)
}

func (r *run) leave() { r.left.Depth++ }

// str charges for a new string.
func (r *run) str(s string) string {
	r.alloc(len(s))
	return s
}

// list charges for new items.
func (r *run) list(items []Value) *Seq {
	r.alloc(16 * len(items))
	return &Seq{Items: items}
}

// write appends to the output.
func (r *run) write(s string) {
	r.alloc(len(s))
	if r.out.limit -= int64(len(s)); r.out.limit < 0 {
		r.exhausted("too much output")
	}
	r.out.text = append(r.out.text, s...)
}

// capture returns what f writes.
func (r *run) capture(f func()) string {
	old := r.out
	r.out = &output{limit: math.MaxInt64}
	f()
	s := string(r.out.text)
	r.out = old
	return s
}

// scope is a frame of names.
type scope struct {
	parent *scope
	names  map[string]Value
	kept   bool // a macro refers to it: it must not be used again
}

func (s *scope) set(name string, v Value) {
	if s.names == nil {
		s.names = map[string]Value{}
	}
	s.names[name] = v
}

// lookup returns a name's value.
func (r *run) lookup(name string) Value {
	for s := r.scope; s != nil; s = s.parent {
		if v, ok := s.names[name]; ok {
			return v
		}
	}
	if f, ok := globals[name]; ok {
		return f
	}
	return undefined(quote(name) + " is undefined")
}

// within runs f in the scope s and comes back.
func (r *run) within(s *scope, f func()) {
	old := r.scope
	r.scope = s
	f()
	r.scope = old
}

// inner is a new scope below the current one.
func (r *run) inner() *scope { return &scope{parent: r.scope} }

// keep returns the current scope, which from now on lives as long as what refers to it.
func (r *run) keep() *scope {
	for s := r.scope; s != nil && !s.kept; s = s.parent {
		s.kept = true
		r.alloc(256 + 64*len(s.names))
	}
	return r.scope
}
