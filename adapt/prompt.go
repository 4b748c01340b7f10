package adapt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// PromptTuning says how many virtual tokens stand in front of every input, and how their embeddings start (Lester et al. 2021, The Power of Scale for
// Parameter-Efficient Prompt Tuning, sections 2 and 3). They take positions like other tokens; an encoder that reads its first token reads the first of them,
// as with PEFT.
type PromptTuning struct {
	Tokens int      // n; 20
	Init   string   // PromptVocabulary, PromptRandom or, with Text and IDs, PromptText; the first of them
	Text   string   // whose tokens they start as
	IDs    []int32  // of Text, which are repeated or cut to n
	Save   []string // modules that are trained as a whole and stored with the prompt, such as the head of a task
}

// How virtual tokens start, as PEFT's files say it.
const (
	PromptVocabulary = "SAMPLE_VOCAB" // as rows of the vocabulary
	PromptRandom     = "RANDOM"       // normal, with the standard deviation of the vocabulary's elements (PEFT's is 1)
	PromptText       = "TEXT"
)

// promptType is PEFT's name of the method.
const promptType = "PROMPT_TUNING"

// Promptable is a model that can be given a prompt.
type Promptable interface {
	Adapted
	Sizes() model.Sizes
}

// Prompt is the virtual tokens of a model. Inputs begin with the ids of model.Sizes.VirtualIDs.
type Prompt struct {
	Options PromptTuning
	table   *nn.Embedding
	sizes   model.Sizes
	saved   // of Options.Save
}

// AttachPrompt freezes m and gives its token embedding the virtual tokens of o. head are parameters beside those of m, of a task's head, that o.Save may name.
// m's weights have values, in any type.
func AttachPrompt(k *tensor.Kernels, m Promptable, head []nn.Named, o PromptTuning, seed uint64) (*Prompt, error) {
	set(&o.Tokens, 20)
	set(&o.Init, PromptVocabulary)
	if !slices.Contains([]string{PromptVocabulary, PromptRandom, PromptText}, o.Init) || (o.Init == PromptText) != (len(o.IDs) > 0) {
		return nil, fmt.Errorf("adapt: prompt_tuning_init is %q with a text of %d tokens", o.Init, len(o.IDs))
	}
	if err := checkIDs(o.IDs, m.Sizes().Vocab); err != nil {
		return nil, fmt.Errorf("adapt: prompt_tuning_init_text: %w", err)
	}
	p, err := attachPrompt(m, head, o, false)
	if err != nil {
		return nil, err
	}
	values, key := p.table.Prompt.T().F32(), random.NewKey(seed).Named("prompt")
	t := tensor.Evaluation(k)
	rows := func(n int, id func(i int) int32) []float32 { // of the vocabulary
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = id(i)
		}
		return t.Gather(p.table.Weight.T(), tensor.IDs(ids)).F32()
	}
	drawn := func(i int) int32 { return int32(key.Float64(uint64(i)) * float64(p.sizes.Vocab)) }
	switch o.Init {
	case PromptText:
		copy(values, rows(o.Tokens, func(i int) int32 { return o.IDs[i%len(o.IDs)] }))
	case PromptVocabulary:
		copy(values, rows(o.Tokens, drawn))
	case PromptRandom:
		std := deviation(rows(min(p.sizes.Vocab, 1024), drawn))
		for i := range values {
			values[i] = float32(std * key.At(1).Normal(uint64(i)))
		}
	}
	p.table.Prompt.T().Changed()
	return p, nil
}

// deviation is the standard deviation of the elements of x.
func deviation(x []float32) float64 {
	sum, squares, n := 0.0, 0.0, float64(len(x))
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	return math.Sqrt(max(0, squares/n-sum/n*sum/n))
}

// attachPrompt is AttachPrompt with tokens of zeros; read as attach's.
func attachPrompt(m Promptable, head []nn.Named, o PromptTuning, read bool) (*Prompt, error) {
	p := &Prompt{Options: o, sizes: m.Sizes(), saved: saved{m: m, head: head}}
	if p.sizes.Virtual > 0 {
		return nil, errors.New("adapt: the model has virtual tokens already")
	}
	if o.Tokens < 1 || o.Tokens >= p.sizes.Context {
		return nil, fmt.Errorf("adapt: num_virtual_tokens is %d, not within 1 to %d, which leaves a place for a text", o.Tokens, p.sizes.Context-1)
	}
	tables := nn.Embeddings(m)
	at := slices.IndexFunc(tables, func(e *nn.Embedding) bool { rows, _ := e.Weight.T().Dims2(); return rows == p.sizes.Vocab })
	if at < 0 {
		return nil, fmt.Errorf("adapt: the model has no embedding of %d tokens", p.sizes.Vocab)
	}
	if err := p.freeze(o.Save, read); err != nil {
		return nil, err
	}
	p.table = tables[at]
	_, C := p.table.Weight.T().Dims2()
	p.table.Prompt = nn.NewConstant(0, o.Tokens, C)
	p.table.Prompt.T().Alloc(tensor.F32, true)
	return p, nil
}

