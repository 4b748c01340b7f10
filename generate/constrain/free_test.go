package constrain

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// calling is the language of free text with calls of f, whose argument is one of two.
func calling(t testing.TB, form CallForm, v *Vocabulary) *Constraint {
	t.Helper()
	form.Free = true
	g, err := ParseCalls(form, []Tool{{"f", `{"properties": {"x": {"enum": [1, 2]}}, "required": ["x"]}`}, {"g", ""}})
	return compile(t, g, err, v)
}

// TestFree: text is free until a mark, behind which a call stands; a mark of another form never comes.
func TestFree(t *testing.T) {
	v := byteVocabulary(t)
	hermes := CallForm{Open: "<call>", Close: "</call>", Arguments: "arguments", Closed: []string{"[C]"}}
	const f1 = `{"name": "f", "arguments": {"x": 1}}`
	for _, c := range []struct {
		form    CallForm
		yes, no []string
	}{
		{hermes, []string{"", "a", "\xff<", "<cal", "<<call", "a <call>" + f1 + "</call>", "<call>\n" + f1 + "\n</call>\n<call>" + `{"name": "g", "arguments": {"y": []}}` + "</call>", "{\"name\": 1}", "<c<call>" + f1 + "</call>", "[C", "[[C"},
			[]string{"<call>", "a<call>" + f1, "<call>x", "a <call>" + strings.Replace(f1, "1", "3", 1) + "</call>", "<call>" + f1 + "</call> and", "[C]", "a[[C]", "<call[C]", "<call>" + `{"name": "h", "arguments": {}}` + "</call>"}},
		{CallForm{Open: "[C]", List: true, Arguments: "arguments", Most: 1, Closed: []string{"<call>"}}, []string{"so [C][" + f1 + "]", "[C", "<call"}, []string{"[C][]", "[C]" + f1, "[C][" + f1 + ", " + f1 + "]", "<call>"}},
		{CallForm{Arguments: "parameters", Closed: []string{"<call>"}}, []string{"", " \n", "a {", " a", `{"name": "f", "parameters": {"x": 2}}`, " \n" + `{"name": "g", "parameters": {}}`, "\xff{"},
			[]string{"{", " {", `{"a": 1}`, `{"name": "f", "parameters": {"x": 3}}`, `{"name": "g", "parameters": {}} x`, "a<call>"}},
	} {
		m := calling(t, c.form, v)
		for _, s := range c.yes {
			if _, whole := accepts(t, m, s); !whole {
				t.Errorf("%+v: not %q", c.form, s)
			}
		}
		for _, s := range c.no {
			if _, whole := accepts(t, m, s); whole {
				t.Errorf("%+v: %q", c.form, s)
			}
		}
	}
}

// TestFreeTokens: a mark may be a control token, or spelled by tokens that begin before it and end behind it; other control tokens leave text free, unless
// they could be parts of a mark; a mask has what can be read.
func TestFreeTokens(t *testing.T) {
	texts := []string{"a<", "<ca", "ll>{", "ll>x", "call>\n", "\"}", "{\"", ": ", "</call>"}
	tokens := [][]byte{}
	for i := range 256 {
		tokens = append(tokens, []byte{byte(i)})
	}
	for _, s := range texts {
		tokens = append(tokens, []byte(s))
	}
	special := map[string]int32{}
	for _, name := range []string{"<call>", "<|end|>", "l><s>", "[C]", "x[", "<pad>"} {
		special[name] = int32(len(tokens))
		tokens = append(tokens, nil)
	}
	tokens = append(tokens, []byte(strings.Repeat("long", 200)))
	v, err := NewVocabulary(tokens, special)
	if err != nil {
		t.Fatal(err)
	}
	form := CallForm{Open: "<call>", Close: "</call>", Arguments: "arguments", Closed: []string{"[C]"}}
	c, spelled := calling(t, form, v), calling(t, form, byteVocabulary(t))
	rng := rand.New(rand.NewPCG(5, 6))
	called := 0
	for range 300 {
		m, text := c.Start(), ""
		for range 200 {
			mask, err := m.Mask([]int32{special["<|end|>"]})
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			inside, next := strings.Contains(text, "<call>"), strings.HasSuffix(strings.TrimRight(text, "\n"), "</call>")
			if mask.Has(int32(len(tokens) - 1)) {
				t.Fatal("a token that is longer than any may be is allowed")
			}
			for name, id := range special {
				if want := !inside && (name == "<call>" || name == "<pad>") || inside && next && name == "<call>" && !strings.HasSuffix(text, "\n\n") || name == "<|end|>" && m.Complete(); mask.Has(id) != want {
					t.Fatalf("%q: the control token %s is %v", text, name, mask.Has(id))
				}
			}
			id := int32(256 + rng.IntN(len(tokens)-256))
			if rng.IntN(4) == 0 {
				id = int32(rng.IntN(256))
			}
			for !mask.Has(id) {
				id = (id + 1) % int32(len(tokens))
			}
			if id == special["<|end|>"] {
				break
			}
			text += string(tokens[id])
			for name, of := range special { // what a reader of the text is shown
				if of == id {
					text += name
				}
			}
			if err := m.Advance(id); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(text, "<call>") {
			called++
		}
		if prefix, _ := accepts(t, spelled, text); !prefix {
			t.Fatalf("%q is not read byte by byte", text)
		}
	}
	if called < 20 {
		t.Errorf("%d texts of 300 have calls", called)
	}
}
