package serve_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// TestConstrained: response_format binds what a model that would say something else writes, and tools that are forced are called, whole and in pieces.
func TestConstrained(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	const tools = `,"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"$ref":"#/$defs/c"}},"required":["city"],"additionalProperties":false,
		"$defs":{"c":{"enum":["Rome","Paris"]}}}}},{"type":"function","function":{"name":"get_time"}}]`
	for _, c := range []struct{ more, text, calls string }{
		{`,"response_format":{"type":"text"}`, "^Hello there", "^$"},
		{`,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object","properties":{"a":{"enum":[1,2]},"b":{"type":"boolean"}},"required":["a","b"],"additionalProperties":false}}}`,
			`^\{\s*"a": ?[12],\s*"b": ?(true|false)\s*\}$`, "^$"},
		{`,"response_format":{"type":"regex","pattern":"[a-c]{4}-x"}`, `^[a-c]{4}-x$`, "^$"},
		{`,"response_format":{"type":"grammar","grammar":"root ::= \" y\" \"z\"{2}"}`, `^ yzz$`, "^$"},
		{`,"response_format":{"type":"json_object"},"max_tokens":30`, `^\{`, "^$"},
		{tools + `,"tool_choice":{"type":"function","function":{"name":"get_weather"}}`, "^$", `^get_weather\{\s*"city": ?"(Rome|Paris)"\s*\}$`},
		{tools + `,"tool_choice":"required","parallel_tool_calls":false`, "^$", `^get_(weather|time)\{`},
	} {
		body := `{"model":"taught","temperature":1,"seed":3,"messages":[{"role":"user","content":"Hello"}]` + c.more
		_, whole, _ := post(t, url+"/v1/chat/completions", body+"}")
		_, stream, _ := post(t, url+"/v1/chat/completions", body+`,"stream":true}`)
		for how, list := range map[string][]answer{"whole": {parse(t, whole)}, "in pieces": pieces(t, stream)} {
			text, calls := "", ""
			for _, a := range list {
				for _, one := range a.Choices {
					text += one.Message.Content + one.Delta.Content
					for _, call := range append(one.Message.ToolCalls, one.Delta.ToolCalls...) {
						calls += call.Function.Name + call.Function.Arguments
						if !json.Valid([]byte(call.Function.Arguments)) {
							t.Errorf("%s: arguments %s", c.more, call.Function.Arguments)
						}
					}
				}
			}
			if !regexp.MustCompile(c.text).MatchString(text) || !regexp.MustCompile(c.calls).MatchString(calls) {
				t.Errorf("%s, %s: text %q, calls %q", c.more, how, text, calls)
			}
		}
	}
	for more, want := range map[string]string{
		`,"response_format":{"type":"xml"}`:                                             "response_format.type",
		`,"response_format":{"type":"json_schema"}`:                                     "json_schema.schema is missing",
		`,"response_format":{"type":"json_schema","json_schema":{"schema":{"not":{}}}}`: "#/not: this keyword is not supported",
		`,"response_format":{"type":"regex","pattern":"("}`:                             "missing closing )",
		`,"response_format":3`:                                                          "response_format",
		`,"tool_choice":"required"`:                                                     "there are no tools",
		`,"tool_choice":"some"`:                                                         "tool_choice",
		tools + `,"tool_choice":{"type":"function","function":{"name":"none"}}`:         "there is no tool",
		tools + `,"tool_choice":"required","response_format":{"type":"json_object"}`:    "excludes response_format",
	} {
		status, body, _ := post(t, url+"/v1/chat/completions", `{"model":"taught","messages":[{"role":"user","content":"Hello"}]`+more+`}`)
		if status != 400 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, want %s", more, status, body, want)
		}
	}
}

// TestBanned: a bias that bans all that may come is the request's fault, with a constraint and without, whole and in pieces.
func TestBanned(t *testing.T) {
	m := taught(t, generate.EngineOptions{})
	_, url := start(t, serve.Options{Models: []*serve.Model{m}}, generate.EngineOptions{})
	bans := map[int]int{}
	for id := range m.Tokenizer.VocabSize() {
		bans[id] = -100
	}
	bias, err := json.Marshal(bans)
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"", `,"response_format":{"type":"json_object"}`, `,"response_format":{"type":"regex","pattern":"[0-9]{3}"}`, `,"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":"required"`} {
		body := `{"model":"taught","messages":[{"role":"user","content":"Hello"}],"logit_bias":` + string(bias) + more
		status, text, _ := post(t, url+"/v1/chat/completions", body+"}")
		if status != 400 || !strings.Contains(text, `"param":"logit_bias"`) {
			t.Errorf("%s: %d %s", more, status, text)
		}
		status, text, _ = post(t, url+"/v1/chat/completions", body+`,"stream":true}`)
		if last := text[strings.LastIndex(text, "data: "):]; status != 200 || !strings.Contains(last, `"param":"logit_bias"`) {
			t.Errorf("%s, in pieces: %d %s", more, status, text)
		}
	}
}

