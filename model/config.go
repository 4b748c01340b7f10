package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Activations are the activation functions under their names in config.json.
var Activations = map[string]tensor.Act{
	"gelu": tensor.GELU, "gelu_new": tensor.GELUTanh, "gelu_pytorch_tanh": tensor.GELUTanh, "gelu_fast": tensor.GELUTanh, "relu": tensor.ReLU, "silu": tensor.SiLU, "swish": tensor.SiLU,
	"quick_gelu": tensor.QuickGELU,
}

// CheckActivation reports a name that Activations has not.
func CheckActivation(name string) error {
	if _, ok := Activations[name]; !ok {
		return fmt.Errorf("activation %q is unknown; known: %s", name, strings.Join(slices.Sorted(maps.Keys(Activations)), ", "))
	}
	return nil
}

// neutral keys of config.json say nothing about the arithmetic of inference and pre-training here, in any family.
var neutral = strings.Fields(`architectures attention_dropout auto_map dtype torch_dtype transformers_version use_cache pad_token_id _name_or_path
	id2label label2id num_labels return_dict output_attentions output_hidden_states is_decoder is_encoder_decoder gradient_checkpointing problem_type classifier_pooling
	chunk_size_feed_forward _attn_implementation _attn_implementation_autoset cache_implementation attn_pdrop embd_pdrop resid_pdrop
	hidden_dropout classifier_dropout pretraining_tp tokenizer_class transformers.js_config unsloth_version unsloth_fixed`)

