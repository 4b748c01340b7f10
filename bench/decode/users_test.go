package main

import (
	"slices"
	"testing"
)

func TestCounts(t *testing.T) {
	if got, err := counts("users", "1,8,32"); err != nil || !slices.Equal(got, []int{1, 8, 32}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "0", "1,", "1,-2", "a"} {
		if got, err := counts("users", s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}
