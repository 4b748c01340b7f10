package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/chat"
)

// called is what a list of calls says, one a line.
func called(calls []chat.ToolCall) string {
	var lines []string
	for _, c := range calls {
		lines = append(lines, strings.TrimSpace(c.ID+" "+c.Function.String()))
	}
	return strings.Join(lines, "\n")
}

func TestParseCalls(t *testing.T) {
	const f, g = `{"name": "f", "arguments": {"x": 1}}`, `{"name": "g", "arguments": {}}`
	const p = `{"name": "f", "parameters": {"x": "é"}}`
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		answer, text, calls, err string
	}{
		// Text.
		{"", "", "", ""},
		{" plain\n", " plain\n", "", ""},
		{`{"answer": 4}`, `{"answer": 4}`, "", ""},
		{`{"name": "Bob", "age": 3}`, `{"name": "Bob", "age": 3}`, "", ""},
		{"say " + p, "say " + p, "", ""},
		{"{ not JSON", "{ not JSON", "", ""},
		// Hermes and Qwen.
		{"<tool_call>\n" + f + "\n</tool_call>", "", `f {"x":1}`, ""},
		{"I look.\n\n<tool_call>" + f + "</tool_call>\n<tool_call>\n" + g + "\n</tool_call>", "I look.", "f {\"x\":1}\ng {}", ""},
		{" a <tool_call>" + f + "</tool_call> b <tool_call>" + g + "</tool_call> c ", " a\nb\nc ", "f {\"x\":1}\ng {}", ""},
		{"<tool_call>" + f, "", `f {"x":1}`, ""},
		{`<tool_call>{"arguments": {"s": "</tool_call><tool_call>"}, "name": "f", "id": "c1"}</tool_call>`, "", `c1 f {"s":"</tool_call><tool_call>"}`, ""},
		{"a <tool_call>{\"name\": \"f\", \"argu", "a <tool_call>{\"name\": \"f\", \"argu", "", "byte 2 of the answer: the answer ends before the JSON does"},
		{"<tool_call>", "<tool_call>", "", "ends before"},
		{"<tool_call>{'name': 'f'}</tool_call> <tool_call>" + g + "</tool_call>", "<tool_call>{'name': 'f'}</tool_call>", "g {}", "invalid character"},
		{"<tool_call>" + f + " and", "<tool_call>" + f + " and", "", "</tool_call> is missing"},
		{"<tool_call>[" + f + "]</tool_call>", "<tool_call>[" + f + "]</tool_call>", "", "no JSON object"},
		{"<tool_call>null", "<tool_call>null", "", "name"},
		{"<tool_call>" + p, "<tool_call>" + p, "", "arguments is no JSON object"},
		{`<tool_call>{"name": "f", "arguments": "{}"}`, `<tool_call>{"name": "f", "arguments": "{}"}`, "", "arguments is no JSON object"},
		{`<tool_call>{"name": 5, "arguments": {}}`, `<tool_call>{"name": 5, "arguments": {}}`, "", "name is no name"},
		{`<tool_call>{"name": "a b", "arguments": {}}`, `<tool_call>{"name": "a b", "arguments": {}}`, "", "name is no name"},
		{`<tool_call>{"Name": "f", "arguments": {}}`, `<tool_call>{"Name": "f", "arguments": {}}`, "", "name is no name"},
		{`<tool_call>{"name": "f", "arguments": {"x": 99999999999999999999}}`, `<tool_call>{"name": "f", "arguments": {"x": 99999999999999999999}}`, "", "64 bits"},
		{`<tool_call>{"name": "f", "arguments": {"x": ` + deep(600) + `}}`, `<tool_call>{"name": "f", "arguments": {"x": ` + deep(600) + `}}`, "", "deeper"},
		// Mistral.
		{"[TOOL_CALLS] [" + f + ", " + g + "]", "", "f {\"x\":1}\ng {}", ""},
		{`[TOOL_CALLS][{"name": "f", "arguments": {"x": [1, 2]}, "id": "abcdefghi"}] so`, "so", `abcdefghi f {"x":[1,2]}`, ""},
		{"[TOOL_CALLS]" + f, "[TOOL_CALLS]" + f, "", "no list of calls"},
		{"[TOOL_CALLS] []", "[TOOL_CALLS] []", "", "no list of calls"},
		{"[TOOL_CALLS] [" + f + ", 5]", "[TOOL_CALLS] [" + f + ", 5]", "", "no JSON object"},
		{"[TOOL_CALLS] [" + f, "[TOOL_CALLS] [" + f, "", "ends before"},
		// Llama 3.
		{"\n" + p + "\n", "", `f {"x":"é"}`, ""},
		{`{"type": "function", "name": "f", "parameters": {}}`, "", "f {}", ""},
		{"<|python_tag|>" + p, "", `f {"x":"é"}`, ""},
		{"Let me see. <|python_tag|>" + p + "<|eom_id|>", "Let me see.\n<|eom_id|>", `f {"x":"é"}`, ""},
		{"<|python_tag|>f.call(x=1)", "<|python_tag|>f.call(x=1)", "", "python_tag"},
		{p + "; " + p, p + "; " + p, "", "text behind it"},
		{p[:len(p)-1], p[:len(p)-1], "", "the answer is no tool call: the answer ends before"},
		{`{"name": "f", "parameters": 5}`, `{"name": "f", "parameters": 5}`, "", "parameters is no JSON object"},
	} {
		text, calls, err := chat.ParseCalls(c.answer)
		if text != c.text || called(calls) != c.calls || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%.100q:\n%.100q, %q, %v, want\n%.100q, %q, %q", c.answer, text, called(calls), err, c.text, c.calls, c.err)
		}
	}
}

