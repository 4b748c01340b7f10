package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/data/imagetext"
	"github.com/plinth-ml/plinth/eval/task"
)

// zeroShotPictureFlags are eval's flags for labels that a CLIP was not trained for.
type zeroShotPictureFlags struct {
	ownLabelFlags
	Template  []string `sep:"none" help:"Of images: what is said of a picture, with {} for the label; the flag repeated, the mean counts. \"a photo of a {}.\" without it." placeholder:"TEXT" group:"Pictures"`
	Templates string   `help:"Of images: a set of templates: imagenet80, best7, or a file with one in each line." placeholder:"NAME|FILE" group:"Pictures"`
	Truncate  bool     `help:"Of retrieval: captions that are longer than the model's context lose their ends, instead of an error." group:"Pictures"`
	pictureDataFlags
}

// retrievalTask is the task of eval that ranks pictures by texts, and texts by pictures.
const retrievalTask = "retrieval"

// pictureScores say how many pictures get their labels.
type pictureScores struct {
	Task    string       `json:"task"`
	Model   string       `json:"model"`
	Labels  int          `json:"labels"`
	Top1    task.Share   `json:"top1"`
	Top5    task.Share   `json:"top5"`
	Mean    float64      `json:"mean_per_class"` // of the labels' top-1
	Chance  float64      `json:"chance"`         // 1/labels
	Seconds float64      `json:"seconds"`
	Classes []classShare `json:"classes"`
	Bad     []badFile    `json:"not_read"` // pictures that are left out
}

// classShare is the top-1 of the pictures of one label.
type classShare struct {
	Label string     `json:"label"`
	Top1  task.Share `json:"top1"`
}

// runImages scores zero-shot classification of a CLIP, or a linear probe.
func (e *evalCmd) runImages(ctx context.Context, c *common) error {
	items, err := e.pictureDataFlags.read(ctx, "--data", e.Label, e.Data...)
	if err != nil {
		return err
	}
	set, err := labelledPictures(items)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	names, err := e.names()
	if err != nil {
		return err
	}
	probe, err := openProbe(ctx, c, e.Model)
	if err != nil {
		return err
	}
	if len(names) == 0 && probe == nil {
		names = slices.Clone(set.labels)
		slices.SortFunc(names, compareLabels)
		names = slices.Compact(names)
	}
	m, err := openPictureClassifier(ctx, c, e.Model, names, e.Template, e.Templates)
	if err != nil {
		return err
	}
	names = m.labels
	classes, err := set.classes(names)
	if err != nil {
		return err
	}
	began := time.Now()
	vectors, bad, err := e.see(ctx, m.d, set.rows)
	if err != nil {
		return err
	}
	sayBad(c, bad)
	if len(bad) == len(vectors) {
		return errNoneRead
	}
	s := pictureScores{Task: e.Task, Model: e.Model, Labels: len(names), Chance: 1 / float64(len(names)), Seconds: time.Since(began).Seconds(), Bad: bad}
	var ranks []int
	of := make([][]int, len(names))
	for i, v := range vectors {
		if v == nil {
			continue
		}
		rank := task.FirstRank(m.probabilities(v), func(j int) bool { return j == classes[i] })
		ranks, of[classes[i]] = append(ranks, rank), append(of[classes[i]], rank)
	}
	s.Top1, s.Top5 = task.Within(ranks, 1), task.Within(ranks, 5)
	var b strings.Builder
	for i, list := range of {
		if len(list) == 0 {
			continue
		}
		one := classShare{names[i], task.Within(list, 1)}
		s.Classes = append(s.Classes, one)
		s.Mean += one.Top1.Value
		if len(s.Classes) <= 50 {
			fmt.Fprintf(&b, "  %-28.28s %v of %d\n", one.Label, one.Top1, one.Top1.N)
		}
	}
	s.Mean /= float64(len(s.Classes))
	if n := len(s.Classes); n > 50 {
		fmt.Fprintf(&b, "  ... %d more labels with --json\n", n-50)
	}
	err = c.finish(s, fmt.Sprintf("%d pictures, %d labels: top-1 %v, top-5 %v, mean over the labels %.1f %%; chance is %.1f %%\n%sIntervals are Wilson's, of 95 %%.\n",
		s.Top1.N, s.Labels, s.Top1, s.Top5, 100*s.Mean, 100*s.Chance, b.String()))
	return cmp.Or(err, unread(bad))
}

