package data

import "testing"

func TestMixture(t *testing.T) {
	a, err := FromTokens([][]int32{{1, 1, 1, 1}, {1, 1, 1, 1}}, 4, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := FromTokens([][]int32{{2, 2, 2, 2, 2, 2}}, 4, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMixture([]Part{{a, 3}, {b, 1}}, 9, 2, 10)
	if err != nil {
		t.Fatal(err)
	}
	var x Batch
	count := map[int32]int{}
	for step := range 100 {
		if err := m.Fill(&x, step, 0, 10); err != nil {
			t.Fatal(err)
		}
		for _, id := range x.IDs {
			count[id]++
		}
	}
	if count[1] != 1500 || count[2] != 500 {
		t.Errorf("%v tokens of 2000, want 1500 and 500", count)
	}
	seen := map[[2]uint64]bool{}
	for at := range uint64(3 * block) {
		p, own := m.pick(at)
		if seen[[2]uint64{uint64(p), own}] || own >= 3*(m.first[p+1]-m.first[p]) {
			t.Fatalf("part %d, position %d: twice or out of range", p, own)
		}
		seen[[2]uint64{uint64(p), own}] = true
	}
}
