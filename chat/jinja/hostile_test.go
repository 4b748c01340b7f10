package jinja

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hostile are templates that would take for ever, or all memory, without a budget.
var hostile = map[string]string{
	"loops":             strings.Repeat("{% for i in range(100000) %}", 6) + "x" + strings.Repeat("{% endfor %}", 6),
	"empty loops":       strings.Repeat("{% for i in range(100000) %}", 4) + strings.Repeat("{% endfor %}", 4),
	"doubling":          "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s|length }}",
	"doubling by ~":     "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
	"doubling a list":   "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
	"doubling by join":  "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}",
	"doubling by block": "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}",
	"repeat":            "{{ 'x' * 1000000000000 }}",
	"repeat a list":     "{{ [1, 2] * 1000000000 }}",
	"repeat twice":      "{{ ('x' * 30000 * 30000)|length }}",
	"replace":           "{{ ('x' * 100000)|replace('x', 'y' * 100000) }}",
	"replace empty":     "{{ ('x' * 100000).replace('', 'y' * 100000) }}",
	"join":              "{{ ('x' * 100000).join('y' * 100000) }}",
	"pad":               "{{ 'x'.ljust(100000000000) }}",
	"zfill":             "{{ 'x'.zfill(10000000000) }}",
	"format width":      "{{ '{:1000000000}'.format(1) }}",
	"format precision":  "{{ '{:.999999999f}'.format(1.5) }}",
	"printf width":      "{{ '%1000000000d' % 1 }}",
	"format doubling":   "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}",
	"indent":            "{{ ('\n' * 100000)|indent(100000, blank=true) }}",
	"indent width":      "{{ 'a'|indent(1000000000000, true) }}",
	"json indent":       "{{ [[1]]|tojson(indent=1000000000) }}",
	"json separators":   "{{ ([1] * 100000)|tojson(separators=['x' * 100000, '']) }}",
	"shared tree":       "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
	"shared tree json":  "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}",
	"shared tree equal": "{% set a = namespace(s=[1]) %}{% set b = namespace(s=[1]) %}{% for i in range(60) %}{% set a.s = [a.s, a.s] %}{% set b.s = [b.s, b.s] %}{% endfor %}{{ a.s == b.s }}",
	"shared tree hash":  "{% set ns = namespace(s=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {ns.s: 1} }}",
	"deep value":        "{% set ns = namespace(s=[1]) %}{% for i in range(50000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
	"deep value equal":  "{% set a = namespace(s=[1]) %}{% set b = namespace(s=[1]) %}{% for i in range(20000) %}{% set a.s = [a.s] %}{% set b.s = [b.s] %}{% endfor %}{{ a.s == b.s }}",
	"deep value sorted": "{% set ns = namespace(s=[1]) %}{% for i in range(50000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ [ns.s, ns.s]|sort }}",
	"namespace in self": "{% set ns = namespace() %}{% set ns.n = ns %}{{ ns }}",
	"recursion":         "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
	"two macros":        "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
	"recursion tree":    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}",
	"caller recursion":  "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{% call f() %}x{% endcall %}",
	"kept scopes":       "{% set ns = namespace(m=[]) %}{% for i in range(100000) %}{% macro f() %}{{ i }}{% endmacro %}{% set ns.m = [ns.m, f] %}{% endfor %}",
	"map recursion":     "{% set ns = namespace(s=range(100000)|list) %}{% for i in range(100000) %}{% set ns.s = ns.s|map('string')|list %}{% endfor %}",
	"sort":              "{% for i in range(100000) %}{% set x = range(100000)|list|sort(reverse=true) %}{% endfor %}",
	"contains":          "{% set l = range(100000)|list %}{% for i in range(100000) %}{% if -1 in l %}{% endif %}{% endfor %}",
	"index characters":  "{% set s = 'é' * 100000 %}{% for i in range(100000) %}{% set x = s[99999] %}{% endfor %}",
	"long string scans": "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% if 'y' in s %}{% endif %}{% endfor %}",
	"upper":             "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% set x = s|upper|length %}{% endfor %}",
	"splits":            "{% set s = ',' * 1000000 %}{% for i in range(100) %}{% set x = s.split(',') %}{% endfor %}",
	"power":             "{{ 10 ** 1000000000 }}",
	"range":             "{{ range(1000000000000) }}",
	"output":            "{% set s = 'x' * 1000000 %}{% for i in range(1000) %}{{ s }}{% endfor %}",
	"unpacked":          "{{ dict(**{'a': 1}).get(*range(100000)) }}",
	"strftime":          "{{ strftime_now('%c' * 10000000) }}",
	"brackets":          "{{ " + strings.Repeat("(", 60000) + "1" + strings.Repeat(")", 60000) + " }}",
	"lists":             "{{ " + strings.Repeat("[", 120000),
	"nots":              "{{ " + strings.Repeat("not ", 30000) + "1 }}",
	"signs":             "{{ " + strings.Repeat("-", 100000) + "1 }}",
	"chain":             "{{ 1" + strings.Repeat("+1", 60000) + " }}",
	"chain of filters":  "{{ s" + strings.Repeat("|trim", 25000) + " }}",
	"chain of dots":     "{{ s" + strings.Repeat(".a", 60000) + " }}",
	"chain of ifs":      "{{ 1" + strings.Repeat(" if 1", 25000) + " }}",
	"chain of elses":    "{{ 1" + strings.Repeat(" if 0 else 1", 9000) + " }}",
	"nested ifs":        strings.Repeat("{% if 1 %}", 12000),
	"nested macros":     strings.Repeat("{% macro f() %}", 8000),
	"open tags":         strings.Repeat("{{", 60000),
	"open comments":     strings.Repeat("{#", 60000),
	"open raws":         strings.Repeat("{% raw %}", 12000),
	"too long":          strings.Repeat("x", maxSource+1),
}

