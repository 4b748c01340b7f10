package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/zoo"
)

// white is what transparent pictures are laid over.
var white = [3]uint8{255, 255, 255}

// tester measures a model.
type tester struct {
	w        io.Writer
	prepared string
	d        *embed.Dual
}

// templates of zero-shot classes: the words that captions begin with.
var templates = []string{"{}", "an emoji of {}", "a picture of {}", "a kind of {}"}

// test prints all that is measured of a model. Of a trial that is what chooses a recipe: the concepts of development, and the subgroups that it held out, of which
// the pictures in the unseen style belong to the test.
func test(w io.Writer, dataDir, prepared, model string, trial bool) error {
	all, err := readConcepts(dataDir)
	if err != nil {
		return err
	}
	present(all, prepared)
	s := splitOf(all, trial)
	d, err := embed.OpenDual(model, zoo.Options{})
	if err != nil {
		return err
	}
	d.Truncate = true
	t := &tester{w, prepared, d}
	type part struct {
		name     string
		concepts []*concept
	}
	parts := []part{{"seen concepts, for choosing a recipe", s.dev}, {"seen concepts", s.test}, {"unseen concepts", s.held}}
	if trial {
		parts = parts[:1]
	}
	for _, p := range parts {
		if err := t.retrieve(p.name+" in the unseen style", p.concepts); err != nil {
			return err
		}
		if err := t.groups(p.name+" in the unseen style", p.concepts, []int{unseen}); err != nil {
			return err
		}
	}
	if trial {
		if err := t.groups("concepts of held-out subgroups, the styles of training", s.held, []int{0, 1}); err != nil {
			return err
		}
		return t.subgroups("held-out subgroups, the styles of training", s, []int{0, 1}, true)
	}
	if err := t.subgroups("held-out subgroups, unseen style", s, []int{unseen}, true); err != nil {
		return err
	}
	return t.subgroups("held-out subgroups, the styles of training", s, []int{0, 1}, false)
}

// pictures returns the vectors of concepts as a style shows them.
func (t *tester) pictures(list []*concept, style int) ([][]float32, error) {
	return t.d.Images(ctx, len(list), func(i int) (*media.Image, error) { return open(t.prepared, list[i], style) })
}

func open(prepared string, c *concept, style int) (*media.Image, error) {
	path := filepath.Join(prepared, picture(style, c.shown(style)))
	f, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := media.DecodeOver(f, media.Limits{}, white)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// retrieve measures how pictures and texts find each other. A concept's text is the first caption of its neutral emoji, or its name alone, or the mean of several.
func (t *tester) retrieve(name string, list []*concept) error {
	pictures, err := t.pictures(list, unseen)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.w, "\n%s: %d, chance %.2f %%\n", name, len(list), 100/float64(len(list)))
	for _, of := range []struct {
		name     string
		captions func(all []string) []string
	}{
		{"name and words", func(all []string) []string { return all[:1] }},
		{"name alone", func(all []string) []string { return all[1:2] }},
		{"mean of six captions", func(all []string) []string { return all[:6] }},
	} {
		texts := make([][]float32, len(list))
		for i, c := range list {
			v, err := t.d.Texts(ctx, of.captions(captionsOf(c.shown(unseen))))
			if err != nil {
				return err
			}
			texts[i] = mean(v)
		}
		fmt.Fprintf(t.w, "  %-22s text to picture %s, picture to text %s\n", of.name, recalls(texts, pictures), recalls(pictures, texts))
	}
	return nil
}

// recalls describes how often row i of b is among the first 1, 5 and 10 of b for row i of a, with the 95 % interval of the first.
func recalls(a, b [][]float32) string {
	var hits [3]int
	for i := range a {
		own, before := dot(a[i], b[i]), 0
		for j := range b {
			if j != i && dot(a[i], b[j]) >= own {
				before++
			}
		}
		for r, rank := range []int{1, 5, 10} {
			if before < rank {
				hits[r]++
			}
		}
	}
	n := float64(len(a))
	return fmt.Sprintf("@1 %s, @5 %.1f, @10 %.1f %%", share(hits[0], len(a)), 100*float64(hits[1])/n, 100*float64(hits[2])/n)
}

