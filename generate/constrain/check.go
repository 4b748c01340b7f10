package constrain

import (
	"fmt"
	"slices"
	"strconv"
)

// maxWork bounds what a compilation looks at: expressions, each time that one is visited, and characters of texts and classes.
const maxWork = 1 << 21

// check finds out about a grammar what its compilation must know.
type check struct {
	*Grammar
	v     *Vocabulary // nil: one that spells everything
	work  int
	users [][]int32 // of rules: those that name it
}

// visit counts work, and reports whether there may be more.
func (c *check) visit(n int) bool {
	c.work += n
	return c.work <= maxWork
}

func (c *check) tooMuch() error {
	if c.work > maxWork {
		return fmt.Errorf("the grammar is too large or too much nested: it takes more than %d steps to compile", maxWork)
	}
	return nil
}

// check reports what makes a grammar useless. It returns the bodies of the rules that the root reaches without what has no text that the vocabulary spells.
func (g *Grammar) check(v *Vocabulary) ([]*expr, error) {
	if len(g.rules) > maxRules {
		return nil, fmt.Errorf("%d rules, at most %d", len(g.rules), maxRules)
	}
	c := &check{Grammar: g, v: v, users: make([][]int32, len(g.rules))}
	reached := c.reach()
	ends := c.fixpoint(reached, c.ends)
	if err := c.tooMuch(); err != nil {
		return nil, err
	}
	if !ends[g.root] {
		full := &check{Grammar: g, users: c.users}
		all := full.fixpoint(reached, full.ends)
		for i, r := range g.rules {
			if reached[i] && all[g.root] && !ends[i] {
				if missing := c.unspelled(r.body, ends); missing != "" {
					return nil, fmt.Errorf("%s: the vocabulary cannot spell %s", r.name, missing)
				}
			}
		}
		return nil, fmt.Errorf("%s: nothing satisfies it, or it never ends as it always contains itself", g.rules[g.root].name)
	}
	if err := c.leftRecursion(reached); err != nil {
		return nil, err
	}
	bodies := make([]*expr, len(g.rules))
	for i, r := range g.rules {
		if reached[i] && ends[i] {
			bodies[i] = c.prune(r.body, ends)
		}
	}
	return bodies, c.tooMuch()
}

// reach are the rules that the root reaches; it notes who names them.
func (c *check) reach() []bool {
	reached := make([]bool, len(c.rules))
	reached[c.root] = true
	for todo := []int{c.root}; len(todo) > 0; {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c.calls(c.rules[r].body, func(called int) {
			if u := c.users[called]; len(u) == 0 || u[len(u)-1] != int32(r) {
				c.users[called] = append(u, int32(r))
			}
			if !reached[called] {
				reached[called] = true
				todo = append(todo, called)
			}
		})
	}
	return reached
}

// calls tells the rules that e names.
func (c *check) calls(e *expr, told func(rule int)) {
	if !c.visit(1) {
		return
	}
	if e.op == opRule {
		told(e.rule)
	}
	for _, s := range e.subs {
		c.calls(s, told)
	}
}

