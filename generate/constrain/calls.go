package constrain

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Tool is a function that may be called.
type Tool struct {
	Name       string
	Parameters string // JSON schema of its arguments; "": an object
}

// CallForm is how a model writes calls: JSON with name and arguments, between two marks, each a special token where the vocabulary has one.
type CallForm struct {
	Open, Close string
	List        bool   // the JSON is a list of calls
	Arguments   string // key of the arguments
	Most        int    // calls; 0: any number

	// Free: any text may stand in front of the calls, or instead of them. Closed are marks of other forms of calls: no text has them. Without Open a text that
	// begins with {, behind blanks, is a call.
	Free   bool
	Closed []string
}

// ParseCalls is the language of one or more calls of the tools. Errors name the tool.
func ParseCalls(form CallForm, tools []Tool) (*Grammar, error) {
	defs, ways := &value{kind: '{'}, list()
	word := func(s string) *value { return &value{kind: '"', text: s} }
	object := func(pairs ...any) *value {
		v := &value{kind: '{'}
		for i := 0; i < len(pairs); i += 2 {
			v = v.with(pairs[i].(string), pairs[i+1].(*value))
		}
		return v
	}
	for _, t := range tools {
		arguments := object("type", word("object"))
		if t.Parameters != "" {
			var err error
			if arguments, err = parseValue(t.Parameters); err != nil {
				return nil, fmt.Errorf("constrain: parameters of %s: %w", t.Name, err)
			}
		}
		place := "#/$defs/" + escapePointer(t.Name)
		defs = defs.with(t.Name, arguments.moved(place))
		ways.items = append(ways.items, object("type", word("object"), "additionalProperties", no, "required", list(word("name"), word(form.Arguments)),
			"properties", object("name", object("const", word(t.Name)), form.Arguments, object("$ref", word(place)))))
	}
	calls := object("anyOf", ways)
	if form.List {
		calls = object("type", word("array"), "items", calls, "minItems", &value{kind: '0', text: "1"})
		if form.Most > 0 {
			calls = calls.with("maxItems", &value{kind: '0', text: fmt.Sprint(form.Most)})
		}
	}
	g, err := fromSchema(calls.with("$defs", defs))
	if err != nil {
		return nil, err
	}
	line := optional(text("\n"))
	one := seq(mark(form.Open), line, &expr{op: opRule, rule: g.root}, line, mark(form.Close))
	if most := form.Most - 1; !form.List && form.Close != "" && most != 0 { // most < 0: any number
		one = seq(one, repeat(seq(line, one), 0, max(most, -1)))
	}
	if form.Free {
		f := &free{closed: form.Closed, braced: form.Open == "", call: one}
		if form.Open != "" {
			f.opens, f.call = []string{form.Open}, seq(one.subs[1:]...) // behind the mark
		}
		one = &expr{op: opFree, free: f, subs: []*expr{f.call}}
	}
	g.rules = append(g.rules, rule{"the calls", one})
	g.root = len(g.rules) - 1
	return g, nil
}

// ParseChoice is one of the texts.
func ParseChoice(texts []string) (*Grammar, error) {
	size := 0
	ways := make([]*expr, len(texts))
	for i, t := range texts {
		if size += len(t); !utf8.ValidString(t) || size > maxSource {
			return nil, fmt.Errorf("constrain: choice %d: it is no UTF-8, or all have more than %d bytes", i, maxSource)
		}
		ways[i] = text(t)
	}
	return &Grammar{rules: []rule{{"the choice", alt(ways...)}}}, nil
}

// Either is what one of two grammars describes, neither of which has free text.
func Either(a, b *Grammar) *Grammar {
	moved := map[*expr]*expr{}
	var move func(e *expr) *expr // with the rules of b behind those of a
	move = func(e *expr) *expr {
		if n, ok := moved[e]; ok || e.op != opRule && len(e.subs) == 0 {
			return cmp.Or(n, e)
		}
		n := *e
		n.subs = nil
		for _, s := range e.subs {
			n.subs = append(n.subs, move(s))
		}
		if n.op == opRule {
			n.rule += len(a.rules)
		}
		moved[e] = &n
		return &n
	}
	g := &Grammar{rules: slices.Clone(a.rules), root: len(a.rules) + len(b.rules)}
	for _, r := range b.rules {
		g.rules = append(g.rules, rule{r.name, move(r.body)})
	}
	call := func(r int) *expr { return &expr{op: opRule, rule: r} }
	g.rules = append(g.rules, rule{"one of two", alt(call(a.root), call(len(a.rules)+b.root))})
	return g
}

// mark is a special token, or its text.
func mark(name string) *expr {
	if name == "" {
		return empty
	}
	return &expr{op: opToken, text: name}
}

// moved is a schema that stands at another place, with what it refers to in itself.
func (v *value) moved(to string) *value {
	n := &value{kind: v.kind, text: v.text, keys: v.keys}
	for i, item := range v.items {
		if v.kind == '{' && v.keys[i] == "$ref" && item.kind == '"' && len(item.text) > 0 && item.text[0] == '#' {
			n.items = append(n.items, &value{kind: '"', text: to + item.text[1:]})
		} else {
			n.items = append(n.items, item.moved(to))
		}
	}
	return n
}
