package jinja

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// python renders the cases with transformers' environment.
func python(t *testing.T, cases []map[string]any) []pythonResult {
	t.Helper()
	bin := testkit.Python(t, "transformers", "jinja2")
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, c := range cases {
		if err := enc.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, filepath.Join(testkit.Root(), "tools", "golden", "jinja_render.py"))
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	cmd.Env = append(os.Environ(), "TRANSFORMERS_VERBOSITY=error")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var results []pythonResult
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var r pythonResult
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("%v in %.200q", err, s.Text())
		}
		results = append(results, r)
	}
	if len(results) != len(cases) {
		t.Fatalf("%d results for %d cases", len(results), len(cases))
	}
	return results
}

type pythonResult struct {
	Out    *string
	Error  string
	Raised bool
}

// values of the differential tests, in JSON so that both sides read the same order of keys.
const valuesJSON = `{"s": "Hello, Wörld", "empty": "", "sp": "  a b\n c  ", "n": 7, "z": 0, "neg": -3, "f": 2.5, "g": 1e20, "h": 1e-7, "t": true, "u": false, "nothing": null,
"l": [3, 1, 2], "m": ["b", "A", "c", "a"], "el": [], "d": {"b": 1, "a": "x", "items": [1]}, "ed": {}, "html": "<a href='x'>&\"",
"msgs": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi <b>"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"x": 1, "y": [true, null, 1.5], "z": "é\n\"q\""}}}]}, {"role": "tool", "name": "f", "content": "42"}]}`

// differ renders every template on both sides. Where Python fails, this package must fail, and the other way round.
func differ(t *testing.T, templates []string) {
	t.Helper()
	values, err := FromJSON([]byte(valuesJSON))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{}
	for i, k := range values.(*Dict).keys {
		vars[k.(string)] = values.(*Dict).values[i]
	}
	cases := make([]map[string]any, len(templates))
	for i, src := range templates {
		cases[i] = map[string]any{"template": src, "values": json.RawMessage(valuesJSON)}
	}
	bad := 0
	for i, want := range python(t, cases) {
		got, err := renderText(templates[i], vars)
		switch {
		case err == nil && want.Out == nil:
			t.Errorf("%s\n gives %q, in Python: %s", templates[i], got, want.Error)
		case err != nil && want.Out != nil:
			t.Errorf("%s\n fails: %v, in Python %q", templates[i], err, *want.Out)
		case err == nil && got != *want.Out:
			t.Errorf("%s\n gives     %q\n in Python %q", templates[i], got, *want.Out)
		default:
			continue
		}
		if bad++; bad > 40 {
			t.Fatal("and so on")
		}
	}
}

func renderText(src string, vars map[string]any) (string, error) {
	tmpl, err := Parse(src)
	if err != nil {
		return "", err
	}
	return tmpl.Render(context.Background(), vars, Options{})
}

// TestPythonList compares the templates of testdata/cases.txt, one a line, \n for a line end.
func TestPythonList(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "cases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var templates []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "## ") {
			templates = append(templates, strings.ReplaceAll(strings.ReplaceAll(line, "␤", "\n"), "␉", "\t"))
		}
	}
	differ(t, templates)
}

// TestPythonRandom compares templates that a grammar makes.
func TestPythonRandom(t *testing.T) {
	n := 4000
	if testing.Short() {
		n = 500
	}
	var templates []string
	for i := range n {
		g := &maker{rand.New(rand.NewPCG(7, uint64(i)))}
		templates = append(templates, g.template(3))
	}
	differ(t, templates)
}

// maker makes random templates.
type maker struct{ *rand.Rand }

func (m *maker) pick(list ...string) string { return list[m.IntN(len(list))] }

func (m *maker) template(depth int) string {
	var b strings.Builder
	for range 1 + m.IntN(4) {
		b.WriteString(m.piece(depth))
	}
	return b.String()
}

// tag puts white-space marks and spaces around the inside of a tag.
func (m *maker) tag(inside string) string {
	return m.pick("", "", " ", "\n", "\n  ") + "{%" + m.pick("", "", "-", "+") + " " + inside + " " + m.pick("", "", "-", "+") + "%}" + m.pick("", "", " ", "\n", "\n\n")
}

func (m *maker) piece(depth int) string {
	if depth == 0 {
		return m.pick("text", " ", "\n", "a\n  b", "{# note #}", "\t{#- note -#}\n")
	}
	switch m.IntN(12) {
	case 0:
		return m.template(0)
	case 1:
		return m.tag("if "+m.expr(2)) + m.template(depth-1) + m.pick("", m.tag("elif "+m.expr(1))+m.template(depth-1)) + m.pick("", m.tag("else")+m.template(depth-1)) + m.tag("endif")
	case 2:
		loop := m.pick("", "", "{{ loop.index }}", "{{ loop.first }}{{ loop.last }}", "{{ loop.length }}", "{{ loop.previtem }}|{{ loop.nextitem }}", "{{ loop.revindex0 }}")
		return m.tag("for x in "+m.expr(1)+m.pick("", "", " if x", " if x is string", " if x != ns.v")) + "{{ x }}" + loop + m.template(depth-1) +
			m.pick("", "", "{% if loop.index > 1 %}{% break %}{% endif %}", "{% if x %}{% continue %}{% endif %}.") + m.pick("", m.tag("else")+m.template(depth-1)) + m.tag("endfor")
	case 3: // names that are not given: a macro that is called before its scope sets a given name does not see what was given
		return m.tag(m.pick("set x = ", "set y = ", "set a, b = ") + m.expr(2))
	case 4:
		return "{% set ns = namespace(v=" + m.expr(1) + ") %}" + m.tag("set ns.v = "+m.expr(1)) + "{{ ns.v }}"
	case 5:
		return m.tag("macro q(p, o="+m.expr(1)+")") + "{{ p }}{{ o }}" + m.template(depth-1) + m.tag("endmacro") + "{{ q(" + m.pick("", m.expr(1), m.expr(1)+", "+m.expr(1), "o=1, p="+m.expr(1)) + ") }}"
	case 6:
		return m.tag("set y") + m.template(depth-1) + m.tag("endset") + "{{ y" + m.pick("", "|trim", "|length") + " }}"
	case 7:
		return m.tag("generation") + m.template(depth-1) + m.tag("endgeneration")
	}
	return "{{" + m.pick("", "", "-", "+") + " " + m.expr(3) + " " + m.pick("", "-") + "}}"
}

