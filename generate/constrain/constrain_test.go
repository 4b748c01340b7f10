package constrain

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// byteVocabulary has all bytes, some texts, and <s>, </s> as control tokens.
func byteVocabulary(t testing.TB, texts ...string) *Vocabulary {
	t.Helper()
	tokens := make([][]byte, 256)
	for i := range tokens {
		tokens[i] = []byte{byte(i)}
	}
	for _, s := range texts {
		tokens = append(tokens, []byte(s))
	}
	n := int32(len(tokens))
	v, err := NewVocabulary(append(tokens, nil, nil), map[string]int32{"<s>": n, "</s>": n + 1})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func compile(t testing.TB, g *Grammar, err error, v *Vocabulary) *Constraint {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// accepts reads s byte by byte. prefix says that s is read, whole that it may end there.
func accepts(t testing.TB, c *Constraint, s string) (prefix, whole bool) {
	t.Helper()
	m := c.Start()
	for _, b := range []byte(s) {
		mask, err := m.Mask(nil)
		if err != nil && !strings.Contains(err.Error(), "goes on here") {
			t.Fatal(err)
		}
		if !mask.Has(int32(b)) {
			return false, false
		}
		if err := m.Advance(int32(b)); err != nil {
			t.Fatal(err)
		}
	}
	return true, m.Complete()
}

// words tells all strings over an alphabet up to a length.
func words(alphabet string, n int, told func(string)) {
	told("")
	for level := []string{""}; n > 0; n-- {
		var next []string
		for _, w := range level {
			for _, r := range alphabet {
				next = append(next, w+string(r))
				told(w + string(r))
			}
		}
		level = next
	}
}

// TestRegexp: the language is that of Go's regexp, and what is read is what some word of the language begins with.
func TestRegexp(t *testing.T) {
	v := byteVocabulary(t)
	for _, pattern := range []string{"", "a", "ab*c", "(a|b)*a(a|b)", "a{2,4}b{0,2}", "(a?){3}b", "(ab|a)(bc|c)?", "((a*)*)*b", "(a|ab|abc)+", "[^a]b", "(?i)aB", ".c", "^a+$", "(a{1,2}){2,3}c", "a{3,}b?", "(|a)(b|)", "(a*b*){0,2}c", "(?s).{2}", "^a|bc$", "(^(a$|b$))"} {
		g, err := ParseRegexp(pattern)
		c := compile(t, g, err, v)
		re := regexp.MustCompile("^(?s:" + "(?-s:" + pattern + "))$")
		begins := map[string]bool{}
		const long = 7
		words("abc\n", long, func(w string) {
			if re.MatchString(w) {
				for i := range len(w) + 1 {
					begins[w[:i]] = true
				}
			}
		})
		words("abc\n", 4, func(w string) {
			prefix, whole := accepts(t, c, w)
			if whole != re.MatchString(w) {
				t.Errorf("%q: whole %q is %v", pattern, w, whole)
			}
			if begins[w] && !prefix {
				t.Errorf("%q: %q is not read", pattern, w)
			}
			if prefix && !begins[w] && !strings.Contains(pattern, "[^") && !strings.Contains(pattern, ".") {
				t.Errorf("%q: %q is read and leads nowhere", pattern, w)
			}
		})
	}
	for _, pattern := range []string{"(", `\bword`, "a^b", "a{1001}", "(a$|b)c", "(^a)*b", strings.Repeat("a", maxPattern+1)} {
		if _, err := ParseRegexp(pattern); err == nil {
			t.Errorf("%.20q is taken", pattern)
		}
	}
}

// TestMasks: at every place of random texts the mask has exactly the tokens whose bytes can be read one by one, however the grammar nests, repeats and
// is ambiguous, and whether or not the cache was renewed before.
func TestMasks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for range 300 {
		var b strings.Builder
		for range 1 + rng.IntN(6) {
			b.WriteByte("abc()[],\"xé\xc3\xa9"[rng.IntN(14)])
		}
		texts = append(texts, b.String())
	}
	v := byteVocabulary(t, append(texts, strings.Repeat("a", 9), "é", "éa", "\xa9\"")...)
	for _, source := range []string{
		`root ::= "(" item ("," item)* ")"` + "\n" + `item ::= [abc]+ | root | "\"" [^"\\]* "\""`,
		`root ::= a{3,40} "x"` + "\n" + `a ::= "a" | "é" | "(" [bc]{2} ")"`,
		`root ::= (("a" | "b"){2,20} "c"){1,9} "]"`,
		`root ::= "a" root "a" | "b" | "a"`,
		`root ::= ("(" t ")" | "[" t "]"){0,30}` + "\n" + `t ::= "a"* | t2` + "\n" + `t2 ::= "ab" t3 | "b"` + "\n" + `t3 ::= t2 | "c" t2 "c"`,
		`root ::= ([a-c] | "é" | "\"" [^"]{0,25} "\"")*`,
		`root ::= (("a"? "b"?){0,12} ","){2}`,
	} {
		g, err := ParseGBNF(source)
		c := compile(t, g, err, v)
		for run := range 40 {
			m := c.Start()
			for step := range 60 {
				if rng.IntN(20) == 0 {
					c.shared.cache = nil
				}
				may, must := m.Complete(), m.Ended()
				mask, err := m.Mask([]int32{int32(v.Len() - 1)})
				if err != nil {
					t.Fatalf("%s: run %d, step %d: %v", source, run, step, err)
				}
				var allowed []int32
				for id := range int32(v.Len() - 2) {
					next, err := m.cache.advance(m.state, id)
					if err != nil {
						t.Fatal(err)
					}
					if want := next != stateDead; mask.Has(id) != want {
						t.Fatalf("%s: token %q is %v in the mask, reads %v", source, v.tokens[id], mask.Has(id), want)
					}
					if mask.Has(id) {
						allowed = append(allowed, id)
					}
				}
				if mask.Has(int32(v.Len()-1)) != may || mask.Has(int32(v.Len()-2)) {
					t.Fatalf("%s: control tokens are wrong", source)
				}
				if must != (len(allowed) == 0) {
					t.Fatalf("%s: must end is %v with %d tokens", source, must, len(allowed))
				}
				if must {
					break
				}
				if err := m.Advance(allowed[rng.IntN(len(allowed))]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestUTF8: the ranges of bytes of a class are its characters' encodings and no others.
func TestUTF8(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		lo := rune(rng.IntN(0x3000))
		if rng.IntN(2) == 0 {
			lo = rune(rng.IntN(0x11000))
		}
		spans := tidy([]span{{lo, lo + rune(rng.IntN(0x900))}, {0x10FFF0, 0x10FFFF}})
		var have []string
		for _, s := range spans {
			utf8Spans(s, func(list []byteSpan) {
				words := []string{""}
				for _, b := range list {
					var next []string
					for _, w := range words {
						for c := b.lo; c <= b.hi; c++ {
							next = append(next, w+string([]byte{byte(c)}))
						}
					}
					words = next
				}
				have = append(have, words...)
			})
		}
		var want []string
		for _, s := range spans {
			for r := s.lo; r <= s.hi; r++ {
				want = append(want, string(r))
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Fatalf("%v: %d encodings for %d characters", spans, len(have), len(want))
		}
	}
}

// TestRefusals: what no text satisfies, what begins with itself and what the vocabulary cannot spell is told by rule.
func TestRefusals(t *testing.T) {
	full := byteVocabulary(t)
	ab, err := NewVocabulary([][]byte{[]byte("a"), []byte("bé"), []byte("b"), []byte("ü")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source string
		v      *Vocabulary
		want   string
	}{
		{`root ::= "a" root`, full, "root: nothing satisfies it, or it never ends"},
		{"root ::= x\nx ::= (x \"a\")? \"b\"", full, "x: it begins with itself"},
		{"root ::= y x\ny ::= \"\"*\nx ::= y root | \"a\"", full, "begins with itself"},
		{`root ::= "abc"`, ab, `root: the vocabulary cannot spell "abc"`},
		{`root ::= "abé"`, ab, `cannot spell "abé"`},
		{`root ::= [x-z]`, ab, "cannot spell a character of 'x' to 'z'"},
		{"root ::= " + strings.Repeat("[^a]{60000} ", 9), full, "too large"},
	} {
		g, err := ParseGBNF(c.source)
		if err == nil {
			_, err = g.Compile(c.v)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %s", c.source, err, c.want)
		}
	}
	g, err := ParseGBNF(`root ::= [a-zü] | "b"+`)
	if c := compile(t, g, err, ab); c != nil {
		if mask, err := c.Start().Mask(nil); err != nil || !mask.Has(0) || mask.Has(1) || !mask.Has(2) || !mask.Has(3) {
			t.Errorf("mask %b, %v", mask, err)
		}
	}
}

// TestSpecial: a grammar asks for a control token by name, and text never spells one.
func TestSpecial(t *testing.T) {
	v := byteVocabulary(t)
	g := &Grammar{rules: []rule{{"root", seq(&expr{op: opToken, text: "<s>"}, text("a"), &expr{op: opToken, text: "<none>"})}}}
	m := compile(t, g, nil, v).Start()
	for _, id := range append([]int32{256, 'a'}, []int32{'<', 'n', 'o', 'n', 'e', '>'}...) {
		mask, err := m.Mask(nil)
		if err != nil || !mask.Has(id) {
			t.Fatalf("%d is not allowed: %v", id, err)
		}
		if err := m.Advance(id); err != nil {
			t.Fatal(err)
		}
	}
	if !m.Ended() {
		t.Error("something can follow")
	}
}
