package serve_test

import (
	"encoding/json"
	"regexp"
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
