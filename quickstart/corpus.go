package quickstart

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/random"
)

//go:generate go run gen.go

// embedded is Plinth's own code and documents, for machines without Go.
//
//go:embed corpus.tar.gz
var embedded []byte

// document is a file of the corpus.
type document struct {
	name  string
	unit  string // what is held out as a whole: the package folder, or the file
	class string // "" where the file is in no class
	body  []byte // text without the head
	head  []byte // of Go source: package clause and imports; otherwise empty
	held  bool   // unseen in pre-training and in the labels
}

// Corpus are the facts about the text.
type Corpus struct {
	Name      string   `json:"name"`
	SHA256    string   `json:"sha256"` // of all texts, in order
	Files     int      `json:"files"`
	Bytes     int      `json:"bytes"`
	HeldFiles int      `json:"held_files"`
	HeldBytes int      `json:"held_bytes"`
	Generated int      `json:"generated_dropped"`
	Classes   []string `json:"classes"`
	ByUnit    string   `json:"held_out_by"` // "package" or "file"
	NoClasses string   `json:"no_classes,omitempty"`

	docs []document
}

const (
	unitBytes  = 200_000 // at most this much of one package folder is used, so that none dominates
	otherBytes = 20_000  // the same for packages of Go's library that are in no class, so that a minute's training sees the classes
	minClasses = 4
	minUnits   = 3 // units that a class must have
)

// parts are the parts of Go's standard library that serve as classes: those of several packages with a subject of their own.
var parts = []string{"compress", "crypto", "debug", "encoding", "go", "hash", "image", "math", "net", "text"}

// open reads the corpus: the given paths, else Go's own source, else what is embedded.
func open(ctx context.Context, paths []string, seed uint64) (*Corpus, error) {
	var c *Corpus
	var err error
	if root := data.GoRoot(ctx); len(paths) > 0 {
		c = &Corpus{Name: strings.Join(paths, ", "), ByUnit: "file"}
		err = c.read(data.Documents(ctx, paths, data.ReadOptions{OnBad: "skip"}), func(d data.Document) (unit, class string, keep bool) {
			return d.Name, classOf(d.Group), true
		})
	} else if root != "" {
		version, _ := os.ReadFile(filepath.Join(root, "VERSION"))
		first, _, _ := strings.Cut(string(version), "\n")
		c = &Corpus{Name: "the standard library of " + cmp.Or(first, "Go"), ByUnit: "package"}
		skips := &data.Skips{}
		err = c.read(data.GoSource(ctx, filepath.Join(root, "src"), false, data.ReadOptions{Skipped: skips}), func(d data.Document) (unit, class string, keep bool) {
			group := strings.TrimPrefix(d.Group, "src/")
			top, _, _ := strings.Cut(group, "/")
			if slices.Contains(parts, top) {
				class = top
			}
			return group, class, top != "cmd" && !strings.Contains(group, "/_")
		})
		c.Generated = skips.Generated
	} else {
		return openEmbedded(seed)
	}
	if err != nil {
		return nil, err
	}
	return c, c.split(seed)
}

// openEmbedded reads what the binary brings along.
func openEmbedded(seed uint64) (*Corpus, error) {
	c := &Corpus{Name: "Plinth's own code and documents (no Go was found on this machine)", ByUnit: "file"}
	err := c.read(unpack(), func(d data.Document) (unit, class string, keep bool) { return d.Name, classOf(d.Group), true })
	if err != nil {
		return nil, err
	}
	return c, c.split(seed)
}

// classOf is the folder just below the folder given.
func classOf(group string) string {
	_, below, _ := strings.Cut(group, "/")
	class, _, _ := strings.Cut(below, "/")
	return class
}

// unpack yields the embedded files.
func unpack() iter.Seq2[data.Document, error] {
	return func(yield func(data.Document, error) bool) {
		z, err := gzip.NewReader(bytes.NewReader(embedded))
		if err != nil {
			yield(data.Document{}, err)
			return
		}
		for t := tar.NewReader(z); ; {
			h, err := t.Next()
			if err == io.EOF {
				return
			}
			var text []byte
			if err == nil {
				text, err = io.ReadAll(t)
			}
			if err != nil {
				yield(data.Document{}, fmt.Errorf("quickstart: embedded corpus: %w", err))
				return
			}
			if !yield(data.Document{Name: h.Name, Group: "plinth/" + path.Dir(h.Name), Text: text}, nil) {
				return
			}
		}
	}
}

