package embed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
)

// Files of sentence-transformers.
const (
	modulesFile   = "modules.json"
	promptsFile   = "config_sentence_transformers.json"
	poolingConfig = "config.json"

	maxFile = 1 << 20
)

// transformerFiles are the names under which the module Transformer has its settings; the later ones are of old folders.
var transformerFiles = []string{"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json", "sentence_camembert_config.json",
	"sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json"}

// module is an entry of modules.json.
type module struct {
	Index int    `json:"idx"`
	Name  string `json:"name"`
	Path  string `json:"path"`
	Type  string `json:"type"`
}

// kind is the last part of the module's class name, which versions of sentence-transformers agree on.
func (m module) kind() string { return m.Type[strings.LastIndexByte(m.Type, '.')+1:] }

// IsSentenceTransformer says whether a folder is one of sentence-transformers.
func IsSentenceTransformer(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, modulesFile))
	return err == nil && info.Mode().IsRegular()
}

// Open reads a model with its tokenizer: a folder of sentence-transformers with the settings that it holds, or any folder or GGUF file of a model, whose vectors
// are the mean over the tokens.
func Open(path string, o zoo.Options) (*Embedder, error) {
	s, at, err := ReadSettings(path)
	if err != nil {
		return nil, err
	}
	return s.Open(at, o, nil)
}

