//go:build slow

package vec

import "testing"

// Every float32 there is; minutes.
func TestStatedErrorsAllPatterns(t *testing.T) {
	eachVariant(t, func(t *testing.T) { checkErrors(t, 1) })
}
