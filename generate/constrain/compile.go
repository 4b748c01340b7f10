package constrain

import (
	"fmt"
	"slices"
	"strconv"
)

// maxNodes bounds an automaton.
const maxNodes = 1 << 19

type nodeKind uint8

const (
	nodeReturn nodeKind = iota // the end of a rule
	nodeSpan                   // reads a symbol of lo to hi, then next
	nodeSplit                  // next or other
	nodeCall                   // rule other, then next
)

// node is one of the automaton. Node 0 is the only nodeReturn.
type node struct {
	kind        nodeKind
	lo, hi      uint16 // bytes; symbolOther; beyond it special tokens, see Constraint.symbol
	next, other int32
	ahead       int32 // copies of this node, each stride further on, that repeat what it is a part of
	stride      int32
}

// symbolOther is read for any id of Constraint.others.
const symbolOther = 256

// symbol is what is read for the special token of a number.
func symbol(special int) uint16 { return uint16(symbolOther + 1 + special) }

// Constraint is a grammar compiled for a vocabulary. It keeps what its matchers find out, and is safe for their concurrent use.
type Constraint struct {
	vocab   *Vocabulary
	nodes   []node
	starts  []int32 // of rules
	root    int32   // rule
	special []int32 // ids that are symbols of their own
	others  Mask    // control tokens that may stand in free text; nil: there is none
	class   []uint16
	classes int // symbols of one class are never told apart

	shared shared
}

// compiler makes nodes from the end of a text to its beginning.
type compiler struct {
	*Constraint
	rules []rule
	ends  []bool // rules that have a text
	err   error
}

// Compile returns the automaton of a grammar over a vocabulary. Errors name the rule that has no end, calls itself before anything is read, or wants
// what the vocabulary cannot spell.
func (g *Grammar) Compile(v *Vocabulary) (*Constraint, error) {
	reached, ends, err := g.check(v)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	c := &compiler{Constraint: &Constraint{vocab: v, nodes: make([]node, 1), root: int32(g.root)}, rules: slices.Clone(g.rules), ends: ends}
	for i := 0; i < len(c.rules) && c.err == nil; i++ { // rules are added on the way
		c.starts = append(c.starts, 0)
		if i >= len(g.rules) || reached[i] && ends[i] {
			start := c.compile(c.rules[i].body, 0)
			c.starts[i] = start
		}
		if c.err != nil {
			return nil, fmt.Errorf("constrain: %s: %w", c.rules[i].name, c.err)
		}
	}
	c.classify()
	return c.Constraint, nil
}

// classify divides symbols into those that no node tells apart.
func (c *Constraint) classify() {
	symbols := int(symbol(len(c.special)))
	begins := make([]bool, symbols+1)
	for _, n := range c.nodes {
		if n.kind == nodeSpan {
			begins[n.lo], begins[n.hi+1] = true, true
		}
	}
	c.class = make([]uint16, symbols)
	for s := range symbols {
		if s > 0 && begins[s] {
			c.classes++
		}
		c.class[s] = uint16(c.classes)
	}
	c.classes++
}

// add returns a new node.
func (c *compiler) add(n node) int32 {
	if len(c.nodes) >= maxNodes {
		if c.err == nil {
			c.err = fmt.Errorf("the grammar is too large: more than %d nodes", maxNodes)
		}
		return 0
	}
	c.nodes = append(c.nodes, n)
	return int32(len(c.nodes) - 1)
}

// compile returns the node where e begins that is followed by next.
func (c *compiler) compile(e *expr, next int32) int32 {
	if c.err != nil {
		return 0
	}
	switch e.op {
	case opText:
		return c.text(e.text, next)
	case opToken:
		return c.token(e.text, next)
	case opClass:
		return c.set(e.set, next)
	case opRule:
		return c.add(node{kind: nodeCall, other: int32(e.rule), next: next})
	case opSeq:
		for _, s := range slices.Backward(e.subs) {
			next = c.compile(s, next)
		}
		return next
	case opAlt:
		return c.alternatives(e.subs, next)
	case opFree:
		return c.compileFree(e.free, next)
	}
	return c.repeat(e, next)
}

func (c *compiler) text(s string, next int32) int32 {
	for i := len(s) - 1; i >= 0; i-- {
		next = c.add(node{kind: nodeSpan, lo: uint16(s[i]), hi: uint16(s[i]), next: next})
	}
	return next
}

// token is the special token of a name, or its text.
func (c *compiler) token(name string, next int32) int32 {
	id, ok := c.vocab.special[name]
	if !ok {
		return c.text(name, next)
	}
	at := slices.Index(c.special, id)
	if at < 0 {
		at = len(c.special)
		c.special = append(c.special, id)
	}
	return c.add(node{kind: nodeSpan, lo: symbol(at), hi: symbol(at), next: next})
}

