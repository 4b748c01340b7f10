package constrain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseGBNF reads a grammar in llama.cpp's notation: rules NAME ::= ALTERNATIVES, of which root is the language.
//
//	"text"  [a-z]  [^a-z]  .     characters; \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH in them
//	name  (...)  a b  a | b      a rule, a group, a sequence, a choice
//	a?  a*  a+  a{2}  a{2,}  a{2,5}
//	# to the end of the line
//
// A rule ends with its line, unless a bracket is open or | ends the line. Errors tell line and column.
func ParseGBNF(source string) (*Grammar, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("constrain: a grammar of %d bytes, at most %d", len(source), maxSource)
	}
	p := &gbnf{source: source, numbers: map[string]int{}}
	if err := p.grammar(); err != nil {
		before := source[:p.at]
		line := strings.Count(before, "\n") + 1
		return nil, fmt.Errorf("constrain: line %d, column %d: %w", line, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])+1, err)
	}
	g := &Grammar{rules: p.rules}
	for i, r := range g.rules {
		if r.body == nil {
			return nil, fmt.Errorf("constrain: rule %s is used and not defined", r.name)
		}
		if r.name == "root" {
			g.root = i
		}
	}
	if len(g.rules) == 0 || g.rules[g.root].name != "root" {
		return nil, fmt.Errorf("constrain: the grammar has no rule root")
	}
	return g, nil
}

// gbnf reads a grammar.
type gbnf struct {
	source  string
	at      int
	nest    int
	spans   int // of all classes
	rules   []rule
	numbers map[string]int
}

// number is that of a rule; its body may come later.
func (p *gbnf) number(name string) int {
	n, ok := p.numbers[name]
	if !ok {
		n = len(p.rules)
		p.numbers[name] = n
		p.rules = append(p.rules, rule{name: name})
	}
	return n
}

func (p *gbnf) grammar() error {
	for p.space(true); p.at < len(p.source); p.space(true) {
		from := p.at
		name := p.name()
		if name == "" {
			return fmt.Errorf("want the name of a rule, have %s", p.have())
		}
		n := p.number(name)
		if p.rules[n].body != nil {
			p.at = from
			return fmt.Errorf("rule %s is defined twice", name)
		}
		if len(p.rules) > maxRules {
			return fmt.Errorf("more than %d rules", maxRules)
		}
		p.space(false)
		if !p.take("::=") {
			return fmt.Errorf("want ::= behind %s, have %s", name, p.have())
		}
		p.space(true)
		body, err := p.choice()
		if err != nil {
			return err
		}
		p.rules[n].body = body
		if p.at < len(p.source) && !strings.ContainsRune("\r\n", rune(p.source[p.at])) {
			return fmt.Errorf("want the end of the line, have %s", p.have())
		}
	}
	return nil
}

// have is what stands here, for messages.
func (p *gbnf) have() string {
	if p.at == len(p.source) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.source[p.at:])
	return strconv.QuoteRune(r)
}

func (p *gbnf) take(s string) bool {
	ok := strings.HasPrefix(p.source[p.at:], s)
	if ok {
		p.at += len(s)
	}
	return ok
}

// space skips white space and comments; with lines, ends of lines too.
func (p *gbnf) space(lines bool) {
	for p.at < len(p.source) {
		switch c := p.source[p.at]; {
		case c == ' ' || c == '\t' || lines && (c == '\n' || c == '\r'):
			p.at++
		case c == '#':
			for p.at < len(p.source) && p.source[p.at] != '\n' && p.source[p.at] != '\r' {
				p.at++
			}
		default:
			return
		}
	}
}

func (p *gbnf) name() string {
	from := p.at
	for p.at < len(p.source) {
		c := p.source[p.at]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			break
		}
		p.at++
	}
	return p.source[from:p.at]
}

// choice reads alternatives.
func (p *gbnf) choice() (*expr, error) {
	var ways []*expr
	for {
		way, err := p.sequence()
		if err != nil {
			return nil, err
		}
		ways = append(ways, way)
		if !p.take("|") {
			return alt(ways...), nil
		}
		p.space(true)
	}
}

func (p *gbnf) sequence() (*expr, error) {
	var parts []*expr
	for {
		part, err := p.part()
		if err != nil {
			return nil, err
		}
		if part == nil {
			return seq(parts...), nil
		}
		p.space(p.nest > 0)
		for {
			least, most, ok, err := p.counts()
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			part = repeat(part, least, most)
			p.space(p.nest > 0)
		}
		parts = append(parts, part)
	}
}

