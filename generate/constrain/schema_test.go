package constrain

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// schemas are what samples are drawn of.
var schemas = []string{
	`true`,
	`{"type": "object"}`,
	`{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 130}, "tags": {"type": "array", "items": {"enum": ["a", "b\"c", 3, null, {"x": [1, "é"]}]}, "minItems": 1, "maxItems": 3}}, "required": ["name", "age"], "additionalProperties": false}`,
	`{"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"const": "x"}, "c": {"type": "null"}}, "additionalProperties": {"type": "integer"}, "required": ["b", "zz"]}`,
	`{"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"value": {"type": "number"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["value", "next"], "additionalProperties": false}}}`,
	`{"type": "object", "minProperties": 1, "properties": {"a": {"type": "string", "format": "color", "maxLength": 2}, "b": {"allOf": [{"type": "integer", "format": "int32"}, {"format": "int64"}]}}}`,
	`{"type": "object", "minProperties": 1, "additionalProperties": {"type": "boolean"}}`,
	`{"type": "object", "minProperties": 2, "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"enum": [1], "format": "x"}}, "required": ["a", "b"]}`,
	`{"type": "array", "prefixItems": [{"type": "string", "format": "date"}, {"type": "string", "format": "ipv4"}], "items": {"type": "string", "format": "uuid"}, "minItems": 1, "maxItems": 4}`,
	`{"type": "array", "items": {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "email"}, {"type": "integer", "exclusiveMinimum": -12, "exclusiveMaximum": 105}, {"type": "number", "minimum": -3, "maximum": 20, "exclusiveMaximum": 2}]}}`,
	`{"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"kind": {"enum": ["x", "y"]}, "n": {"type": "integer", "minimum": 3}}, "required": ["kind"]}], "$defs": {"base": {"type": "object", "properties": {"kind": {"type": "string"}, "n": {"type": ["integer", "null"], "maximum": 9}}}}}`,
	`{"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}(\"|\\n|[^a-z])?$"}, "any": {"type": "string", "pattern": "ab+c"}, "t": {"type": "string", "format": "time"}}, "required": ["any"], "anyOf": [{"required": ["code"]}, {"required": ["t"]}]}`,
	`{"type": ["string", "integer"], "minLength": 2, "maxLength": 5}`,
}

// sample draws tokens that the mask allows; near the end those that close brackets. The text is "" where it did not end.
func sample(t testing.TB, c *Constraint, rng *rand.Rand) string {
	t.Helper()
	eos := int32(c.Vocab() - 1)
	m := c.Start()
	var text []byte
	for step := range 600 {
		mask, err := m.Mask([]int32{eos})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if mask.Has(eos) && (step > 60 || rng.IntN(3) == 0) {
			return string(text)
		}
		var allowed []int32
		for id := range eos {
			if mask.Has(id) {
				allowed = append(allowed, id)
				if step > 60 && strings.ContainsAny(string(c.vocab.tokens[id]), `"]}n0`) {
					allowed = append(allowed, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id)
				}
			}
		}
		if len(allowed) == 0 {
			return string(text)
		}
		id := allowed[rng.IntN(len(allowed))]
		if err := m.Advance(id); err != nil {
			t.Fatal(err)
		}
		text = append(text, c.vocab.tokens[id]...)
	}
	return ""
}

// TestSamples: a thousand random texts that ended are JSON; with PLINTH_PYTHON jsonschema finds them valid.
func TestSamples(t *testing.T) {
	v := byteVocabulary(t, `{"`, `":`, `": "`, `",`, `", "`, `"}`, "12", "true", "null", " \"name\"", "\"name", "é日", "abc", "}}", "]}", "\\u00e9", "\\n")
	rng := rand.New(rand.NewPCG(5, 6))
	type job struct {
		Schema json.RawMessage `json:"schema"`
		Texts  []string        `json:"texts"`
	}
	var jobs []job
	ended := 0
	for _, source := range schemas {
		g, err := ParseSchema(source)
		c := compile(t, g, err, v)
		j := job{Schema: json.RawMessage(source)}
		for range 130 {
			if text := sample(t, c, rng); text != "" {
				if !json.Valid([]byte(text)) {
					t.Errorf("%s: %s is no JSON", source, text)
				}
				j.Texts = append(j.Texts, text)
			}
		}
		if len(j.Texts) < 50 {
			t.Errorf("%s: %d of 130 texts ended", source, len(j.Texts))
		}
		ended += len(j.Texts)
		jobs = append(jobs, j)
	}
	t.Logf("%d texts ended", ended)
	var answer struct{ Errors []string }
	testkit.Ask(t, "testdata/validate.py", []string{"jsonschema"}, map[string]any{"jobs": jobs}, &answer)
	for _, e := range answer.Errors {
		t.Error(e)
	}
}

