package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/random"
)

const (
	gallery  = 1000 // concepts of the main test
	least    = 5    // concepts of a subgroup that is held out
	everyNth = 4    // subgroup is held out
	seed     = 8
)

// split says which concepts are trained on.
type split struct {
	train []*concept // all their pictures but those of the unseen style
	test  []*concept // of these: the gallery of the seen concepts
	dev   []*concept // the rest that all styles show, for choosing a recipe
	held  []*concept // of subgroups that are held out: seen in no style
	kinds []string   // the subgroups held out
}

// splitOf holds out every fourth subgroup, in the order of the table, of those with at least five concepts and a name that names something. A split for trials, by
// which a recipe is chosen, has no test: of the subgroups that are trained on it holds out a third, and leaves those of the test out altogether.
func splitOf(all []*concept, trial bool) split {
	sizes := map[string]int{}
	var kinds []string
	for _, c := range all {
		if !c.everywhere() || strings.Contains(c.subgroup, "other") {
			continue
		}
		if sizes[c.kind()]++; sizes[c.kind()] == least {
			kinds = append(kinds, c.kind())
		}
	}
	// in the order of the table
	order := map[string]int{}
	for i, c := range all {
		if _, ok := order[c.kind()]; !ok {
			order[c.kind()] = i
		}
	}
	slices.SortFunc(kinds, func(a, b string) int { return order[a] - order[b] })
	var s split
	var tried []string
	for i, k := range kinds {
		switch i % everyNth {
		case 1:
			s.kinds = append(s.kinds, k)
		case 3:
			tried = append(tried, k)
		}
	}
	var seen []*concept
	for _, c := range all {
		switch {
		case !slices.Contains(s.kinds, c.kind()):
			s.train = append(s.train, c)
			if c.everywhere() {
				seen = append(seen, c)
			}
		case c.everywhere():
			s.held = append(s.held, c)
		}
	}
	perm := random.NewPerm(uint64(len(seen)), random.NewKey(seed).Named("gallery"))
	for i := range seen {
		c := seen[perm.At(uint64(i))]
		if i < gallery {
			s.test = append(s.test, c)
		} else {
			s.dev = append(s.dev, c)
		}
	}
	if trial {
		isTried := func(c *concept) bool { return slices.Contains(tried, c.kind()) }
		s.kinds, s.held, s.test = tried, nil, nil
		for _, c := range s.train {
			if isTried(c) && c.everywhere() {
				s.held = append(s.held, c)
			}
		}
		s.train, s.dev = slices.DeleteFunc(s.train, isTried), slices.DeleteFunc(s.dev, isTried)
	}
	return s
}

// row is a line of the tables that plinth train reads.
type row struct {
	Image string   `json:"image"`
	Text  []string `json:"text"`
	Group string   `json:"group"`
}

// prepare writes the pictures, train.jsonl and dev.jsonl.
func prepare(dataDir, out string, shuffle, trial bool) error {
	all, err := readConcepts(dataDir)
	if err != nil {
		return err
	}
	names := map[[2]string]bool{}
	for _, c := range all {
		for _, e := range c.emojis {
			for s, f := range e.files {
				if f != "" {
					names[[2]string{styles[s].name, f}] = true
				}
			}
		}
	}
	for _, s := range styles {
		if err := unpack(filepath.Join(dataDir, s.tar), filepath.Join(out, "pictures", s.name), func(f string) bool { return names[[2]string{s.name, f}] }); err != nil {
			return err
		}
	}
	present(all, out)
	s := splitOf(all, trial)
	fmt.Printf("%d concepts, %d trained on, %d in the gallery, %d of development, %d held out in %d subgroups: %s\n", len(all), len(s.train), len(s.test), len(s.dev), len(s.held),
		len(s.kinds), strings.Join(s.kinds, ", "))
	var rows []row
	for i, c := range s.train {
		text := c
		if shuffle { // the control: captions of another concept
			text = s.train[random.NewPerm(uint64(len(s.train)), random.NewKey(seed).Named("shuffle")).At(uint64(i))]
		}
		for j, e := range c.emojis {
			captions := captionsOf(text.emojis[j%len(text.emojis)])
			for st := range unseen {
				if e.files[st] != "" {
					rows = append(rows, row{picture(st, e), captions, c.key})
				}
			}
		}
	}
	if err := writeRows(filepath.Join(out, "train.jsonl"), rows); err != nil {
		return err
	}
	rows = nil
	for _, c := range s.dev {
		e := c.shown(unseen)
		rows = append(rows, row{picture(unseen, e), captionsOf(e)[:1], c.key})
	}
	return writeRows(filepath.Join(out, "dev.jsonl"), rows)
}

