package constrain

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// maxNodes bounds an automaton.
const maxNodes = 1 << 18

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
	last   atomic.Int64 // by the clock of the vocabulary's Memory: when it was used
}

// compiler makes nodes from the end of a text to its beginning.
type compiler struct {
	*Constraint
	rules []rule
	work  int // expressions looked at
	err   error
}

// Compile returns the automaton of a grammar over a vocabulary. Errors name the rule that has no end, calls itself before anything is read, or wants
// what the vocabulary cannot spell.
func (g *Grammar) Compile(v *Vocabulary) (*Constraint, error) {
	bodies, err := g.check(v)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	c := &compiler{Constraint: &Constraint{vocab: v, nodes: make([]node, 1), root: int32(g.root)}, rules: slices.Clone(g.rules)}
	for i, body := range bodies {
		c.rules[i].body = body
	}
	for i := 0; i < len(c.rules) && c.err == nil; i++ { // rules are added on the way
		c.starts = append(c.starts, 0)
		if c.rules[i].body != nil { // the root reaches it, and it has a text
			start := c.compile(c.rules[i].body, 0)
			c.starts[i] = start
		}
		if c.err != nil {
			return nil, fmt.Errorf("constrain: %s: %w", c.rules[i].name, c.err)
		}
	}
	c.classify()
	c.nodes = slices.Clip(c.nodes)
	return c.Constraint, nil
}

// Bytes is about what the automaton takes, without what matchers find out.
func (c *Constraint) Bytes() int {
	return 28*cap(c.nodes) + 4*len(c.starts) + 2*len(c.class) + 8*len(c.others) + 1024
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
	if c.work++; c.work > maxWork && c.err == nil {
		c.err = fmt.Errorf("the grammar is too large: it takes more than %d steps to compile", maxWork)
	}
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
	spans = c.vocab.spelledOf(spans)
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

// alternatives begins all of subs; those that are texts share their beginnings.
func (c *compiler) alternatives(subs []*expr, next int32) int32 {
	var texts []string
	var ways []int32
	for _, s := range subs {
		if s.op == opText {
			texts = append(texts, s.text)
		} else {
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
	if most > 1 && c.large(body, most) {
		c.rules = append(c.rules, rule{"a repeated part", body})
		body = &expr{op: opRule, rule: len(c.rules) - 1}
	}
	end := next
	next = c.chain(body, most-least, next, &end)
	return c.chain(body, least, next, nil)
}

// large reports whether copies of a body are too many nodes to stand side by side.
func (c *compiler) large(body *expr, copies int) bool {
	n := c.size(body)
	return n > maxInline || n*copies > maxCopies
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
func (c *compiler) size(e *expr) int {
	const large = 1 << 20
	c.work += 1 + len(e.set)
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
			n = min(n+c.size(s)+1, large)
		}
		if e.op == opRepeat && n > maxInline {
			return min(max(e.min, e.max, 1)+n, large)
		} else if e.op == opRepeat {
			return min(n*max(e.min, e.max, 1), large)
		}
	}
	return n
}
