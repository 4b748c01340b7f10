package trie

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestTrie compares with a map: keys of all bytes, NUL among them, their prefixes, and strings that are none.
func TestTrie(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	for _, n := range []int{0, 1, 2, 300, 20_000} {
		keys := map[string]int32{}
		for len(keys) < n {
			key := make([]byte, 1+r.IntN(7))
			for i := range key {
				if key[i] = byte(r.IntN(256)); r.IntN(2) == 0 {
					key[i] = byte('a' + r.IntN(4))
				}
			}
			keys[string(key)] = int32(r.IntN(MaxValue + 1))
		}
		var entries []Entry
		prefixes := map[string]bool{"": true}
		for key, value := range keys {
			entries = append(entries, Entry{key, value})
			for i := range key {
				prefixes[key[:i+1]] = true
			}
		}
		tr, err := Build(entries)
		if err != nil {
			t.Fatal(err)
		}
		for prefix := range prefixes {
			for _, s := range []string{prefix, prefix + "a", prefix + "\x00", prefix + "\xff"} {
				_, value, ok := tr.Walk(tr.Root(), s)
				want, isKey := keys[s]
				if !isKey {
					want = -1
				}
				if ok != prefixes[s] || value != want || tr.Get(s) != want {
					t.Fatalf("%d keys, %q: %d %v, want %d %v", n, s, value, ok, want, prefixes[s])
				}
			}
		}
		if n > 300 && len(tr.units) > 2*len(prefixes) {
			t.Errorf("%d units for %d nodes", len(tr.units), len(prefixes))
		}
	}
	if value := new(Trie).Get("a"); value != -1 {
		t.Errorf("zero value: %d", value)
	}
}

func TestBuildErrors(t *testing.T) {
	for want, entries := range map[string][]Entry{"empty key": {{"", 0}}, "twice": {{"b", 0}, {"a", 1}, {"b", 2}}, `of key "a"`: {{"a", -1}}, "not in": {{"a", MaxValue + 1}}} {
		if _, err := Build(entries); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", entries, err, want)
		}
	}
}

func Example() {
	t, err := Build([]Entry{{"he", 1}, {"hers", 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	node := t.Root()
	for i, text := 0, "hers"; i < len(text); i++ {
		var value int32
		if node, value, _ = t.Next(node, text[i]); value >= 0 {
			fmt.Println(text[:i+1], value)
		}
	}
	// Output:
	// he 1
	// hers 2
}
