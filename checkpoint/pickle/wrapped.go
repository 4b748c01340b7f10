package pickle

import (
	"slices"
	"strings"
)

// wrappers are the keys under which training programs save a model's tensors beside what else they keep: the optimiser's state, the step.
var wrappers = []any{"state_dict", "model_state_dict", "model", "module"}

// unwrap returns the dictionary of a model's tensors: v itself, or what is under wrappers, one in the other at most four deep, where v has no tensor of its own.
func unwrap(v any) any {
	for range 4 {
		d, ok := v.(*dict)
		if !ok || slices.ContainsFunc(d.values, func(v any) bool { _, is := v.(*tensor); return is }) {
			return v
		}
		var inner any
		for i, k := range d.keys {
			if _, ok := d.values[i].(*dict); ok && slices.Contains(wrappers, k) {
				inner = d.values[i]
				break
			}
		}
		if inner == nil {
			return v
		}
		v = inner
	}
	return v
}

// prefixes are what torch's DataParallel and torch.compile put before the name of each tensor.
var prefixes = []string{"module.", "_orig_mod."}

// bare takes the prefixes that all names have off them.
func bare(found map[string]*tensor) map[string]*tensor {
	for _, p := range prefixes {
		short := make(map[string]*tensor, len(found))
		for name, t := range found {
			name, ok := strings.CutPrefix(name, p)
			if !ok || name == "" {
				short = nil
				break
			}
			short[name] = t
		}
		if short != nil {
			found = short
		}
	}
	return found
}
