package jinja

import "slices"

// expression reads one with an inline if.
func (p *parser) expression() expr {
	defer p.deeper()()
	unknown := len(p.unknown)
	e := p.or()
	for n := 0; p.cur().is("if"); n++ {
		p.chain(n)
		c := &conditional{line: p.next().line, then: e, test: p.or()}
		if p.skip("else") {
			c.orElse = p.expression()
		}
		e, p.unknown = c, p.unknown[:unknown]
	}
	return e
}

// chain fails when a chain of operators is too long: its tree is as deep as it is long.
func (p *parser) chain(n int) {
	if n >= maxChain {
		p.fail("more than %d operators in a row", maxChain)
	}
}

func (p *parser) or() expr {
	e := p.and()
	for n := 0; p.skip("or"); n++ {
		p.chain(n)
		e = &logical{e, p.and(), true}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for n := 0; p.skip("and"); n++ {
		p.chain(n)
		e = &logical{e, p.not(), false}
	}
	return e
}

func (p *parser) not() expr {
	defer p.deeper()()
	if p.skip("not") {
		return &negation{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	first := p.sum()
	c := &comparison{line: p.cur().line, first: first}
	for {
		t := p.cur()
		op := t.text
		switch {
		case t.kind == kOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op), t.is("in"):
			p.next()
		case t.is("not") && p.look().is("in"):
			p.next()
			p.next()
			op = "not in"
		case len(c.ops) == 0:
			return first
		default:
			return c
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.sum())
	}
}

// binary reads a chain of the operators between operands.
func (p *parser) binary(operand func() expr, ops ...string) expr {
	e := operand()
	for n := 0; p.cur().kind == kOp && slices.Contains(ops, p.cur().text); n++ {
		p.chain(n)
		t := p.next()
		e = &arithmetic{t.line, t.text, e, operand()}
	}
	return e
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() expr {
	line := p.cur().line
	parts := []expr{p.product()}
	for p.skip("~") {
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &concatenation{line, parts}
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expr {
	defer p.deeper()()
	var e expr
	if t := p.cur(); t.is("-") || t.is("+") {
		p.next()
		e = &sign{t.line, t.text == "-", p.unary(false)}
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	if filters {
		e = p.filters(e)
	}
	return e
}

func (p *parser) primary() expr {
	t := p.next()
	switch {
	case t.kind == kName:
		switch t.text {
		case "true", "True":
			return &constant{true}
		case "false", "False":
			return &constant{false}
		case "none", "None":
			return &constant{nil}
		case "varargs", "kwargs", "caller":
			p.uses[t.text]++
		}
		return &variable{t.line, t.text}
	case t.kind == kString:
		s := t.text
		for p.cur().kind == kString {
			s += p.next().text
		}
		return &constant{s}
	case t.kind == kInt || t.kind == kFloat:
		return &constant{t.value}
	case t.is("("):
		if p.skip(")") {
			return &display{line: t.line, tuple: true}
		}
		e := p.tuple(true)
		p.expect(")")
		return e
	case t.is("["):
		d := &display{line: t.line}
		for !p.skip("]") {
			if len(d.items) > 0 {
				if p.expect(","); p.skip("]") {
					break
				}
			}
			d.items = append(d.items, p.expression())
		}
		return d
	case t.is("{"):
		d := &dictDisplay{line: t.line}
		for !p.skip("}") {
			if len(d.keys) > 0 {
				if p.expect(","); p.skip("}") {
					break
				}
			}
			d.keys = append(d.keys, p.expression())
			p.expect(":")
			d.values = append(d.values, p.expression())
		}
		return d
	}
	fail(t.line, "unexpected %s", t)
	return nil
}

func (p *parser) tupleEnd(ends []string) bool {
	t := p.cur()
	return t.kind == kVarEnd || t.kind == kTagEnd || t.is(")") || t.kind == kName && slices.Contains(ends, t.text)
}

// tuple reads expressions separated by commas; one alone is itself.
func (p *parser) tuple(inlineIf bool, ends ...string) expr {
	one := p.or
	if inlineIf {
		one = p.expression
	}
	d := &display{line: p.cur().line, tuple: true}
	d.items = append(d.items, one())
	if !p.cur().is(",") {
		return d.items[0]
	}
	for p.skip(",") && !p.tupleEnd(ends) {
		d.items = append(d.items, one())
	}
	return d
}

// postfix reads .name, [item] and calls behind e.
func (p *parser) postfix(e expr) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch t := p.cur(); {
		case t.is("."):
			p.next()
			switch name := p.next(); name.kind {
			case kName:
				e = &attribute{t.line, e, name.text}
			case kInt:
				e = &item{t.line, e, &constant{name.value}}
			default:
				fail(t.line, "expected a name behind the dot, found %s", name)
			}
		case t.is("["):
			p.next()
			e = p.subscript(t.line, e)
		case t.is("("):
			e = &call{line: t.line, fn: e, args: p.arguments()}
		default:
			return e
		}
	}
}

func (p *parser) subscript(line int, e expr) expr {
	var list []expr
	for !p.skip("]") {
		if len(list) > 0 {
			p.expect(",")
		}
		list = append(list, p.index())
	}
	if len(list) == 1 {
		if s, ok := list[0].(*sliceIndex); ok {
			return &slicing{line, e, s}
		}
		return &item{line, e, list[0]}
	}
	for _, x := range list {
		if _, ok := x.(*sliceIndex); ok {
			fail(line, "a slice beside other indices is not supported")
		}
	}
	return &item{line, e, &display{line, list, true}}
}

// index reads an index or start:stop:step.
func (p *parser) index() expr {
	s := &sliceIndex{}
	if !p.cur().is(":") {
		e := p.expression()
		if !p.cur().is(":") {
			return e
		}
		s.bounds[0] = e
	}
	for i := 1; i < 3 && p.skip(":"); i++ {
		if t := p.cur(); !t.is(":") && !t.is("]") && !t.is(",") {
			s.bounds[i] = p.expression()
		}
	}
	return s
}

func (p *parser) arguments() argumentList {
	open := p.expect("(")
	var a argumentList
	ensure := func(ok bool) {
		if !ok {
			fail(open.line, "arguments in a wrong order")
		}
	}
	for first := true; !p.skip(")"); first = false {
		if !first {
			if p.expect(","); p.skip(")") {
				break
			}
		}
		switch {
		case p.skip("*"):
			ensure(a.rest == nil && a.restNamed == nil)
			a.rest = p.expression()
		case p.skip("**"):
			ensure(a.restNamed == nil)
			a.restNamed = p.expression()
		case p.cur().kind == kName && p.look().is("="):
			ensure(a.restNamed == nil)
			name := p.next().text
			if slices.Contains(a.names, name) {
				p.fail("argument '%s' is given twice", name)
			}
			p.next()
			a.names = append(a.names, name)
			a.named = append(a.named, p.expression())
		default:
			ensure(a.rest == nil && a.restNamed == nil && len(a.names) == 0)
			a.list = append(a.list, p.expression())
		}
	}
	return a
}

// filters reads |filter, is test, and calls behind them.
func (p *parser) filters(e expr) expr {
	for n := 0; ; n++ {
		p.chain(n)
		switch t := p.cur(); {
		case t.is("|"):
			e = p.filter(e, false)
		case t.is("is"):
			e = p.test(e)
		case t.is("("):
			e = &call{line: t.line, fn: e, args: p.arguments()}
		default:
			return e
		}
	}
}

// dotted reads a name of a filter or test.
func (p *parser) dotted() token {
	t := p.expectKind(kName)
	for p.skip(".") {
		t.text += "." + p.expectKind(kName).text
	}
	return t
}

// filter reads |name(arguments) behind e, or without the bar when it was read. A nil e is filled in by the statement that the filter belongs to.
func (p *parser) filter(e expr, bar bool) expr {
	if !bar {
		p.expect("|")
	}
	t := p.dotted()
	f := &filterExpr{line: t.line, of: e, name: t.text, fn: filterNamed(t.text)}
	if f.fn == nil && !p.soft {
		p.unknown = append(p.unknown, t)
	}
	if p.cur().is("(") {
		f.args = p.arguments()
	}
	return f
}

func (p *parser) test(e expr) expr {
	p.expect("is")
	negated := p.skip("not")
	t := p.dotted()
	x := &testExpr{line: t.line, of: e, name: t.text, fn: testNamed(t.text)}
	if x.fn == nil && !p.soft {
		p.unknown = append(p.unknown, t)
	}
	switch c := p.cur(); {
	case c.is("("):
		x.args = p.arguments()
	case c.is("else"), c.is("or"), c.is("and"):
	case c.is("is"):
		p.fail("tests cannot be chained with 'is'")
	case c.kind == kName, c.kind == kString, c.kind == kInt, c.kind == kFloat, c.is("["), c.is("{"):
		x.args.list = []expr{p.postfix(p.primary())}
	}
	if negated {
		return &negation{x}
	}
	return x
}
