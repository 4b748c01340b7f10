package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data/imagetext"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
)

// pictureDataFlags say where pictures stand in a table, and how they are read.
type pictureDataFlags struct {
	Image    string `default:"image" help:"Of images and retrieval: column with the picture's file; default ${default}." placeholder:"COL" group:"Pictures"`
	Pictures string `help:"Of images and retrieval: folder of the pictures that a table names; without it the table's own." placeholder:"DIR" group:"Pictures"`
	decodeFlags
}

// read lists the pictures of a folder of class folders, a table or shards, with their texts: labels or captions.
func (f *pictureDataFlags) read(ctx context.Context, flag, column string, paths ...string) ([]imagetext.Item, error) {
	o, err := f.decoding()
	if err != nil {
		return nil, err
	}
	items, err := imagetext.Read(ctx, paths, imagetext.ReadOptions{Image: f.Image, Text: []string{column}, Folder: f.Pictures, Templates: []string{"{}"}, Limits: o.limits})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return items, nil
}

// pictureSet is pictures with their labels.
type pictureSet struct {
	rows   []imagetext.Row
	labels []string
}

// labelledPictures makes a set of items, whose pictures have one text each.
func labelledPictures(items []imagetext.Item) (s pictureSet, err error) {
	for _, it := range items {
		for _, r := range it.Rows {
			if len(r.Captions) != 1 {
				return s, fmt.Errorf("%s: %d labels, %s: want one", r.Name, len(r.Captions), someOf(r.Captions))
			}
			s.rows, s.labels = append(s.rows, r), append(s.labels, r.Captions[0])
		}
	}
	return s, nil
}

// classes are the numbers of the labels among names.
func (s *pictureSet) classes(names []string) ([]int, error) {
	list := make([]int, len(s.labels))
	for i, l := range s.labels {
		if list[i] = slices.Index(names, l); list[i] < 0 {
			return nil, fmt.Errorf("%s: label %q is none of %s", s.rows[i].Name, l, someOf(names))
		}
	}
	return list, nil
}

// see returns the vectors of pictures. Of one that cannot be read it is nil, and the picture is among the bad ones.
func (f *pictureDataFlags) see(ctx context.Context, d *embed.Dual, rows []imagetext.Row) ([][]float32, []badFile, error) {
	o, err := f.decoding()
	if err != nil {
		return nil, nil, err
	}
	o = o.by(d)
	return vectorsOf(ctx, d, len(rows), func(i int) string { return rows[i].Name }, func(i int) (*media.Image, error) {
		m, err := rows[i].Decode(o.limits, o.ground)
		return m, hint(err)
	})
}

// seeAll is see of pictures all of which are wanted: those that cannot be read are told, and are an error.
func (a *adaptCmd) seeAll(ctx context.Context, c *common, d *embed.Dual, flag string, rows []imagetext.Row) ([][]float32, error) {
	vectors, bad, err := a.see(ctx, d, rows)
	if err == nil && len(bad) > 0 {
		sayBad(c, bad)
		err = fmt.Errorf("%s: %s could not be read: mend them, or leave them out", flag, plural(len(bad), "picture"))
	}
	return vectors, err
}

// probeReport is what a linear probe found; its JSON is OUT/report.json.
type probeReport struct {
	Task     string         `json:"task"`
	Model    string         `json:"model"`
	Labels   []string       `json:"labels"`
	Examples int            `json:"examples"` // of training and validation, which the result is fitted to
	Held     int            `json:"validation"`
	C        float64        `json:"c"`
	Trials   []adapt.CTrial `json:"trials"`
	On       string         `json:"scored_on"`
	Top1     task.Share     `json:"top1"`
	Top5     task.Share     `json:"top5"`
	Majority float64        `json:"majority"` // accuracy of always saying the most frequent label of training
	Seconds  float64        `json:"seconds"`
	Out      string         `json:"out"`
}

// probeFlags are the flags that --task images looks at.
var probeFlags = strings.Fields("task model data validation test out label image pictures ground max-pixels seed threads json config")