// TestParseCallsBounds: an answer may not hold any number of calls.
func TestParseCallsBounds(t *testing.T) {
	const one = `{"name":"f","arguments":{}}`
	list := func(n int) string { return "[TOOL_CALLS][" + strings.Repeat(one+",", n-1) + one + "]" }
	for _, c := range []struct {
		name, answer string
		calls        int
		err          string
	}{
		{"most calls", strings.Repeat("<tool_call>"+one+"</tool_call>", 128), 128, ""},
		{"too many calls", strings.Repeat("<tool_call>"+one+"</tool_call>", 129), 128, "more than 128 tool calls"},
		{"most in a list", list(128), 128, ""},
		{"too many in a list", list(129), 0, "more than 128 calls"},
		{"two lists", list(100) + list(29), 100, "more than 128 calls"},
		{"only marks", strings.Repeat("<tool_call>", 90000), 0, "more than 128 tool calls"},
		{"too long", strings.Repeat("x", 1<<20) + "<tool_call>" + one, 0, "1048576"},
	} {
		text, calls, err := chat.ParseCalls(c.answer)
		if len(calls) != c.calls || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || text == "") {
			t.Errorf("%s: %d calls, %v, %d bytes of text; want %d calls, %q", c.name, len(calls), err, len(text), c.calls, c.err)
		}
	}
}

// TestCallsInTemplates: what published templates write for calls is read as those calls.
func TestCallsInTemplates(t *testing.T) {
	for name, calls := range map[string]int{"qwen2.5": 2, "qwen3": 2, "mistral-nemo": 2, "llama3.1": 1} {
		tmpl := (*chat.Template)(nil)
		if name == "llama3.1" {
			tmpl = named(t, name)
		} else {
			var err error
			if tmpl, err = chat.New(published(t, name), "<s>", "</s>"); err != nil {
				t.Fatal(err)
			}
		}
		var said []chat.ToolCall
		for i := range calls {
			said = append(said, chat.ToolCall{ID: fmt.Sprintf("call%05d", i), Type: "function", Function: chat.Function{Name: "f", Arguments: json.RawMessage(fmt.Sprintf(`{"x":[%d,"é</tool_call>"]}`, i))}})
		}
		talk := []chat.Message{{Role: "user", Content: chat.Text("x")}}
		before, err := tmpl.Render(context.Background(), talk, nil, chat.Options{AddGenerationPrompt: true})
		if err != nil {
			t.Fatal(err)
		}
		all, err := tmpl.Render(context.Background(), append(talk, chat.Message{Role: "assistant", ToolCalls: said}), nil, chat.Options{})
		if err != nil {
			t.Fatal(err)
		}
		answer, ok := strings.CutPrefix(all, before)
		if !ok {
			t.Fatalf("%s: %q does not begin with %q", name, all, before)
		}
		for _, end := range []string{"</s>", "<|eot_id|>", "<|im_end|>\n"} {
			answer = strings.TrimSuffix(answer, end)
		}
		_, got, err := chat.ParseCalls(answer)
		for i := range got {
			if got[i].ID == "" {
				got[i].ID = said[i].ID // only Mistral's templates write them
			}
		}
		if err != nil || called(got) != called(said) {
			t.Errorf("%s: %q is read as %q, %v", name, answer, called(got), err)
		}
	}
}