// fixpoint is the least set of rules that holds whatever is true of a body given the set.
func (c *check) fixpoint(reached []bool, is func(*expr, []bool) bool) []bool {
	set, waits := make([]bool, len(c.rules)), slices.Clone(reached)
	var todo []int32
	for i := range c.rules { // the last first: rules mostly name later ones
		if reached[i] {
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo, waits[r] = todo[:len(todo)-1], false
		if set[r] || !is(c.rules[r].body, set) {
			continue
		}
		set[r] = true
		for _, u := range c.users[r] {
			if !set[u] && !waits[u] {
				todo, waits[u] = append(todo, u), true
			}
		}
	}
	return set
}

// ends reports whether e has a text that the vocabulary spells, given the rules that have one.
func (c *check) ends(e *expr, rules []bool) bool {
	return c.holds(e, rules, c.spells)
}

// spells reports whether the vocabulary has what a leaf needs.
func (c *check) spells(leaf *expr) bool {
	if c.v == nil || c.v.spelled == nil {
		return true
	}
	switch c.visit(len(leaf.text) + len(leaf.set)); leaf.op {
	case opText:
		return c.v.spells(leaf.text)
	case opToken:
		return c.v.spells(leaf.text) || c.v.has(leaf.text)
	case opClass:
		return len(c.v.spelledOf(leaf.set)) > 0
	}
	return true
}

// holds reports whether e has a text of which something holds, given the rules that have one and what leaves say: of a sequence it holds where it does of all
// parts, of a choice where it does of one.
func (c *check) holds(e *expr, rules []bool, leaf func(*expr) bool) bool {
	if !c.visit(1) {
		return false
	}
	of := func(s *expr) bool { return c.holds(s, rules, leaf) }
	switch e.op {
	case opRule:
		return rules[e.rule]
	case opSeq:
		return !slices.ContainsFunc(e.subs, func(s *expr) bool { return !of(s) })
	case opAlt:
		return slices.ContainsFunc(e.subs, of)
	case opRepeat:
		return e.min == 0 || of(e.subs[0])
	case opFree:
		return of(e.subs[0])
	}
	return leaf(e)
}

// prune is e without alternatives and repetitions that have no text; nil where nothing is left.
func (c *check) prune(e *expr, rules []bool) *expr {
	switch ok := c.visit(1); {
	case !ok || e.op == opRule && !rules[e.rule]:
		return nil
	case e.op == opRule:
		return e
	case e.op == opFree:
		f := *e.free
		if f.call = c.prune(f.call, rules); f.call == nil {
			return nil
		}
		return &expr{op: opFree, free: &f, subs: []*expr{f.call}}
	case e.op != opSeq && e.op != opAlt && e.op != opRepeat:
		if !c.spells(e) {
			return nil
		}
		return e
	}
	var subs []*expr // where they are not the same
	same := true
	for i, s := range e.subs {
		p := c.prune(s, rules)
		if p == nil && e.op == opSeq {
			return nil
		}
		if same && p != s {
			same, subs = false, append(make([]*expr, 0, len(e.subs)), e.subs[:i]...)
		}
		if !same && p != nil {
			subs = append(subs, p)
		}
	}
	switch {
	case same && (len(e.subs) > 0 || e.op == opSeq):
		return e
	case len(subs) > 0:
		return &expr{op: e.op, subs: subs, min: e.min, max: e.max}
	case e.op == opRepeat && e.min == 0:
		return empty
	}
	return nil
}

// unspelled shows a part of e, which has no text for a lack of characters in the vocabulary; "" where it is for a lack in other rules.
func (c *check) unspelled(e *expr, rules []bool) string {
	switch e.op {
	case opText, opToken:
		return strconv.Quote(e.text)
	case opClass:
		return fmt.Sprintf("a character of %+q to %+q", e.set[0].lo, e.set[len(e.set)-1].hi)
	}
	for _, s := range e.subs {
		if !c.ends(s, rules) {
			if missing := c.unspelled(s, rules); missing != "" {
				return missing
			}
		}
	}
	return ""
}

// nullable reports whether e has the empty text, given the rules that have.
func (c *check) nullable(e *expr, rules []bool) bool {
	return c.holds(e, rules, func(*expr) bool { return false })
}

// first tells the rules with which e may begin.
func (c *check) first(e *expr, nullable []bool, told func(rule int)) {
	if !c.visit(1) {
		return
	}
	switch e.op {
	case opRule:
		told(e.rule)
	case opSeq:
		for _, s := range e.subs {
			if c.first(s, nullable, told); !c.nullable(s, nullable) {
				return
			}
		}
	default:
		for _, s := range e.subs {
			c.first(s, nullable, told)
		}
	}
}

// leftRecursion reports a rule that begins with itself: the automaton would call it without end.
func (c *check) leftRecursion(reached []bool) error {
	nullable := c.fixpoint(reached, c.nullable)
	const open, done = 1, 2
	mark := make([]uint8, len(c.rules))
	var visit func(r int) error
	visit = func(r int) (err error) {
		switch mark[r] {
		case open:
			return fmt.Errorf("%s: it begins with itself (left recursion): write it as a repetition", c.rules[r].name)
		case done:
			return nil
		}
		mark[r] = open
		c.first(c.rules[r].body, nullable, func(called int) {
			if err == nil {
				err = visit(called)
			}
		})
		mark[r] = done
		return err
	}
	for r := range c.rules {
		if reached[r] {
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}
