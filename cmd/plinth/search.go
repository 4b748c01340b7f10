package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/index"
	"github.com/plinth-ml/plinth/media/sheet"
)

type searchCmd struct {
	Dir   string   `arg:"" help:"Folder of pictures, with the folders in it." placeholder:"DIR"`
	Texts []string `arg:"" optional:"" help:"What is to be seen in the pictures, each in words."`
	Image []string `help:"A picture that others shall be like; the flag repeated for several." placeholder:"FILE" sep:"none"`
	Model string   `required:"" help:"A CLIP: folder or model of the store." placeholder:"DIR|NAME"`
	Index string   `help:"File of the index. Default: one for the model's name and the ground in DIR/.plinth." placeholder:"FILE"`
	Top   int      `default:"10" help:"Pictures shown, the best first." placeholder:"N"`
	Out   string   `help:"Contact sheet of the pictures found." placeholder:"FILE.png"`
	decodeFlags
}

func (*searchCmd) Help() string {
	return `Finds pictures by words, or by another picture. The folder's index is kept on disk: new, changed and deleted pictures are followed each time. Example: plinth search --model clip-vit-base-patch32 ~/Pictures "a red bicycle" --out hits.png`
}

// searchHit is a picture that was found.
type searchHit struct {
	File   string  `json:"file"`
	Cosine float32 `json:"cosine"`
}

// searchAnswer is what one query found.
type searchAnswer struct {
	Query string      `json:"query"`
	Hits  []searchHit `json:"hits"`
}

func (s *searchCmd) Run(ctx context.Context, c *common) error {
	queries := append(append([]string{}, s.Texts...), s.Image...)
	switch {
	case s.Top < 1:
		return usagef("--top %d: want at least 1", s.Top)
	case s.Out != "" && !isSheet(s.Out):
		return usagef("--out %s: want a name that ends in .png", s.Out)
	case s.Out != "" && len(queries) != 1:
		return usagef("--out is a sheet of one query's pictures, there are %d queries", len(queries))
	}
	if err := noneEmpty(s.Texts); err != nil {
		return err
	}
	o, err := s.decoding()
	if err != nil {
		return err
	}
	if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder", s.Dir)
	}
	files, bad, err := picturesIn(ctx, "DIR", []string{s.Dir}, true)
	if err != nil {
		return err
	}
	if s.Out != "" {
		inputs := s.Image
		if !isOwnSheet(s.Out) { // that of an earlier search is no picture of the folder
			inputs = slices.Concat(s.Image, files)
		}
		if err := checkOut("--out", s.Out, inputs); err != nil {
			return err
		}
	}
	if s.Index != "" {
		if err := checkOut("--index", s.Index, files); err != nil {
			return err
		}
	}
	d, err := openPairs(c, s.Model)
	if err != nil {
		return err
	}
	o = o.by(d)
	f := &folderIndex{c: c, d: d, dir: s.Dir, how: o, path: s.Index, cache: s.Index == "", folderChanges: folderChanges{Bad: bad}}
	if f.cache {
		f.path = filepath.Join(s.Dir, ".plinth", pathName(s.Model)+groundName(o.ground)+".index")
	}
	began := time.Now()
	if err := f.update(ctx, files); err != nil {
		return err
	}
	defer f.index.Close()
	updated := time.Since(began).Seconds()
	vectors, err := s.vectors(ctx, d, o)
	if err != nil {
		return err
	}
	began = time.Now()
	var hits [][]index.Hit
	if f.index.Len() > 0 && len(vectors) > 0 {
		if hits, err = f.index.Near(vectors, s.Top, 0); err != nil {
			return err
		}
	}
	searched := time.Since(began).Seconds()
	var b strings.Builder
	answers := []searchAnswer{}
	for i, list := range hits {
		a := searchAnswer{Query: queries[i], Hits: []searchHit{}}
		if len(queries) > 1 {
			fmt.Fprintf(&b, "%s\n", oneLine(queries[i]))
		}
		for _, h := range list {
			path := filepath.Join(s.Dir, filepath.FromSlash(h.Key))
			a.Hits = append(a.Hits, searchHit{path, h.Score})
			fmt.Fprintf(&b, "%.4f\t%s\n", h.Score, oneLine(path))
		}
		answers = append(answers, a)
	}
	c.say("%s in %s: %d new, %d changed, %d deleted, %d not read, in %.1f s; searched in %.1f ms", plural(f.index.Len(), "picture"), f.path, f.New, f.Changed, f.Deleted, len(f.Bad), updated, 1e3*searched)
	if s.Out != "" && len(answers) > 0 {
		if err := s.sheet(c, answers[0], o); err != nil {
			return err
		}
	}
	err = c.finish(struct {
		Model string `json:"model"`
		Dir   string `json:"dir"`
		Index string `json:"index"`
		Count int    `json:"pictures"`
		folderChanges
		Seconds float64        `json:"index_seconds"`
		Search  float64        `json:"search_seconds"`
		Answers []searchAnswer `json:"answers"`
	}{s.Model, s.Dir, f.path, f.index.Len(), f.folderChanges, updated, searched, answers}, b.String())
	return cmp.Or(err, unread(f.Bad))
}

// pathName is a model's name as that of a file.
func pathName(model string) string {
	name := filepath.Base(filepath.Clean(model))
	if strings.Trim(name, "."+string(filepath.Separator)) == "" {
		name = "model"
	}
	return name
}

// groundName is a ground as the end of a file's name.
func groundName(ground *[3]uint8) string {
	if ground == nil {
		return ""
	}
	return "-" + hex.EncodeToString(ground[:])
}

// vectors are those of the queries.
func (s *searchCmd) vectors(ctx context.Context, d *embed.Dual, o decoding) ([][]float32, error) {
	vectors, err := d.Texts(ctx, s.Texts)
	if err != nil {
		return nil, err
	}
	seen, bad, err := pictureVectors(ctx, d, s.Image, o)
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("--image: %s: %s", bad[0].File, bad[0].Error)
	}
	return append(vectors, seen...), err
}

// sheet draws what was found.
func (s *searchCmd) sheet(c *common, a searchAnswer, o decoding) error {
	sh := sheet.Sheet{Title: fmt.Sprintf("“%s” in %s", a.Query, s.Dir)}
	if len(s.Image) > 0 {
		sh.Title = fmt.Sprintf("like %s, in %s", a.Query, s.Dir)
	}
	for _, h := range a.Hits {
		sh.Cells = append(sh.Cells, o.cell(h.File, fmt.Sprintf("%.3f", h.Cosine)))
	}
	return writeSheet(c, s.Out, &sh)
}
