package nn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// RopeConfig is rope_parameters in config.json, under transformers' names. Zero values of what a type needs not are defaults.
type RopeConfig struct {
	Type    string  `json:"rope_type"` // default, linear, dynamic, llama3, yarn or longrope
	Theta   float64 `json:"rope_theta,omitempty"`
	Partial float64 `json:"partial_rotary_factor,omitempty"` // share of each head that turns; 0 means all
	Dims    int     `json:"-"`                               // the same as a number of elements; 0 means Partial's

	Factor   float64 `json:"factor,omitempty"`                           // by which the context grew
	Original int     `json:"original_max_position_embeddings,omitempty"` // context before; 0 means the model's

	LowFreq  float64 `json:"low_freq_factor,omitempty"`  // llama3: a wavelength above original/low is stretched,
	HighFreq float64 `json:"high_freq_factor,omitempty"` // one below original/high stays

	BetaFast        float64  `json:"beta_fast,omitempty"` // yarn: turns within the original context above which a pair stays; 0 means 32
	BetaSlow        float64  `json:"beta_slow,omitempty"` // and below which it is stretched; 0 means 1
	Truncate        *bool    `json:"truncate,omitempty"`  // whether the bounds between are whole numbers; nil means true
	MScale          float64  `json:"mscale,omitempty"`
	MScaleAll       float64  `json:"mscale_all_dim,omitempty"`
	AttentionFactor *float64 `json:"attention_factor,omitempty"` // yarn, longrope: factor of cosines and sines; nil means the paper's

	Short []float64 `json:"short_factor,omitempty"` // longrope: divisor of each frequency within the original context
	Long  []float64 `json:"long_factor,omitempty"`  // and beyond it
}

// scalings are the types with the keys that each needs, and may have, beside rope_theta and partial_rotary_factor.
var scalings = map[string]struct{ need, may string }{
	"default":  {"", "original_max_position_embeddings"}, // which it has no use for
	"linear":   {"factor", ""},
	"dynamic":  {"factor", "original_max_position_embeddings"}, // which it has no use for
	"llama3":   {"factor low_freq_factor high_freq_factor original_max_position_embeddings", ""},
	"yarn":     {"factor", "original_max_position_embeddings attention_factor beta_fast beta_slow mscale mscale_all_dim truncate"},
	"longrope": {"short_factor long_factor original_max_position_embeddings", "attention_factor factor"},
}

// ParseRope reads rope_parameters, or rope_scaling as older files have it. theta and partial hold where the object does not say.
func ParseRope(data []byte, theta, partial float64) (RopeConfig, error) {
	c := RopeConfig{Type: "default", Theta: theta, Partial: partial}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return c, err
	}
	if old, ok := keys["type"]; ok { // the name before rope_type
		if _, both := keys["rope_type"]; !both {
			keys["rope_type"] = old
		}
		delete(keys, "type")
	}
	for k, v := range keys {
		if string(v) == "null" {
			delete(keys, k)
		}
	}
	rest, err := json.Marshal(keys)
	if err != nil {
		return c, err
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if c.Type == "su" { // the first name of Phi-3's
		c.Type = "longrope"
	}
	s, ok := scalings[c.Type]
	if !ok {
		return c, fmt.Errorf("rope_type %q is not implemented; implemented: %s", c.Type, strings.Join(slices.Sorted(maps.Keys(scalings)), ", "))
	}
	allowed := append(strings.Fields(s.need+" "+s.may), "rope_type", "rope_theta", "partial_rotary_factor")
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(allowed, k) {
			return c, fmt.Errorf("%s says nothing in rope_type %q", k, c.Type)
		}
	}
	for _, k := range strings.Fields(s.need) {
		if _, ok := keys[k]; !ok && k != "original_max_position_embeddings" {
			return c, fmt.Errorf("rope_type %q needs %s", c.Type, k)
		}
	}
	return c, nil
}

// Check reports a value that no rotation of heads of headDim elements can have.
func (c RopeConfig) Check(headDim int) error {
	_, known := scalings[c.Type]
	dims := c.dims(headDim)
	switch {
	case !known:
		return fmt.Errorf("rope_type %q is unknown", c.Type)
	case !(c.Theta > 1) || math.IsInf(c.Theta, 0):
		return fmt.Errorf("rope_theta is %v", c.Theta)
	case c.Partial < 0 || c.Partial > 1 || dims < 2 || dims > headDim || dims%2 != 0:
		return fmt.Errorf("partial_rotary_factor %v turns %d elements of a head of %d, not an even number", c.Partial, dims, headDim)
	case c.Factor < 0 || c.Factor > 1e6 || c.Factor == 0 && slices.Contains(strings.Fields(scalings[c.Type].need), "factor"):
		return fmt.Errorf("factor is %v", c.Factor)
	case c.Original < 0 || c.Original > 1<<24:
		return fmt.Errorf("original_max_position_embeddings is %d", c.Original)
	case c.Type == "dynamic" && dims < 4:
		return fmt.Errorf("rope_type dynamic turns %d elements of a head, not 4 or more", dims)
	case c.Type == "llama3" && !(c.HighFreq > c.LowFreq && c.LowFreq > 0):
		return fmt.Errorf("high_freq_factor %v is not above low_freq_factor %v", c.HighFreq, c.LowFreq)
	case c.Type == "longrope" && (len(c.Short) != dims/2 || len(c.Long) != dims/2):
		return fmt.Errorf("short_factor and long_factor have %d and %d values, not %d", len(c.Short), len(c.Long), dims/2)
	}
	for _, f := range slices.Concat(c.Short, c.Long) {
		if !(f > 0) {
			return fmt.Errorf("short_factor or long_factor holds %v", f)
		}
	}
	return nil
}

