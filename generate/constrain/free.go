package constrain

import "strings"

// free is any text that ends anywhere, or goes on with call behind the first of opens that it has; a text of closed is never in it. Its bytes need be no characters, and
// control tokens may stand in it, except those whose names have to do with one of these texts. With braced, a text that begins with { (behind blanks) is a call.
type free struct {
	opens, closed []string
	braced        bool
	call          *expr
}

// blanks may stand in front of a brace that begins a call.
const blanks = " \t\n\v\f\r"

// marks are the texts that free text does not have.
func (f *free) marks() []string { return append(f.opens[:len(f.opens):len(f.opens)], f.closed...) }

// touches reports whether a control token's name has to do with a mark: with other text around it, it could be a part of one.
func (f *free) touches(name string) bool {
	for _, mark := range f.marks() {
		if strings.Contains(name, mark) || strings.Contains(mark, name) {
			return true
		}
		for i := 1; i < len(mark); i++ {
			if strings.HasSuffix(name, mark[:i]) || strings.HasPrefix(name, mark[i:]) {
				return true
			}
		}
	}
	return false
}

// compileFree makes the automaton that looks for the marks (Aho and Corasick 1975): a state is the longest beginning of a mark with which the text ends.
func (c *compiler) compileFree(f *free, next int32) int32 {
	call := c.compile(f.call, next)
	begins, start := []string{""}, map[string]int32{"": c.add(node{kind: nodeSplit, next: next})}
	for _, mark := range f.marks() {
		for i := 1; i < len(mark); i++ {
			if s := mark[:i]; start[s] == 0 {
				begins, start[s] = append(begins, s), c.add(node{kind: nodeSplit, next: next})
			}
		}
	}
	if c.err != nil {
		return 0
	}
	behind := func(s string) (to int32, ok bool) { // the text that ends with s
		for _, mark := range f.closed {
			if strings.HasSuffix(s, mark) {
				return 0, false
			}
		}
		for _, mark := range f.opens {
			if strings.HasSuffix(s, mark) {
				return call, true
			}
		}
		for start[s] == 0 {
			s = s[1:]
		}
		return start[s], true
	}
	for _, s := range begins {
		ways := c.freeWays(f, call, start[""], func(b byte) (int32, bool) { return behind(s + string([]byte{b})) })
		c.nodes[start[s]].other = ways
	}
	c.others = c.vocab.others(f.touches)
	if !f.braced {
		return start[""]
	}
	first := c.add(node{kind: nodeSplit, next: next})
	ways := c.freeWays(f, call, first, func(b byte) (int32, bool) {
		switch {
		case b == '{':
			return 0, false
		case strings.IndexByte(blanks, b) >= 0:
			return first, true
		}
		return behind(string([]byte{b}))
	})
	c.nodes[first].other = ways
	var blank []span
	for _, r := range blanks {
		blank = append(blank, span{r, r})
	}
	return c.split([]int32{first, c.compile(repeat(class(blank...), 0, -1), call)})
}

// freeWays are what may be read in one state: bytes, a control token that is a mark, and others, behind which the text is as at its beginning.
func (c *compiler) freeWays(f *free, call, begin int32, behind func(byte) (int32, bool)) int32 {
	var ways []int32
	for lo := 0; lo < 256; {
		to, ok := behind(byte(lo))
		hi := lo
		for hi < 255 {
			if t, k := behind(byte(hi + 1)); t != to || k != ok {
				break
			}
			hi++
		}
		if ok {
			ways = append(ways, c.add(node{kind: nodeSpan, lo: uint16(lo), hi: uint16(hi), next: to}))
		}
		lo = hi + 1
	}
	for _, mark := range f.opens {
		if c.vocab.has(mark) {
			ways = append(ways, c.token(mark, call))
		}
	}
	return c.split(append(ways, c.add(node{kind: nodeSpan, lo: symbolOther, hi: symbolOther, next: begin})))
}
