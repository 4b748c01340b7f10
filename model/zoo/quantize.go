package zoo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
)

// mixture is a way to quantise a model: a type for most matrices and exceptions.
type mixture struct {
	base     checkpoint.DType
	fileType uint32 // general.file_type
	more     bool   // Q6_K for values and the way out of the MLP in some layers
	few      bool   // Q5_K for these in the first layers
}

var mixtures = map[string]mixture{
	"q8_0": {checkpoint.Q8_0, 7, false, false}, "q4_0": {checkpoint.Q4_0, 2, false, false}, "q6_k": {checkpoint.Q6_K, 18, false, false},
	"q4_k": {checkpoint.Q4_K, 14, false, true}, "q4_k_m": {checkpoint.Q4_K, 15, true, false}, "q5_k_m": {checkpoint.Q5_K, 17, true, false},
}

// Mixtures are the names that Quantize takes.
func Mixtures() []string { return slices.Sorted(maps.Keys(mixtures)) }

// Quantize writes the model at in, a folder or a GGUF file of F32, F16 or BF16, to the GGUF file out in a mixture of types, chosen for each tensor as
// llama-quantize does. It returns the tensors in their order. When ctx ends nothing is left of
// the file. threads is the most workers; 0 means all CPUs. q4_k is what llama-quantize calls Q4_K_S.
func Quantize(ctx context.Context, in, out, kind string, threads int) ([]Written, error) {
	mix, ok := mixtures[kind]
	if !ok {
		return nil, fmt.Errorf("type %q is none of %s", kind, strings.Join(Mixtures(), ", "))
	}
	c, err := contentOf(in)
	if err != nil {
		return nil, err
	}
	if c.packed != nil {
		return nil, errors.Join(already(*c.packed), c.close())
	}
	r := recipe{mixture: mix, tied: true}
	name, _, err := gguf.Lookup[string](c.meta, "general.architecture")
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	for key, to := range map[string]*int{"block_count": &r.layers, "expert_count": &r.experts, "attention.head_count": &r.heads, "attention.head_count_kv": &r.kvHeads} {
		if *to, _, err = gguf.Lookup[int](c.meta, name+"."+key); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	for _, t := range c.tensors {
		r.tied = r.tied && t.Name != "output.weight"
		if strings.Contains(t.Name, "attn_v.weight") || strings.Contains(t.Name, "attn_qkv.weight") {
			r.values++
		}
	}
	return c.write(ctx, out, mix.fileType, threads, r.pick)
}

// already says that a model has few bits.
func already(t checkpoint.Info) error {
	return fmt.Errorf("tensor %s is %s already: quantise the F32, F16 or BF16 model that it was made from, or this one once it is plinth convert --dtype f16, with the errors of both steps", t.Name, t.DType)
}

// recipe is what the types depend on.
type recipe struct {
	mixture
	tied                            bool // the head is the token embedding
	layers, experts, heads, kvHeads int
	values                          int // matrices of values
}

// moreBits says whether the i-th of n layers, of one kind of matrix, matters more: the first and last eighth and every third between.
func moreBits(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

// pick chooses the type of a tensor.
func (r *recipe) pick(t checkpoint.Info) (checkpoint.DType, error) {
	if keptF32(t) || !strings.HasSuffix(t.Name, "weight") || strings.Contains(t.Name, "_norm.weight") {
		return t.DType, nil
	}
	if !slices.Contains([]checkpoint.DType{checkpoint.F32, checkpoint.F16, checkpoint.BF16}, t.DType) {
		return "", already(t)
	}
	d, layer := r.base, 0
	fmt.Sscanf(t.Name, "blk.%d.", &layer)
	has := func(part string) bool { return strings.Contains(t.Name, part) }
	width := t.Shape[len(t.Shape)-1]
	elements, _ := d.Block()
	switch {
	case t.Name == "output.weight" || r.tied && t.Name == "token_embd.weight":
		switch {
		case width%elements != 0:
			d = checkpoint.Q8_0
		case d != checkpoint.Q8_0:
			d = checkpoint.Q6_K
		}
	case has("attn_v.weight") || has("attn_qkv.weight"):
		if r.more && moreBits(layer, r.values) {
			d = checkpoint.Q6_K
		}
		if r.few && layer < 4 {
			d = checkpoint.Q5_K
		}
		if r.layers == 80 && r.heads != r.kvHeads && d == checkpoint.Q4_K { // eight heads share these
			d = checkpoint.Q5_K
		}
		if r.experts == 8 {
			d = checkpoint.Q8_0
		}
	case has("attn_k.weight") && r.experts == 8:
		d = checkpoint.Q8_0
	case has("ffn_down") && r.more && moreBits(layer, r.layers):
		d = checkpoint.Q6_K
	case has("ffn_down") && r.few && layer < r.layers/8:
		d = checkpoint.Q5_K
	case has("attn_output.weight") && r.experts == 8 && r.base == checkpoint.Q4_K:
		d = checkpoint.Q5_K
	}
	return fallback(d, width), nil
}

// fallback is a type of smaller blocks where rows of width are not whole blocks of d.
func fallback(d checkpoint.DType, width int) checkpoint.DType {
	fits := func(d checkpoint.DType) bool { n, _ := d.Block(); return width%n == 0 }
	if fits(d) {
		return d
	}
	switch d {
	case checkpoint.Q4_K:
		d = "Q5_0"
	case checkpoint.Q5_K:
		d = "Q5_1"
	case checkpoint.Q6_K:
		d = checkpoint.Q8_0
	}
	if fits(d) {
		return d
	}
	return checkpoint.F16
}
