package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

func TestMerged(t *testing.T) {
	for _, same := range [][]string{
		{"1F44B", "1F44B-1F3FB", "1F44B-1F3FF"},                                                             // waving hand
		{"1F9D1-200D-2695-FE0F", "1F468-1F3FD-200D-2695-FE0F", "1F469-200D-2695-FE0F"},                      // health worker
		{"1F3C3", "1F3C3-200D-2640-FE0F", "1F3C3-1F3FE-200D-2642-FE0F"},                                     // running
		{"1F46A", "1F468-200D-1F469-200D-1F467", "1F469-200D-1F466", "1F9D1-200D-1F9D1-200D-1F9D2"},         // family
		{"1F491", "1F469-200D-2764-FE0F-200D-1F468", "1F9D1-1F3FB-200D-2764-FE0F-200D-1F9D1-1F3FC"},         // couple with heart
		{"1F48F", "1F469-200D-2764-FE0F-200D-1F48B-200D-1F468"},                                             // kiss
		{"1F46B", "1F46D-1F3FF", "1F9D1-1F3FB-200D-1F91D-200D-1F9D1-1F3FC"},                                 // holding hands
		{"1F91D", "1FAF1-1F3FB-200D-1FAF2-1F3FC"},                                                           // handshake
		{"1F934", "1F478-1F3FB", "1FAC5"}, {"1F385", "1F936", "1F9D1-200D-1F384"}, {"1F9D2", "1F466-1F3FB"}, // crown, Santa, child
	} {
		for _, hex := range same[1:] {
			if a, b := merged(same[0]), merged(hex); a != b {
				t.Errorf("%s is %s and %s is %s", same[0], a, hex, b)
			}
		}
	}
	for _, other := range [][2]string{{"1F3C3", "1F6B6"}, {"2640-FE0F", "2642-FE0F"}, {"1F9D1", "1F9D2"}, {"2764-FE0F", "1F491"}, {"2764-FE0F-200D-1F525", "2764-FE0F"}} {
		if a, b := merged(other[0]), merged(other[1]); a == b {
			t.Errorf("%s and %s are both %s", other[0], other[1], a)
		}
	}
}

// No concept of a held-out subgroup, and none of its pictures, is trained on; the gallery's concepts are, and all styles show them.
func TestSplit(t *testing.T) {
	all, err := readConcepts(testkit.Data(t, "images"))
	if err != nil {
		t.Fatal(err)
	}
	s := splitOf(all, false)
	if len(s.test) != gallery || len(s.kinds) < 20 || len(s.held) < 200 || len(s.dev) < 100 {
		t.Fatalf("%d in the gallery, %d held out in %d subgroups, %d of development", len(s.test), len(s.held), len(s.kinds), len(s.dev))
	}
	train := map[string]bool{}
	for _, c := range s.train {
		if slices.Contains(s.kinds, c.kind()) || train[c.key] {
			t.Errorf("%s of %s is trained on, or twice", c.key, c.kind())
		}
		train[c.key] = true
	}
	for _, c := range s.held {
		if train[c.key] || !c.everywhere() {
			t.Errorf("%s is held out and trained on, or not in all styles", c.key)
		}
	}
	tested := map[string]bool{}
	for _, c := range append(slices.Clone(s.test), s.dev...) {
		if !train[c.key] || !c.everywhere() || tested[c.key] {
			t.Errorf("%s is tested as seen", c.key)
		}
		tested[c.key] = true
	}
	for _, c := range all {
		for _, e := range c.emojis {
			if captions := captionsOf(e); len(captions) < 6 || slices.ContainsFunc(captions, func(text string) bool { return strings.TrimSpace(text) == "" }) {
				t.Fatalf("%s has captions %q", e.hex, captions)
			}
		}
	}
}

// A recipe is chosen without the test: a trial trains on and looks at no concept of a held-out subgroup, and holds others out that the run itself trains on.
func TestTrialSplit(t *testing.T) {
	all, err := readConcepts(testkit.Data(t, "images"))
	if err != nil {
		t.Fatal(err)
	}
	s, trial := splitOf(all, false), splitOf(all, true)
	if len(trial.test) != 0 || len(trial.kinds) < 20 || len(trial.held) < 200 || len(trial.dev) < 50 {
		t.Fatalf("%d in the gallery, %d held out in %d subgroups, %d of development", len(trial.test), len(trial.held), len(trial.kinds), len(trial.dev))
	}
	for _, c := range slices.Concat(trial.train, trial.held, trial.dev) {
		if slices.Contains(s.kinds, c.kind()) || slices.Contains(trial.train, c) == slices.Contains(trial.kinds, c.kind()) {
			t.Errorf("%s of %s", c.key, c.kind())
		}
	}
	for _, c := range trial.dev {
		if !slices.Contains(s.dev, c) {
			t.Errorf("%s is of the test's gallery", c.key)
		}
	}
}
