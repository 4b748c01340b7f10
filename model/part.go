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

// GGUF is the part's name in GGUF files, given the names of modules there: "blk.3.attn_q.weight".
func (p Part) GGUF(names map[string]string) string {
	name := names[p.Module] + "." + p.Tensor
	if p.Layer >= 0 {
		name = fmt.Sprintf("blk.%d.%s", p.Layer, name)
	}
	return name
}