// TestHostile: every one ends with an error that names a line, and those that parse because a budget was used up or a limit was met.
func TestHostile(t *testing.T) {
	for name, src := range hostile {
		_, err := renderText(src, nil)
		var e *Error
		if !errors.As(err, &e) || e.Line < 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, parse := Parse(src); parse == nil && !errors.Is(err, ErrBudget) && !strings.ContainsAny(err.Error(), "0123456789") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBudgets: each limit stops a template that needs a little more, and lets one pass that needs a little less.
func TestBudgets(t *testing.T) {
	ten := "{% for i in range(10) %}{{ 'abcdefghij' }}{% endfor %}"
	for _, c := range []struct {
		name string
		src  string
		less Limits
		more Limits
	}{
		{"steps", ten, Limits{Steps: 40}, Limits{Steps: 100}},
		{"memory", ten, Limits{Memory: 99}, Limits{Memory: 1000}},
		{"output", ten, Limits{Output: 99}, Limits{Output: 100}},
		{"depth", "{{ [[[[[1]]]]] }}", Limits{Depth: 6}, Limits{Depth: 8}},
		{"time", ten, Limits{Time: 1}, Limits{Time: time.Hour}},
	} {
		tmpl, err := Parse(c.src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tmpl.Render(context.Background(), nil, Options{Limits: c.less}); !errors.Is(err, ErrBudget) {
			t.Errorf("%s: %v, want ErrBudget", c.name, err)
		}
		if _, err := tmpl.Render(context.Background(), nil, Options{Limits: c.more}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tmpl, _ := Parse(ten)
	if _, err := tmpl.Render(ctx, nil, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestErrorLines: errors name the line on which the fault stands.
func TestErrorLines(t *testing.T) {
	for src, want := range map[string]string{
		"a\n\n{{ missing.x }}":                         "template line 3: 'missing' is undefined",
		"{% if 1 %}\n{{ 1 + 'a' }}\n{% endif %}":       "template line 2: + cannot be done with 'int' and 'str'",
		"\n{% nosuch %}":                               "template line 2: unknown tag 'nosuch'",
		"{{ 'a'|nosuch }}":                             "template line 1: no filter or test named 'nosuch'",
		"\n\n{{ 1":                                     "template line 3: a tag is not closed: }} is missing",
		"{# a\nb #}\n{{ raise_exception('no ' ~ 1) }}": "template line 3: no 1",
		"{% include 'x' %}":                            "template line 1: tag 'include' is not supported",
		"{% if 1 %}\n\nx":                              "template line 2: the tag before this has no endif",
		"{{\n\n[1,\n2].pop() }}":                       "template line 4: access to attribute 'pop' of 'list' object is unsafe",
		"{% macro f() %}\n{{ none.x.y }}{% endmacro %}\n{{ f() }}": "template line 2: 'NoneType' object has no attribute 'x'",
		"\xff": "template line 1: the template is not UTF-8",
	} {
		_, err := renderText(src, nil)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", src, err, want)
		}
	}
	var e *Error
	if _, err := renderText("{{ raise_exception('x') }}", nil); !errors.As(err, &e) || !e.Raised || e.Msg != "x" {
		t.Errorf("raise_exception: %v", err)
	}
}

// TestClock: strftime_now tells what Now gives.
func TestClock(t *testing.T) {
	tmpl, err := Parse("{{ strftime_now('%d %b %Y, %A %-d %e %j %I:%M:%S %p %y %B %F %H%%') }}")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2024, 7, 6, 15, 4, 5, 0, time.UTC) }
	got, err := tmpl.Render(context.Background(), nil, Options{Now: now})
	if want := "06 Jul 2024, Saturday 6  6 188 03:04:05 PM 24 July 2024-07-06 15%"; got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// FuzzRender: no panic, no budget overrun, the same result twice.
func FuzzRender(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "cases.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f.Add(line, valuesJSON)
	}
	for _, src := range hostile {
		if len(src) < 1000 {
			f.Add(src, "{}")
		}
	}
	limits := Limits{Steps: 20000, Memory: 1 << 20, Output: 1 << 16, Depth: 300, Time: time.Hour}
	now := func() time.Time { return time.Unix(0, 0).UTC() }
	f.Fuzz(func(t *testing.T, src, values string) {
		tmpl, err := Parse(src)
		if err != nil {
			return
		}
		vars := map[string]any{}
		if v, err := FromJSON([]byte(values)); err == nil {
			if d, ok := v.(*Dict); ok {
				for i, k := range d.keys {
					vars[k.(string)] = d.values[i]
				}
			}
		}
		a, err := tmpl.Render(context.Background(), vars, Options{Limits: limits, Now: now})
		b, err2 := tmpl.Render(context.Background(), vars, Options{Limits: limits, Now: now})
		if a != b || (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Errorf("%q, %v; again %q, %v", a, err, b, err2)
		}
		if len(a) > 1<<16 {
			t.Errorf("%d bytes of output", len(a))
		}
	})
}