// TestStrictTools: a strict tool's calls satisfy its schema where the model may also answer in text, by every API, whole and in pieces; the text in front is as it was, and
// without strict the model's own call stays as it is.
func TestStrictTools(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	const schema = `{"type":"object","properties":{"city":{"enum":["Rome","Paris"]}},"required":["city"],"additionalProperties":false}`
	const strict, loose = `,"strict":true`, `,"strict":false`
	apis := []struct{ path, body string }{ // with room for what is said and for strict
		{"/v1/chat/completions", `{"model":"taught","temperature":0,"messages":[{"role":"user","content":"%s"}],"tools":[{"type":"function","function":{"name":"get_weather","parameters":` + schema + `%s}}]%s}`},
		{"/v1/responses", `{"model":"taught","temperature":0,"input":"%s","tools":[{"type":"function","name":"get_weather","parameters":` + schema + `%s}]%s}`},
		{"/v1/messages", `{"model":"taught","temperature":0,"max_tokens":500,"messages":[{"role":"user","content":"%s"}],"tools":[{"name":"get_weather","input_schema":` + schema + `%s}]%s}`},
	}
	for _, api := range apis {
		for _, c := range []struct{ said, strict, text, city string }{
			{"seven", loose, "Let me see.", "7"}, {"seven", strict, "Let me see.", `"(Rome|Paris)"`}, {"seven", "", "Let me see.", "7"},
		} {
			for _, stream := range []string{"", `,"stream":true`} {
				_, body, _ := post(t, url+api.path, fmt.Sprintf(api.body, c.said, c.strict, stream))
				plain := strings.NewReplacer(`\n`, "", `\t`, "", `\"`, `"`, " ", "").Replace(body)
				if !regexp.MustCompile(`"city":`+c.city+`\}`).MatchString(plain) || strings.Contains(plain, `"city":7`) != (c.city == "7") || !strings.Contains(strings.ReplaceAll(body, `"}}]}`, ""), "Let me") {
					t.Errorf("%s %s %s%s: %s", api.path, c.said, c.strict, stream, body)
				}
			}
		}
		if code, body, _ := post(t, url+api.path, strings.Replace(fmt.Sprintf(api.body, "seven", strict, ""), `"enum"`, `"not"`, 1)); code != 400 || !strings.Contains(body, "#/$defs/get_weather/properties/city/not: this keyword is not supported") {
			t.Errorf("%s: %d %s", api.path, code, body)
		}
	}
	// Beside a strict tool the text may have a form too: then the answer is one or the other.
	_, body, _ := post(t, url+apis[0].path, fmt.Sprintf(apis[0].body, "seven", strict, `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"const":{"city":9}}}}`))
	if a := parse(t, body).Choices[0].Message; strings.ReplaceAll(a.Content, " ", "") != `{"city":9}` && len(a.ToolCalls) != 1 {
		t.Error(body)
	}
}

