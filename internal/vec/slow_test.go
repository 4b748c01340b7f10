//go:build slow

package vec

import "testing"

// Every float32 there is for Exp, every 61st for the others: some three minutes.
func TestStatedErrorsDense(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		checkErrors(t, "Exp", 1)
		checkErrors(t, "", 61)
	})
}
