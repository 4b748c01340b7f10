package zoo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/quant"
)

// Written is a tensor as a file got it.
type Written struct {
	checkpoint.Info
	Bytes int
}

// content is a model on its way into a GGUF file.
type content struct {
	meta    gguf.Metadata
	tensors []checkpoint.Info
	read    func(i int) ([]float32, error)
	close   func() error
}

// WriteGGUF writes the model at in, a folder or a GGUF file, with its tokenizer and chat template, to the GGUF file out. pick chooses each tensor's type; fileType is
// what general.file_type says. It returns the tensors in their order.
func WriteGGUF(in, out string, fileType uint32, pick func(t checkpoint.Info) (checkpoint.DType, error)) ([]Written, error) {
	c, err := contentOf(in)
	if err != nil {
		return nil, err
	}
	return c.write(out, fileType, pick)
}

func (c *content) write(out string, fileType uint32, pick func(t checkpoint.Info) (checkpoint.DType, error)) ([]Written, error) {
	if !IsGGUF(out) {
		return nil, errors.Join(fmt.Errorf("%s: the name of a GGUF file ends in .gguf", out), c.close())
	}
	c.meta.Set("general.file_type", fileType)
	var written []Written
	var list []gguf.Tensor
	for i, t := range c.tensors {
		var err error
		if t.DType, err = pick(t); err != nil {
			return nil, errors.Join(err, c.close())
		}
		elements, size := t.DType.Block()
		written = append(written, Written{t, t.Elements() / elements * size})
		list = append(list, gguf.Tensor{Info: t, Data: func() ([]byte, error) {
			values, err := c.read(i)
			if err != nil {
				return nil, err
			}
			width := 1 // of a tensor without dimensions
			if n := len(t.Shape); n > 0 {
				width = t.Shape[n-1]
			}
			return encode(t.DType, values, width)
		}})
	}
	return written, errors.Join(gguf.Write(out, c.meta, list), c.close())
}