// TestForms: every way to ask for a form of the text, by the fields of other servers too, in conversations and in completions.
func TestForms(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	const schema = `{"type":"object","properties":{"a":{"enum":[1,2]}},"required":["a"],"additionalProperties":false}`
	const object, word = `^\{\s*"a": ?[12]\s*\}$`, `^[ab]{3}$`
	ask := func(path, more string) (int, string, string) {
		body := map[string]string{"/v1/completions": `"prompt":"Hello","max_tokens":100`, "/v1/chat/completions": `"messages":[{"role":"user","content":"hi"}]`, "/v1/responses": `"input":"hi"`, "/v1/messages": `"max_tokens":100,"messages":[{"role":"user","content":"hi"}]`}[path]
		code, got, _ := post(t, url+path, `{"model":"taught","temperature":0,`+body+more+`}`)
		var a struct {
			Choices []struct {
				Text    string
				Message struct{ Content string }
			}
			Output  []struct{ Content []struct{ Text string } }
			Content []struct{ Text string }
		}
		json.Unmarshal([]byte(got), &a)
		switch {
		case len(a.Choices) > 0:
			return code, got, a.Choices[0].Text + a.Choices[0].Message.Content
		case len(a.Output) > 0:
			return code, got, a.Output[0].Content[0].Text
		case len(a.Content) > 0:
			return code, got, a.Content[0].Text
		}
		return code, got, ""
	}
	both := []string{"/v1/chat/completions", "/v1/completions"}
	for _, c := range []struct {
		paths      []string
		more, want string
	}{
		{both, `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":` + schema + `}}`, object},
		{both, `"response_format":{"type":"json_object","schema":` + schema + `}`, object},
		{both, `"response_format":{"type":"regex","pattern":"[ab]{3}"}`, word},
		{both, `"structured_outputs":{"json":` + schema + `}`, object}, {both, `"structured_outputs":{"regex":"[ab]{3}"}`, word},
		{both, `"structured_outputs":{"choice":["yes","no"]}`, `^(yes|no)$`}, {both, `"structured_outputs":{"grammar":"root ::= [ab]{3}"}`, word},
		{both, `"structured_outputs":{"json_object":true}`, `^\{`},
		{both, `"guided_json":` + schema, object}, {both, `"guided_json":` + strconv.Quote(schema), object}, {both, `"guided_regex":"[ab]{3}"`, word},
		{both, `"guided_choice":["yes","no"]`, `^(yes|no)$`}, {both, `"guided_grammar":"root ::= [ab]{3}"`, word},
		{both, `"grammar":"root ::= [ab]{3}"`, word}, {both, `"json_schema":` + schema, object}, {both, `"regex":"[ab]{3}"`, word},
		{both[:1], `"response_format":null,"guided_json":null,"structured_outputs":null`, "^" + regexp.QuoteMeta(says(0)) + "$"},
		{[]string{"/v1/responses"}, `"text":{"format":{"type":"json_schema","name":"x","strict":true,"schema":` + schema + `}}`, object},
		{[]string{"/v1/responses"}, `"text":{"format":{"type":"json_object"},"verbosity":"low"}`, `^\{`}, {[]string{"/v1/responses"}, `"text":{"format":{"type":"text"}}`, "^" + regexp.QuoteMeta(says(0)) + "$"},
		{[]string{"/v1/messages"}, `"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}`, object},
	} {
		for _, path := range c.paths {
			if code, body, text := ask(path, ","+c.more); code != 200 || !regexp.MustCompile(c.want).MatchString(text) {
				t.Errorf("%s %s: %d %q %s", path, c.more, code, text, body)
			}
		}
	}
	for more, want := range map[string]string{
		`"grammar":"root ::= \"a\"","regex":"a"`:                        "regex: only one of the fields",
		`"guided_regex":"("`:                                            "guided_regex: ",
		`"structured_outputs":{"json":{"not":{}}}`:                      "structured_outputs.json: ",
		`"structured_outputs":{"structural_tag":"x"}`:                   "structural_tag: this field is not known",
		`"guided_choice":[""],"response_format":{"type":"json_object"}`: "guided_choice: only one",
	} {
		for _, path := range both {
			if code, body, _ := ask(path, ","+more); code != 400 || !strings.Contains(body, want) {
				t.Errorf("%s %s: %d %s, want %s", path, more, code, body, want)
			}
		}
	}
}

// TestConstraintMemory: the constraints of many requests, each with its own, take no more memory than the server has for them; one that is too large beside those in use waits, and
// what costs too much at a place of the text is refused as well as what costs too much at once.
func TestConstraintMemory(t *testing.T) {
	const most = 1 << 20
	_, url := start(t, serve.Options{Constraints: most, Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	held := func() (automata, states float64) {
		_, body, _ := send(t, "GET", url+"/metrics", "")
		for line := range strings.Lines(body) {
			fmt.Sscanf(line, `plinth_constraint_bytes{part="automata"} %g`, &automata)
			fmt.Sscanf(line, `plinth_constraint_bytes{part="states"} %g`, &states)
		}
		return automata, states
	}
	ask := func(more string) (int, string) {
		code, body, _ := post(t, url+"/v1/completions", `{"model":"taught","prompt":"a","temperature":0,"max_tokens":40,`+more+`}`)
		return code, body
	}
	largest, found := 0.0, 0.0
	for i := range 60 {
		code, body := ask(fmt.Sprintf(`"guided_json":{"type":"object","properties":{"name%d":{"type":"string","maxLength":500},"x":{"type":"number","minimum":-%d}},"required":["name%d"]}`, i, i, i))
		if code != 200 {
			t.Fatalf("%d: %d %s", i, code, body)
		}
		a, s := held()
		largest, found = max(largest, a), max(found, s)
	}
	if largest > most/2 || largest < most/4 || found > most/2 || found == 0 {
		t.Errorf("automata take %g bytes, states %g, of %d", largest, found, most)
	}
	for more, want := range map[string]string{
		`"regex":"` + strings.Repeat("[a-z]{999}", 25) + `"`:                   "400 regex: its automaton takes",
		`"grammar":"root ::= ` + strings.Repeat(`\"a\"? `, 9000) + `"`:         "400 grammar: the grammar is too ambiguous",
		`"grammar":"root ::= \"a\" (` + strings.Repeat(`\"b\"? `, 9000) + `)"`: "400 grammar: the grammar is too ambiguous",
		`"json_schema":{"type":"object","$ref":"#"}`:                           "400 json_schema: JSON schema: #/$ref/$ref",
	} {
		if code, body := ask(more); !strings.Contains(fmt.Sprint(code, " ", parseError(t, body)), want) {
			t.Errorf("%.40s: %d %s, want %s", more, code, body, want)
		}
	}
}

// parseError is the message of an error.
func parseError(t *testing.T, body string) string {
	var e struct{ Error struct{ Message string } }
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Error(err, body)
	}
	return e.Error.Message
}
