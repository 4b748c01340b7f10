package zoo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/model/clip"
)

// DirOptions say how WriteDir writes a model.
type DirOptions struct {
	DType      checkpoint.DType // of every tensor: F32, F16 or BF16
	ShardBytes int64            // most bytes of a file of weights; 0: checkpoint.DefaultShardBytes
	Threads    int              // most workers; 0: all CPUs
	OpenCLIP   bool             // a CLIP's folder is one of open_clip, not of transformers

	fourBit bool // see Quantize4Bit
}

// WriteDir writes the model at in, a folder or a GGUF file, to a new folder with Hugging Face's files. Of a folder, every other text beside the weights comes along as
// it is, but for the type in config.json. A tensor is in memory at a time, not the model. When ctx ends nothing is left of the folder.
func WriteDir(ctx context.Context, in, dir string, o DirOptions) error {
	src, m, scheme, err := openSource(in)
	if err != nil {
		return err
	}
	return errors.Join(writeDir(ctx, in, dir, m, src, scheme, o), src.Close())
}

func writeDir(ctx context.Context, in, dir string, m Stored, src checkpoint.Source, scheme checkpoint.Scheme, o DirOptions) error {
	files := texts
	if f, ok := src.(*gguf.File); ok {
		files = func(in string) (map[string][]byte, error) { return textsOf(f, m) }
	}
	extra, err := files(in)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	to := checkpoint.HuggingFace
	if c, ok := m.(*clip.Model); ok {
		if to, err = clipTexts(extra, in, c, o); err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
	} else if o.OpenCLIP {
		return fmt.Errorf("%s is no CLIP: open_clip has no folders of such models", in)
	}
	if config, ok := extra[ConfigFile]; ok {
		if extra[ConfigFile], err = withType(config, o.DType, o.fourBit); err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
	}
	list, err := rearrange(src, m, scheme, to)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	var tensors []checkpoint.Deferred
	for _, t := range list {
		as := func(d checkpoint.DType, unit int) func() ([]byte, error) {
			return func() ([]byte, error) {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				values, err := t.Values()
				if err != nil {
					return nil, err
				}
				return encode(d, values, unit, o.Threads)
			}
		}
		if o.fourBit && isLayer(t.Info) {
			parts, err := checkpoint.Pack4Bit(t.Name, t.Shape, torchTypes[o.DType], as(checkpoint.NF4, quant.FourBlock))
			if err != nil {
				return fmt.Errorf("%s: %w", in, err)
			}
			tensors = append(tensors, parts...)
			continue
		}
		info := t.Info
		info.DType = o.DType
		tensors = append(tensors, checkpoint.Deferred{Info: info, Data: as(o.DType, 1)})
	}
	return file.WriteDirAtomic(dir, func(tmp string) error {
		for name, data := range extra {
			path := filepath.Join(tmp, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return err
			}
		}
		if to != checkpoint.OpenCLIP {
			return checkpoint.WriteDeferred(tmp, tensors, o.ShardBytes, nil)
		}
		if err := checkpoint.WriteDeferred(tmp, tensors, math.MaxInt64, nil); err != nil { // open_clip reads one file, of a name of its own
			return err
		}
		return os.Rename(filepath.Join(tmp, WeightsFile), filepath.Join(tmp, openCLIPTensors))
	})
}

// torchTypes are the names of types in PyTorch.
var torchTypes = map[checkpoint.DType]string{checkpoint.F32: "float32", checkpoint.F16: "float16", checkpoint.BF16: "bfloat16"}

// withType says in a config.json of which type the weights are, and whether linear layers are NF4 with double quantisation.
func withType(config []byte, d checkpoint.DType, fourBit bool) ([]byte, error) {
	var keys map[string]json.RawMessage // numbers stay as they are written: 3 is not 3.0 to every reader
	if err := json.Unmarshal(config, &keys); err != nil {
		return nil, err
	}
	key := "torch_dtype"
	if _, ok := keys["dtype"]; ok { // the name since transformers 5
		key = "dtype"
	}
	name := torchTypes[d]
	if name == "" {
		return nil, fmt.Errorf("weights of a folder as %q: only F32, F16 and BF16", string(d))
	}
	keys[key] = json.RawMessage(`"` + name + `"`)
	delete(keys, keyQuantised)
	if fourBit {
		keys[keyQuantised] = json.RawMessage(`{"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true, ` +
			`"bnb_4bit_compute_dtype": "` + name + `", "bnb_4bit_quant_storage": "uint8"}`)
	}
	return json.MarshalIndent(keys, "", "  ")
}

// textsOf are the files of configuration that a GGUF file's metadata stand for.
func textsOf(f *gguf.File, m Stored) (map[string][]byte, error) {
	files := map[string][]byte{}
	var err error
	if files[ConfigFile], err = m.ConfigJSON(); err != nil {
		return nil, err
	}
	kind, _, err := gguf.Lookup[string](f.Meta, keyModel)
	if err != nil {
		return nil, err
	}
	if cmp.Or(kind, "none") != "none" {
		if files[TokenizerFile], err = TokenizerJSON(f.Meta); err != nil {
			return nil, err
		}
	}
	template, err := templateIn(f.Meta)
	if err != nil || template.Text == "" {
		return files, err
	}
	files[templateFile] = []byte(template.Text)
	files[tokenizerConfigFile], err = json.Marshal(specialTokens{template.BOS, template.EOS})
	return files, err
}

// specialTokens is the part of tokenizer_config.json that a chat template reads.
type specialTokens struct {
	BOS string `json:"bos_token,omitempty"`
	EOS string `json:"eos_token,omitempty"`
}

// maxText bounds a file that texts takes along.
const maxText = 256 << 20

// texts are a folder's files of configuration, tokenizer and chat templates, by their names.
func texts(dir string) (map[string][]byte, error) {
	folder := file.Folder(dir)
	files := map[string][]byte{}
	for _, sub := range []string{".", "additional_chat_templates"} {
		if sub != "." && !folder.Has(sub) {
			continue
		}
		entries, err := folder.ReadDir(sub)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() || strings.HasSuffix(name, ".index.json") || slices.Contains(records, name) || !slices.Contains(textKinds, filepath.Ext(name)) {
				continue
			}
			if sub != "." {
				name = sub + "/" + name
			}
			if files[name], err = folder.Read(name, maxText); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// records are files that tell how a folder came about: its checksums, which are written anew, and what a run of training says of itself, by which runs are known.
var records = []string{file.ManifestName, "train.json", "result.json"}

// textKinds are the endings of files that a model's folder holds beside weights.
var textKinds = []string{".json", ".txt", ".model", ".jinja", ".tiktoken"}