func picture(style int, e *emoji) string {
	return filepath.ToSlash(filepath.Join("pictures", styles[style].name, e.files[style]))
}

// present forgets the files that are not there: the table of names and the sets of pictures are of different years.
func present(all []*concept, out string) {
	for _, c := range all {
		for _, e := range c.emojis {
			for s := range styles {
				if _, err := os.Stat(filepath.Join(out, picture(s, e))); err != nil {
					e.files[s] = ""
				}
			}
		}
	}
}

func writeRows(path string, rows []row) error {
	return file.WriteAtomic(path, 0o644, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		for _, r := range rows {
			if err := e.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// unpack writes the members of a tar that are wanted.
func unpack(path, dir string, wanted func(name string) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	members := tar.NewReader(f)
	for {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || !wanted(h.Name) {
			continue
		}
		b, err := file.ReadFrom(members, h.Name, 1<<20)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.WriteFile(filepath.Join(dir, h.Name), b, 0o644); err != nil {
			return err
		}
	}
}

// spaced are the words of a group's or subgroup's name.
func spaced(name string) string { return strings.ReplaceAll(name, "-", " ") }

// captionsOf are texts that are true of an emoji: its name, with words of others, with what it is a kind of. The first is its name with all tags that fit.
func captionsOf(e *emoji) []string {
	name, _, _ := strings.Cut(e.annotation, ":")
	if strings.HasPrefix(e.group, "flags") || strings.HasPrefix(e.subgroup, "keycap") || name == "person" || name == "man" || name == "woman" {
		name = strings.ReplaceAll(e.annotation, ":", "")
	}
	group, kind := spaced(strings.TrimPrefix(strings.TrimPrefix(e.group, "extras-openmoji"), "extras-unicode")), spaced(e.subgroup)
	list := []string{
		name + ", " + strings.Join(e.words[:min(6, len(e.words))], ", "),
		name,
		"an emoji of " + name,
		kind + ", " + name,
		strings.TrimSpace(group + " " + kind + ", " + name),
		"a picture of " + name + ", a kind of " + kind,
	}
	key := random.NewKey(seed).Named(e.hex)
	for i := range 8 { // some of the words in another order each time
		perm := random.NewPerm(uint64(max(1, len(e.words))), key.At(uint64(i)))
		var some []string
		for j := range min(5, len(e.words)) {
			some = append(some, e.words[perm.At(uint64(j))])
		}
		text := strings.Join(some, ", ")
		switch {
		case text == "":
		case i%4 == 0:
			list = append(list, text)
		case i%4 == 1:
			list = append(list, kind+", "+text)
		case i%4 == 2:
			list = append(list, strings.TrimSpace(group+" "+kind+", "+text))
		default:
			list = append(list, name+", "+text)
		}
	}
	for _, of := range []string{group, kind, group + " " + kind} { // what it is a kind of, without what it is
		if of = strings.TrimSpace(of); of != "" {
			list = append(list, of, "an emoji of "+of)
		}
	}
	return append(list, e.words[:min(12, len(e.words))]...) // words alone, as names of classes are: many emoji have them in common
}
