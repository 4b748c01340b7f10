package zoo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	packed  *checkpoint.Info // a tensor of the source in few bits, where tensors does not say so; or nil
}

// WriteGGUF writes the model at in, a folder or a GGUF file, with its tokenizer and chat template, to the GGUF file out. pick chooses each tensor's type; fileType is
// what general.file_type says. It returns the tensors in their order. A tensor is in memory at a time, not the model. When ctx ends
// nothing is left of the file. threads is the most workers; 0 means all CPUs.
func WriteGGUF(ctx context.Context, in, out string, fileType uint32, threads int, pick func(t checkpoint.Info) (checkpoint.DType, error)) ([]Written, error) {
	c, err := contentOf(in)
	if err != nil {
		return nil, err
	}
	return c.write(ctx, out, fileType, threads, pick)
}

func (c *content) write(ctx context.Context, out string, fileType uint32, threads int, pick func(t checkpoint.Info) (checkpoint.DType, error)) ([]Written, error) {
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
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			values, err := c.read(i)
			if err != nil {
				return nil, err
			}
			width := 1 // of a tensor without dimensions
			if n := len(t.Shape); n > 0 {
				width = t.Shape[n-1]
			}
			return encode(t.DType, values, width, threads)
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
	if len(f.Infos()) == 0 {
		return nil, errors.Join(fmt.Errorf("%s has no tensors: it holds metadata only, such as a vocabulary", path), f.Close())
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
	src, m, _, err := openSource(dir)
	if err != nil {
		return nil, err
	}
	c, err := contentFrom(dir, m, src)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return c, nil
}

func contentFrom(dir string, m Stored, src checkpoint.Source) (*content, error) {
	if _, err := AsDecoder(m); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
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
	list, err := rearrange(src, m, checkpoint.HuggingFace, checkpoint.GGUF)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for _, v := range vectors {
		list = append(list, checkpoint.Rearranged{Info: checkpoint.Info{Name: v.name, DType: checkpoint.F32, Shape: []int{len(v.values)}},
			Values: func() ([]float32, error) { return v.values, nil }})
	}
	c := &content{meta: meta, close: src.Close, read: func(i int) ([]float32, error) { return list[i].Values() }}
	for _, t := range list {
		c.tensors = append(c.tensors, t.Info)
	}
	for _, t := range src.Infos() {
		if elements, _ := t.DType.Block(); elements > 1 {
			c.packed = &t
		}
	}
	return c, nil
}

// rearrange lays the weights of m, shapes only, out by another scheme; they are read from src one tensor at a time.
func rearrange(src checkpoint.Source, m Stored, from, to checkpoint.Scheme) ([]checkpoint.Rearranged, error) {
	if err := checkTied(src, from, m); err != nil {
		return nil, err
	}
	return checkpoint.Rearrange(src, Bindings(m, from), Bindings(m, to), func(name string) bool { return m.Ignored(from, name) })
}

// tokenizerInto says in meta what a folder's tokenizer and chat template say. A folder without tokenizer.json gives a file without one.
func tokenizerInto(meta *gguf.Metadata, dir string, m Stored, config []byte) error {
	data, err := file.Read(filepath.Join(dir, TokenizerFile), maxText)
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

// encode stores values, rows of width, as d, by so many workers; 0 means all CPUs.
func encode(d checkpoint.DType, values []float32, width, workers int) ([]byte, error) {
	if d == checkpoint.F32 {
		return checkpoint.FromFloat32("", nil, values).Data, nil
	}
	f, ok := quant.ByName(strings.ToLower(string(d)))
	if !ok || !f.CanEncode() {
		return nil, fmt.Errorf("nothing is written as %s", d)
	}
	elements, size := f.Block()
	out := make([]byte, len(values)/elements*size)
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
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
	return templateIn(f.Meta)
}

func templateIn(meta gguf.Metadata) (t Template, err error) {
	if t.Text, _, err = gguf.Lookup[string](meta, keyTemplate); err != nil {
		return t, err
	}
	tokens, _, err := gguf.Lookup[[]string](meta, keyTokens)
	if err != nil {
		return t, err
	}
	for key, to := range map[string]*string{"tokenizer.ggml.bos_token_id": &t.BOS, "tokenizer.ggml.eos_token_id": &t.EOS} {
		if id, ok, err := gguf.Lookup[int](meta, key); err != nil {
			return t, err
		} else if ok && id >= 0 && id < len(tokens) {
			*to = tokens[id]
		}
	}
	return t, nil
}
