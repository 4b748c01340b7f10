// Package testkit is what tests of several packages share: golden tensors that
// other implementations wrote (see tools/golden), the comparison of float32
// results with them, and the places of things that may be absent — the test data
// folder and a Python with peer libraries. Only tests import it. It reads its
// files with code of its own, so that no code under test judges itself.
package testkit
