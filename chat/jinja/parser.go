package jinja

import (
	"maps"
	"slices"
)

// parser reads the tokens of a template. Errors are panics of *Error.
type parser struct {
	tokens  []token
	at      int
	depth   int
	loops   int            // open for statements of this function
	uses    map[string]int // how often the special names varargs, kwargs and caller stood
	soft    bool           // inside an if: Jinja tells an unknown filter or test only when it is reached
	unknown []token        // names of filters and tests that it tells at once
}

// maxNesting bounds the depth of brackets and statements, maxChain the length of a+b+c.
const (
	maxNesting = 200
	maxChain   = 500
)

func (p *parser) cur() token { return p.tokens[p.at] }

func (p *parser) look() token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	p.at = min(p.at+1, len(p.tokens)-1)
	return t
}

func (p *parser) fail(format string, args ...any) { fail(p.cur().line, format, args...) }

// skip moves over the name or operator when it stands here.
func (p *parser) skip(text string) bool {
	if !p.cur().is(text) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(text string) token {
	if !p.cur().is(text) {
		p.fail("expected '%s', found %s", text, p.cur())
	}
	return p.next()
}

func (p *parser) expectKind(k kind) token {
	if p.cur().kind != k {
		p.fail("expected %s, found %s", token{kind: k, text: "name"}, p.cur())
	}
	return p.next()
}

// deeper counts the nesting; it returns what counts down.
func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nested deeper than %d", maxNesting)
	}
	return func() { p.depth-- }
}

func (p *parser) template() []stmt {
	body, _ := p.statements()
	if len(p.unknown) > 0 {
		fail(p.unknown[0].line, "no filter or test named '%s'", p.unknown[0].text)
	}
	return body
}

// statements reads up to a tag named in ends, whose name is read too and returned; without ends up to the end of the template.
func (p *parser) statements(ends ...string) ([]stmt, string) {
	defer p.deeper()()
	start := p.cur().line
	var body []stmt
	for {
		switch t := p.next(); t.kind {
		case kData:
			body = append(body, &write{t.line, []expr{&constant{t.text}}})
		case kVar:
			e := p.tuple(true)
			p.expectKind(kVarEnd)
			body = append(body, &write{t.line, []expr{e}})
		case kTag:
			name := p.expectKind(kName)
			if slices.Contains(ends, name.text) {
				return body, name.text
			}
			body = append(body, p.statement(name))
			p.expectKind(kTagEnd)
		default:
			if len(ends) > 0 {
				fail(start, "the tag before this has no %s", ends[len(ends)-1])
			}
			return body, ""
		}
	}
}

// block reads `%}`, statements, and the tag that ends them up to its `%}`, which is left.
func (p *parser) block(ends ...string) ([]stmt, string) {
	p.skip(":")
	p.expectKind(kTagEnd)
	return p.statements(ends...)
}

// scoped reads a block with names of its own.
func (p *parser) scoped(ends ...string) ([]stmt, string) {
	soft := p.soft
	p.soft = false
	body, end := p.block(ends...)
	p.soft = soft
	return body, end
}

// macroBody reads a block that Jinja compiles to a function of its own: break cannot leave it.
func (p *parser) macroBody(s *signature, end string) {
	loops, uses := p.loops, maps.Clone(p.uses)
	p.loops = 0
	s.body, _ = p.scoped(end)
	p.loops = loops
	s.varargs, s.kwargs, s.caller = p.uses["varargs"] > uses["varargs"], p.uses["kwargs"] > uses["kwargs"], p.uses["caller"] > uses["caller"]
}

