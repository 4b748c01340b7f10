package testkit

import "runtime"

// OneProcessor lets the goroutines of a test binary run on one processor, beside the other packages that go test runs; call it first in TestMain.
// Models of tests are so small that a second worker of the kernels mostly spins for its next job (see internal/pool), and two such packages on two
// processors slow each other down several times over. Pools of several workers stay so, and go test -cpu N still asks for more processors.
func OneProcessor() { runtime.GOMAXPROCS(1) }
