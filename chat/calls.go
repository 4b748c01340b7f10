package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// callFormat is how models write tool calls: a mark, and JSON behind it.
type callFormat struct {
	open, close string // "": nothing stands in front of a call, or behind it
	list        bool   // a list of calls, not one
	arguments   string // the key of a call's arguments
}

var (
	bareCall    = callFormat{arguments: "parameters"} // Llama 3: the whole answer is the call
	callFormats = []callFormat{
		{open: "<tool_call>", close: "</tool_call>", arguments: "arguments"}, // Hermes, Qwen
		{open: "[TOOL_CALLS]", list: true, arguments: "arguments"},           // Mistral
		{open: "<|python_tag|>", arguments: bareCall.arguments},              // Llama 3
	}
)

// CallMarks are the texts with which tool calls begin. One of Llama 3 may begin with { alone, and is then the whole answer.
func CallMarks() []string {
	var marks []string
	for _, f := range callFormats {
		marks = append(marks, f.open)
	}
	return marks
}

// CallForm is how a template writes the calls of an assistant, as ParseCalls reads them: the marks around the JSON, whether that is a list, and the key of
// the arguments. It is found by rendering a call.
func (t *Template) CallForm(ctx context.Context) (open, close string, list bool, arguments string, err error) {
	call := ToolCall{ID: "call00000", Type: "function", Function: Function{Name: "plinth_tool", Arguments: json.RawMessage(`{"x": 1}`)}}
	text, err := t.Render(ctx, []Message{{Role: "user", Content: Text("x")}, {Role: "assistant", ToolCalls: []ToolCall{call}}}, nil, Options{})
	if err != nil {
		return "", "", false, "", err
	}
	i, f := nextCall(text)
	if i < 0 {
		if f = bareCall; !strings.Contains(text, `"`+f.arguments+`"`) {
			return "", "", false, "", errors.New("chat: the template writes calls in no form that is known here")
		}
	}
	return f.open, f.close, f.list, f.arguments, nil
}

// Bounds of ParseCalls, and the longest name and id of a call, in bytes.
const (
	maxAnswer = 1 << 20
	maxCalls  = 128
	maxName   = 256
)

// ParseCalls divides a model's answer into text and tool calls, in one of the published formats:
//
//	<tool_call>{"name": ..., "arguments": {...}}</tool_call>    Hermes and Qwen, any number of them; at the end of the answer the last tag may be missing
//	[TOOL_CALLS][{"name": ..., "arguments": {...}}, ...]        Mistral
//	<|python_tag|>{"name": ..., "parameters": {...}}            Llama 3; without the mark where it is the whole answer
//
// Arguments are strings that hold JSON, as OpenAI's; ids are those that the model wrote, mostly none. Text loses the space around the calls; an
// answer without calls comes back as it is. What begins like a call and is none stays text, and the error tells of it, beside the calls that there
// are. At most 1 MiB is read, and 128 marks and calls.
func ParseCalls(answer string) (text string, calls []ToolCall, err error) {
	if len(answer) > maxAnswer {
		return answer, nil, fmt.Errorf("chat: an answer of %d bytes is not read for tool calls: they may have %d", len(answer), maxAnswer)
	}
	if strings.HasPrefix(strings.TrimSpace(answer), "{") {
		calls, n, err := bareCall.read(answer)
		if err == nil && strings.TrimSpace(answer[n:]) == "" {
			return "", calls, nil
		}
		if err == nil {
			err = errors.New("there is text behind it")
		}
		if strings.Contains(answer, `"name"`) && strings.Contains(answer, `"`+bareCall.arguments+`"`) {
			return answer, nil, fmt.Errorf("chat: the answer is no tool call: %w", err)
		}
	}
	var texts []string
	var errs []error
	from, at := 0, 0 // where text begins that is not in texts yet, and where the next mark is looked for
	for marks := 0; ; marks++ {
		i, f := nextCall(answer[at:])
		if i < 0 {
			break
		}
		if marks == maxCalls {
			errs = append(errs, fmt.Errorf("chat: the answer has more than %d tool calls; the rest stays text", maxCalls))
			break
		}
		begin := at + i
		at = begin + len(f.open)
		more, n, err := f.read(answer[at:])
		if err == nil && len(calls)+len(more) > maxCalls {
			err = fmt.Errorf("more than %d calls", maxCalls)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("chat: no tool call behind %s at byte %d of the answer: %w", f.open, begin, err))
			continue
		}
		calls = append(calls, more...)
		texts = append(texts, answer[from:begin])
		at += n
		from = at
	}
	if len(calls) == 0 {
		return answer, nil, errors.Join(errs...)
	}
	return joinTexts(append(texts, answer[from:])), calls, errors.Join(errs...)
}

