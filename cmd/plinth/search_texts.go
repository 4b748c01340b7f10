package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/index"
	"github.com/plinth-ml/plinth/internal/file"
)

// textSearchFlags say what of texts is found.
type textSearchFlags struct {
	By       string `enum:",paragraph,line" default:"" help:"What of a text is found: paragraph (up to an empty line; the default) or line. Long ones are divided." placeholder:"NAME" group:"Texts"`
	Text     string `default:"text" help:"Column of the text: its name, or its number from 1." placeholder:"COL" group:"Texts"`
	Format   string `enum:",csv,tsv,jsonl,parquet" default:"" help:"FILE is a table of this format; without it its name tells it." placeholder:"NAME" group:"Texts"`
	NoHeader bool   `help:"The first record of the table is data: columns go by their numbers." group:"Texts"`
}

// passage is what of a text is found.
type passage struct {
	where string // file:line
	text  string
}

// key is the key of a passage in an index: a hash of what it says, so that it has its vector wherever it stands.
func (p passage) key() string {
	sum := sha256.Sum256([]byte(p.text))
	return hex.EncodeToString(sum[:16])
}

var (
	textNames  = []string{".txt", ".md"}                                           // endings of files that are taken for texts
	tableNames = []string{".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet"} // and for tables
)

// runTexts searches texts.
func (s *searchCmd) runTexts(ctx context.Context, c *common) error {
	if len(s.Image) > 0 || s.Out != "" || s.Ground != "" {
		return usagef("--image, --out and --ground are for pictures, which want a CLIP: %s is a model of texts", s.Model)
	}
	list, files, bad, err := s.passages(ctx)
	if err != nil {
		return err
	}
	sayBad(c, bad)
	if len(list) == 0 {
		return errNoText
	}
	if s.Index != "" {
		if err := checkOut("--index", s.Index, files); err != nil {
			return err
		}
	}
	e, err := (&embedCmd{Model: s.Model}).open(c)
	if err != nil {
		return err
	}
	x := &textIndex{keptIndex: keptIndex{c: c, path: cmp.Or(s.Index, s.textIndexPath()), cache: s.Index == ""}, e: e, textChanges: textChanges{Bad: bad}}
	began := time.Now()
	if err := x.update(ctx, list); err != nil {
		return err
	}
	defer x.index.Close()
	updated := time.Since(began).Seconds()
	vectors, _, err := e.Embed(ctx, s.Texts, promptKind(e, "query"))
	if err != nil {
		return err
	}
	began = time.Now()
	found, err := x.find(vectors, list, s.Top)
	if err != nil {
		return err
	}
	searched := time.Since(began).Seconds()
	answers, text := answersOf(s.Texts, found)
	c.say("%s in %s: %d new, %d deleted, %s not read, in %.1f s; searched in %.1f ms", plural(x.index.Len(), "text"), x.path, x.New, x.Deleted, plural(len(x.Bad), "file"), updated, 1e3*searched)
	err = c.finish(struct {
		searchPlace
		Count int `json:"texts"`
		textChanges
		searchDone
	}{searchPlace{s.Model, s.Dir, x.path}, x.index.Len(), x.textChanges, searchDone{updated, searched, answers}}, text)
	return cmp.Or(err, unread(x.Bad))
}

// textIndexPath is where the index is that no flag names.
func (s *searchCmd) textIndexPath() string {
	name := pathName(s.Model) + "-texts.index"
	if info, err := os.Stat(s.Dir); err == nil && info.IsDir() {
		return filepath.Join(s.Dir, ".plinth", name)
	}
	return filepath.Join(filepath.Dir(s.Dir), ".plinth", filepath.Base(s.Dir)+"-"+name)
}

// passages are those of the folder, the text or the table, and the files that they stand in. Files of a folder that are no text that can be read are bad.
func (s *searchCmd) passages(ctx context.Context) (list []passage, files []string, bad []badFile, err error) {
	info, err := os.Stat(s.Dir)
	if err != nil {
		return nil, nil, nil, err
	}
	name := strings.TrimSuffix(strings.TrimSuffix(s.Dir, ".gz"), ".zst")
	if !info.IsDir() && (s.Format != "" || slices.Contains(tableNames, strings.ToLower(filepath.Ext(name)))) {
		if s.By != "" {
			return nil, nil, nil, usagef("--by is for texts: the rows of the table %s are found whole", s.Dir)
		}
		flags := columnFlags{tableFlags: tableFlags{Text: s.Text, Format: s.Format, NoHeader: s.NoHeader}}
		err := flags.rows(ctx, s.Dir, "", func(where string, row, _ []string) error {
			list = append(list, passage{where, row[0]})
			return nil
		})
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%s holds no texts", s.Dir)
		}
		return list, []string{s.Dir}, []badFile{}, err
	}
	if s.Text != "text" || s.NoHeader || s.Format != "" {
		return nil, nil, nil, usagef("--text, --format and --no-header are for a table: %s is none", s.Dir)
	}
	files, bad, err = filesIn(ctx, "DIR", []string{s.Dir}, func(path string) bool { return slices.Contains(textNames, strings.ToLower(filepath.Ext(path))) })
	if err == nil && len(files)+len(bad) == 0 {
		err = fmt.Errorf("no text (%s) in %s; pictures want a CLIP, and %s is none", strings.Join(textNames, ", "), s.Dir, s.Model)
	}
	for _, path := range files {
		text, err := file.ReadText(path, maxText)
		if err != nil {
			bad = append(bad, badFile{path, strings.TrimPrefix(plainError(err).Error(), path+" ")})
			continue
		}
		list = append(list, passagesOf(path, text, s.By == "line")...)
	}
	return list, files, bad, err
}