func (c RopeConfig) dims(headDim int) int {
	if c.Dims != 0 {
		return c.Dims
	}
	if c.Partial == 0 {
		return headDim
	}
	return int(float64(headDim) * c.Partial)
}

func (c RopeConfig) original(context int) int {
	if c.Original != 0 {
		return c.Original
	}
	return context
}

// attentionScale is the factor of cosines and sines: YaRN's sqrt(1/t) (Peng et al. 2023, eq. 22, for q·k the square of it) and LongRoPE's.
func (c RopeConfig) attentionScale(context int) float64 {
	factor := c.factor(context)
	mscale := func(m float64) float64 {
		if factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(factor) + 1
	}
	switch {
	case c.AttentionFactor != nil:
		return *c.AttentionFactor
	case c.Type == "yarn" && c.MScale != 0 && c.MScaleAll != 0:
		return mscale(c.MScale) / mscale(c.MScaleAll)
	case c.Type == "yarn":
		return mscale(1)
	case c.Type == "longrope" && factor > 1:
		return math.Sqrt(1 + math.Log(factor)/math.Log(float64(c.original(context))))
	}
	return 1
}

// factor is by how much the context grew.
func (c RopeConfig) factor(context int) float64 {
	if c.Factor != 0 {
		return c.Factor
	}
	return float64(context) / float64(c.original(context))
}

// frequencies are the radians per position of the pairs of dims elements. Where they depend on a sequence's length, limit is the longest
// with these, and stretched gives those of a longer one.
func (c RopeConfig) frequencies(dims, context int) (freqs []float32, limit int, stretched func(length int) []float32) {
	freqs = inverse(c.Theta, dims, nil)
	factor := float32(c.Factor)
	switch c.Type {
	case "linear":
		for i := range freqs {
			freqs[i] /= factor
		}
	case "dynamic": // the base grows with the length (NTK-aware scaling)
		return freqs, context, func(length int) []float32 {
			grown := c.Factor*float64(length)/float64(context) - (c.Factor - 1)
			return inverse(c.Theta*math.Pow(grown, float64(dims)/float64(dims-2)), dims, nil)
		}
	case "llama3":
		c.llama3(freqs, float32(c.original(context)))
	case "yarn":
		c.yarn(freqs, dims, context)
	case "longrope":
		return inverse(c.Theta, dims, c.Short), c.original(context), func(int) []float32 { return inverse(c.Theta, dims, c.Long) }
	}
	return freqs, 0, nil
}

// Switch is the longest sequence that is turned with the short frequencies of longrope: one that grows beyond it has to be computed anew, with the long ones. 0 where there is
// no such length. The frequencies of dynamic scaling change beyond the context only.
func (c RopeConfig) Switch(context int) int {
	if c.Type != "longrope" || slices.Equal(c.Short, c.Long) {
		return 0
	}
	return c.original(context)
}

// Grows reports whether frequencies follow the length of sequences beyond the context, so that longer ones can be computed: keys that a cache holds keep
// those of the length at which they were turned.
func (c RopeConfig) Grows() bool { return c.Type == "dynamic" }

// inverse is 1 / (divisor_i · base^(2i/dims)); nil divisors are ones.
func inverse(base float64, dims int, divisors []float64) []float32 {
	freqs := make([]float32, dims/2)
	for i := range freqs {
		exponent := float32(2*i) / float32(dims)
		period := float32(math.Pow(base, float64(exponent)))
		if divisors != nil {
			period *= float32(divisors[i])
		}
		freqs[i] = 1 / period
	}
	return freqs
}

// llama3 divides low frequencies by the factor, leaves high ones, and blends between (Llama 3.1).
func (c RopeConfig) llama3(freqs []float32, original float32) {
	factor, low, high := float32(c.Factor), float32(c.LowFreq), float32(c.HighFreq)
	for i, f := range freqs {
		switch wavelength := 2 * math.Pi / f; {
		case wavelength > original/low:
			freqs[i] = f / factor
		case wavelength >= original/high:
			smooth := (original/wavelength - low) / (high - low)
			freqs[i] = (1-smooth)*f/factor + smooth*f
		}
	}
}

// yarn divides the frequencies of pairs that turn seldom by the factor, leaves those that turn often, and blends between
// (Peng et al. 2023, YaRN, section 3.2).
func (c RopeConfig) yarn(freqs []float32, dims, context int) {
	pair := func(turns float64) float64 { // that turns so often within the original context
		return float64(dims) * math.Log(float64(c.original(context))/(turns*2*math.Pi)) / (2 * math.Log(c.Theta))
	}
	orDefault := func(v, d float64) float64 {
		if v == 0 {
			return d
		}
		return v
	}
	low, high := pair(orDefault(c.BetaFast, 32)), pair(orDefault(c.BetaSlow, 1))
	if c.Truncate == nil || *c.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dims-1))
	if low == high {
		high += 0.001
	}
	factor := float32(c.factor(context))
	for i, f := range freqs {
		ramp := min(1, max(0, (float32(i)-float32(low))/float32(high-low)))
		keep := 1 - ramp
		freqs[i] = 1/(factor*(1/f))*(1-keep) + f*keep
	}
}

// Keys are the configuration's keys of config.json in the form before rope_parameters, which older and newer readers know.
func (c RopeConfig) Keys() map[string]any {
	keys := map[string]any{"rope_theta": c.Theta, "rope_scaling": nil}
	if c.Partial != 0 {
		keys["partial_rotary_factor"] = c.Partial
	}
	if c.Type != "default" {
		scaling := c
		scaling.Theta, scaling.Partial = 0, 0
		keys["rope_scaling"] = scaling
	}
	return keys
}