// Open reads the model of the folder at with its tokenizer, for these settings. attach, where it is given, puts an adapter or virtual tokens beside the model.
func (s Settings) Open(at string, o zoo.Options, attach func(zoo.Stored) error) (*Embedder, error) {
	m, err := zoo.OpenAny(at, o)
	if err != nil {
		return nil, err
	}
	if attach != nil {
		if err := attach(m); err != nil {
			return nil, err
		}
	}
	encoder, err := AsEncoder(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	if s.dimension != 0 && s.dimension != m.Sizes().Width {
		return nil, fmt.Errorf("%s: vectors of tokens have %d numbers in the configuration of the pooling, %d in the model", at, s.dimension, m.Sizes().Width)
	}
	tok, err := zoo.Tokenizer(at, m)
	if err != nil {
		return nil, err
	}
	return &Embedder{Model: encoder, Tokenizer: tok, Settings: s}, nil
}

// ReadSettings reads the settings of a folder of sentence-transformers, and where its model is; of any other path they are the zero value, and the model is there.
func ReadSettings(path string) (s Settings, at string, err error) {
	if !IsSentenceTransformer(path) {
		return Settings{}, path, nil
	}
	return readFolder(path)
}

// AsEncoder returns a model of the zoo as what features are taken from.
func AsEncoder(m zoo.Stored) (model.Encoder, error) {
	switch m := m.(type) {
	case model.Encoder:
		return m, nil
	case model.Decoder:
		return model.AsEncoder(m), nil
	}
	return nil, errors.New("the model is neither an encoder nor a decoder: its features are no vectors of texts")
}

// readFolder reads the settings of a folder of sentence-transformers, and where the model is.
func readFolder(dir string) (s Settings, at string, err error) {
	var modules []module
	if err := read(filepath.Join(dir, modulesFile), &modules); err != nil {
		return s, "", err
	}
	for i, m := range modules {
		if !filepath.IsLocal(m.Path) && m.Path != "" {
			return s, "", fmt.Errorf("%s: module %d has its files at %q, outside of the folder", filepath.Join(dir, modulesFile), i, m.Path)
		}
		path := filepath.Join(dir, m.Path)
		switch kind := m.kind(); {
		case kind == "Transformer" && i == 0:
			at = path
			err = s.readTransformer(path)
		case kind == "Pooling" && i == 1:
			err = s.readPooling(filepath.Join(path, poolingConfig))
		case kind == "Normalize" && i == len(modules)-1:
			s.Normalize = true
		default:
			err = fmt.Errorf("%s: module %d is %s: what is read is a Transformer, then a Pooling, then perhaps a Normalize", filepath.Join(dir, modulesFile), i, m.Type)
		}
		if err != nil {
			return s, "", err
		}
	}
	if len(s.Pools) == 0 {
		return s, "", fmt.Errorf("%s has no module Pooling", filepath.Join(dir, modulesFile))
	}
	var prompts struct {
		Prompts map[string]string `json:"prompts"`
		Default *string           `json:"default_prompt_name"`
	}
	if err := readIfThere(filepath.Join(dir, promptsFile), &prompts); err != nil {
		return s, "", err
	}
	s.Prompts = prompts.Prompts
	if prompts.Default != nil {
		s.Prompt = *prompts.Default
	}
	return s, at, nil
}

// readTransformer reads how texts are cut.
func (s *Settings) readTransformer(dir string) error {
	var c struct {
		Limit *int `json:"max_seq_length"`
		Lower bool `json:"do_lower_case"`
	}
	for _, name := range transformerFiles {
		path := filepath.Join(dir, name)
		if err := readIfThere(path, &c); err != nil {
			return err
		}
		if c.Limit != nil {
			break
		}
	}
	s.Lower = c.Lower
	if c.Limit != nil {
		s.Limit = *c.Limit
		return nil
	}
	var t struct {
		Limit float64 `json:"model_max_length"` // 1e30 where there is none
	}
	if err := readIfThere(filepath.Join(dir, "tokenizer_config.json"), &t); err != nil {
		return err
	}
	if t.Limit >= 1 && t.Limit < 1e9 {
		s.Limit = int(t.Limit)
	}
	return nil
}

// readPooling reads the module's configuration, of which there are two forms.
func (s *Settings) readPooling(path string) error {
	var c struct {
		Width    int             `json:"word_embedding_dimension"`
		NewWidth int             `json:"embedding_dimension"`
		Mode     json.RawMessage `json:"pooling_mode"` // a name or several
		CLS      bool            `json:"pooling_mode_cls_token"`
		Max      bool            `json:"pooling_mode_max_tokens"`
		Mean     bool            `json:"pooling_mode_mean_tokens"`
		MeanRoot bool            `json:"pooling_mode_mean_sqrt_len_tokens"`
		Weighted bool            `json:"pooling_mode_weightedmean_tokens"`
		Last     bool            `json:"pooling_mode_lasttoken"`
		Prompt   *bool           `json:"include_prompt"`
	}
	if err := read(path, &c); err != nil {
		return err
	}
	s.dimension = max(c.Width, c.NewWidth)
	s.SkipPrompt = c.Prompt != nil && !*c.Prompt
	if len(c.Mode) > 0 {
		var names []string
		if c.Mode[0] == '"' {
			names = append(names, "")
			if err := json.Unmarshal(c.Mode, &names[0]); err != nil {
				return fmt.Errorf("%s: pooling_mode: %w", path, err)
			}
		} else if err := json.Unmarshal(c.Mode, &names); err != nil {
			return fmt.Errorf("%s: pooling_mode: %w", path, err)
		}
		for _, name := range names {
			p, err := ParsePool(name)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			s.Pools = append(s.Pools, p)
		}
	}
	if len(s.Pools) > 0 {
		return nil
	}
	for _, p := range []struct { // in the order in which the results follow each other
		on   bool
		pool Pool
	}{{c.CLS, CLS}, {c.Max, Max}, {c.Mean, Mean}, {c.MeanRoot, MeanRoot}, {c.Weighted, Weighted}, {c.Last, Last}} {
		if p.on {
			s.Pools = append(s.Pools, p.pool)
		}
	}
	if len(s.Pools) == 0 {
		s.Pools = []Pool{Mean}
	}
	return nil
}

// SaveSettings makes a folder that zoo.Save has written one of sentence-transformers. width is the model's.
func SaveSettings(dir string, s Settings, width int) error {
	const types = "sentence_transformers.models."
	modules := []module{{0, "0", "", types + "Transformer"}, {1, "1", "1_Pooling", types + "Pooling"}}
	pooling := map[string]any{"word_embedding_dimension": width, "include_prompt": !s.SkipPrompt}
	for key, p := range map[string]Pool{"cls_token": CLS, "max_tokens": Max, "mean_tokens": Mean, "mean_sqrt_len_tokens": MeanRoot, "weightedmean_tokens": Weighted, "lasttoken": Last} {
		pooling["pooling_mode_"+key] = false
		for _, q := range s.Pools {
			if p == q {
				pooling["pooling_mode_"+key] = true
			}
		}
	}
	if len(s.Pools) == 0 {
		pooling["pooling_mode_mean_tokens"] = true
	}
	limit := any(nil)
	if s.Limit > 0 {
		limit = s.Limit
	}
	prompts := s.Prompts
	if prompts == nil {
		prompts = map[string]string{}
	}
	name := any(nil)
	if s.Prompt != "" {
		name = s.Prompt
	}
	files := map[string]any{
		"1_Pooling/" + poolingConfig: pooling,
		transformerFiles[0]:          map[string]any{"max_seq_length": limit, "do_lower_case": s.Lower},
		promptsFile:                  map[string]any{"prompts": prompts, "default_prompt_name": name, "similarity_fn_name": "cosine"},
	}
	if s.Normalize {
		modules = append(modules, module{2, "2", "2_Normalize", types + "Normalize"})
		files["2_Normalize/"+poolingConfig] = map[string]any{}
	}
	for name, v := range files {
		if err := write(filepath.Join(dir, filepath.FromSlash(name)), v); err != nil {
			return err
		}
	}
	return write(filepath.Join(dir, modulesFile), modules) // last: it says what the folder is
}

func write(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return file.WriteFile(path, append(b, '\n'), 0o644)
}

// read decodes a small JSON file.
func read(path string, v any) error {
	b, err := file.Read(path, maxFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readIfThere(path string, v any) error {
	if err := read(path, v); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