// passageBytes is the most bytes of a passage of a text: about as many tokens as sentence models read, which is 128 and more.
const passageBytes = 500

// passagesOf are a text's paragraphs, or its lines; one that is too long is divided at the ends of lines, else between words.
func passagesOf(name, text string, lines bool) (list []passage) {
	add := func(line int, part string) {
		for part != "" {
			n := len(part)
			if n > passageBytes {
				for n = passageBytes; !utf8.RuneStart(part[n]); n-- {
				}
				if at := strings.LastIndexByte(part[:n], '\n'); at > 0 {
					n = at
				} else if at := strings.LastIndexAny(part[:n], " \t"); at > 0 {
					n = at
				}
			}
			list = append(list, passage{fmt.Sprintf("%s:%d", name, line), strings.TrimSpace(part[:n])})
			rest := strings.TrimSpace(part[n:])
			line += strings.Count(part[:len(part)-len(rest)], "\n")
			part = rest
		}
	}
	number, from := 0, 0 // of lines
	var paragraph strings.Builder
	for l := range strings.Lines(text) {
		number++
		l = strings.TrimSpace(l)
		if l == "" || lines {
			add(from, paragraph.String())
			paragraph.Reset()
		}
		if l == "" {
			continue
		}
		if paragraph.Len() == 0 {
			from = number
		} else {
			paragraph.WriteByte('\n')
		}
		paragraph.WriteString(l)
	}
	add(from, paragraph.String())
	return list
}

// textChanges is what an update of an index found.
type textChanges struct {
	New     int       `json:"new"`
	Deleted int       `json:"deleted"`
	Cut     int       `json:"cut"` // new ones that lost their ends
	Bad     []badFile `json:"not_read"`
}

// textIndex follows passages with an index of their texts.
type textIndex struct {
	keptIndex
	e *embed.Embedder
	textChanges
}

// update brings the index up to date with passages.
func (x *textIndex) update(ctx context.Context, list []passage) error {
	const said = "The quick brown fox jumps over the lazy dog." // by what a model makes of it, it is known
	v, _, err := x.e.Embed(ctx, []string{said}, promptKind(x.e, "document"))
	if err != nil {
		return err
	}
	mark, err := markOf(v[0])
	if err != nil {
		return err
	}
	err = x.keptIndex.update(ctx, x.e.Size(), mark, func() error { return x.follow(ctx, list) })
	if errors.Is(err, errEmpty) {
		err = errNoText
	}
	return err
}

// errNoText ends a search in texts none of which can be read.
var errNoText = errors.New("no text could be read")

// follow is update of the index once it is open.
func (x *textIndex) follow(ctx context.Context, list []passage) error {
	gone := map[string]bool{}
	for i := range x.index.Len() {
		gone[x.index.Key(i)] = true
	}
	var fresh []passage
	seen := map[string]bool{}
	for _, p := range list {
		key := p.key()
		if !seen[key] && !gone[key] {
			fresh = append(fresh, p)
		}
		seen[key] = true
		delete(gone, key)
	}
	var change index.Change
	for key := range gone {
		change.Delete = append(change.Delete, key)
	}
	x.Deleted = len(gone)
	const batch = 256
	began := time.Now()
	for done := 0; done < len(fresh); {
		part := fresh[done:min(len(fresh), done+batch)]
		if err := x.read(ctx, part, &change); err != nil {
			return errors.Join(err, x.save(&change))
		}
		if done += len(part); len(fresh) > batch {
			x.c.say("%d of %d texts, %.1f a second", done, len(fresh), float64(done)/time.Since(began).Seconds())
		}
		if err := x.saveSome(&change); err != nil {
			return err
		}
	}
	if x.Cut > 0 {
		x.c.say("note: %d new texts are longer than the limit of tokens and lost their ends", x.Cut)
	}
	return x.save(&change)
}

// read adds the vectors of passages to a change. Those that the tokenizer makes nothing of are bad.
func (x *textIndex) read(ctx context.Context, part []passage, change *index.Change) error {
	if x.see(ctx, part, change) == nil {
		return nil
	}
	before := len(x.Bad)
	for _, p := range part { // one of them is bad: which?
		err := x.see(ctx, []passage{p}, change)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			x.Bad = append(x.Bad, badFile{p.where, err.Error()})
		}
	}
	sayBad(x.c, x.Bad[before:])
	return nil
}

// see adds the vectors of passages to a change, of all or of none.
func (x *textIndex) see(ctx context.Context, part []passage, change *index.Change) error {
	texts := make([]string, len(part))
	for i, p := range part {
		texts[i] = p.text
	}
	vectors, cut, err := x.e.Embed(ctx, texts, promptKind(x.e, "document"))
	if err != nil {
		return err
	}
	for i, v := range vectors {
		change.Put = append(change.Put, index.Entry{Key: part[i].key(), Vector: v})
	}
	x.New, x.Cut = x.New+len(part), x.Cut+cut
	return nil
}

// find returns the passages nearest to each vector, wherever the same text stands.
func (x *textIndex) find(vectors [][]float32, list []passage, top int) ([][]searchHit, error) {
	if len(vectors) == 0 {
		return nil, nil
	}
	hits, err := x.index.Near(vectors, top, 0)
	if err != nil {
		return nil, err
	}
	at := map[string][]passage{}
	for _, p := range list {
		at[p.key()] = append(at[p.key()], p)
	}
	found := make([][]searchHit, len(hits))
	for i, rows := range hits {
		for _, h := range rows {
			for _, p := range at[h.Key] {
				if len(found[i]) < top {
					found[i] = append(found[i], searchHit{p.where, p.text, h.Score})
				}
			}
		}
	}
	return found, nil
}