// contentOf reads a model's metadata and prepares its tensors under GGUF's names.
func contentOf(path string) (*content, error) {
	if !IsGGUF(path) {
		return contentOfDir(path)
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	c := &content{tensors: f.Infos(), close: f.Close}
	for _, p := range f.Meta {
		if !strings.HasPrefix(p.Key, "split.") {
			c.meta = append(c.meta, p)
		}
	}
	c.read = func(i int) ([]float32, error) {
		t := f.Infos()[i]
		elements, size := t.DType.Block()
		data, values := make([]byte, t.Elements()/elements*size), make([]float32, t.Elements())
		if err := f.Read(i, data, 0); err != nil {
			return nil, err
		}
		return values, checkpoint.Tensor{Name: t.Name, DType: t.DType, Data: data}.Float32(values)
	}
	return c, nil
}

func contentOfDir(dir string) (*content, error) {
	m, err := Open(dir, Options{F32: true})
	if err != nil {
		return nil, err
	}
	config, err := m.ConfigJSON()
	if err != nil {
		return nil, err
	}
	meta, vectors, err := metadataOf(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	meta.Set("general.name", filepath.Base(filepath.Clean(dir)))
	meta.Set("general.type", "model")
	if err := tokenizerInto(&meta, dir, m, config); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	list, err := checkpoint.Tensors(Bindings(m, checkpoint.GGUF))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for _, v := range vectors {
		list = append(list, checkpoint.FromFloat32(v.name, []int{len(v.values)}, v.values))
	}
	c := &content{meta: meta, close: func() error { return nil }}
	for _, t := range list {
		c.tensors = append(c.tensors, checkpoint.Info{Name: t.Name, DType: t.DType, Shape: t.Shape})
	}
	c.read = func(i int) ([]float32, error) {
		values := make([]float32, c.tensors[i].Elements())
		return values, list[i].Float32(values)
	}
	return c, nil
}

// tokenizerInto says in meta what a folder's tokenizer and chat template say. A folder without tokenizer.json gives a file without one.
func tokenizerInto(meta *gguf.Metadata, dir string, m Stored, config []byte) error {
	data, err := os.ReadFile(filepath.Join(dir, TokenizerFile))
	if errors.Is(err, fs.ErrNotExist) {
		meta.Set(keyModel, "none")
		return nil
	}
	if err != nil {
		return err
	}
	bos, eos := firstID(config, "bos_token_id"), firstID(config, "eos_token_id")
	if err := setTokenizer(meta, data, m.Sizes().Vocab, bos, eos); err != nil {
		return err
	}
	text, err := templateOf(dir)
	if err == nil && text != "" {
		meta.Set(keyTemplate, text)
	}
	return err
}

// firstID reads a token of config.json, which may be a list; -1 for none.
func firstID(config []byte, key string) int {
	var c map[string]json.RawMessage
	var one int
	var many []int
	switch err := json.Unmarshal(config, &c); {
	case err != nil || c[key] == nil || string(c[key]) == "null":
		return -1
	case json.Unmarshal(c[key], &one) == nil:
		return one
	case json.Unmarshal(c[key], &many) == nil && len(many) > 0:
		return many[0]
	}
	return -1
}

// Names of the files that hold the chat template of a folder that is written here, and the tokens that it may name.
const (
	templateFile        = "chat_template.jinja"
	tokenizerConfigFile = "tokenizer_config.json"
)

// templateOf returns a folder's chat template, empty for none.
func templateOf(dir string) (string, error) {
	source, err := chat.FromDir(dir)
	if err != nil {
		return "", err
	}
	return source.Template, nil
}

// encode stores values, rows of width, as d.
func encode(d checkpoint.DType, values []float32, width int) ([]byte, error) {
	if d == checkpoint.F32 {
		return checkpoint.FromFloat32("", nil, values).Data, nil
	}
	f, ok := quant.ByName(strings.ToLower(string(d)))
	if !ok || !f.CanEncode() {
		return nil, fmt.Errorf("nothing is written as %s", d)
	}
	elements, size := f.Block()
	out := make([]byte, len(values)/elements*size)
	workers := runtime.GOMAXPROCS(0)
	chunk := (len(values)/max(width, 1) + workers - 1) / workers * width
	var wait sync.WaitGroup
	for from := 0; from < len(values); from += chunk {
		to := min(from+chunk, len(values))
		wait.Go(func() { f.Encode(out[from/elements*size:to/elements*size], values[from:to]) })
	}
	wait.Wait()
	return out, nil
}

// PickType chooses d for matrices, F32 for vectors and for the few matrices that llama.cpp keeps so, and F16 for matrices whose rows are not whole blocks of d.
func PickType(d checkpoint.DType) func(t checkpoint.Info) (checkpoint.DType, error) {
	return func(t checkpoint.Info) (checkpoint.DType, error) {
		elements, _ := d.Block()
		switch {
		case keptF32(t):
			return checkpoint.F32, nil
		case t.Shape[len(t.Shape)-1]%elements != 0:
			return checkpoint.F16, nil
		}
		return d, nil
	}
}

// keptF32 says whether a tensor is F32 in every file: vectors, positions and routers.
func keptF32(t checkpoint.Info) bool {
	return len(t.Shape) < 2 || t.Name == "position_embd.weight" || strings.HasSuffix(t.Name, ".ffn_gate_inp.weight")
}

// WriteDir writes the GGUF file in to a new folder with Hugging Face's files, values as F32, F16 or BF16.
func WriteDir(in, dir string, d checkpoint.DType) error {
	m, err := Open(in, Options{F32: true})
	if err != nil {
		return err
	}
	f, err := gguf.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	var tokenizer []byte
	if kind, _, _ := gguf.Lookup[string](f.Meta, keyModel); kind != "none" && kind != "" {
		if tokenizer, err = TokenizerJSON(f.Meta); err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
	}
	template, err := ChatTemplate(in)
	if err != nil {
		return err
	}
	var special []byte
	if template.Text != "" {
		if special, err = json.Marshal(specialTokens{template.BOS, template.EOS}); err != nil {
			return err
		}
	}
	config, err := m.ConfigJSON()
	if err != nil {
		return err
	}
	tensors, err := checkpoint.Tensors(Bindings(m, checkpoint.HuggingFace))
	if err != nil {
		return err
	}
	if d != checkpoint.F32 {
		var keys map[string]any
		if err := json.Unmarshal(config, &keys); err != nil {
			return err
		}
		keys["torch_dtype"] = map[checkpoint.DType]string{checkpoint.F16: "float16", checkpoint.BF16: "bfloat16"}[d]
		if config, err = json.MarshalIndent(keys, "", "  "); err != nil {
			return err
		}
		for i, t := range tensors {
			values := make([]float32, checkpoint.Info{Shape: t.Shape}.Elements())
			if err := t.Float32(values); err != nil {
				return err
			}
			if tensors[i].Data, err = encode(d, values, t.Shape[len(t.Shape)-1]); err != nil {
				return err
			}
			tensors[i].DType = d
		}
	}
	return file.WriteDirAtomic(dir, func(tmp string) error {
		for name, data := range map[string][]byte{ConfigFile: config, TokenizerFile: tokenizer, templateFile: []byte(template.Text), tokenizerConfigFile: special} {
			if len(data) == 0 {
				continue
			}
			if err := os.WriteFile(filepath.Join(tmp, name), data, 0o644); err != nil {
				return err
			}
		}
		return checkpoint.WriteSharded(tmp, tensors, 0, nil)
	})
}

// specialTokens is the part of tokenizer_config.json that a chat template reads.
type specialTokens struct {
	BOS string `json:"bos_token,omitempty"`
	EOS string `json:"eos_token,omitempty"`
}

// Template is a chat template with the texts of the tokens that it may name.
type Template struct{ Text, BOS, EOS string }

// ChatTemplate returns the chat template of a GGUF file, or of a folder without its tokens, which chat.FromDir knows. Text is empty where there is none.
func ChatTemplate(path string) (Template, error) {
	if !IsGGUF(path) {
		text, err := templateOf(path)
		return Template{Text: text}, err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return Template{}, err
	}
	defer f.Close()
	var t Template
	if t.Text, _, err = gguf.Lookup[string](f.Meta, keyTemplate); err != nil {
		return t, err
	}
	tokens, _, err := gguf.Lookup[[]string](f.Meta, keyTokens)
	if err != nil {
		return t, err
	}
	for key, to := range map[string]*string{"tokenizer.ggml.bos_token_id": &t.BOS, "tokenizer.ggml.eos_token_id": &t.EOS} {
		if id, ok, err := gguf.Lookup[int](f.Meta, key); err != nil {
			return t, err
		} else if ok && id >= 0 && id < len(tokens) {
			*to = tokens[id]
		}
	}
	return t, nil
}