// TestSchema: what is written of values that satisfy a schema, and what is not.
func TestSchema(t *testing.T) {
	v := byteVocabulary(t)
	for _, c := range []struct {
		schema  string
		yes, no []string
	}{
		{`{}`, []string{`{}`, `[1, "a", null]`, `{"a": {"b": [-0.5e-10, true]}}`, `"\ud83d\ude00\u00e9"`, "[\n  1\n]", `{"a":1,"a":2}`}, []string{`01`, `"\ud83d"`, `"\ude00"`, `[1,]`, ` 1`, `tru`, "\"\n\"", `{1: 2}`, `[1  ]`}},
		{`{"properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {}}}`, []string{`{}`, `{ }`, `{"a": 1}`, `{"b": ""}`, `{"a": 1, "c": []}`, `{"a": 1, "b": "x", "c": 1}`}, []string{`{"b": "", "a": 1}`, `{"d": 1}`, `[]`, `{"a": 1,}`, `{, "b": ""}`}},
		{`{"properties": {"a": true, "b": true, "c": true}, "required": ["b"]}`, []string{`{"b": 1}`, `{"a":1,"b":1}`, `{"b":1,"c":1}`, `{"a":1,"b":1,"c":1}`}, []string{`{}`, `{"a":1}`, `{"c":1}`, `{"a":1,"c":1}`}},
		{`{"properties": {"ab": {"type": "null"}}, "additionalProperties": {"type": "integer"}}`, []string{`{"ab": null, "a": 1, "abc": 2, "b": 3}`, `{"": 1}`, `{}`}, []string{`{"ab": 1}`, `{"a": null}`, `{"ab": null, "ab": 1}`, `{"a": 1, "ab": null}`}},
		{`{"required": ["x"]}`, []string{`{"x": [1]}`, `{"x": 1, "y": 2}`}, []string{`{}`, `{"y": 2}`}},
		{`{"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": false}`, []string{`[]`, `[1]`, `[1, 2]`}, []string{`[2]`, `[1, 2, 3]`}},
		{`{"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "minItems": 2, "maxItems": 3, "items": {"const": 3}}`, []string{`[1, 2]`, `[1, 2, 3]`}, []string{`[]`, `[1]`, `[1, 2, 3, 3]`}},
		{`{"type": "array", "items": {"const": 1}, "maxItems": 0}`, []string{`[]`}, []string{`[1]`}},
		{`{"type": "array", "items": {"const": 1}, "minItems": 2}`, []string{`[1, 1]`, `[1, 1, 1, 1]`}, []string{`[]`, `[1]`}},
		{`{"type": "string", "minLength": 2, "maxLength": 3}`, []string{`"ab"`, `"aéc"`, `"\n\ud83d\ude00😀"`}, []string{`"a"`, `"abcd"`}},
		{`{"type": "string", "pattern": "^a\\d|\"$"}`, []string{`"a1"`, `"a1xyz\n"`, `"zz\""`}, []string{`"b1"`, `""`, `"a"`}},
		{`{"type": "string", "nullable": true, "enum": ["x"]}`, []string{`"x"`, `null`}, []string{`"y"`}},
		{`{"type": "integer", "enum": [1, 1.5, "x"]}`, []string{`1`}, []string{`1.5`, `"x"`}},
		{`{"enum": ["a", "b", "c"], "allOf": [{"enum": ["b", "c", "d"]}], "anyOf": [{"const": "c"}, {"const": "d"}]}`, []string{`"c"`}, []string{`"a"`, `"b"`, `"d"`}},
		{`{"allOf": [{"type": ["integer", "string"]}, {"type": ["number", "null"]}], "minimum": 2}`, []string{`2`, `30`}, []string{`1`, `"a"`, `null`, `2.5`}},
		{`{"allOf": [{"properties": {"a": {"type": "integer"}}, "additionalProperties": false, "type": "object"}, {"properties": {"a": {"maximum": 1}, "b": {}}}]}`, []string{`{"a": 1}`, `{}`}, []string{`{"b": 1}`, `{"a": 2}`}},
		{`{"type": "number", "minimum": 0, "maximum": 1}`, []string{`0`, `0.5`, `1`, `1.0`}, []string{`1.5`, `-0.5`, `2`, `1.01`}},
		{`{"type": "number", "exclusiveMinimum": 0}`, []string{`0.5`, `0.001`, `3`, `12.5`}, []string{`0`, `0.0`, `-1`}},
		{`{"$defs": {"a/b": {"type": "array", "items": {"$ref": "#/$defs/a~1b"}}}, "$ref": "#/$defs/a~1b"}`, []string{`[]`, `[[], [[]]]`}, []string{`[1]`}},
	} {
		g, err := ParseSchema(c.schema)
		m := compile(t, g, err, v)
		for _, s := range c.yes {
			if _, whole := accepts(t, m, s); !whole {
				t.Errorf("%s: not %s", c.schema, s)
			}
		}
		for _, s := range c.no {
			if _, whole := accepts(t, m, s); whole {
				t.Errorf("%s: %s", c.schema, s)
			}
		}
	}
}

