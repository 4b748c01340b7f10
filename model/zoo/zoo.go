// Package zoo is the one table of model families, and what turns a folder or a GGUF file into a model with its tokenizer and back. A run directory
// holds config.json, tokenizer.json and model.safetensors with Hugging Face's names, so that transformers loads it too.
package zoo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/checkpoint/pickle"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/gemma"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/gptj"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/model/neox"
	"github.com/plinth-ml/plinth/model/palm"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Stored is a model of any family as folders and files hold it.
type Stored interface {
	// Params lists the parameters under their checkpoint names.
	Params() []nn.Named
	ConfigJSON() ([]byte, error)
	// Places are where a parameter may stand in files of a scheme, best first: the first is where it is written.
	Places(s checkpoint.Scheme, param string) []checkpoint.Place
	// Ignored reports tensors of published files that hold no parameter.
	Ignored(s checkpoint.Scheme, tensor string) bool
	Sizes() model.Sizes
	Cost(seq int) model.Cost
}

// Model is a decoder that can be stored.
type Model interface {
	Stored
	model.Decoder
}

// Families maps config.json's model_type to a constructor from the file's bytes. The model has shapes only, in the layout that files of the
// scheme have.
var Families = map[string]func(config []byte, s checkpoint.Scheme) (Stored, error){
	gpt.TypeGPT2: newGPT,
	gpt.TypeGPT3: newGPT,
	"llama":      newLlama,
	"mistral":    newLlama,
	"qwen2":      newLlama,
	"qwen3":      newLlama,
	"phi3":       newLlama,
	"mixtral":    newLlama,

	"gemma":       newGemma,
	"gemma2":      newGemma,
	"gemma3_text": newGemma,
	"gemma3":      newGemma, // the part about text

	neox.Type: newNeoX,
	gptj.Type: newGPTJ,
	palm.Type: newPaLM,

	bert.TypeBERT:       newBERT,
	bert.TypeRoBERTa:    newBERT,
	bert.TypeDistilBERT: newBERT,
	t5.Type:             newT5,
	clip.Type:           newCLIP,
	clip.TypeSigLIP:     newCLIP,
}

func newLlama(config []byte, s checkpoint.Scheme) (Stored, error) {
	c, err := llama.Parse(config)
	if err != nil {
		return nil, err
	}
	if s == checkpoint.GGUF {
		c = c.AsGGUF()
	}
	return llama.New(c)
}

func newGemma(config []byte, _ checkpoint.Scheme) (Stored, error) {
	c, err := gemma.Parse(config)
	if err != nil {
		return nil, err
	}
	return gemma.New(c)
}

func newNeoX(config []byte, _ checkpoint.Scheme) (Stored, error) {
	c, err := neox.Parse(config)
	if err != nil {
		return nil, err
	}
	return neox.New(c)
}

func newGPTJ(config []byte, _ checkpoint.Scheme) (Stored, error) {
	c, err := gptj.Parse(config)
	if err != nil {
		return nil, err
	}
	return gptj.New(c)
}

func newPaLM(config []byte, _ checkpoint.Scheme) (Stored, error) {
	c, err := palm.Parse(config)
	if err != nil {
		return nil, err
	}
	return palm.New(c)
}

func newT5(config []byte, _ checkpoint.Scheme) (Stored, error) {
	c, err := t5.Parse(config)
	if err != nil {
		return nil, err
	}
	if c.Encoder {
		return t5.NewEncoder(c)
	}
	return t5.New(c)
}

func newBERT(config []byte, _ checkpoint.Scheme) (Stored, error) {
	c, err := bert.Parse(config)
	if err != nil {
		return nil, err
	}
	m, err := bert.New(c)
	if err != nil {
		return nil, err
	}
	if c.HasTask() {
		return bert.Tasked{Model: m}, nil
	}
	return m, nil
}

func newGPT(config []byte, s checkpoint.Scheme) (Stored, error) {
	c, err := gpt.Parse(config)
	if err != nil {
		return nil, err
	}
	if s == checkpoint.GGUF {
		c = c.AsGGUF()
	}
	return gpt.New(c)
}

