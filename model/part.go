package model

import (
	"fmt"
	"strconv"
	"strings"
)

// Part is a parameter's path taken apart: what it belongs to, and which of its tensors it is.
type Part struct {
	Layer  int    // -1 outside layers
	Module string // "self_attn.q_proj" within a layer, "model.embed_tokens" outside
	Tensor string // "weight", "bias"
}

// PartOf takes a path apart whose layers stand under prefix, such as "model.layers.".
func PartOf(param, prefix string) Part {
	p := Part{Layer: -1}
	rest, inside := strings.CutPrefix(param, prefix)
	if number, module, ok := strings.Cut(rest, "."); inside && ok {
		if n, err := strconv.Atoi(number); err == nil {
			p.Layer, rest = n, module
		}
	}
	at := strings.LastIndexByte(rest, '.')
	p.Module, p.Tensor = rest[:max(at, 0)], rest[at+1:]
	return p
}

// Root is the path of the part's layer with a point behind, "model.layers.3.".
func (p Part) Root(prefix string) string { return fmt.Sprintf("%s%d.", prefix, p.Layer) }

// Path is that of another module's tensor of the same name in the same layer.
func (p Part) Path(prefix, module string) string { return p.Root(prefix) + module + "." + p.Tensor }

// In is the tensor of a module of the same layer in GGUF files: "blk.3.attn_q.weight".
func (p Part) In(module string) string { return fmt.Sprintf("blk.%d.%s.%s", p.Layer, module, p.Tensor) }

// GGUF is the part's name in GGUF files, given the names of modules there.
func (p Part) GGUF(names map[string]string) string {
	if p.Layer >= 0 {
		return p.In(names[p.Module])
	}
	return names[p.Module] + "." + p.Tensor
}

// Expert tells which expert a module below prefix belongs to, and what it is there: "block_sparse_moe.experts.5.up_proj" is 5 and "up_proj".
func (p Part) Expert(prefix string) (expert int, module string, ok bool) {
	rest, ok := strings.CutPrefix(p.Module, prefix)
	number, module, cut := strings.Cut(rest, ".")
	expert, err := strconv.Atoi(number)
	return expert, module, ok && cut && err == nil
}
