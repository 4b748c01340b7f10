package adapt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// StoreBase rounds the matrices of m's linear layers to the storage type d, the base that QLoRA trains an adapter on (Dettmers et al. 2023). keep are parameters that stay
// as they are: those that are trained. Heads over the vocabulary stay too, and matrices whose rows are not whole blocks of d or that are in blocks already. It is called
// before an adapter is attached, with m opened for use, not for training; one matrix at a time is float32. It returns how many matrices are d now, and
// of how many; none is an error.
func StoreBase(m Adapted, keep []nn.Named, d tensor.DType) (count, all int, err error) {
	format, ok := quant.ByName(d.String())
	if !ok || !d.Stored() {
		return 0, 0, fmt.Errorf("adapt: no matrices are stored as %s", d)
	}
	fixed := heads(m)
	for _, p := range keep {
		fixed = append(fixed, p.T())
	}
	elements, _ := d.Block()
	for _, l := range nn.Linears(m) {
		w := l.Weight.T()
		_, width := w.Dims2()
		from, ok := quant.ByName(w.Data.DType().String())
		plain := w.Data.DType() == tensor.F32
		if slices.Contains(fixed, w) {
			continue
		}
		all++
		if block, _ := w.Data.DType().Block(); l.InOut || width%elements != 0 || !plain && (!ok || block > 1) {
			continue
		}
		var values []float32
		if plain {
			values = w.F32()
		} else {
			values = make([]float32, w.Len())
			from.Decode(values, w.Data.Bytes())
		}
		blocks := make([]byte, format.Bytes(len(values)))
		format.Encode(blocks, values)
		w.Bind(kernel.OfBytes(d, blocks))
		count++
	}
	if count == 0 {
		return 0, all, fmt.Errorf("adapt: no matrix of the model becomes %s: their rows are not whole blocks of %d, or they have few bits already, or stand transposed (GPT-2's)", d, elements)
	}
	return count, all, nil
}

// StorageType returns the type called name of those that StoreBase takes.
func StorageType(name string) (tensor.DType, bool) {
	for d := range kernel.DTypes {
		if d.Stored() && d.String() == strings.ToLower(name) {
			return d, true
		}
	}
	return 0, false
}