// Names of the files in a run directory.
const (
	ConfigFile    = "config.json"
	TokenizerFile = "tokenizer.json"
	WeightsFile   = "model.safetensors"
)

// maxConfig bounds config.json.
const maxConfig = 16 << 20

// IsGGUF says whether path names a GGUF file.
func IsGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// Describe returns the model of a folder's config.json or of a GGUF file's metadata, shapes only.
func Describe(path string) (Stored, error) {
	if IsGGUF(path) {
		f, err := gguf.Open(path)
		if err != nil {
			return nil, err
		}
		m, err := describeGGUF(f)
		return m, errors.Join(err, f.Close())
	}
	m, _, err := describeDir(path)
	return m, err
}

// describeDir returns the model of a folder, and the scheme of its files.
func describeDir(dir string) (Stored, checkpoint.Scheme, error) {
	if isOpenCLIP(dir) {
		m, err := describeOpenCLIP(dir)
		return m, checkpoint.OpenCLIP, err
	}
	path := filepath.Join(dir, ConfigFile)
	data, err := file.Read(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is no model folder: it has no %s", dir, ConfigFile)
	}
	if err != nil {
		return nil, checkpoint.HuggingFace, err
	}
	m, err := describe(path, data, checkpoint.HuggingFace)
	return m, checkpoint.HuggingFace, err
}

func describeGGUF(f *gguf.File) (Stored, error) {
	config, err := configOf(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(), err)
	}
	return describe(f.Path(), config, checkpoint.GGUF)
}

