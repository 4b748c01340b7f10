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
	Dir   string   `arg:"" help:"Folder of pictures, with the folders in it; or of texts, or one text, or a table." placeholder:"DIR|FILE"`
	Texts []string `arg:"" optional:"" help:"What is looked for, each in words."`
	Image []string `help:"A picture that others shall be like; the flag repeated for several." placeholder:"FILE" sep:"none"`
	Model string   `required:"" help:"A CLIP to search pictures, any other model that plinth embed takes to search texts: folder or model of the store." placeholder:"DIR|NAME"`
	Index string   `help:"File of the index. Default: in the folder .plinth beside what is searched, one for the model's name and the ground." placeholder:"FILE"`
	Top   int      `default:"10" help:"Pictures or passages shown, the best first." placeholder:"N"`
	Out   string   `help:"Contact sheet of the pictures found." placeholder:"FILE.png"`
	textSearchFlags
	decodeFlags
}

func (*searchCmd) Help() string {
	return `Finds pictures by words or by another picture, or passages of texts by what they mean. The index is kept on disk: what is new, changed and deleted is followed each time. Examples: plinth search --model clip-vit-base-patch32 ~/Pictures "a red bicycle" --out hits.png; plinth search --model all-MiniLM-L6-v2 notes "when is the rent due?"`
}

// searchHit is a picture, or a passage of a text, that was found.
type searchHit struct {
	File   string  `json:"file"` // of a passage FILE:LINE
	Text   string  `json:"text,omitempty"`
	Cosine float32 `json:"cosine"`
}

// searchAnswer is what one query found.
type searchAnswer struct {
	Query string      `json:"query"`
	Hits  []searchHit `json:"hits"`
}

func (s *searchCmd) Run(ctx context.Context, c *common) error {
	if s.Top < 1 {
		return usagef("--top %d: want at least 1", s.Top)
	}
	if err := noneEmpty(s.Texts); err != nil {
		return err
	}
	dual, err := isDual(s.Model, "")
	switch {
	case err != nil:
		return err
	case dual:
		return s.runPictures(ctx, c)
	}
	return s.runTexts(ctx, c)
}

// runPictures searches the pictures of a folder.
func (s *searchCmd) runPictures(ctx context.Context, c *common) error {
	queries := append(append([]string{}, s.Texts...), s.Image...)
	switch {
	case s.textSearchFlags != textSearchFlags{Text: "text"}:
		return usagef("--by, --text, --format and --no-header are for texts: %s is a CLIP, which finds pictures", s.Model)
	case s.Out != "" && !isSheet(s.Out):
		return usagef("--out %s: want a name that ends in .png", s.Out)
	case s.Out != "" && len(queries) != 1:
		return usagef("--out is a sheet of one query's pictures, there are %d queries", len(queries))
	}
	o, err := s.decoding()
	if err != nil {
		return err
	}
	if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder; %s is a CLIP, which finds the pictures of one", s.Dir, s.Model)
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
	f := &folderIndex{keptIndex: keptIndex{c: c, path: s.Index, cache: s.Index == ""}, d: d, dir: s.Dir, how: o, folderChanges: folderChanges{Bad: bad}}
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
	found := make([][]searchHit, len(hits))
	for i, list := range hits {
		for _, h := range list {
			found[i] = append(found[i], searchHit{File: filepath.Join(s.Dir, filepath.FromSlash(h.Key)), Cosine: h.Score})
		}
	}
	answers, text := answersOf(queries, found)
	c.say("%s in %s: %d new, %d changed, %d deleted, %d not read, in %.1f s; searched in %.1f ms", plural(f.index.Len(), "picture"), f.path, f.New, f.Changed, f.Deleted, len(f.Bad), updated, 1e3*searched)
	if s.Out != "" && len(answers) > 0 {
		if err := s.sheet(c, answers[0], o); err != nil {
			return err
		}
	}
	err = c.finish(struct {
		searchPlace
		Count int `json:"pictures"`
		folderChanges
		searchDone
	}{searchPlace{s.Model, s.Dir, f.path}, f.index.Len(), f.folderChanges, searchDone{updated, searched, answers}}, text)
	return cmp.Or(err, unread(f.Bad))
}

// searchPlace says what was searched.
type searchPlace struct {
	Model string `json:"model"`
	Dir   string `json:"dir"`
	Index string `json:"index"`
}

// searchDone says how long that took, and what was found.
type searchDone struct {
	Seconds float64        `json:"index_seconds"`
	Search  float64        `json:"search_seconds"`
	Answers []searchAnswer `json:"answers"`
}

// answersOf puts what each query found into an object, and into lines.
func answersOf(queries []string, found [][]searchHit) ([]searchAnswer, string) {
	var b strings.Builder
	answers := []searchAnswer{}
	for i, hits := range found {
		answers = append(answers, searchAnswer{queries[i], append([]searchHit{}, hits...)})
		if len(queries) > 1 {
			fmt.Fprintf(&b, "%s\n", oneLine(queries[i]))
		}
		for _, h := range hits {
			fmt.Fprintf(&b, "%.4f\t%s", h.Cosine, oneLine(h.File))
			if h.Text != "" {
				fmt.Fprintf(&b, "\t%s", oneLine(h.Text))
			}
			b.WriteByte('\n')
		}
	}
	return answers, b.String()
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