func (c *compiler) set(spans []span, next int32) int32 {
	if c.vocab.spelled != nil {
		spans = common(spans, c.vocab.spelled)
	}
	var ways []int32
	for _, s := range spans {
		utf8Spans(s, func(list []byteSpan) {
			at := next
			for _, b := range slices.Backward(list) {
				at = c.add(node{kind: nodeSpan, lo: b.lo, hi: b.hi, next: at})
			}
			ways = append(ways, at)
		})
	}
	return c.split(ways)
}

// split begins all ways, of which there are some.
func (c *compiler) split(ways []int32) int32 {
	at := ways[len(ways)-1]
	for _, w := range slices.Backward(ways[:len(ways)-1]) {
		at = c.add(node{kind: nodeSplit, next: w, other: at})
	}
	return at
}

// alternatives begins all of subs that have a text; those that are texts share their beginnings.
func (c *compiler) alternatives(subs []*expr, next int32) int32 {
	var texts []string
	var ways []int32
	for _, s := range subs {
		switch {
		case !s.ends(c.ends, c.vocab):
		case s.op == opText:
			texts = append(texts, s.text)
		default:
			ways = append(ways, c.compile(s, next))
		}
	}
	if len(texts) > 0 {
		slices.Sort(texts)
		ways = append(ways, c.texts(slices.Compact(texts), next))
	}
	return c.split(ways)
}

// texts are one or more different texts in order.
func (c *compiler) texts(texts []string, next int32) int32 {
	if len(texts) == 1 {
		return c.text(texts[0], next)
	}
	var ways []int32
	if texts[0] == "" {
		ways, texts = append(ways, next), texts[1:]
	}
	for len(texts) > 0 {
		first, n := texts[0][0], 1
		for n < len(texts) && texts[n][0] == first {
			n++
		}
		rest := make([]string, n)
		for i := range rest {
			rest[i] = texts[i][1:]
		}
		ways = append(ways, c.add(node{kind: nodeSpan, lo: uint16(first), hi: uint16(first), next: c.texts(rest, next)}))
		texts = texts[n:]
	}
	return c.split(ways)
}

// Copies of a larger body, or more of them, are calls of a rule.
const (
	maxInline = 96      // nodes
	maxCopies = 1 << 15 // nodes of all copies
)

// repeat copies the body as often as it is counted.
func (c *compiler) repeat(e *expr, next int32) int32 {
	body, least, most := e.subs[0], e.min, e.max
	if !body.ends(c.ends, c.vocab) {
		return next
	}
	if most < 0 {
		loop := c.add(node{kind: nodeSplit, other: next})
		start := c.compile(body, loop)
		if c.err != nil {
			return 0
		}
		c.nodes[loop].next = start
		if next = loop; least == 0 {
			return next
		}
		least-- // the way through the body that leads to the loop is one time
		if least == 0 {
			return start
		}
		next, most = start, least
	}
	if n := size(body); most > 1 && (n > maxInline || n*most > maxCopies) {
		c.rules, c.ends = append(c.rules, rule{"a repeated part", body}), append(c.ends, true)
		body = &expr{op: opRule, rule: len(c.rules) - 1}
	}
	end := next
	next = c.chain(body, most-least, next, &end)
	return c.chain(body, least, next, nil)
}

// chain puts copies of body in front of next, from each of which one may go to exit, unless it is nil.
func (c *compiler) chain(body *expr, copies int, next int32, exit *int32) int32 {
	var start, stride int32
	for i := range copies {
		base := int32(len(c.nodes))
		start = c.compile(body, next)
		if exit != nil {
			start = c.add(node{kind: nodeSplit, next: start, other: *exit})
		}
		if c.err != nil {
			return 0
		}
		if i == 0 {
			stride = int32(len(c.nodes)) - base
		}
		for n := base; n < int32(len(c.nodes)); n++ {
			if c.nodes[n].ahead == 0 { // of nested copies the inner ones count
				c.nodes[n].ahead, c.nodes[n].stride = int32(i), stride
			}
		}
		next = start
	}
	if copies == 0 {
		return next
	}
	return start
}

// size is about the number of nodes of e, at most a large number.
func size(e *expr) int {
	const large = 1 << 20
	n := 1
	switch e.op {
	case opText:
		n = len(e.text)
	case opClass:
		n = 0
		for _, s := range e.set {
			utf8Spans(s, func(list []byteSpan) { n += len(list) + 1 })
		}
	case opSeq, opAlt, opRepeat:
		for _, s := range e.subs {
			n = min(n+size(s)+1, large)
		}
		if e.op == opRepeat && n > maxInline {
			return min(max(e.min, e.max, 1)+n, large)
		} else if e.op == opRepeat {
			return min(n*max(e.min, e.max, 1), large)
		}
	}
	return n
}