// runImages fits a linear probe: logistic regression on the vectors that a CLIP makes of pictures, before they are scaled to length 1.
func (a *adaptCmd) runImages(ctx context.Context, given map[string]bool, c *common) error {
	for flag := range given {
		if !slices.Contains(probeFlags, flag) {
			return usagef("--%s is not for --task images, whose model stays as it is", flag)
		}
	}
	if adapt.IsLinear(a.Out) {
		return fmt.Errorf("--out %s holds a probe already: choose another folder, or delete it", a.Out)
	}
	if err := checkRunDir(a.Out, false); err != nil {
		return err
	}
	train, held, err := a.readPictures(ctx, c.Seed)
	if err != nil {
		return err
	}
	names := slices.Clone(train.labels)
	slices.SortFunc(names, compareLabels)
	names = slices.Compact(names)
	if len(names) < 2 {
		return fmt.Errorf("--data %s: the only label is %s", a.Data, someOf(names))
	}
	classes, err := train.classes(names)
	if err != nil {
		return err
	}
	heldClasses, err := held.classes(names)
	if err != nil {
		return fmt.Errorf("--validation: %w", err)
	}
	d, err := openPairs(c, a.Model)
	if err != nil {
		return err
	}
	d.Raw = true
	c.say("%d pictures of %d labels to train on, %d to choose C by", len(classes), len(names), len(heldClasses))
	began := time.Now()
	x, err := a.seeAll(ctx, c, d, "--data", train.rows)
	if err != nil {
		return err
	}
	val, err := a.seeAll(ctx, c, d, "--validation", held.rows)
	if err != nil {
		return err
	}
	model, err := modelPath(a.Model)
	if err != nil {
		return err
	}
	if model, err = filepath.Abs(model); err != nil {
		return err
	}
	how, err := a.decoding()
	if err != nil {
		return err
	}
	p := &adapt.Linear{Model: model, Labels: names, Ground: how.by(d).ground}
	if p.Mark, err = modelMark(ctx, d); err != nil {
		return err
	}
	var best adapt.CTrial
	r := probeReport{Task: a.Task, Model: a.Model, Labels: names, Examples: len(x) + len(val), Held: len(val), On: "validation", Majority: majority(classes, heldClasses), Out: a.Out}
	if p.Logistic, best, r.Trials, err = fitSwept(x, classes, val, heldClasses, len(names)); err != nil {
		return err
	}
	p.C, r.C = best.C, best.C
	scored, truth, vectors, by := held, heldClasses, val, p
	if a.Test != "" {
		r.On = a.Test
		if scored, truth, vectors, err = a.testPictures(ctx, c, d, names); err != nil {
			return err
		}
		r.Majority = majority(classes, truth)
	} else { // the validation is scored by a fit that has not seen it
		by = &adapt.Linear{Labels: names}
		if by.Logistic, err = adapt.FitOne(x, classes, len(names), best.C); err != nil {
			return err
		}
	}
	ranks, rows := make([]int, len(truth)), [][]string{{"picture", "label", "predicted", "probability"}}
	for i, v := range vectors {
		q := by.Probabilities(v)
		said := slices.Index(q, slices.Max(q))
		ranks[i] = task.FirstRank(q, func(j int) bool { return j == truth[i] })
		rows = append(rows, []string{scored.rows[i].Name, names[truth[i]], names[said], strconv.FormatFloat(q[said], 'g', 6, 64)})
	}
	r.Top1, r.Top5, r.Seconds = task.Within(ranks, 1), task.Within(ranks, 5), time.Since(began).Seconds()
	return a.writeProbe(c, p, r, rows)
}

// readPictures reads --data and --validation.
func (a *adaptCmd) readPictures(ctx context.Context, seed uint64) (train, held pictureSet, err error) {
	items, err := a.pictureDataFlags.read(ctx, "--data", a.Label, a.Data)
	if err != nil {
		return train, held, err
	}
	var heldItems []imagetext.Item
	if share, err := strconv.ParseFloat(a.Validation, 64); err != nil {
		if heldItems, err = a.pictureDataFlags.read(ctx, "--validation", a.Label, a.Validation); err != nil {
			return train, held, err
		}
	} else if !(share > 0 && share < 1) {
		return train, held, usagef("--validation %s: C is chosen by it: want a share between 0 and 1, or pictures", a.Validation)
	} else {
		items, heldItems = imagetext.Split(items, share, seed)
	}
	if train, err = labelledPictures(items); err != nil {
		return train, held, fmt.Errorf("--data: %w", err)
	}
	if held, err = labelledPictures(heldItems); err != nil {
		return train, held, fmt.Errorf("--validation: %w", err)
	}
	if len(train.rows) == 0 || len(held.rows) == 0 {
		return train, held, fmt.Errorf("--data %s, --validation %s: %d pictures to train on and %d to choose C by", a.Data, a.Validation, len(train.rows), len(held.rows))
	}
	return train, held, nil
}

