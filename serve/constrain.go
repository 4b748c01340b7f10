package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

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
	Pattern string `json:"pattern"`
	Grammar string `json:"grammar"`
}

// maxConstraints is the most compiled constraints that a model keeps; each holds what its grammar needed so far, a few megabytes.
const maxConstraints = 8

// constraints are a model's vocabulary and the constraints that were used last.
type constraints struct {
	mu    sync.Mutex
	vocab *constrain.Vocabulary
	names []string // what was asked for, the last at the end
	made  []*constrain.Constraint
}

// constraint compiles what is asked for, once for a name.
func (m *Model) constraint(name string, parse func() (*constrain.Grammar, error)) (*constrain.Constraint, error) {
	c := &m.constraints
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.names, name); i >= 0 {
		return c.made[i], nil
	}
	g, err := parse()
	if err != nil {
		return nil, err
	}
	if c.vocab == nil {
		if c.vocab, err = constrain.NewVocabulary(m.Tokenizer.Texts()); err != nil {
			return nil, err
		}
	}
	made, err := g.Compile(c.vocab)
	if err != nil {
		return nil, err
	}
	if len(c.names) == maxConstraints {
		c.names, c.made = slices.Delete(c.names, 0, 1), slices.Delete(c.made, 0, 1)
	}
	c.names, c.made = append(c.names, name), append(c.made, made)
	return made, nil
}

// constrain sets the constraint that response_format or tool_choice asks for.
func (q *chatRequest) constrain(ctx context.Context, j *job, tools []chat.Tool) error {
	how, name, err := q.choice()
	if err != nil {
		return err
	}
	param, key, parse, err := q.format()
	if err != nil {
		return err
	}
	if how == "required" {
		if parse != nil {
			return badRequest("tool_choice", "a call that must be made is in the model's own format: it excludes response_format")
		}
		param = "tool_choice"
		if key, parse, err = q.forced(ctx, j.m, tools, name); err != nil {
			return err
		}
	}
	if parse == nil {
		return nil
	}
	made, err := j.m.constraint(key, parse)
	if err != nil {
		return badRequest(param, "%s", clip(strings.TrimPrefix(err.Error(), "constrain: "), 500))
	}
	j.options.Constraint, j.continues = made, true // a space at the beginning counts
	return nil
}

// format reads response_format; parse is nil where any text will do.
func (q *chatRequest) format() (param, key string, parse func() (*constrain.Grammar, error), err error) {
	if len(q.ResponseFormat) == 0 || string(q.ResponseFormat) == "null" {
		return "", "", nil, nil
	}
	var f responseFormat
	d := json.NewDecoder(bytes.NewReader(q.ResponseFormat))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return "", "", nil, badRequest("response_format", "%s", clip(err.Error(), 200))
	}
	source, read := "", constrain.ParseSchema
	switch f.Type {
	case "text":
		return "", "", nil, nil
	case "json_object":
		source = `{"type": "object"}`
	case "json_schema":
		source = string(f.JSONSchema.Schema)
	case "regex":
		source, read = f.Pattern, constrain.ParseRegexp
	case "grammar":
		source, read = f.Grammar, constrain.ParseGBNF
	default:
		return "", "", nil, badRequest("response_format.type", "%q is none of text, json_object, json_schema, regex, grammar", clip(f.Type, 40))
	}
	if source == "" {
		return "", "", nil, badRequest("response_format", "the %s is missing", map[string]string{"json_schema": "json_schema.schema", "regex": "pattern", "grammar": "grammar"}[f.Type])
	}
	return "response_format", f.Type + " " + source, func() (*constrain.Grammar, error) { return read(source) }, nil
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

// forced is the language of calls of one of the tools, or of the named one, in the model's own format.
func (q *chatRequest) forced(ctx context.Context, m *Model, tools []chat.Tool, name string) (string, func() (*constrain.Grammar, error), error) {
	var form constrain.CallForm
	var err error
	if form.Open, form.Close, form.List, form.Arguments, err = m.Dialogue.Template.CallForm(ctx); err != nil {
		return "", nil, badRequest("tool_choice", "a tool cannot be forced on this model: %v", err)
	}
	if name != "" || q.ParallelToolCalls != nil && !*q.ParallelToolCalls {
		form.Most = 1
	}
	var callable []constrain.Tool
	for i, tool := range tools {
		var t struct {
			Function struct {
				Name       string          `json:"name"`
				Parameters json.RawMessage `json:"parameters"`
			} `json:"function"`
		}
		if err := json.Unmarshal(tool, &t); err != nil {
			return "", nil, badRequest(fmt.Sprintf("tools[%d]", i), "%v", err)
		}
		if name == "" || t.Function.Name == name {
			callable = append(callable, constrain.Tool{Name: t.Function.Name, Parameters: string(t.Function.Parameters)})
		}
	}
	if len(callable) == 0 {
		return "", nil, badRequest("tool_choice", "there is no tool %q", clip(name, 40))
	}
	return fmt.Sprintf("calls %v %q", form, callable), func() (*constrain.Grammar, error) { return constrain.ParseCalls(form, callable) }, nil
}
