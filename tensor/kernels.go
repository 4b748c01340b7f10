package tensor

import (
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

// Kernels is a set of kernels that tapes run on.
type Kernels = kernel.Set

// CPU returns the fastest kernels of this machine on the given number of threads; 0 uses all CPUs. Results have the same bits for any
// number of threads.
func CPU(threads int) *Kernels { return cpu.New(cpu.Options{Threads: threads}) }
