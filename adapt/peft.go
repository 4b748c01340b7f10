package adapt

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Files of a folder that holds an adapter, as PEFT names them.
const (
	AdapterConfig  = "adapter_config.json"
	AdapterWeights = "adapter_model.safetensors"
)

// prefix stands before all names of tensors in PEFT's files.
const prefix = "base_model.model."

// maxAdapterConfig bounds adapter_config.json.
const maxAdapterConfig = 16 << 20

// peftConfig is adapter_config.json of a LoRA, as far as it is about the arithmetic.
type peftConfig struct {
	Type           string             `json:"peft_type"`
	Task           string             `json:"task_type,omitempty"`
	Base           string             `json:"base_model_name_or_path"`
	Inference      bool               `json:"inference_mode"`
	Rank           int                `json:"r"`
	Alpha          float64            `json:"lora_alpha"`
	Dropout        float64            `json:"lora_dropout"`
	Targets        Names              `json:"target_modules"`
	Exclude        Names              `json:"exclude_modules"`
	Layers         numbers            `json:"layers_to_transform"`
	Blocks         Names              `json:"layers_pattern"`
	RankPattern    map[string]int     `json:"rank_pattern"`
	AlphaPattern   map[string]float64 `json:"alpha_pattern"`
	RankStabilised bool               `json:"use_rslora"`
	DoRA           bool               `json:"use_dora"`
	Save           []string           `json:"modules_to_save"`
	FanInFanOut    bool               `json:"fan_in_fan_out"`
	Bias           string             `json:"bias"`
	Init           any                `json:"init_lora_weights"`
}

// told are keys that say nothing about the arithmetic of a trained adapter.
var told = []string{"auto_mapping", "revision", "peft_version", "megatron_core", "megatron_config", "runtime_config", "base_model_class", "parent_library",
	"ensure_weight_tying", "use_qalora_group_size", "qalora_group_size"}

// numbers is a JSON number or a list of them.
type numbers []int

// UnmarshalJSON reads either.
func (n *numbers) UnmarshalJSON(b []byte) error {
	var one *int
	if json.Unmarshal(b, &one) == nil {
		if *n = nil; one != nil {
			*n = numbers{*one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]int)(n))
}

// MarshalJSON is a list, a regular expression, "all-linear" or null.
func (n Names) MarshalJSON() ([]byte, error) {
	switch {
	case n.AllLinear:
		return json.Marshal(allLinear)
	case n.Pattern != "":
		return json.Marshal(n.Pattern)
	}
	return json.Marshal(n.List)
}

// UnmarshalJSON reads what MarshalJSON writes; a string is a regular expression.
func (n *Names) UnmarshalJSON(b []byte) error {
	*n = Names{}
	var s *string
	if json.Unmarshal(b, &s) == nil {
		switch {
		case s == nil:
		case strings.EqualFold(*s, allLinear):
			n.AllLinear = true
		default:
			n.Pattern = *s
		}
		return nil
	}
	return json.Unmarshal(b, &n.List)
}

// ParseAdapterConfig reads adapter_config.json. A key that is not known here must be null, false or empty: anything else would change what the adapter
// computes.
func ParseAdapterConfig(data []byte) (LoRA, error) {
	c := peftConfig{Rank: 8, Alpha: 8, Bias: "none", Init: true}
	if err := json.Unmarshal(data, &c); err != nil {
		return LoRA{}, err
	}
	if err := checkKeys(data, c); err != nil {
		return LoRA{}, err
	}
	started, _ := c.Init.(string)
	switch {
	case c.Type != "LORA":
		return LoRA{}, fmt.Errorf("peft_type is %q; LORA is implemented", c.Type)
	case c.Bias != "none":
		return LoRA{}, fmt.Errorf("bias is %q; none is implemented", c.Bias)
	case started != "" && !slices.Contains([]string{"gaussian", "eva", "orthogonal"}, started):
		return LoRA{}, fmt.Errorf("init_lora_weights is %q, which changes the base model's weights", started)
	case c.Blocks.Pattern != "":
		c.Blocks.List = []string{c.Blocks.Pattern}
	}
	o := LoRA{Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, Targets: c.Targets, Exclude: c.Exclude, Layers: c.Layers, Blocks: c.Blocks.List,
		RankPattern: c.RankPattern, AlphaPattern: c.AlphaPattern, RankStabilised: c.RankStabilised, DoRA: c.DoRA, Save: c.Save}
	return o.resolve()
}

// checkKeys refuses keys of adapter_config.json that c does not have, unless they ask for nothing.
func checkKeys(data []byte, c any) error {
	var keys, ours map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return err
	}
	known, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(known, &ours); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if _, ok := ours[k]; ok || k == "task_type" || slices.Contains(told, k) {
			continue
		}
		switch v := strings.TrimSpace(string(keys[k])); v {
		case "null", "false", "[]", "{}", `""`:
		default:
			return fmt.Errorf("%s is %.60s, which is not implemented", k, v)
		}
	}
	return nil
}

