package suite_test

import (
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
)

func TestCPU(t *testing.T) {
	for _, v := range cpu.Variants() {
		t.Run(v, func(t *testing.T) {
			again := func(threads int) *kernel.Set { return cpu.New(cpu.Options{Threads: threads, Variant: v}) }
			suite.Run(t, again(2), suite.Options{Again: again})
		})
	}
}
