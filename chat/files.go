package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
)

// Source is what the files of a model say about chat.
type Source struct {
	Template string            // the default template; "" where there is none
	Named    map[string]string // others by name, such as tool_use
	BOS, EOS string            // texts of the tokens that begin and end a document, "" where there are none
	Stops    []int32           // ids that end a generation
}

// ErrNoTemplate is wrapped by the error of a model that brings no chat template.
var ErrNoTemplate = errors.New("the model has no chat template")

// Open returns the model's template: the one named tool_use where there are tools and such a one, otherwise the default.
func (s *Source) Open(tools bool) (*Template, error) {
	text := s.Template
	if t, ok := s.Named["tool_use"]; ok && tools {
		text = t
	}
	if text == "" {
		return nil, fmt.Errorf("chat: %w; a built-in one must be asked for by name: %s", ErrNoTemplate, strings.Join(Names(), ", "))
	}
	return New(text, s.BOS, s.EOS)
}

// maxFile bounds the files that FromDir reads. A tokenizer_config.json lists the added tokens, which can be many.
const maxFile = 16 << 20

// FromDir reads chat_template.jinja, chat_template.json, additional_chat_templates, tokenizer_config.json and generation_config.json of a model
// folder, as far as they are there; a template file of its own wins over tokenizer_config.json's.
func FromDir(dir string) (*Source, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	folder := file.Folder(dir)
	s := &Source{Named: map[string]string{}}
	for _, step := range []struct {
		name string
		read func(data []byte) error
	}{
		{"tokenizer_config.json", s.tokenizerConfig},
		{"chat_template.json", s.templateJSON},
		{"chat_template.jinja", func(data []byte) error { s.Template = string(data); return nil }},
		{"generation_config.json", s.generationConfig},
	} {
		data, err := folder.Read(step.name, maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := step.read(data); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, step.name), err)
		}
	}
	return s, s.additional(folder)
}

// additional reads additional_chat_templates/NAME.jinja.
func (s *Source) additional(folder file.Folder) error {
	const name = "additional_chat_templates"
	entries, err := folder.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		key, ok := strings.CutSuffix(e.Name(), ".jinja")
		if !ok || e.IsDir() {
			continue
		}
		data, err := folder.Read(name+"/"+e.Name(), maxFile)
		if err != nil {
			return err
		}
		s.Named[key] = string(data)
	}
	return err
}

func (s *Source) templateJSON(data []byte) error {
	var c struct {
		Template string `json:"chat_template"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	s.Template = c.Template
	return nil
}

func (s *Source) tokenizerConfig(data []byte) error {
	var c struct {
		Template json.RawMessage `json:"chat_template"`
		BOS      specialToken    `json:"bos_token"`
		EOS      specialToken    `json:"eos_token"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	s.BOS, s.EOS = string(c.BOS), string(c.EOS)
	if len(c.Template) == 0 || string(c.Template) == "null" {
		return nil
	}
	if json.Unmarshal(c.Template, &s.Template) == nil {
		return nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(c.Template, &list); err != nil {
		return errors.New("chat_template is neither a text nor a list of named templates")
	}
	for _, t := range list {
		if t.Name == "default" {
			s.Template = t.Template
		} else {
			s.Named[t.Name] = t.Template
		}
	}
	return nil
}

// specialToken is a text, an added token's object with its content, or null.
type specialToken string

func (t *specialToken) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*t = specialToken(text)
		return nil
	}
	var object struct{ Content *string }
	if err := json.Unmarshal(data, &object); err != nil || object.Content == nil {
		return errors.New("bos_token or eos_token is neither a text nor an object with its content")
	}
	*t = specialToken(*object.Content)
	return nil
}

func (s *Source) generationConfig(data []byte) error {
	var c struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	if len(c.EOS) == 0 || string(c.EOS) == "null" {
		return nil
	}
	var one int32
	if json.Unmarshal(c.EOS, &one) == nil {
		s.Stops = []int32{one}
	} else if err := json.Unmarshal(c.EOS, &s.Stops); err != nil {
		return errors.New("eos_token_id is neither an id nor a list of ids")
	}
	if slices.ContainsFunc(s.Stops, func(id int32) bool { return id < 0 }) {
		return errors.New("eos_token_id is negative")
	}
	return nil
}