// config is adapter_config.json. Layers are listed by name where "all-linear" chose them: PEFT would choose some that are no layers here.
func (a *Adapter) config(base, task string) ([]byte, error) {
	o := a.Options
	if o.Targets.AllLinear {
		o.Targets, o.Exclude = Names{}, Names{} // what was excluded is not in the list
		for _, m := range a.modules {
			o.Targets.List = append(o.Targets.List, m.name())
		}
	}
	return json.MarshalIndent(peftConfig{Type: "LORA", Task: task, Base: base, Inference: true, Rank: o.Rank, Alpha: o.Alpha, Dropout: o.Dropout, Targets: o.Targets,
		Exclude: o.Exclude, Layers: o.Layers, Blocks: Names{List: o.Blocks}, RankPattern: notNil(o.RankPattern), AlphaPattern: notNil(o.AlphaPattern),
		RankStabilised: o.RankStabilised, DoRA: o.DoRA, Save: o.Save, FanInFanOut: a.conv1D, Bias: "none", Init: true}, "", "  ")
}

func notNil[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// file is the name of an adapter's tensor in files.
func (m *module) file(tensor string) string { return prefix + m.name() + "." + tensor }

// bindings connects the adapter's parameters to their places in PEFT's files.
func (a *Adapter) bindings() []checkpoint.Binding {
	var list []checkpoint.Binding
	for _, mod := range a.modules {
		add := func(p *nn.Param, places []checkpoint.Place, tensor string, whole bool) {
			b := checkpoint.Binding{Name: mod.file(tensor), Tensor: p.T()}
			for _, place := range places {
				at := checkpoint.Place{Name: prefix + strings.TrimSuffix(place.Name, ".weight") + "." + tensor}
				if !whole {
					at.From, at.Row = place.From, place.Row
				}
				b.Places = append(b.Places, at)
			}
			list = append(list, b)
		}
		for i, l := range mod.layers {
			if i == 0 {
				add(l.A, l.places, "lora_A.weight", true)
			}
			add(l.B, l.places, "lora_B.weight", false)
			if l.Magnitude != nil {
				add(l.Magnitude, l.places, "lora_magnitude_vector", false)
			}
		}
	}
	return append(list, a.saved.bindings(prefix)...)
}

// Save writes the folder's adapter_config.json and adapter_model.safetensors as PEFT reads them. base is the name or folder of the model that it is for, task
// PEFT's word for what it does (CAUSAL_LM, SEQ_CLS, TOKEN_CLS, QUESTION_ANS, FEATURE_EXTRACTION), or "".
func (a *Adapter) Save(dir, base, task string) error {
	config, err := a.config(base, task)
	if err != nil {
		return err
	}
	tensors, err := checkpoint.Tensors(a.bindings())
	if err != nil {
		return err
	}
	return savePEFT(dir, config, tensors)
}

// savePEFT writes the two files of an adapter's folder.
func savePEFT(dir string, config []byte, tensors []checkpoint.Tensor) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := file.WriteFile(filepath.Join(dir, AdapterConfig), append(config, '\n'), 0o644); err != nil {
		return err
	}
	return checkpoint.Write(filepath.Join(dir, AdapterWeights), tensors, map[string]string{"format": "pt"})
}

// Tuned is what was trained on a model that stays as it is, and is stored beside it: an *Adapter or a *Prompt.
type Tuned interface {
	// Params lists what is trained.
	Params() []nn.Named
	// Save writes the two files that PEFT reads; see Adapter.Save.
	Save(dir, base, task string) error
	// Detach makes the model what it was, but for what was merged into it and modules that are trained as a whole.
	Detach()
}

// Open attaches what the folder dir holds to m, whose weights it is for. head are parameters beside those of m; see AttachLoRA.
func Open(k *tensor.Kernels, dir string, m Promptable, head []nn.Named) (Tuned, error) {
	data, path, err := readAdapterConfig(dir)
	if err != nil {
		return nil, err
	}
	var c struct {
		Type string `json:"peft_type"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("adapt: %s: %w", path, err)
	}
	switch c.Type {
	case "LORA":
		return OpenLoRA(k, dir, m, head)
	case promptType:
		return OpenPrompt(dir, m, head)
	}
	return nil, fmt.Errorf("adapt: %s: peft_type is %q; LORA and %s are implemented", path, c.Type, promptType)
}

func readAdapterConfig(dir string) (data []byte, path string, err error) {
	path = filepath.Join(dir, AdapterConfig)
	if data, err = file.Read(path, maxAdapterConfig); err != nil {
		err = fmt.Errorf("adapt: %w", err)
	}
	return data, path, err
}

// OpenLoRA attaches the adapter of a folder to m, whose weights it is for; see AttachLoRA.
func OpenLoRA(k *tensor.Kernels, dir string, m Adapted, head []nn.Named) (*Adapter, error) {
	data, path, err := readAdapterConfig(dir)
	if err != nil {
		return nil, err
	}
	o, err := ParseAdapterConfig(data)
	if err != nil {
		return nil, fmt.Errorf("adapt: %s: %w", path, err)
	}
	a, err := attach(k, m, head, o, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := checkpoint.Open(filepath.Join(dir, AdapterWeights))
	if err == nil {
		err = errors.Join(checkpoint.LoadStrict(f, a.bindings(), nil), f.Close())
	}
	if err != nil {
		a.Detach()
		return nil, fmt.Errorf("adapt: %w", err)
	}
	return a, nil
}