// share is a share in percent with its 95 % interval (Wilson).
func share(hits, n int) string {
	const z = 1.96
	p, N := float64(hits)/float64(n), float64(n)
	mid, half := (p+z*z/(2*N))/(1+z*z/N), z*math.Sqrt(p*(1-p)/N+z*z/(4*N*N))/(1+z*z/N)
	return fmt.Sprintf("%.1f (%.1f to %.1f)", 100*p, max(0, 100*(mid-half)), 100*(mid+half))
}

// groups measures zero-shot classification into the groups.
func (t *tester) groups(name string, list []*concept, in []int) error {
	var labels, names []string
	counts := map[string]int{}
	for _, c := range list {
		if counts[c.group]++; counts[c.group] == 1 {
			names, labels = append(names, c.group), append(labels, spaced(c.group))
		}
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	right, _, nats, err := t.classify(labels, list, in, func(c *concept) int { return slices.Index(names, c.group) })
	if err != nil {
		return err
	}
	n := len(list) * len(in)
	fmt.Fprintf(t.w, "  %s: zero-shot into %d groups: %s %%, %.3f nats; chance %.1f %%, always the largest %.1f %%\n", name, len(names), share(right, n), nats, 100/float64(len(names)),
		100*float64(most)/float64(len(list)))
	return nil
}

// classify counts the pictures, of all the styles, that get their own label; seen[i] are the pictures of class i and how many of them are right, nats the mean of
// -ln of the probability that the own label gets.
func (t *tester) classify(labels []string, list []*concept, in []int, class func(*concept) int) (right int, seen [][2]int, nats float64, err error) {
	classes, err := t.d.Classes(ctx, labels, templates)
	if err != nil {
		return 0, nil, 0, err
	}
	seen = make([][2]int, len(labels))
	for _, style := range in {
		pictures, err := t.pictures(list, style)
		if err != nil {
			return 0, nil, 0, err
		}
		for i, p := range pictures {
			own, probabilities := class(list[i]), classes.Probabilities(p)
			seen[own][0]++
			nats -= math.Log(probabilities[own]) / float64(len(list)*len(in))
			if slices.Index(probabilities, slices.Max(probabilities)) == own {
				seen[own][1]++
				right++
			}
		}
	}
	return right, seen, nats, nil
}

// subgroups measures zero-shot classification among the subgroups that were held out, by their names alone.
func (t *tester) subgroups(name string, s split, in []int, table bool) error {
	labels := make([]string, len(s.kinds))
	for i, k := range s.kinds {
		_, sub, _ := strings.Cut(k, "/")
		labels[i] = spaced(sub)
	}
	right, seen, nats, err := t.classify(labels, s.held, in, func(c *concept) int { return slices.Index(s.kinds, c.kind()) })
	if err != nil {
		return err
	}
	most, balanced, n := 0, 0.0, len(s.held)*len(in)
	for _, c := range seen {
		most = max(most, c[0])
		balanced += float64(c[1]) / float64(c[0]) / float64(len(seen))
	}
	fmt.Fprintf(t.w, "\n%s: %d pictures of %d classes, %s %% right, mean of classes %.1f %%, %.3f nats; chance %.1f %%, always the largest %.1f %%\n", name, n, len(labels), share(right, n), 100*balanced,
		nats, 100/float64(len(labels)), 100*float64(most)/float64(n))
	if !table {
		return nil
	}
	for i, c := range seen {
		fmt.Fprintf(t.w, "  %-24s %3d of %3d  %5.1f %%\n", labels[i], c[1], c[0], 100*float64(c[1])/float64(c[0]))
	}
	return nil
}

func dot(a, b []float32) (sum float64) {
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}

// mean is the mean of vectors, scaled to length 1.
func mean(list [][]float32) []float32 {
	m := make([]float32, len(list[0]))
	for _, v := range list {
		for i, x := range v {
			m[i] += x
		}
	}
	length := math.Sqrt(dot(m, m))
	for i := range m {
		m[i] = float32(float64(m[i]) / length)
	}
	return m
}