// testPictures reads --test.
func (a *adaptCmd) testPictures(ctx context.Context, c *common, d *embed.Dual, names []string) (s pictureSet, classes []int, vectors [][]float32, err error) {
	items, err := a.pictureDataFlags.read(ctx, "--test", a.Label, a.Test)
	if err != nil {
		return s, nil, nil, err
	}
	if s, err = labelledPictures(items); err == nil {
		classes, err = s.classes(names)
	}
	if err != nil {
		return s, nil, nil, fmt.Errorf("--test: %w", err)
	}
	vectors, err = a.seeAll(ctx, c, d, "--test", s.rows)
	return s, classes, vectors, err
}

// fitSwept is adapt.FitC with a C of each power of ten, and of half powers beside the best of them.
func fitSwept(x [][]float32, classes []int, val [][]float32, heldClasses []int, n int) (l *adapt.Logistic, best adapt.CTrial, trials []adapt.CTrial, err error) {
	var cs []float64
	for e := -4; e <= 4; e++ {
		cs = append(cs, math.Pow(10, float64(e)))
	}
	if best, trials, err = adapt.SweepC(x, classes, val, heldClasses, n, cs); err != nil {
		return nil, best, nil, err
	}
	between, more, err := adapt.SweepC(x, classes, val, heldClasses, n, []float64{best.C / math.Sqrt(10), best.C * math.Sqrt(10)})
	if err != nil {
		return nil, best, nil, err
	}
	if between.Better(best) {
		best = between
	}
	l, err = adapt.FitOne(slices.Concat(x, val), slices.Concat(classes, heldClasses), n, best.C)
	return l, best, append(trials, more...), err
}

// majority is how often the most frequent class of training is right.
func majority(train, truth []int) float64 {
	count := map[int]int{}
	best := train[0]
	for _, c := range train {
		if count[c]++; count[c] > count[best] {
			best = c
		}
	}
	right := 0
	for _, c := range truth {
		if c == best {
			right++
		}
	}
	return float64(right) / float64(max(1, len(truth)))
}

// writeProbe writes the folder and the report.
func (a *adaptCmd) writeProbe(c *common, p *adapt.Linear, r probeReport, predictions [][]string) error {
	if err := os.MkdirAll(a.Out, 0o755); err != nil {
		return fmt.Errorf("--out %s: %w", a.Out, err)
	}
	if err := p.Save(a.Out); err != nil {
		return err
	}
	if err := writeCSV(filepath.Join(a.Out, "predictions.csv"), predictions); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "images by a linear probe of %s: %d pictures, %d labels, C %.3g, in %.1f s\n", r.Model, r.Examples, len(r.Labels), r.C, r.Seconds)
	fmt.Fprintf(&b, "  on the %s (%d pictures): top-1 %v, top-5 %v; the most frequent label alone %.1f %%\n", r.On, r.Top1.N, r.Top1, r.Top5, 100*r.Majority)
	for _, t := range r.Trials {
		fmt.Fprintf(&b, "  C %-8.3g accuracy %.4f, log-loss %.4f\n", t.C, t.Accuracy, t.Loss)
	}
	fmt.Fprintf(&b, "Intervals are Wilson's, of 95 %%.\n\nProbe, report.json and predictions.csv: %s\nTry next: plinth classify --model %s --images DIR --out sheet.png\n", a.Out, a.Out)
	j, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := file.WriteFile(filepath.Join(a.Out, "report.json"), append(j, '\n'), 0o644); err != nil {
		return err
	}
	return c.finish(r, b.String())
}