func (p *parser) statement(name token) stmt {
	switch name.text {
	case "for":
		return p.forStatement(name)
	case "if":
		return p.ifStatement(name)
	case "set":
		return p.setStatement(name)
	case "macro":
		m := &macroStatement{line: name.line, name: p.expectKind(kName).text}
		p.signature(&m.signature)
		p.macroBody(&m.signature, "endmacro")
		return m
	case "call":
		c := &callStatement{line: name.line}
		if p.cur().is("(") {
			p.signature(&c.signature)
		}
		e, ok := p.expression().(*call)
		if !ok {
			fail(name.line, "the call tag needs a call")
		}
		c.call = e
		p.macroBody(&c.signature, "endcall")
		return c
	case "generation":
		c := &callStatement{line: name.line}
		p.macroBody(&c.signature, "endgeneration")
		return c
	case "filter":
		chain := p.filter(nil, true)
		for p.cur().is("|") {
			chain = p.filter(chain, false)
		}
		body, _ := p.scoped("endfilter")
		return &filterStatement{name.line, chain, body}
	case "with":
		return p.withStatement(name)
	case "print":
		w := &write{line: name.line}
		for p.cur().kind != kTagEnd {
			if len(w.parts) > 0 {
				p.expect(",")
			}
			w.parts = append(w.parts, p.expression())
		}
		return w
	case "break", "continue":
		if p.loops == 0 {
			fail(name.line, "%s outside a loop", name.text)
		}
		return jump(map[string]flow{"break": broken, "continue": continued}[name.text])
	case "extends", "block", "include", "import", "from", "autoescape":
		fail(name.line, "tag '%s' is not supported", name.text)
	}
	fail(name.line, "unknown tag '%s'", name.text)
	return nil
}

func (p *parser) forStatement(name token) stmt {
	f := &forStatement{line: name.line, target: p.target(false, "in")}
	p.expect("in")
	f.iter = p.tuple(false, "recursive")
	if p.skip("if") {
		f.test = p.expression()
	}
	if p.cur().is("recursive") {
		p.fail("recursive loops are not supported")
	}
	p.loops++
	body, end := p.scoped("else", "endfor")
	p.loops--
	if f.body = body; end == "else" {
		f.orElse, _ = p.scoped("endfor")
	}
	return f
}

func (p *parser) ifStatement(name token) stmt {
	soft := p.soft
	p.soft = true
	defer func() { p.soft = soft }()
	s := &ifStatement{}
	for {
		c := branch{line: name.line, test: p.tuple(false)}
		body, end := p.block("elif", "else", "endif")
		c.body = body
		s.branches = append(s.branches, c)
		switch end {
		case "elif":
			name = p.cur()
		case "else":
			s.orElse, _ = p.block("endif")
			return s
		default:
			return s
		}
	}
}

func (p *parser) setStatement(name token) stmt {
	target := p.target(true)
	if p.skip("=") {
		return &setStatement{name.line, target, p.tuple(true)}
	}
	var chain expr
	for p.cur().is("|") {
		chain = p.filter(chain, false)
	}
	body, _ := p.scoped("endset")
	return &setBlock{name.line, target, chain, body}
}

func (p *parser) withStatement(name token) stmt {
	w := &withStatement{line: name.line}
	for p.cur().kind != kTagEnd {
		if len(w.targets) > 0 {
			p.expect(",")
		}
		w.targets = append(w.targets, p.target(false))
		p.expect("=")
		w.values = append(w.values, p.expression())
	}
	w.body, _ = p.scoped("endwith")
	return w
}

// signature reads the parameters of a macro.
func (p *parser) signature(s *signature) {
	p.expect("(")
	for !p.skip(")") {
		if len(s.params) > 0 {
			p.expect(",")
		}
		name := p.expectKind(kName).text
		if reserved(name) {
			p.fail("can't assign to '%s'", name)
		}
		s.params = append(s.params, name)
		if p.skip("=") {
			s.defaults = append(s.defaults, p.expression())
		} else if len(s.defaults) > 0 {
			p.fail("parameter '%s' has no default, the one before it has", name)
		}
	}
}

func reserved(name string) bool {
	return slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, name)
}

// target reads what is assigned to: a name, names separated by commas and in brackets, or with attributes also name.attribute.
func (p *parser) target(attributes bool, ends ...string) target {
	defer p.deeper()()
	var names []target
	isTuple := false
	for {
		if len(names) > 0 && !p.skip(",") {
			break
		}
		if isTuple = len(names) > 0; p.tupleEnd(ends) || p.cur().is("=") {
			break
		}
		if p.skip("(") {
			names = append(names, p.target(attributes))
			p.expect(")")
			continue
		}
		name := p.expectKind(kName).text
		if reserved(name) {
			p.fail("can't assign to '%s'", name)
		}
		if attributes && p.skip(".") {
			names = append(names, attrTarget{name, p.expectKind(kName).text})
		} else {
			names = append(names, nameTarget(name))
		}
	}
	switch {
	case len(names) == 0:
		p.fail("expected a name, found %s", p.cur())
	case !isTuple:
		return names[0]
	}
	return tupleTarget(names)
}