func (m *maker) expr(depth int) string {
	if depth == 0 {
		return m.pick("s", "empty", "sp", "n", "z", "neg", "f", "g", "h", "t", "u", "nothing", "l", "m", "el", "d", "ed", "html", "msgs", "x", "y", "none", "true", "1", "2", "0", "-1", "1.5",
			"'a'", "'b, c'", "' '", `"it's"`, "[1, 'x', none]", "(1, 2)", "{'k': 1, 'j': [2]}", "[]", "'%s-%s'", "'é'", "msgs[0]", "msgs[2].tool_calls[0].function", "range(4)", "d.items()", "d.a", "d['zz']", "missing")
	}
	e := func() string { return m.expr(m.IntN(depth)) }
	switch m.IntN(16) {
	case 0:
		return "(" + e() + " " + m.pick("+", "-", "*", "/", "//", "%", "~") + " " + e() + ")"
	case 1:
		return "(" + e() + " " + m.pick("==", "!=", "<", ">", "<=", ">=", "in", "not in") + " " + e() + ")"
	case 2:
		return "(" + e() + " " + m.pick("and", "or") + " " + m.pick("", "not ") + e() + ")"
	case 3:
		return "(" + e() + " if " + e() + m.pick(" else "+e(), "") + ")"
	case 4:
		return e() + " is " + m.pick("", "not ") + m.pick("defined", "none", "string", "number", "integer", "float", "boolean", "mapping", "iterable", "sequence", "true", "odd", "even", "undefined", "lower", "callable",
			"divisibleby 2", "in [1, 'a']", "equalto(1)", "sameas none", "gt 1")
	case 5, 6, 7:
		return m.atom(depth) + "|" + m.pick("trim", "length", "join(', ')", "upper", "lower", "title", "capitalize", "default('D')", "default('D', true)", "first", "last", "list", "string", "int", "float", "abs", "sort",
			"unique|list", "reverse|list", "replace('a', 'bc')", "indent", "indent(2, true)", "dictsort", "items|list", "safe", "e", "tojson", "tojson(indent=2)", "round", "round(1)", "min", "max", "sum", "length",
			"map('upper')|list", "map(attribute='role')|list", "select|list", "select('string')|list", "rejectattr('role', 'equalto', 'user')|list|length", "selectattr('content')|map(attribute='content')|join('/')",
			"sort(reverse=true)", "sort(attribute='role')|map(attribute='role')|join", "tojson|safe", "join('-')|upper", "format(1, 2)", "string|length", "tojson(separators=(',', ':'), sort_keys=true)", "list|tojson")
	case 8, 9:
		return m.atom(depth) + "." + m.pick("strip()", "split()", "split(',')", "split('l', 1)", "upper()", "lower()", "title()", "replace('l', 'L')", "startswith('H')", "endswith(('d', 'x'))", "find('l')", "count('l')", "rstrip('d')",
			"lstrip()", "items()", "keys()", "values()", "get('a')", "get('q', 5)", "format(1, x=2)", "join(m)", "splitlines()", "role", "content", "index(1)", "append(1)", "rsplit(None, 1)", "partition(',')", "isdigit()", "zfill(4)", "a.b")
	case 10:
		return m.atom(depth) + "[" + m.pick("0", "-1", "1", "99", "'a'", "'role'", e()) + "]"
	case 11: // of variables only: what Jinja folds while it compiles has other errors
		return m.pick("s", "sp", "l", "m", "msgs", "range(9)", "n", "d", "x", "m|sort", "s.split()") + "[" + m.pick(":", "1:", ":-1", "::-1", "::2", "1:3", "-2:", "5:1:-2", "n:", ":"+m.pick("n", "neg", "f")) + "]"
	case 12:
		return "[" + e() + ", " + e() + "]"
	case 13:
		return "{" + m.pick("'a'", "1", "'é'") + ": " + e() + "}"
	}
	return m.expr(0)
}

// atom is an expression that filters and attributes bind to.
func (m *maker) atom(depth int) string {
	e := m.expr(m.IntN(depth))
	if strings.ContainsAny(e, " ") && !strings.HasPrefix(e, "(") {
		return "(" + e + ")"
	}
	return e
}

func ExampleTemplate_Render() {
	t, err := Parse("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}")
	if err != nil {
		panic(err)
	}
	messages := []any{map[string]any{"role": "user", "content": " What is 2 + 2? "}}
	fmt.Println(t.Render(context.Background(), map[string]any{"messages": messages}, Options{}))
	// Output: <user>What is 2 + 2? <nil>
}