// check reports what makes a grammar useless. It returns the rules that the root reaches, and those that have a text that the vocabulary spells.
func (g *Grammar) check(v *Vocabulary) (reached, ends []bool, err error) {
	if len(g.rules) > maxRules {
		return nil, nil, fmt.Errorf("%d rules, at most %d", len(g.rules), maxRules)
	}
	reached = make([]bool, len(g.rules))
	todo := []int{g.root}
	reached[g.root] = true
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		g.rules[r].body.calls(func(called int) {
			if !reached[called] {
				reached[called] = true
				todo = append(todo, called)
			}
		})
	}
	ends = g.fixpoint(reached, func(e *expr, rules []bool) bool { return e.ends(rules, v) })
	if !ends[g.root] {
		all := g.fixpoint(reached, func(e *expr, rules []bool) bool { return e.ends(rules, nil) })
		for i, r := range g.rules {
			if reached[i] && all[g.root] && !ends[i] {
				if missing := r.body.unspelled(ends, v); missing != "" {
					return nil, nil, fmt.Errorf("%s: the vocabulary cannot spell %s", r.name, missing)
				}
			}
		}
		return nil, nil, fmt.Errorf("%s: nothing satisfies it, or it never ends as it always contains itself", g.rules[g.root].name)
	}
	return reached, ends, g.leftRecursion(reached)
}

// unspelled shows a part of e, which has no text for a lack of characters in the vocabulary; "" where it is for a lack in other rules.
func (e *expr) unspelled(rules []bool, v *Vocabulary) string {
	switch e.op {
	case opText, opToken:
		return strconv.Quote(e.text)
	case opClass:
		return fmt.Sprintf("a character of %+q to %+q", e.set[0].lo, e.set[len(e.set)-1].hi)
	}
	for _, s := range e.subs {
		if !s.ends(rules, v) {
			if missing := s.unspelled(rules, v); missing != "" {
				return missing
			}
		}
	}
	return ""
}

// fixpoint is the least set of rules that holds whatever is true of a body given the set.
func (g *Grammar) fixpoint(reached []bool, is func(*expr, []bool) bool) []bool {
	set := make([]bool, len(g.rules))
	for grown := true; grown; {
		grown = false
		for i, r := range slices.Backward(g.rules) { // rules mostly name later ones
			if reached[i] && !set[i] && is(r.body, set) {
				set[i], grown = true, true
			}
		}
	}
	return set
}

// calls tells the rules that e names.
func (e *expr) calls(told func(rule int)) {
	if e.op == opRule {
		told(e.rule)
	}
	for _, s := range e.subs {
		s.calls(told)
	}
}

// ends reports whether e has a text that the vocabulary spells, given the rules that have one; nil spells everything.
func (e *expr) ends(rules []bool, v *Vocabulary) bool {
	return e.holds(rules, func(leaf *expr) bool {
		switch leaf.op {
		case opText:
			return v.spells(leaf.text)
		case opToken:
			return v.spells(leaf.text) || v.has(leaf.text)
		case opClass:
			return v == nil || v.spelled == nil || len(common(v.spelled, leaf.set)) > 0
		}
		return true
	})
}

// holds reports whether e has a text of which something holds, given the rules that have one and what leaves say: of a sequence it holds where it does of all
// parts, of a choice where it does of one.
func (e *expr) holds(rules []bool, leaf func(*expr) bool) bool {
	of := func(s *expr) bool { return s.holds(rules, leaf) }
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

// nullable reports whether e has the empty text, given the rules that have.
func (e *expr) nullable(rules []bool) bool {
	return e.holds(rules, func(*expr) bool { return false })
}

// first tells the rules with which e may begin.
func (e *expr) first(nullable []bool, told func(rule int)) {
	switch e.op {
	case opRule:
		told(e.rule)
	case opSeq:
		for _, s := range e.subs {
			if s.first(nullable, told); !s.nullable(nullable) {
				return
			}
		}
	default:
		for _, s := range e.subs {
			s.first(nullable, told)
		}
	}
}

// leftRecursion reports a rule that begins with itself: the automaton would call it without end.
func (g *Grammar) leftRecursion(reached []bool) error {
	nullable := g.fixpoint(reached, (*expr).nullable)
	const open, done = 1, 2
	mark := make([]uint8, len(g.rules))
	var visit func(r int) error
	visit = func(r int) (err error) {
		switch mark[r] {
		case open:
			return fmt.Errorf("%s: it begins with itself (left recursion): write it as a repetition", g.rules[r].name)
		case done:
			return nil
		}
		mark[r] = open
		g.rules[r].body.first(nullable, func(called int) {
			if err == nil {
				err = visit(called)
			}
		})
		mark[r] = done
		return err
	}
	for r := range g.rules {
		if reached[r] {
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}
