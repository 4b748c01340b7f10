package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media/sheet"
	"github.com/plinth-ml/plinth/model/zoo"
)

// pictureFlags are classify's flags for pictures.
type pictureFlags struct {
	Images    []string `help:"Pictures in place of texts: files, and folders with the folders in them; the flag repeated for several." placeholder:"PATH" sep:"none" group:"Pictures"`
	Templates string   `help:"A set of templates in place of --template: imagenet80, best7, or a file with one in each line." placeholder:"NAME|FILE" group:"Pictures"`
	Out       []string `help:"Contact sheet (a name that ends in .png), or table of predictions (.csv); the flag repeated for both." placeholder:"FILE" sep:"none" group:"Pictures"`
	decodeFlags
}

// check reports flags that do not go together.
func (f *pictureFlags) check() error {
	if len(f.Images) == 0 {
		if f.Templates != "" || len(f.Out) > 0 || f.Ground != "" {
			return usagef("--templates, --out and --ground are for pictures: --images PATH")
		}
		return nil
	}
	for _, out := range f.Out {
		if !isSheet(out) && !strings.EqualFold(filepath.Ext(out), ".csv") {
			return usagef("--out %s: want a name that ends in .png or .csv", out)
		}
	}
	return nil
}

// pictureClassifier gives a picture's vector probabilities of labels.
type pictureClassifier struct {
	d             *embed.Dual
	labels        []string
	probabilities func(vector []float32) []float64
}

// openPictureClassifier opens a CLIP for labels of one's own, or the folder of a linear probe, which has its labels.
func openPictureClassifier(ctx context.Context, c *common, name string, labels, templates []string, set string) (*pictureClassifier, error) {
	if probe, err := openProbe(ctx, c, name); err != nil || probe != nil {
		if err == nil && len(labels)+len(templates)+len(set) > 0 {
			err = usagef("--labels, --labels-file, --template and --templates are for a CLIP: %s is a linear probe, which has its labels", name)
		}
		return probe, err
	}
	d, err := openPairs(c, name)
	if err != nil {
		return nil, err
	}
	switch {
	case len(labels) < 2:
		return nil, usagef("--labels: want two labels at least, such as --labels cat,dog")
	case set != "" && len(templates) > 0:
		return nil, usagef("--template and --templates exclude each other")
	case set != "":
		if templates, err = embed.Templates(set); err != nil {
			return nil, fmt.Errorf("--templates: %w", err)
		}
	}
	for _, t := range templates {
		if !strings.Contains(t, "{}") {
			return nil, usagef("--template %q has no {} for the label", t)
		}
	}
	classes, err := d.Classes(ctx, labels, templates)
	if err != nil {
		return nil, fmt.Errorf("--labels: %w", err)
	}
	return &pictureClassifier{d, labels, classes.Probabilities}, nil
}

// openProbe opens the folder of a linear probe, with the model that it reads; nil where it is something else.
func openProbe(ctx context.Context, c *common, name string) (*pictureClassifier, error) {
	if !adapt.IsLinear(name) {
		return nil, nil
	}
	p, err := adapt.OpenLinear(name)
	if err != nil {
		return nil, err
	}
	d, err := openPairs(c, p.Model)
	if err != nil {
		return nil, fmt.Errorf("%s reads what %s sees: %w", name, p.Model, err)
	}
	d.Raw = true
	d.Prepare.Ground = cmp.Or(p.Ground, d.Prepare.Ground)
	mark, err := modelMark(ctx, d)
	if err != nil {
		return nil, err
	}
	if !sameMark(mark, p.Mark) || len(p.Logistic.Weight[0]) != d.Size() {
		return nil, fmt.Errorf("%s was made with another model than that in %s", name, p.Model)
	}
	return &pictureClassifier{d, p.Labels, p.Probabilities}, nil
}

// classifiedPicture is the answer for one picture.
type classifiedPicture struct {
	File   string     `json:"file"`
	Labels []labelled `json:"labels"`
	all    []float64
}