func TestParseTools(t *testing.T) {
	const f = `{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}`
	tools, err := chat.ParseTools([]byte("[" + f + `, {"function":{"name":"g"},"type":"function"}]`))
	if err != nil || len(tools) != 2 || string(tools[0]) != f {
		t.Errorf("%s, %v", tools, err)
	}
	for in, want := range map[string]string{
		"":                                     "byte 0: unexpected end",
		"[" + f:                                "unexpected end",
		"[{]":                                  "byte 3",
		f:                                      "no JSON list",
		"null":                                 "empty",
		"[]":                                   "empty",
		"[5]":                                  "tool 1: no JSON object",
		"[null]":                               "tool 1: no JSON object",
		"[" + f + ",{}]":                       "tool 2: type",
		`[{"type":"retrieval"}]`:               "tool 1: type",
		`[{"name":"f","parameters":{}}]`:       "tool 1: type",
		`[{"type":"function"}]`:                "tool 1: function is no JSON object",
		`[{"type":"function","function":"f"}]`: "tool 1: function is no JSON object",
		`[{"type":"function","function":{}}]`:  "tool 1: function.name",
		`[{"type":"function","function":{"name":"a b"}}]`:                             "tool 1: function.name",
		`[{"type":"function","function":{"name":"f","parameters":[]}}]`:               "tool 1: function.parameters",
		"[" + f + "," + f + "]":                                                       "tool 2: function.name f is that of tool 1",
		`["` + strings.Repeat("x", 1<<20) + `"]`:                                      "more than 1048576 bytes",
		`[{"type":"function","function":{"name":"` + string(make([]byte, 3)) + `"}}]`: "invalid character",
	} {
		if _, err := chat.ParseTools([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", in, err, want)
		}
	}
}

// TestShowsTools: of the built-in templates only llama3.1 shows tools; of the published ones at hand those whose models were trained with them.
func TestShowsTools(t *testing.T) {
	for _, name := range chat.Names() {
		if shown, err := named(t, name).ShowsTools(context.Background()); err != nil || shown != (name == "llama3.1") {
			t.Errorf("%s: %v, %v", name, shown, err)
		}
	}
	for name, want := range map[string]bool{"qwen2.5": true, "qwen3": true, "mistral-nemo": true, "phi3.5": false, "deepseek-r1": false} {
		tmpl, err := chat.New(published(t, name), "<s>", "</s>")
		if err != nil {
			t.Fatal(err)
		}
		if shown, err := tmpl.ShowsTools(context.Background()); err != nil || shown != want {
			t.Errorf("%s: %v, %v", name, shown, err)
		}
	}
}

// FuzzParseCalls: no answer makes it fail or lose text without a call, and calls that it found are found again in Hermes' format.
func FuzzParseCalls(f *testing.F) {
	for _, s := range []string{
		"text", `a<tool_call>{"name":"f","arguments":{"x":1}}</tool_call>b`, `[TOOL_CALLS] [{"name":"f","arguments":{},"id":"abcdefghi"}]`,
		`<|python_tag|>{"name":"f","parameters":{"x":[null,1e999]}}`, `{"name":"f","parameters":{"x":"\ud800"}}`, "<tool_call>[TOOL_CALLS]<|python_tag|>{",
		"<tool_call>{\"name\":\"f\",\"arguments\":{\"\":\"\xff\"}}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		text, calls, err := chat.ParseCalls(answer)
		if len(calls) == 0 && text != answer || len(text) > len(answer) || len(calls) > 128 {
			t.Fatalf("%q, %d calls, %v", text, len(calls), err)
		}
		var again strings.Builder
		for _, c := range calls {
			var arguments string
			if err := json.Unmarshal(c.Function.Arguments, &arguments); err != nil {
				t.Fatal(err)
			}
			name, err := json.Marshal(c.Function.Name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&again, `<tool_call>{"name":%s,"arguments":%s}</tool_call>`, name, arguments)
		}
		text2, calls2, err := chat.ParseCalls(again.String())
		for i := range calls {
			calls[i].ID = ""
		}
		if text2 != "" || err != nil || called(calls) != called(calls2) {
			t.Fatalf("%q: %q, then %q, %q, %v", again.String(), called(calls), text2, called(calls2), err)
		}
	})
}