// recallScores say how often pictures and texts find each other.
type recallScores struct {
	Task        string     `json:"task"`
	Model       string     `json:"model"`
	Pictures    int        `json:"pictures"`
	Texts       int        `json:"texts"`
	TextToImage []recallAt `json:"text_to_image"`
	ImageToText []recallAt `json:"image_to_text"`
	Seconds     float64    `json:"seconds"`
	Bad         []badFile  `json:"not_read"` // pictures that are left out, and texts with them that are of no other picture
}

// recallAt is the share of queries with something that belongs to them among the first K.
type recallAt struct {
	K      int        `json:"k"`
	Recall task.Share `json:"recall"`
	Chance float64    `json:"chance"` // of one right answer among the candidates
}

// recallsAt are those of ranks among a number of candidates.
func recallsAt(ranks []int, candidates int) (list []recallAt) {
	for _, k := range []int{1, 5, 10} {
		list = append(list, recallAt{k, task.Within(ranks, k), min(1, float64(k)/float64(candidates))})
	}
	return list
}

// runRetrieval scores the search for pictures by their captions, and for captions by their pictures.
func (e *evalCmd) runRetrieval(ctx context.Context, c *common) error {
	items, err := e.pictureDataFlags.read(ctx, "--data", e.Text, e.Data...)
	if err != nil {
		return err
	}
	d, err := openPairs(c, e.Model)
	if err != nil {
		return err
	}
	d.Truncate = e.Truncate
	var rows []imagetext.Row
	var of []int // items
	for i, it := range items {
		for _, r := range it.Rows {
			rows, of = append(rows, r), append(of, i)
		}
	}
	began := time.Now()
	all, bad, err := e.see(ctx, d, rows)
	if err != nil {
		return err
	}
	sayBad(c, bad)
	if len(bad) == len(rows) {
		return errNoneRead
	}
	var seen [][]float32
	var texts []string
	var rowItem, textItem []int
	type itsText struct {
		item int
		text string
	}
	had := map[itsText]bool{}
	for i, v := range all {
		if v == nil {
			continue
		}
		seen, rowItem = append(seen, v), append(rowItem, of[i])
		for _, caption := range rows[i].Captions {
			if key := (itsText{of[i], caption}); !had[key] {
				had[key], texts, textItem = true, append(texts, caption), append(textItem, of[i])
			}
		}
	}
	said, err := d.Texts(ctx, texts)
	if err != nil {
		return fmt.Errorf("--data: %w (--truncate cuts it)", err)
	}
	s := recallScores{Task: e.Task, Model: e.Model, Pictures: len(seen), Texts: len(texts), Bad: bad}
	s.TextToImage = recallsAt(ranksOf(said, textItem, seen, rowItem), len(seen))
	s.ImageToText = recallsAt(ranksOf(seen, rowItem, said, textItem), len(texts))
	s.Seconds = time.Since(began).Seconds()
	var b strings.Builder
	fmt.Fprintf(&b, "%d pictures, %d texts\n", s.Pictures, s.Texts)
	for _, way := range []struct {
		name string
		list []recallAt
	}{{"text to picture", s.TextToImage}, {"picture to text", s.ImageToText}} {
		for _, r := range way.list {
			fmt.Fprintf(&b, "  %s, recall@%-2d %v; chance %.2f %%\n", way.name, r.K, r.Recall, 100*r.Chance)
		}
	}
	b.WriteString("Intervals are Wilson's, of 95 %, as if the queries were independent.\n")
	return cmp.Or(c.finish(s, b.String()), unread(bad))
}

// ranksOf are the ranks of the first candidate that belongs to the item of each query, by the vectors' inner products.
func ranksOf(queries [][]float32, item []int, candidates [][]float32, of []int) []int {
	ranks := make([]int, len(queries))
	scores := make([]float64, len(candidates))
	for i, q := range queries {
		for j, v := range candidates {
			scores[j] = task.Cosine(q, v)
		}
		ranks[i] = task.FirstRank(scores, func(j int) bool { return of[j] == item[i] })
	}
	return ranks
}