// classifyPictures is how many pictures are read before they are classified.
const classifyPictures = 256

func (v *classifyCmd) runImages(ctx context.Context, c *common) error {
	if len(v.Texts) > 0 || v.Data != "" || v.Label != "" || v.Shots != "" || v.Multi || v.Calibrate || v.Adapter != "" || v.Pair != "" {
		return usagef("--images takes no texts, and of the flags --labels, --labels-file, --template, --templates, --top, --out, --ground and --max-pixels alone")
	}
	o, err := v.decoding()
	if err != nil {
		return err
	}
	labels, err := v.names()
	if err != nil {
		return err
	}
	files, bad, err := picturesIn(ctx, "--images", v.Images, false)
	if err != nil {
		return err
	}
	for _, out := range v.Out {
		if err := checkOut("--out", out, files); err != nil {
			return err
		}
	}
	m, err := openPictureClassifier(ctx, c, v.Model, labels, v.Template, v.Templates)
	if err != nil {
		return err
	}
	results := []classifiedPicture{}
	for at := 0; at < len(files); at += classifyPictures {
		some := files[at:min(len(files), at+classifyPictures)]
		vectors, failed, err := pictureVectors(ctx, m.d, some, o)
		if err != nil {
			return err
		}
		bad = append(bad, failed...)
		for i, vector := range vectors {
			if vector == nil {
				continue
			}
			p := m.probabilities(vector)
			r := classifiedPicture{some[i], choose(p, zoo.Labels{Names: m.labels}, v.Top), p}
			results = append(results, r)
			if !c.JSON {
				if err := printClassified(c, classified{Texts: []string{r.File}, Labels: r.Labels}); err != nil {
					return err
				}
			}
		}
	}
	sayBad(c, bad)
	o.sayDropped(c)
	c.say("%s labelled, %d not read", plural(len(results), "picture"), len(bad))
	if len(results) == 0 {
		return errNoneRead
	}
	for _, out := range v.Out {
		if isSheet(out) {
			err = classifiedSheet(c, out, m.labels, results, o)
		} else {
			err = file.WriteAtomic(out, 0o644, func(w io.Writer) error { return classifiedCSV(w, m.labels, results) })
		}
		if err != nil {
			return err
		}
	}
	err = c.finish(struct {
		Model   string              `json:"model"`
		Labels  []string            `json:"labels"`
		Results []classifiedPicture `json:"results"`
		Bad     []badFile           `json:"not_read"`
	}{v.Model, m.labels, results, bad}, "")
	return cmp.Or(err, unread(bad))
}

// classifiedSheet draws the pictures with their most probable labels.
func classifiedSheet(c *common, path string, labels []string, results []classifiedPicture, o decoding) error {
	s := sheet.Sheet{Title: fmt.Sprintf("%s, %s: %s", plural(len(results), "picture"), plural(len(labels), "label"), someOf(labels))}
	for _, r := range results {
		cell := o.cell(r.File, "")
		for i, l := range choose(r.all, zoo.Labels{Names: labels}, sheet.MaxBars) {
			cell.Bars = append(cell.Bars, sheet.Bar{Name: l.Label, Share: l.Probability, Strong: i == 0})
		}
		s.Cells = append(s.Cells, cell)
	}
	return writeSheet(c, path, &s)
}

// classifiedCSV writes a line for each picture: its label, and the probability of every label.
func classifiedCSV(w io.Writer, labels []string, results []classifiedPicture) error {
	out := csv.NewWriter(w)
	row := []string{"file", "label", "probability"}
	for _, l := range labels {
		row = append(row, "p("+l+")")
	}
	out.Write(row)
	for _, r := range results {
		best := choose(r.all, zoo.Labels{Names: labels}, 1)[0]
		row = append(row[:0], r.File, best.Label, strconv.FormatFloat(best.Probability, 'g', 6, 64))
		for _, p := range r.all {
			row = append(row, strconv.FormatFloat(p, 'g', 6, 64))
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}