// promptTensor is the virtual tokens' name in files.
const promptTensor = "prompt_embeddings"

// Params lists what is trained: the virtual tokens [n, C], and the modules that are trained as a whole.
func (p *Prompt) Params() []nn.Named {
	return append([]nn.Named{{Name: promptTensor, Param: p.table.Prompt}}, p.saved.params...)
}

// Detach takes the virtual tokens off the model.
func (p *Prompt) Detach() { p.table.Prompt = nil }

// promptConfig is adapter_config.json of a prompt.
type promptConfig struct {
	Type       string   `json:"peft_type"`
	Task       string   `json:"task_type,omitempty"`
	Base       string   `json:"base_model_name_or_path"`
	Inference  bool     `json:"inference_mode"`
	Tokens     int      `json:"num_virtual_tokens"`
	Width      int      `json:"token_dim"`
	Submodules int      `json:"num_transformer_submodules"` // of an encoder-decoder PEFT stores a second prompt, which it does not use
	Heads      int      `json:"num_attention_heads"`
	Layers     int      `json:"num_layers"`
	Init       string   `json:"prompt_tuning_init"`
	Text       *string  `json:"prompt_tuning_init_text"`
	Tokenizer  *string  `json:"tokenizer_name_or_path"`
	Arguments  any      `json:"tokenizer_kwargs"` // of the first values only
	Save       []string `json:"modules_to_save"`
}

// scale is what a row is multiplied by before it enters the model; files hold rows that are.
func (p *Prompt) scale() float32 {
	if p.table.Scale == 0 {
		return 1
	}
	return float32(p.table.Scale)
}

// Save writes the folder's adapter_config.json and adapter_model.safetensors as PEFT reads them; see Adapter.Save.
func (p *Prompt) Save(dir, base, task string) error {
	o, s := p.Options, p.sizes
	c := promptConfig{Type: promptType, Task: task, Base: base, Inference: true, Tokens: o.Tokens, Width: s.Width, Submodules: 1, Heads: s.Heads, Layers: s.Layers,
		Init: o.Init, Save: o.Save}
	switch {
	case o.Init == PromptText && base != "":
		c.Text, c.Tokenizer = &o.Text, &base
	case o.Init == PromptText:
		c.Init = PromptRandom // PEFT refuses a text without a tokenizer; the first values do not matter any more
	}
	config, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	tensors, err := checkpoint.Tensors(p.saved.bindings(promptPrefix))
	if err != nil {
		return err
	}
	rows := slices.Clone(p.table.Prompt.T().F32())
	for i := range rows {
		rows[i] *= p.scale()
	}
	return savePEFT(dir, config, append(tensors, checkpoint.FromFloat32(promptTensor, p.table.Prompt.T().Shape(), rows)))
}

// promptPrefix stands before the names of modules: PEFT wraps the model once less than for LoRA.
const promptPrefix = "base_model."

// ParsePromptConfig reads adapter_config.json of a prompt; submodules is the number of prompts in the file, of which the first is used. A key that is not known here must ask
// for nothing.
func ParsePromptConfig(data []byte) (o PromptTuning, submodules int, err error) {
	c := promptConfig{Submodules: 1}
	if err := json.Unmarshal(data, &c); err != nil {
		return o, 0, err
	}
	if err := checkKeys(data, c); err != nil {
		return o, 0, err
	}
	if c.Type != promptType {
		return o, 0, fmt.Errorf("peft_type is %q, not %s", c.Type, promptType)
	}
	if c.Submodules < 1 || c.Submodules > 2 {
		return o, 0, fmt.Errorf("num_transformer_submodules is %d, not 1 or 2", c.Submodules)
	}
	o = PromptTuning{Tokens: c.Tokens, Init: c.Init, Save: c.Save}
	if c.Text != nil {
		o.Text = *c.Text
	}
	return o, c.Submodules, nil
}

// OpenPrompt gives m the virtual tokens of a folder, which are for its weights; see AttachPrompt.
func OpenPrompt(dir string, m Promptable, head []nn.Named) (*Prompt, error) {
	data, path, err := readAdapterConfig(dir)
	if err != nil {
		return nil, err
	}
	o, submodules, err := ParsePromptConfig(data)
	if err != nil {
		return nil, fmt.Errorf("adapt: %s: %w", path, err)
	}
	p, err := attachPrompt(m, head, o, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	values := p.table.Prompt.T().F32()
	all := make([]float32, submodules*len(values))
	b := append(p.saved.bindings(promptPrefix), checkpoint.Binding{Name: promptTensor, Shape: []int{submodules * o.Tokens, p.sizes.Width}, Data: all})
	f, err := checkpoint.Open(filepath.Join(dir, AdapterWeights))
	if err == nil {
		err = errors.Join(checkpoint.LoadStrict(f, b, nil), f.Close())
	}
	if err != nil {
		p.Detach()
		return nil, fmt.Errorf("adapt: %w", err)
	}
	for i := range values {
		values[i] = all[i] / p.scale()
	}
	p.table.Prompt.T().Changed()
	return p, nil
}