// TestIntegerRanges compares all integers of some digits with arithmetic.
func TestIntegerRanges(t *testing.T) {
	v := byteVocabulary(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		lo := rng.IntN(2400) - 1200
		hi := lo + rng.IntN(1500)
		bounds := []string{fmt.Sprintf(`"minimum": %d, "exclusiveMaximum": %d`, lo, hi+1), fmt.Sprintf(`"exclusiveMinimum": %d.5`, lo-1), fmt.Sprintf(`"maximum": %d.25`, hi)}
		for i, b := range bounds {
			g, err := ParseSchema(`{"type": "integer", ` + b + `}`)
			c := compile(t, g, err, v)
			for n := -1300; n < 2800; n += 1 + rng.IntN(13) {
				want := (n >= lo || i == 2) && (n <= hi || i == 1)
				if i == 2 && hi < 0 { // -1.25: up to -2
					want = n < hi
				}
				if i == 1 && lo-1 < 0 { // -3.5: from -3 on
					want = n >= lo-1
				}
				if _, whole := accepts(t, c, fmt.Sprint(n)); whole != want {
					t.Fatalf("%s: %d is %v", b, n, whole)
				}
			}
		}
	}
}

// TestSchemaErrors: what is not supported is named with its place.
func TestSchemaErrors(t *testing.T) {
	v := byteVocabulary(t)
	for source, want := range map[string]string{
		``:                                    "unexpected EOF",
		`[]`:                                  "#: a schema is an object or a boolean",
		`{`:                                   "byte 1",
		`{} 1`:                                "stands behind",
		`{"type": "object", "type": "array"}`: `"type" appears twice`,
		`{"type": "text"}`:                    `#/type: there is no type "text"`,
		`{"properties": {"a/b": {"type": "string", "minlength": 3}}}`:      "#/properties/a~1b/minlength: this keyword is not supported",
		`{"not": {"type": "string"}}`:                                      "#/not: this keyword is not supported",
		`{"items": {"uniqueItems": true}}`:                                 "#/items/uniqueItems",
		`{"properties": {"a": {"$ref": "#/$defs/x"}}}`:                     `#/properties/a/$ref: there is nothing in the schema at "#/$defs/x"`,
		`{"$ref": "https://example.org/x"}`:                                "nothing in the schema",
		`{"format": "regex"}`:                                              `#/format: "regex" is not supported`,
		`{"minProperties": 2}`:                                             "#/minProperties: 2 is not supported",
		`{"minProperties": 1, "additionalProperties": false}`:              "nothing satisfies it",
		`{"pattern": "("}`:                                                 "#/pattern: error parsing regexp",
		`{"pattern": "a", "maxLength": 3}`:                                 "#/pattern: beside minLength",
		`{"minLength": -1}`:                                                "#/minLength: -1 is no count",
		`{"maxItems": 1000000}`:                                            "#/maxItems: 1000000 is more than",
		`{"type": "number", "minimum": 0.5}`:                               "#/minimum: a bound of 0.5 is not supported",
		`{"items": [{}]}`:                                                  "#/items: a list of schemas is named prefixItems",
		`{"enum": ["a"], "minLength": 1}`:                                  "#/minLength: beside enum",
		`{"enum": []}`:                                                     "#/enum",
		`{"anyOf": 3}`:                                                     "#/anyOf: it is no list of schemas",
		`{"allOf": [{"$ref": "#"}]}`:                                       "circle",
		`{"allOf": [{"pattern": "a"}, {"pattern": "b"}]}`:                  "#/allOf/1/pattern: it cannot be joined",
		`{"type": "string", "enum": [3]}`:                                  "nothing satisfies it",
		`{"minLength": 3, "maxLength": 2}`:                                 "nothing satisfies it",
		`{"properties": {"a": {"$ref": "#"}}, "required": ["a"]}`:          "never ends",
		strings.Repeat(`{"items":`, 100) + `{}` + strings.Repeat(`}`, 100): "more than 64 values",
		`{"enum": [` + strings.Repeat(`1,`, maxValues) + `1]}`:             "more than 16384 values",
		`{"description": "` + strings.Repeat("x", maxSchema) + `"}`:        "at most",
	} {
		g, err := ParseSchema(source)
		if err == nil {
			_, err = g.Compile(v)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", source, err, want)
		}
	}
}

func FuzzSchema(f *testing.F) { fuzz(f, ParseSchema, schemas...) }