// part reads what can be repeated; nil where there is none.
func (p *gbnf) part() (*expr, error) {
	if p.at == len(p.source) {
		return nil, nil
	}
	switch c := p.source[p.at]; {
	case c == '"':
		return p.text()
	case c == '[':
		return p.class()
	case p.take("."):
		return class(span{0, utf8.MaxRune}), nil
	case c == '(':
		if p.nest++; p.nest > maxNest {
			return nil, fmt.Errorf("more than %d brackets within each other", maxNest)
		}
		p.at++
		p.space(true)
		inner, err := p.choice()
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, fmt.Errorf("want ), have %s", p.have())
		}
		p.nest--
		return inner, nil
	case c == '<' || c == '!':
		return nil, fmt.Errorf("tokens (<...>) are not supported: write their text")
	}
	if name := p.name(); name != "" {
		return &expr{op: opRule, rule: p.number(name)}, nil
	}
	return nil, nil
}

// counts reads ?, *, + or braces.
func (p *gbnf) counts() (least, most int, ok bool, err error) {
	switch {
	case p.take("?"):
		return 0, 1, true, nil
	case p.take("*"):
		return 0, -1, true, nil
	case p.take("+"):
		return 1, -1, true, nil
	case !p.take("{"):
		return 0, 0, false, nil
	}
	p.space(p.nest > 0)
	if least, err = p.count(); err != nil {
		return 0, 0, false, err
	}
	most = least
	if p.space(p.nest > 0); p.take(",") {
		most = -1
		if p.space(p.nest > 0); !strings.HasPrefix(p.source[p.at:], "}") {
			if most, err = p.count(); err != nil {
				return 0, 0, false, err
			}
			p.space(p.nest > 0)
		}
	}
	if !p.take("}") {
		return 0, 0, false, fmt.Errorf("want }, have %s", p.have())
	}
	if most >= 0 && most < least {
		return 0, 0, false, fmt.Errorf("{%d,%d} has no number in it", least, most)
	}
	return least, most, true, nil
}

func (p *gbnf) count() (int, error) {
	from := p.at
	for p.at < len(p.source) && p.source[p.at] >= '0' && p.source[p.at] <= '9' {
		p.at++
	}
	n, err := strconv.Atoi(p.source[from:p.at])
	switch {
	case p.at == from:
		return 0, fmt.Errorf("want a number, have %s", p.have())
	case err != nil || n > maxRepeat:
		p.at = from
		return 0, fmt.Errorf("at most %d repetitions are counted", maxRepeat)
	}
	return n, nil
}

func (p *gbnf) text() (*expr, error) {
	p.at++
	var b strings.Builder
	for !p.take(`"`) {
		r, err := p.character("text")
		if err != nil {
			return nil, err
		}
		b.WriteRune(r)
	}
	return text(b.String()), nil
}

func (p *gbnf) class() (*expr, error) {
	p.at++
	not := p.take("^")
	var spans []span
	for !p.take("]") {
		lo, err := p.character("class")
		if err != nil {
			return nil, err
		}
		hi := lo
		if strings.HasPrefix(p.source[p.at:], "-") && !strings.HasPrefix(p.source[p.at:], "-]") {
			p.at++
			if hi, err = p.character("class"); err != nil {
				return nil, err
			}
			if hi < lo {
				return nil, fmt.Errorf("the range %q-%q is empty", lo, hi)
			}
		}
		spans = append(spans, span{lo, hi})
	}
	if p.spans += len(spans); p.spans > maxSpans {
		return nil, fmt.Errorf("more than %d ranges of characters", maxSpans)
	}
	if not {
		spans = others(tidy(spans))
	}
	if c := class(spans...); !c.isNever() {
		return c, nil
	}
	return nil, fmt.Errorf("the class has no characters")
}

// character reads one of a text or a class, which may be escaped.
func (p *gbnf) character(of string) (rune, error) {
	if p.at == len(p.source) || p.source[p.at] == '\n' {
		return 0, fmt.Errorf("the %s is not closed", of)
	}
	r, n := utf8.DecodeRuneInString(p.source[p.at:])
	if r == utf8.RuneError && n < 2 {
		return 0, fmt.Errorf("this is not UTF-8")
	}
	p.at += n
	if r != '\\' {
		return r, nil
	}
	if p.at == len(p.source) {
		return 0, fmt.Errorf("the %s is not closed", of)
	}
	c := p.source[p.at]
	p.at++
	digits := 0
	switch c {
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case '\\', '"', '[', ']', '-', '^':
		return rune(c), nil
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		p.at--
		return 0, fmt.Errorf("\\ before %s means nothing", p.have())
	}
	if len(p.source)-p.at < digits {
		return 0, fmt.Errorf("want %d hexadecimal digits", digits)
	}
	v, err := strconv.ParseUint(p.source[p.at:p.at+digits], 16, 32)
	if err != nil || !utf8.ValidRune(rune(v)) || v > utf8.MaxRune {
		return 0, fmt.Errorf("%q are no %d hexadecimal digits of a character", p.source[p.at:p.at+digits], digits)
	}
	p.at += digits
	return rune(v), nil
}
