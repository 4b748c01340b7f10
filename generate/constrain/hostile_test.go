package constrain

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// hostileSources are sources that cost much where something is not bounded, by notation and name.
func hostileSources() map[string]map[string]string {
	rep := strings.Repeat
	list := func(n int, sep string, of func(i int) string) string {
		var parts []string
		for i := range n {
			parts = append(parts, of(i))
		}
		return strings.Join(parts, sep)
	}
	properties := func(n int, prefix string) string {
		return `{"type": "object", "properties": {` + list(n, ",", func(i int) string { return fmt.Sprintf(`"%s%d": {}`, prefix, i) }) + `}}`
	}
	return map[string]map[string]string{
		"schema": {
			"refers to itself":        `{"type":"object","$ref":"#"}`,
			"refers to itself by way": `{"type":"object","$ref":"#/$defs/a","$defs":{"a":{"minProperties":0,"$ref":"#/$defs/b"},"b":{"required":[],"$ref":"#/$defs/a"}}}`,
			"allOf itself":            `{"allOf":[{"$ref":"#"},{"$ref":"#"}]}`,
			"allOf in itself":         `{"type":"object","properties":{"a":{"allOf":[{"$ref":"#"},{"$ref":"#/properties/a"}]}}}`,
			"anyOf itself":            `{"type":"object","anyOf":[{"$ref":"#"},{"$ref":"#"}]}`,
			"5,000 references":        `{"$defs":{"x":{"type":"null"}},"prefixItems":[` + list(5000, ",", func(int) string { return `{"$ref":"#/$defs/x"}` }) + `]}`,
			"a chain of references":   `{"$ref":"#/$defs/x0","$defs":{` + list(2000, ",", func(i int) string { return fmt.Sprintf(`"x%d":{"type":"object","$ref":"#/$defs/x%d"}`, i, i+1) }) + `,"x2000":{}}}`,
			"doubled by allOf": `{"$ref":"#/$defs/x0","$defs":{` + list(30, ",", func(i int) string {
				return fmt.Sprintf(`"x%d":{"allOf":[{"$ref":"#/$defs/x%d"},{"$ref":"#/$defs/x%d"}]}`, i, i+1, i+1)
			}) + `,"x30":{"type":"null"}}}`,
			"doubled by anyOf": `{"$ref":"#/$defs/x0","$defs":{` + list(30, ",", func(i int) string {
				return fmt.Sprintf(`"x%d":{"type":"object","anyOf":[{"$ref":"#/$defs/x%d"},{"$ref":"#/$defs/x%d"}]}`, i, i+1, i+1)
			}) + `,"x30":{"type":"null"}}}`,
			"anyOf times anyOf":        `{"allOf":[` + list(12, ",", func(int) string { return `{"anyOf":[{"minLength":1},{"maxLength":9},{"type":"null"}]}` }) + `]}`,
			"many properties":          properties(8000, "p"),
			"many required":            `{"required":[` + list(13000, ",", func(i int) string { return fmt.Sprintf(`"r%d"`, i) }) + `]}`,
			"properties joined":        `{"allOf":[` + properties(4000, "a") + "," + properties(4000, "b") + `]}`,
			"properties joined often":  `{"allOf":[` + list(100, ",", func(i int) string { return properties(70, fmt.Sprintf("q%dx", i)) }) + `]}`,
			"additional to many":       `{"additionalProperties":{},"properties":{` + list(8000, ",", func(i int) string { return fmt.Sprintf(`"n%d":{}`, i*7919%100003) }) + `}}`,
			"additional to long names": `{"additionalProperties":{},"properties":{"` + rep("a", 60000) + `":{},"` + rep("a", 59999) + `b":{}}}`,
			"a large enum":             `{"enum":[` + list(14000, ",", func(i int) string { return fmt.Sprintf(`"e%d"`, i) }) + `]}`,
			"enums joined":             `{"allOf":[{"enum":[` + list(8000, ",", func(i int) string { return fmt.Sprint(i) }) + `]},{"enum":[` + list(8000, ",", func(i int) string { return fmt.Sprint(8000 + i) }) + `]}]}`,
			"deep items":               rep(`{"items":`, 60) + `{}` + rep(`}`, 60),
			"deep counted items":       rep(`{"type":"array","maxItems":9,"items":`, 60) + `{}` + rep(`}`, 60),
			"counted in counted":       rep(`{"type":"array","minItems":65536,"items":`, 12) + `{"type":"null"}` + rep(`}`, 12),
			"long strings":             `{"prefixItems":[` + list(2000, ",", func(int) string { return `{"type":"string","maxLength":65536}` }) + `]}`,
			"many patterns":            `{"anyOf":[` + list(2500, ",", func(i int) string { return `{"pattern":"\\pL{9}\\PL{9}(?i)\\w+"}` }) + `]}`,
			"many formats":             `{"anyOf":[` + list(7000, ",", func(i int) string { return `{"format":"uri"}` }) + `]}`,
			"many bounds":              `{"anyOf":[` + list(1700, ",", func(i int) string { return `{"type":"integer","minimum":-123456789012345,"maximum":987654321098765}` }) + `]}`,
			"a long reference":         `{"$ref":"#` + rep("/properties", 11000) + `"}`,
			"references through many":  `{"properties":{` + list(3000, ",", func(i int) string { return fmt.Sprintf(`"k%d":{"$ref":"#/properties/k%d"}`, i, (i+1)%3000) }) + `}}`,
			"later properties, optional": `{"properties":{` + list(1900, ",", func(i int) string {
				return fmt.Sprintf(`"k%d":{"type":"object","properties":{"a":{},"b":{},"c":{}}}`, i)
			}) + `}}`,
			"a const of the largest size": `{"const":[` + list(16000, ",", func(i int) string { return `{}` }) + `]}`,
		},
		"regex": {
			"a plus of a plus":         `(a+)+b`,
			"a thousand by a thousand": `(a|b|c){1000}`,
			"nested stars":             `((((((((((a*)*)*)*)*)*)*)*)*)*)*`,
			"nested counts":            `((a{30}){30}b?){1}`,
			"ambiguous":                `(a|a)*(a|a)*(a|aa)*(a|aaa)*b`,
			"optional many":            rep("a?", 1000) + rep("a", 1000),
			"many letters":             rep(`\pL`, maxClasses),
			"many letters, any case":   `(?i)` + rep(`\pL`, maxClasses),
			"any case, wide ranges":    `(?i)` + rep("[\\x{42}-\\x{1E940}]", maxPattern/20),
			"any case, many words":     `(?i)` + rep("k", maxPattern-4),
			"many alternatives":        list(maxPattern/4, "|", func(i int) string { return fmt.Sprintf("%03x", i%4096) }),
			"dots":                     rep(".{9}", maxPattern/4),
			"counted classes":          rep(`[^a]{900}`, 300),
			"deep":                     rep("(", 900) + "a" + rep(")", 900),
			"deep repeats":             rep("(", 300) + "a" + rep(")?", 300),
			"deep alternatives":        rep("(a|b", 900) + rep(")", 900),
			"any case, a few wide":     `(?i)[\x{42}-\x{1E940}][^a-\x{1E940}]x`,
			"hex ranges":               rep("[\\x{0}-\\x{10FFFF}]", maxPattern/20),
		},
		"grammar": {
			"left recursion":           `root ::= root`,
			"left recursion, two ways": `root ::= root "a" | "a"`,
			"right recursion":          "root ::= \"a\" root | \"b\"",
			"ambiguous":                "root ::= root2 root2 | root2\nroot2 ::= \"a\" root | \"a\"",
			"ways back":                "root ::= x x x x x x x x\nx ::= y?\ny ::= \"a\" x x x",
			"a chain, last first":      "root ::= r0\n" + list(4000, "\n", func(i int) string { return fmt.Sprintf("r%d ::= r%d", i, i+1) }) + "\nr4000 ::= \"a\"",
			"a chain, first last":      list(4000, "\n", func(i int) string { return fmt.Sprintf("r%d ::= r%d", i+1, i) }) + "\nr0 ::= \"a\"\nroot ::= r4000",
			"a rule that names all":    "root ::= " + list(4000, " ", func(i int) string { return fmt.Sprintf("r%d", i) }) + "\n" + list(4000, "\n", func(i int) string { return fmt.Sprintf("r%d ::= \"a\"", i) }),
			"all rules name all": list(150, "\n", func(i int) string {
				return fmt.Sprintf("r%d ::= ", i) + list(150, " ", func(j int) string { return fmt.Sprintf("r%d", j) }) + ` | "a"`
			}) + "\nroot ::= r0",
			"doubled":                list(60, "\n", func(i int) string { return fmt.Sprintf("r%d ::= r%d r%d", i, i+1, i+1) }) + "\nr60 ::= \"a\"\nroot ::= r0",
			"counts in counts":       "root ::= " + rep("(", 12) + `"a"` + rep("){65536}", 12),
			"counted choice":         `root ::= ("a" | "b" | [c-f] "g"){65536}`,
			"many classes":           "root ::= " + rep("[^a] ", maxSource/5-10),
			"a large class":          "root ::= [" + list(maxSource/8-10, "", func(i int) string { return fmt.Sprintf("\\u%04x", 2*i%0xD000+0x100) }) + "]",
			"a text":                 `root ::= "` + rep("a", maxSource-20) + `"`,
			"texts":                  "root ::= " + list(maxSource/12, " | ", func(i int) string { return fmt.Sprintf(`"%06x"`, i*7919%1000003) }),
			"texts that begin alike": `root ::= "` + rep("a", maxSource/2-20) + `" | "` + rep("a", maxSource/2-20) + `"`,
			"deep brackets":          "root ::= " + rep("(", 190) + `"a"` + rep(" | \"b\")", 190),
			"empty repeats":          "root ::= " + rep(`""* `, maxSource/4-10),
			"many optional":          "root ::= " + rep(`"a"? `, maxSource/5-10),
			"comments":               rep("#\n", maxSource/2-10) + "root ::= \"a\"",
		},
	}
}