// describe returns the model of a config.json, in the layout of files of the scheme.
func describe(path string, config []byte, s checkpoint.Scheme) (Stored, error) {
	kind, err := model.TypeOf(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	family, ok := Families[kind]
	if !ok {
		return nil, fmt.Errorf("%s: model_type %q is not implemented; implemented: %s", path, kind, strings.Join(slices.Sorted(maps.Keys(Families)), ", "))
	}
	config, err = withoutBits(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m, err := family(config, s)
	if err == nil {
		m, err = withHead(m, config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Options say how Open takes weights.
type Options struct {
	Train bool // parameters are float32 and get gradients
	F32   bool // parameters are float32 memory of their own, whatever the file holds

	// Keep is given the open file whose memory the parameters are, where they have none of their own: when it is closed, nobody may use the model any more. nil: the
	// file stays mapped for the life of the process.
	Keep func(io.Closer)

	// MeanPool is for NewTask: a fresh head for whole texts reads the mean over their tokens, not what the published classifiers of the family read. The
	// folder says so in a key that transformers does not know for these families: there it would read the other.
	MeanPool bool
}

// Open is OpenAny for a decoder.
func Open(path string, o Options) (Model, error) {
	m, err := OpenAny(path, o)
	if err != nil {
		return nil, err
	}
	d, err := AsDecoder(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// AsDecoder returns m where it is a decoder, and an error that says what it is otherwise.
func AsDecoder(m Stored) (Model, error) {
	if _, ok := m.(TaskModel); ok {
		return nil, errors.New("a model with a head for a task writes no text: it is for plinth classify, tag or ask")
	}
	if d, ok := m.(Model); ok {
		return d, nil
	}
	config, err := m.ConfigJSON()
	if err != nil {
		return nil, err
	}
	kind, err := model.TypeOf(config)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("a model of type %q is no decoder: it scores and writes no text from left to right; it is adapted to tasks (plinth adapt) and shown (plinth show)", kind)
}

// OpenAny reads a model of any family with its weights: a folder with config.json and safetensors or PyTorch files, or a GGUF file. Every parameter must be
// filled and every tensor used. Without Train and F32, matrices stay in the file's own type and memory, which is mapped for the life of
// the process unless Options.Keep takes it: their pages cost memory only while they are used, and a file that is cut short meanwhile ends the program.
func OpenAny(path string, o Options) (Stored, error) {
	src, m, scheme, err := openSource(path)
	if err != nil {
		return nil, err
	}
	own := o.Train || o.F32 || needsF32(m, scheme)
	if own {
		nn.Alloc(m.Params(), o.Train)
	}
	err = errors.Join(Load(src, scheme, m), checkTied(src, scheme, m))
	if own || err != nil {
		err = errors.Join(err, src.Close())
	}
	if err != nil {
		return nil, err
	}
	if !own && o.Keep != nil {
		o.Keep(src)
	}
	return m, nil
}

// openSource opens the files of a model and describes it: shapes only.
func openSource(path string) (checkpoint.Source, Stored, checkpoint.Scheme, error) {
	if IsGGUF(path) {
		f, err := gguf.Open(path)
		if err != nil {
			return nil, nil, checkpoint.GGUF, err
		}
		m, err := describeGGUF(f)
		if err != nil {
			return nil, nil, checkpoint.GGUF, errors.Join(err, f.Close())
		}
		return f, m, checkpoint.GGUF, nil
	}
	m, scheme, err := describeDir(path)
	if err != nil {
		return nil, nil, scheme, err
	}
	src, err := openDir(path, scheme)
	if err != nil {
		return nil, nil, scheme, err
	}
	unpacked, err := checkpoint.Unpack4Bit(src)
	if err != nil {
		return nil, nil, scheme, errors.Join(err, src.Close())
	}
	return unpacked, m, scheme, nil
}

// needsF32 says whether a model's matrices are [in, out] in its files, which products take as float32 only.
func needsF32(m Stored, s checkpoint.Scheme) bool {
	if h, ok := m.(*headed); ok {
		m = h.base
	}
	_, isGPT := m.(*gpt.Model)
	return isGPT && s == checkpoint.HuggingFace
}

// twinned is a model whose published files may hold some parameters a second time.
type twinned interface {
	// Twins maps the names of such tensors to those of the parameters.
	Twins() map[string]string
}

// twins are the tensors of files that must be equal to parameters of m.
func twins(m Stored) map[string]string {
	if t, ok := m.(twinned); ok {
		return t.Twins()
	}
	list := map[string]string{}
	if d, ok := m.(Model); ok { // a head for a task may stand before it
		for _, p := range m.Params() {
			if p.T() == d.Head().Weight {
				list["lm_head.weight"] = p.Name
			}
		}
	}
	return list
}

// checkTied refuses a file that holds a parameter twice, such as a head of its own for a model whose head is the token embedding, where the two
// differ: which of them is meant is not known.
func checkTied(src checkpoint.Source, s checkpoint.Scheme, m Stored) error {
	infos := src.Infos()
	find := func(name string) int {
		return slices.IndexFunc(infos, func(t checkpoint.Info) bool { return t.Name == name })
	}
	for twin, param := range twins(m) {
		at := find(twin)
		if at < 0 || !m.Ignored(s, twin) {
			continue
		}
		for _, place := range m.Places(s, param) {
			if i := find(place.Name); i >= 0 && infos[i].DType == infos[at].DType && !bytes.Equal(src.Mapped(i), src.Mapped(at)) {
				return fmt.Errorf("%s: %s differs from %s, but the model has one parameter for both (tie_word_embeddings)", src.Path(), twin, place.Name)
			}
		}
	}
	return nil
}

// openDir opens a folder's safetensors, or else its PyTorch files, whose names are Hugging Face's or any where there is but one. In a folder of open_clip
// those of its own names come first.
func openDir(dir string, s checkpoint.Scheme) (checkpoint.Source, error) {
	if s == checkpoint.OpenCLIP {
		for _, name := range openCLIPWeights {
			if path := filepath.Join(dir, name); exists(path) {
				return OpenTensors(path)
			}
		}
	}
	for _, name := range []string{checkpoint.WeightsFile, checkpoint.IndexFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return checkpoint.Open(dir)
		}
	}
	for _, name := range []string{pickle.WeightsFile, pickle.IndexFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return pickle.Open(filepath.Join(dir, name))
		}
	}
	var torch []string
	for _, ext := range []string{"*.pth", "*.pt"} {
		list, err := fs.Glob(os.DirFS(dir), ext)
		if err != nil {
			return nil, err
		}
		torch = append(torch, list...)
	}
	switch len(torch) {
	case 0:
		return nil, fmt.Errorf("%s has none of %s, %s, %s, %s, and no file .pth or .pt", dir, checkpoint.WeightsFile, checkpoint.IndexFile, pickle.WeightsFile, pickle.IndexFile)
	case 1:
		return pickle.Open(filepath.Join(dir, torch[0]))
	}
	return nil, fmt.Errorf("%s has %d PyTorch files, of which the weights are not known: %s; call them %s", dir, len(torch), strings.Join(torch, ", "), pickle.WeightsFile)
}

// IsTensors says whether path names a file of tensors without a description of the model: safetensors or PyTorch's.
func IsTensors(path string) bool {
	return slices.Contains([]string{".safetensors", ".bin", ".pt", ".pth"}, strings.ToLower(filepath.Ext(path)))
}

// OpenTensors opens such a file.
func OpenTensors(path string) (checkpoint.Source, error) {
	if strings.EqualFold(filepath.Ext(path), ".safetensors") {
		return checkpoint.Open(path)
	}
	return pickle.Open(path)
}

// Load reads the weights of m, which may have memory or be shapes only, from src: see checkpoint.LoadStrict.
func Load(src checkpoint.Source, s checkpoint.Scheme, m Stored) error {
	return checkpoint.LoadStrict(src, Bindings(m, s), func(name string) bool { return m.Ignored(s, name) })
}

// Bindings connects the parameters to their places in files of a scheme.
func Bindings(m Stored, s checkpoint.Scheme) []checkpoint.Binding {
	var list []checkpoint.Binding
	for _, p := range m.Params() {
		list = append(list, checkpoint.Binding{Name: p.Name, Tensor: p.T(), Places: m.Places(s, p.Name)})
	}
	return list
}

// Sized knows how many ids it takes: any model.
type Sized interface{ Sizes() model.Sizes }

// Tokenizer reads the tokenizer of a folder or of a GGUF file and checks that the model, where it is given, has a row for each of its ids.
func Tokenizer(path string, m Sized) (*tokenizer.Tokenizer, error) {
	tok, err := openTokenizer(path)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return tok, nil
	}
	if v := m.Sizes().Vocab; tok.VocabSize() > v {
		return nil, fmt.Errorf("%s: the tokenizer has %d ids, the model's vocabulary %d", path, tok.VocabSize(), v)
	}
	return tok, nil
}

func openTokenizer(path string) (*tokenizer.Tokenizer, error) {
	if !IsGGUF(path) {
		return tokenizer.Open(path)
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tok, err := tokenizerOf(f.Meta)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tok, nil
}

// Save writes the folder's config.json, tokenizer.json (when tok is not nil) and model.safetensors, each atomically, the weights last.
func Save(dir string, m Stored, tok *tokenizer.Tokenizer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config, err := m.ConfigJSON()
	if err != nil {
		return err
	}
	configFile, weightsFile, scheme := filesOf(m)
	if err := file.WriteFile(filepath.Join(dir, configFile), config, 0o644); err != nil {
		return err
	}
	if tok != nil {
		if err := tok.Save(filepath.Join(dir, TokenizerFile)); err != nil {
			return err
		}
		if scheme == checkpoint.OpenCLIP {
			if err := file.WriteFile(filepath.Join(dir, tokenizerConfigFile), []byte(openCLIPTokenizer), 0o644); err != nil {
				return err
			}
		}
	}
	tensors, err := checkpoint.Tensors(Bindings(m, scheme))
	if err != nil {
		return err
	}
	return checkpoint.Write(filepath.Join(dir, weightsFile), tensors, nil)
}
