package suite

import (
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
)

// Sets are the definition and every variant of this machine on two threads: what a model's results are compared on.
func Sets() []*kernel.Set {
	list := []*kernel.Set{ref.New()}
	for _, v := range cpu.Variants() {
		list = append(list, cpu.New(cpu.Options{Variant: v, Threads: 2}))
	}
	return list
}