func (c *Corpus) read(docs iter.Seq2[data.Document, error], place func(data.Document) (unit, class string, keep bool)) error {
	sum := sha256.New()
	used := map[string]int{}
	for d, err := range docs {
		if err != nil {
			return err
		}
		unit, class, keep := place(d)
		limit := unitBytes
		if class == "" && c.ByUnit == "package" {
			limit = otherBytes
		}
		if !keep || len(d.Text) == 0 || used[unit] > 0 && used[unit]+len(d.Text) > limit {
			continue
		}
		used[unit] += len(d.Text)
		fmt.Fprintf(sum, "%d\n", len(d.Text))
		sum.Write(d.Text)
		doc := document{name: d.Name, unit: unit, class: class, body: d.Text}
		if strings.HasSuffix(d.Name, ".go") {
			doc.body = data.StripGoHeader(d.Text)
			doc.head = clause(d.Text[:len(d.Text)-len(doc.body)])
		}
		c.Files++
		c.Bytes += len(d.Text)
		c.docs = append(c.docs, doc)
	}
	c.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if c.Bytes < 100_000 {
		return fmt.Errorf("quickstart: %s has %d bytes of text, too few to learn from: give at least 100 kB with --data", c.Name, c.Bytes)
	}
	return nil
}

// clause cuts off the comments before the package clause.
func clause(head []byte) []byte {
	if bytes.HasPrefix(head, []byte("package ")) {
		return head
	}
	if i := bytes.Index(head, []byte("\npackage ")); i >= 0 {
		return head[i+1:]
	}
	return nil
}

// split holds out a quarter of each class's text as whole units (a tenth of text without classes), drawn by hash, and keeps the
// classes that have enough of both sides.
func (c *Corpus) split(seed uint64) error {
	byClass := map[string]map[string]int{} // bytes of each unit
	for _, d := range c.docs {
		if byClass[d.class] == nil {
			byClass[d.class] = map[string]int{}
		}
		byClass[d.class][d.unit] += len(d.body)
	}
	key := random.NewKey(seed).Named("held out")
	held := map[string]bool{}
	for class, units := range byClass {
		share := 0.25
		if class == "" {
			if c.ByUnit == "package" {
				continue // the rest of the standard library is all for pre-training
			}
			share = 0.1
		}
		order := make([]string, 0, len(units))
		total := 0
		for u, n := range units {
			order = append(order, u)
			total += n
		}
		rank := func(u string) uint64 { return key.Named(u).Uint64(0) }
		slices.SortFunc(order, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
		got := 0
		for _, u := range order[:len(order)-1] { // something is left to learn from
			n := units[u]
			if n < 2000 || got > 0 && float64(got+n) > 1.6*share*float64(total) {
				continue
			}
			held[u] = true
			if got += n; float64(got) > share*float64(total) {
				break
			}
		}
	}
	for i := range c.docs {
		d := &c.docs[i]
		if d.held = held[d.unit]; d.held {
			c.HeldFiles++
			c.HeldBytes += len(d.body)
		}
	}
	if c.HeldBytes == 0 || c.HeldFiles == c.Files {
		return errors.New("quickstart: the text is a single file: give several files, so that some can be held out")
	}
	for class, units := range byClass {
		if class == "" || len(units) < minUnits {
			continue
		}
		if labelled, test := c.snippets(class, false), c.snippets(class, true); len(labelled) >= 2*labelsPerClass && len(test) >= minTest {
			c.Classes = append(c.Classes, class)
		}
	}
	slices.Sort(c.Classes)
	if len(c.Classes) < minClasses {
		c.NoClasses = fmt.Sprintf("the text has %d folders with enough files below the one given, and a comparison needs %d classes: the adaptation part is left out", len(c.Classes), minClasses)
		c.Classes = nil
	}
	return nil
}

// snippet is a run of whole lines.
type snippet struct {
	unit string
	text []byte
}

const (
	labelsPerClass = 16
	snippetBytes   = 300 // a snippet ends with the line that reaches it
	minTest        = 20  // test snippets that a class must have
)

// snippets cuts the files of a class.
func (c *Corpus) snippets(class string, held bool) []snippet {
	var list []snippet
	for _, d := range c.docs {
		if d.class != class || d.held != held {
			continue
		}
		for rest := d.body; len(rest) >= snippetBytes; {
			end := len(rest)
			if i := bytes.IndexByte(rest[snippetBytes-1:], '\n'); i >= 0 {
				end = snippetBytes + i
			}
			if end <= 2*snippetBytes {
				list = append(list, snippet{d.unit, rest[:end]})
			}
			rest = rest[end:]
		}
	}
	return list
}