// TypeOf is a config.json's model_type.
func TypeOf(data []byte) (string, error) {
	var head struct {
		Type string `json:"model_type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return "", fmt.Errorf("config.json: %w", err)
	}
	return head.Type, nil
}

// Keys are what a config.json may hold beside the fields of the family's struct.
type Keys struct {
	Neutral []string          // what says nothing about the arithmetic, beside what says nothing in any family
	Fixed   map[string]string // keys of which one value only, or one of several with | between them, is implemented: JSON texts
	Others  []string          // tags of the struct that this model_type has not: null and false only
}

// ParseConfig fills c, a pointer to a struct whose json tags are keys of config.json, from the file's bytes. A key that neither has is an error:
// it may change the arithmetic. null stands for a field's zero value.
func ParseConfig(data []byte, c any, k Keys) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := string(bytes.TrimSpace(keys[key]))
		want, fixed := k.Fixed[key]
		switch {
		case fixed && !slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool { return sameJSON(value, w) }):
			return fmt.Errorf("config.json: %s is %s, only %s is implemented", key, value, want)
		case slices.Contains(k.Others, key) && value != "null" && value != "false":
			return fmt.Errorf("config.json: %s is %s, a key that this model_type has not: some programs ignore it and some do not; delete it if the model was trained without", key, value)
		case fixed, slices.Contains(neutral, key), slices.Contains(k.Neutral, key), slices.Contains(k.Others, key):
			delete(keys, key)
		case value == "null":
			if f := fieldByTag(reflect.ValueOf(c), key); f.IsValid() {
				f.SetZero()
				delete(keys, key)
			}
		}
	}
	rest, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return fmt.Errorf("config.json: %s is a JSON %s, want %s", keyOf(wrong.Field), wrong.Value, wanted(wrong.Type))
		}
		return fmt.Errorf("config.json: %w", err)
	}
	return nil
}

// keyOf is the key that encoding/json calls by a path: names of embedded structs, which begin with capitals, then keys.
func keyOf(path string) string {
	parts := strings.Split(path, ".")
	for len(parts) > 1 && parts[0] != "" && unicode.IsUpper(rune(parts[0][0])) {
		parts = parts[1:]
	}
	return strings.Join(parts, ".")
}

// wanted names the values of a Go type.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64:
		return "a whole number"
	case reflect.Float64, reflect.Float32:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "an object"
}

// sameJSON says whether two texts are one value: 0 and 0.0, say.
func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// fieldByTag finds the field of a struct, or of one embedded in it, that stands for a key.
func fieldByTag(v reflect.Value, key string) reflect.Value {
	v = reflect.Indirect(v)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == key {
			return v.Field(i)
		}
		if f.Anonymous {
			if found := fieldByTag(v.Field(i), key); found.IsValid() {
				return found
			}
		}
	}
	return reflect.Value{}
}

// MarshalConfig writes the fields of the struct c, and of those embedded in it, under their tags, but those of without, and what more holds.
func MarshalConfig(c any, without []string, more map[string]any) ([]byte, error) {
	keys := map[string]any{}
	var add func(v reflect.Value)
	add = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous:
				add(v.Field(i))
			case name == "-" || slices.Contains(without, name):
			case v.Field(i).Kind() == reflect.Float64:
				keys[name] = float(v.Field(i).Float())
			default:
				keys[name] = v.Field(i).Interface()
			}
		}
	}
	add(reflect.ValueOf(c))
	maps.Copy(keys, more)
	b, err := json.MarshalIndent(keys, "", "  ")
	return append(b, '\n'), err
}

// float is written as a number with a point or an exponent: transformers takes 3 for an integer and refuses it where it wants 3.0.
type float float64

// MarshalJSON implements json.Marshaler.
func (f float) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(float64(f))
	if err == nil && !bytes.ContainsAny(b, ".e") {
		b = append(b, ".0"...)
	}
	return b, err
}

// Rope holds the keys about rotary positions: rope_parameters, or what stood in its place before. It is to be embedded in what is parsed.
type Rope struct {
	Parameters json.RawMessage `json:"rope_parameters,omitempty"`
	Scaling    json.RawMessage `json:"rope_scaling,omitempty"`
	Theta      float64         `json:"rope_theta,omitempty"`
	Partial    float64         `json:"partial_rotary_factor,omitempty"`
}

// Config is what the keys say together.
func (r Rope) Config() (nn.RopeConfig, error) {
	data, key := r.Parameters, "rope_parameters"
	if len(r.Scaling) > 0 {
		data, key = r.Scaling, "rope_scaling"
	}
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	c, err := nn.ParseRope(data, r.Theta, r.Partial)
	if err != nil {
		return c, fmt.Errorf("config.json: %s: %w", key, err)
	}
	return c, nil
}

// IDs are token ids of config.json: a number, a list, or null.
type IDs []int

// UnmarshalJSON reads any of the three.
func (l *IDs) UnmarshalJSON(b []byte) error {
	var one int
	if json.Unmarshal(b, &one) == nil && string(b) != "null" {
		*l = IDs{one}
		return nil
	}
	return json.Unmarshal(b, (*[]int)(l))
}

// MarshalJSON writes null, a number, or a list of several.
func (l IDs) MarshalJSON() ([]byte, error) {
	if len(l) == 1 {
		return json.Marshal(l[0])
	}
	return json.Marshal([]int(l))
}

// CheckEnds reports an id of eos_token_id beyond the vocabulary: a text would never end. standard is the id that the published library puts into a
// configuration of any size that names none, 0 where there is none; it is accepted.
func CheckEnds(vocab, standard int, ends ...int) error {
	for _, id := range ends {
		if id >= vocab && (id != standard || standard == 0) {
			return fmt.Errorf("config.json: eos_token_id %d is not within the vocabulary of vocab_size %d", id, vocab)
		}
	}
	return nil
}

// Limit is a size with the range that it must keep to.
type Limit struct {
	Key   string
	Value int
	Most  int
}

// CheckLimits reports the first size that is below 1 or too large.
func CheckLimits(list ...Limit) error {
	for _, l := range list {
		if l.Value < 1 || l.Value > l.Most {
			return fmt.Errorf("config.json: %s is %d, not within 1 to %d", l.Key, l.Value, l.Most)
		}
	}
	return nil
}
