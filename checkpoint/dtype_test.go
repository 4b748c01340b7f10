package checkpoint

import (
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/quant"
)

// The types of files, of package quant and of kernels are joined by name: those of one name are the same blocks, nothing that one of them reads is unknown to files, and
// files' types become the kernels' of their names.
func TestTypesAgree(t *testing.T) {
	type block struct{ elements, bytes int }
	of := func(elements, bytes int) block { return block{elements, bytes} }
	for f := range quant.Formats {
		if d := DType(strings.ToUpper(f.String())); of(d.Block()) != of(f.Block()) {
			t.Errorf("%s: %v in files, %v in package quant", d, of(d.Block()), of(f.Block()))
		}
	}
	for k := range kernel.DTypes {
		d := DType(strings.ToUpper(k.String()))
		if of(d.Block()) != of(k.Block()) {
			t.Errorf("%s: %v in files, %v in kernels", d, of(d.Block()), of(k.Block()))
		}
		bound, ok := kernelTypes[d]
		if wanted := k == kernel.F32 || k.Stored(); ok != wanted || ok && bound != k {
			t.Errorf("%s of files is bound: %v, as %s", d, ok, bound)
		}
		if f, known := quant.ByName(k.String()); known != k.Stored() || known && of(f.Block()) != of(k.Block()) {
			t.Errorf("%s: stored %v, known to package quant %v, as %s", k, k.Stored(), known, f)
		}
	}
	for d := range kernelTypes {
		if k := kernelTypes[d]; strings.ToLower(string(d)) != k.String() {
			t.Errorf("%s becomes %s", d, k)
		}
		if d.decoder() == nil {
			t.Errorf("%s is bound and not decoded", d)
		}
	}
}