// nextCall finds the first mark; the index is -1 where there is none.
func nextCall(s string) (int, callFormat) {
	first, format := -1, callFormat{}
	for _, f := range callFormats {
		if i := strings.Index(s, f.open); i >= 0 && (first < 0 || i < first) {
			first, format = i, f
		}
	}
	return first, format
}

// read reads the calls with which s begins, and tells where they end.
func (f callFormat) read(s string) (calls []ToolCall, n int, err error) {
	d := json.NewDecoder(strings.NewReader(s))
	var data json.RawMessage
	if err := d.Decode(&data); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, 0, errors.New("the answer ends before the JSON does")
	} else if err != nil {
		return nil, 0, err
	}
	n = int(d.InputOffset())
	rest := strings.TrimLeftFunc(s[n:], unicode.IsSpace)
	switch {
	case f.close == "":
	case strings.HasPrefix(rest, f.close):
		n = len(s) - len(rest) + len(f.close)
	case rest != "":
		return nil, 0, fmt.Errorf("%s is missing", f.close)
	}
	objects := []json.RawMessage{data}
	if f.list {
		objects = nil
		if json.Unmarshal(data, &objects) != nil || len(objects) == 0 {
			return nil, 0, errors.New("it is no list of calls")
		}
	}
	for _, o := range objects {
		c, err := f.call(o)
		if err != nil {
			return nil, 0, err
		}
		calls = append(calls, c)
	}
	return calls, n, nil
}

// call reads one call.
func (f callFormat) call(data json.RawMessage) (ToolCall, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return ToolCall{}, errors.New("it is no JSON object")
	}
	name, ok := identifier(object["name"])
	if !ok {
		return ToolCall{}, errors.New("name is no name of a function")
	}
	arguments := object[f.arguments]
	if !bytes.HasPrefix(arguments, []byte("{")) {
		return ToolCall{}, fmt.Errorf("%s is no JSON object", f.arguments)
	}
	text, err := json.Marshal(string(arguments))
	if err != nil {
		return ToolCall{}, err
	}
	c := ToolCall{Type: "function", Function: Function{name, text}}
	c.ID, _ = identifier(object["id"])
	_, err = Message{ToolCalls: []ToolCall{c}}.value(form{}, false) // what no template can be shown would break the conversation
	return c, err
}

// identifier reads a JSON string that may be the name or the id of a call.
func identifier(data json.RawMessage) (string, bool) {
	var s string
	err := json.Unmarshal(data, &s)
	bad := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	return s, err == nil && s != "" && len(s) <= maxName && !strings.ContainsFunc(s, bad)
}

// joinTexts joins what stands around calls: the space beside a call goes, and a line ends where a call stood between two texts.
func joinTexts(texts []string) string {
	var kept []string
	for i, t := range texts {
		if i > 0 {
			t = strings.TrimLeftFunc(t, unicode.IsSpace)
		}
		if i < len(texts)-1 {
			t = strings.TrimRightFunc(t, unicode.IsSpace)
		}
		if t != "" {
			kept = append(kept, t)
		}
	}
	return strings.Join(kept, "\n")
}

// String is the name and the arguments in one line.
func (f Function) String() string {
	object, _, _ := f.arguments()
	var b bytes.Buffer
	if json.Compact(&b, object) != nil {
		return f.Name + " " + string(object)
	}
	return f.Name + " " + b.String()
}
