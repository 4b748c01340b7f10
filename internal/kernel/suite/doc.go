// Package suite is the conformance test of the op set: any kernel.Set can run it. Every function is computed in float32
// by the set under test and in float64 by package ref, on the same numbers, and the float64 results are themselves
// checked against plain definitions written out here (explicit masks, triple loops). Outputs start with random content,
// so that a value written outside of its place shows. Further parts check that the bits do not depend on threads or on
// neighbouring rows, non-finite values, and what PyTorch computed for single ops. Only tests import it.
package suite