// TestHostileSources: what a source costs is bounded, by the bytes that are taken for it, whether it is compiled or refused; so is the first token, and refusals are errors.
func TestHostileSources(t *testing.T) {
	var texts []string
	for i := range 2000 {
		texts = append(texts, fmt.Sprintf("%x", i*7919), strings.Repeat(" ", i%30)+`"`+fmt.Sprint(i))
	}
	v := byteVocabulary(t, texts...)
	parse := map[string]func(string) (*Grammar, error){"schema": ParseSchema, "regex": ParseRegexp, "grammar": ParseGBNF}
	compiled, refused := 0, 0
	for kind, sources := range hostileSources() {
		for name, source := range sources {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			g, err := parse[kind](source)
			var c *Constraint
			if err == nil {
				c, err = g.Compile(v)
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 96<<20 {
				t.Errorf("%s %q takes %d MB", kind, name, took>>20)
			}
			if err != nil {
				refused++
				continue
			}
			compiled++
			m := c.Start()
			for range 3 {
				mask, err := m.Mask([]int32{int32(v.Len() - 1)})
				if err != nil && !errors.Is(err, ErrComplex) {
					t.Errorf("%s %q: %v", kind, name, err)
				}
				if err != nil || m.Ended() {
					break
				}
				id := int32(0)
				for !mask.Has(id) {
					id++
				}
				if int(id) == v.Len()-1 {
					break
				}
				if err := m.Advance(id); err != nil && !errors.Is(err, ErrComplex) {
					t.Errorf("%s %q: %v", kind, name, err)
				}
				if m.cache.effort > maxEffort+maxStacks*frameCost {
					t.Errorf("%s %q: a token takes %d steps", kind, name, m.cache.effort)
				}
			}
		}
	}
	t.Logf("%d are compiled, %d refused", compiled, refused)
}
