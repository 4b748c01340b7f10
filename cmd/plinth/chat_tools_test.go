package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/chat"
)

const (
	// toolTemplate shows names and calls, and no more: the test model has learnt little.
	toolTemplate = "{% for t in tools or [] %}{{ t.function.name }}\n{% endfor %}" +
		"{% for m in messages %}{{ m.content }}{% for c in m.tool_calls %}={{ c.function.name }}{{ c.function.arguments.x }}{% endfor %}\n\n{% endfor %}" // a newline behind a tag goes
	toolFile   = `[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]`
	toolAnswer = `I look. <tool_call>{"name":"f","arguments":{"x":1}}</tool_call><tool_call>{"name":"f","arguments":{"x":2}}</tool_call>`
)

// caller trains a model to answer "go", shown the tool f, with toolAnswer. It returns its folder and the flags to talk with it, but --tools.
func caller(t *testing.T) (model string, verb []string) {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("text.txt"), strings.Repeat("f\ngo\n"+toolAnswer+"\n", 200))
	ok(t, "tokenizer", "train", "--data", path("text.txt"), "--vocab", "300", "--out", path("tok"))
	ok(t, "data", "prepare", "--data", path("text.txt"), "--tokenizer", path("tok"), "--out", path("prep"), "--seq", "128")
	model = path("model")
	ok(t, args("train --steps 200 --lr 0.01 "+shape, "--data", path("prep"), "--out", model)...)
	write(t, filepath.Join(model, "chat_template.jinja"), toolTemplate)
	return model, []string{"chat", "--model", model, "--temperature", "0", "--stop", "\n", "--max-tokens", "60", "--threads", "2"}
}

// TestChatTools: a model that was trained to call is given a tool; its calls are printed, saved, and answered.
func TestChatTools(t *testing.T) {
	model, verb := caller(t)
	dir := t.TempDir()
	tools, a, b := filepath.Join(dir, "tools.json"), filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	write(t, tools, toolFile)
	with := append(verb, "--tools", tools)

	const shown = "I look. \n[call f {\"x\":1}]\n[call f {\"x\":2}]\n"
	if got := ok(t, append(with, "go")...); got != shown {
		t.Errorf("written %q, want %q", got, shown)
	}
	if got, want := ok(t, append(verb, "f\ngo")...), toolAnswer+"\n"; got != want {
		t.Errorf("without --tools written %q, want %q", got, want)
	}

	stdin(t, "go\n/save "+a+"\n/tool 5\n/tool 6\n/save "+b+"\n/undo\n/tool 7\n")
	code, out, said := plinth(with...)
	if code != 1 || !strings.HasPrefix(out, shown) || !strings.Contains(said, "wait for /tool: 1]") || !strings.Contains(said, "no tool call waits") {
		t.Errorf("exit code %d, %q, %q", code, out, said)
	}
	m := saved(t, a)
	want := `{"role":"assistant","content":"I look.","tool_calls":[` +
		`{"id":"call00001","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"call00002","type":"function","function":{"name":"f","arguments":"{\"x\":2}"}}]}`
	if got, err := json.Marshal(m[len(m)-1]); roles(m) != "ua" || err != nil || string(got) != want {
		t.Errorf("saved %s, %v, want %s", got, err, want)
	}
	m = saved(t, b)
	if roles(m) != "uatta" {
		t.Fatalf("with results: %+v", m)
	}
	for i, text := range []string{"5", "6"} {
		if r := m[2+i]; r.Content.Text != text || r.Name != "f" || r.ToolCallID != fmt.Sprintf("call%05d", i+1) {
			t.Errorf("result %d: %+v", i, r)
		}
	}

	for name, c := range map[string]struct{ file, template, want string }{
		"no list":        {"{}", toolTemplate, "no JSON list"},
		"no JSON":        {"[", toolTemplate, "byte 1"},
		"no name":        {`[{"type":"function","function":{}}]`, toolTemplate, "tool 1: function.name"},
		"no tools shown": {toolFile, lineTemplate, "the template of " + model + " knows no tools"},
		"template fails": {toolFile, "{% if tools %}{{ raise_exception('not today') }}{% endif %}", "not today"},
	} {
		write(t, tools, c.file)
		write(t, filepath.Join(model, "chat_template.jinja"), c.template)
		code, out, said := plinth(append(with, "go")...)
		if code != 1 || out != "" || !strings.Contains(said, c.want) || !strings.Contains(said, "--tools") {
			t.Errorf("%s: exit code %d, %q, %q", name, code, out, said)
		}
	}
	write(t, tools, toolFile)
	fails(t, 1, "the template chatml knows no tools", append(with, "--template", "chatml", "go")...)
	fails(t, 1, "nowhere", append(verb, "--tools", "nowhere", "go")...)
	fails(t, 2, "tools", append(verb, "--set", "tools=[]", "go")...)
}

// TestAnswerCalls: what may be a call is held back while it is written, and shown as a call or as the text that it was.
func TestAnswerCalls(t *testing.T) {
	const call = `{"name":"f","arguments":{}}`
	for _, c := range []struct {
		parts              []string
		early, shown, text string
		calls              int
		err                string
	}{
		{[]string{"a ", "b"}, "a b", "a b\n", "a b", 0, ""},
		{[]string{"a <to", "ol"}, "a ", "a <tool\n", "a <tool", 0, ""},
		{[]string{"a <to", "m>"}, "a <tom>", "a <tom>\n", "a <tom>", 0, ""},
		{[]string{"a\n", "<tool", "_call>", call, "</tool_call>", " b"}, "a\n", "a\nb\n[call f {}]\n", "a\nb", 1, ""},
		{[]string{" <tool_call>" + call}, " ", " \n[call f {}]\n", "", 1, ""},
		{[]string{"a <tool_call>{", "\n"}, "a ", "a <tool_call>{\n\n", "a <tool_call>{\n", 0, "byte 2"},
		{[]string{"a <tool_call>{ ", "[TOOL_CALLS][" + call + "]"}, "a ", "a \n<tool_call>{\n[call f {}]\n", "a <tool_call>{", 1, "byte 2"},
		{[]string{"\n", "{\"name\":\"f\",", `"parameters":{}}`}, "\n", "\n[call f {}]\n", "", 1, ""},
		{[]string{"{}", " is empty"}, "", "{} is empty\n", "{} is empty", 0, ""},
		{[]string{"x {}"}, "x {}", "x {}\n", "x {}", 0, ""},
	} {
		var shown strings.Builder
		a := &shownAnswer{Answer: chat.Answer{Marks: chat.CallMarks()}, out: &shown}
		for _, p := range c.parts {
			a.show(a.Add(p))
		}
		if shown.String() != c.early {
			t.Errorf("%q: while it is written %q, want %q", c.parts, shown.String(), c.early)
		}
		s := &talk{tools: []chat.Tool{chat.Tool("{}")}}
		m, err := s.message(nil, a.Text())
		a.showRest(m)
		if shown.String() != c.shown || m.Content.Text != c.text || len(m.ToolCalls) != c.calls || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: shown %q, %+v, %v, want %+v", c.parts, shown.String(), m, err, c)
		}
	}
}
