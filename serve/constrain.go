package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate/constrain"
)

// responseFormat is the field response_format: OpenAI's types, and regex with a pattern and grammar with a GBNF grammar.
type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"schema"`
		Strict      *bool           `json:"strict"`
	} `json:"json_schema"`
	Schema  json.RawMessage `json:"schema"` // llama.cpp's place for it
	Pattern string          `json:"pattern"`
	Grammar string          `json:"grammar"`
}

// language are the fields that keep what is written within a language, at most one of them: OpenAI's response_format, and what clients of vLLM (structured_outputs, guided_*),
// llama.cpp (grammar, json_schema) and SGLang (regex) send.
type language struct {
	ResponseFormat    json.RawMessage    `json:"response_format"`
	StructuredOutputs *structuredOutputs `json:"structured_outputs" doc:"one of its fields, as vLLM's"`
	GuidedJSON        json.RawMessage    `json:"guided_json" doc:"a JSON schema, or its text; as vLLM's, as are the next three"`
	GuidedRegex       string             `json:"guided_regex"`
	GuidedChoice      []string           `json:"guided_choice" doc:"one of these texts"`
	GuidedGrammar     string             `json:"guided_grammar" doc:"GBNF"`
	Grammar           string             `json:"grammar" doc:"GBNF, as llama.cpp's"`
	JSONSchema        json.RawMessage    `json:"json_schema" doc:"as llama.cpp's"`
	Regex             string             `json:"regex" doc:"as SGLang's"`
}

type structuredOutputs struct {
	JSON       json.RawMessage `json:"json" doc:"a JSON schema, or its text"`
	JSONObject bool            `json:"json_object"`
	Regex      string          `json:"regex"`
	Choice     []string        `json:"choice" doc:"one of these texts"`
	Grammar    string          `json:"grammar" doc:"GBNF"`
}

// asked is a language that a request asks for: what reads its source, the field, and a key that tells it from others. The zero value is any text.
type asked struct {
	param, key string
	parse      func() (*constrain.Grammar, error)
}

// notation is one in which a language may be written.
type notation struct {
	name string
	read func(string) (*constrain.Grammar, error)
}

var (
	jsonSchema = notation{"schema", constrain.ParseSchema}
	expression = notation{"regex", constrain.ParseRegexp}
	gbnf       = notation{"grammar", constrain.ParseGBNF}
)

func (n notation) ask(param, source string) *asked {
	return &asked{param, n.name + " " + source, func() (*constrain.Grammar, error) { return n.read(source) }}
}

// format is the language that the fields ask for; nil where any text will do.
func (l *language) format() (*asked, error) {
	var all []*asked
	add := func(param, source string, n notation) {
		if source != "" {
			all = append(all, n.ask(param, source))
		}
	}
	schema := func(param string, v json.RawMessage) {
		var text string                      // that holds a schema
		if json.Unmarshal(v, &text) != nil { // null is none
			text = string(v)
		}
		add(param, text, jsonSchema)
	}
	choice := func(param string, texts []string) {
		if len(texts) > 0 {
			all = append(all, &asked{param, fmt.Sprintf("choice %q", texts), func() (*constrain.Grammar, error) { return constrain.ParseChoice(texts) }})
		}
	}
	f, err := l.responseFormat()
	if err != nil {
		return nil, err
	}
	if f != nil {
		all = append(all, f)
	}
	if o := l.StructuredOutputs; o != nil {
		schema("structured_outputs.json", o.JSON)
		if o.JSONObject {
			add("structured_outputs.json_object", anyObject, jsonSchema)
		}
		add("structured_outputs.regex", o.Regex, expression)
		choice("structured_outputs.choice", o.Choice)
		add("structured_outputs.grammar", o.Grammar, gbnf)
	}
	schema("guided_json", l.GuidedJSON)
	add("guided_regex", l.GuidedRegex, expression)
	choice("guided_choice", l.GuidedChoice)
	add("guided_grammar", l.GuidedGrammar, gbnf)
	add("grammar", l.Grammar, gbnf)
	schema("json_schema", l.JSONSchema)
	add("regex", l.Regex, expression)
	if len(all) > 1 {
		return nil, badRequest(all[1].param, "only one of the fields that say what the text must be can be there: %s is", all[0].param)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all[0], nil
}

// anyObject is the schema of json_object.
const anyObject = `{"type": "object"}`

// responseFormat reads response_format; nil where any text will do.
func (l *language) responseFormat() (*asked, error) {
	if len(l.ResponseFormat) == 0 || string(l.ResponseFormat) == "null" {
		return nil, nil
	}
	var f responseFormat
	d := json.NewDecoder(bytes.NewReader(l.ResponseFormat))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, badRequest("response_format", "%s", clip(err.Error(), 200))
	}
	source, in, missing := "", jsonSchema, ""
	switch f.Type {
	case "text":
		return nil, nil
	case "json_object":
		source = cmp.Or(string(f.Schema), anyObject)
	case "json_schema":
		source, missing = cmp.Or(string(f.JSONSchema.Schema), string(f.Schema)), "json_schema.schema"
	case "regex":
		source, in, missing = f.Pattern, expression, "pattern"
	case "grammar":
		source, in, missing = f.Grammar, gbnf, "grammar"
	default:
		return nil, badRequest("response_format.type", "%q is none of text, json_object, json_schema, regex, grammar", clip(f.Type, 40))
	}
	if source == "" {
		return nil, badRequest("response_format", "the %s is missing", missing)
	}
	return in.ask("response_format", source), nil
}

// bind compiles a language and binds what a job writes to it, until the request's context ends.
func (s *Server) bind(ctx context.Context, j *job, a *asked) error {
	made, err := s.compiled.hold(ctx, j.m, a)
	if err != nil {
		return err
	}
	j.options.Constraint, j.asked = made, a
	j.continues = true // a space at the beginning counts
	return nil
}

// constrain sets the constraint that response_format, tool_choice or strict tools ask for.
func (s *Server) constrain(ctx context.Context, q *chatRequest, j *job, tools []chat.Tool) error {
	how, name, err := q.choice()
	if err != nil {
		return err
	}
	format, err := q.format()
	if err != nil {
		return err
	}
	callable, strict, err := callables(tools, name)
	switch {
	case err != nil:
		return err
	case how == "required" && format != nil:
		return badRequest("tool_choice", "a call that must be made is in the model's own format: it excludes %s", format.param)
	case how == "required" && len(callable) == 0:
		return badRequest("tool_choice", "there is no tool %q", clip(name, 40))
	case how != "required" && (len(callable) == 0 || !strict && format == nil):
		if format == nil {
			return nil
		}
		return s.bind(ctx, j, format)
	}
	form, err := j.m.callForm(ctx)
	switch {
	case err != nil && how == "required":
		return badRequest("tool_choice", "a tool cannot be forced on this model: %v", err)
	case err != nil && strict:
		return badRequest("tools", "calls of this model cannot be kept within a schema (\"strict\"): %v", err)
	case err != nil: // the answer is in the format, and calls nothing
		return s.bind(ctx, j, format)
	}
	if name != "" || j.one {
		form.Most = 1
	}
	form.Free = how != "required" && format == nil
	list := make([]constrain.Tool, len(callable))
	for i, c := range callable {
		if list[i] = c.Tool; how != "required" && strict && !c.strict {
			list[i].Parameters = "" // any object
		}
	}
	calls := &asked{"tools", fmt.Sprintf("calls %v %q", form, list), func() (*constrain.Grammar, error) { return constrain.ParseCalls(form, list) }}
	if how == "required" {
		calls.param = "tool_choice"
	}
	if j.form = &form; format == nil {
		return s.bind(ctx, j, calls)
	}
	return s.bind(ctx, j, &asked{format.param, format.key + " or " + calls.key, func() (*constrain.Grammar, error) {
		text, err := format.parse()
		if err != nil {
			return nil, err
		}
		call, err := calls.parse()
		if err != nil {
			return nil, err
		}
		return constrain.Either(text, call), nil
	}})
}

// choice reads tool_choice: auto, none or required, with the name of the function that is.
func (q *chatRequest) choice() (how, name string, err error) {
	how = "auto"
	if len(q.ToolChoice) == 0 || string(q.ToolChoice) == "null" {
		return how, "", nil
	}
	if json.Unmarshal(q.ToolChoice, &how) == nil {
		if !slices.Contains([]string{"auto", "none", "required"}, how) {
			return "", "", badRequest("tool_choice", "%q is none of \"auto\", \"none\", \"required\"", clip(how, 40))
		}
		return how, "", nil
	}
	var one struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(q.ToolChoice, &one) != nil || one.Type != "function" || one.Function.Name == "" {
		return "", "", badRequest("tool_choice", "want \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": ...}}")
	}
	return "required", one.Function.Name, nil
}

// callable is a tool that may be called.
type callable struct {
	constrain.Tool
	strict bool
}

// callables are the tools, or the one that is named, and whether one of them is strict.
func callables(tools []chat.Tool, name string) (list []callable, strict bool, err error) {
	for i, tool := range tools {
		var t struct {
			Function struct {
				Name       string          `json:"name"`
				Parameters json.RawMessage `json:"parameters"`
				Strict     *bool           `json:"strict"`
			} `json:"function"`
		}
		if err := json.Unmarshal(tool, &t); err != nil {
			return nil, false, badRequest(fmt.Sprintf("tools[%d]", i), "%v", err)
		}
		f := t.Function
		if name != "" && f.Name != name {
			continue
		}
		one := callable{constrain.Tool{Name: f.Name, Parameters: string(f.Parameters)}, f.Strict != nil && *f.Strict}
		list, strict = append(list, one), strict || one.strict
	}
	return list, strict, nil
}

// callForm is how the model writes calls.
func (m *Model) callForm(ctx context.Context) (form constrain.CallForm, err error) {
	if form.Open, form.Close, form.List, form.Arguments, err = m.Dialogue.Template.CallForm(ctx); err != nil {
		return form, err
	}
	for _, mark := range chat.CallMarks() {
		if mark != form.Open {
			form.Closed = append(form.Closed, mark)
		}
	}
	return form, nil
}

// mayCall reports whether a text that was bound to have calls in one form only can have them: others are text.
func (j *job) mayCall(text string) bool {
	switch f := j.form; {
	case f == nil:
		return true
	case f.Open == "":
		return strings.HasPrefix(strings.TrimLeft(text, " \t\n\v\f\r"), "{")
	case f.Free:
		return strings.Contains(text, f.Open)
	default:
		return strings.HasPrefix(text, f.Open)
	}
}
