package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
)

type classifyCmd struct {
	Texts []string `arg:"" optional:"" help:"Texts; with --pair none."`
	Model string   `required:"" help:"Folder that plinth adapt or transformers wrote, or a model of the store." placeholder:"DIR|NAME"`
	Data  string   `help:"Table of texts: .csv, .tsv, .jsonl or .parquet, or - for standard input with --format." placeholder:"FILE"`
	Top   int      `default:"1" help:"Labels shown of each text, the most probable first; 0 means all." placeholder:"N"`
	Label string   `help:"Column of the right label: how many are right is told." placeholder:"COL" group:"Table"`
	Sep   string   `default:"," help:"What stands between several labels in that column." placeholder:"SEP" group:"Table"`
	adapterFlags
	tableFlags
	pairFlags
	zeroShotFlags
	pictureFlags
}

func (*classifyCmd) Help() string {
	return `One line for each text: label, probability, text. Examples: plinth classify --model runs/reviews "I would buy it again"; plinth classify --model nli --labels "sport, politics" "The match ended 2 to 1"; plinth classify --model clip-vit-base-patch32 --images photos --labels cat,dog --out sheet.png`
}

// labelled is one label of a text.
type labelled struct {
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
}

// classified is the answer for one text.
type classified struct {
	Texts  []string   `json:"texts"`
	Labels []labelled `json:"labels"`
	Number *float64   `json:"number,omitempty"` // of a regression, which has no labels
}

// classifier gives texts probabilities of labels.
type classifier interface {
	// probabilities are those of the labels for each row, which is a text or a pair of texts.
	probabilities(ctx context.Context, rows []tableRow) ([][]float64, error)
	// cut is the number of texts that lost their ends so far, and limit the tokens that there is room for.
	cut() (texts, limit int)
}

// tableRow is a text, or a pair, and where it stands.
type tableRow struct {
	where string
	texts []string
	gold  []string // labels
}

// classifyBatch is how many texts are read before they are classified.
const classifyBatch = 256

func (v *classifyCmd) Run(ctx context.Context, c *common) error {
	if v.Top < 0 {
		return usagef("--top %d: want at least 0, which means all", v.Top)
	}
	if err := v.pictureFlags.check(); err != nil {
		return err
	}
	if len(v.Images) > 0 {
		return v.runImages(ctx, c)
	}
	if (len(v.Texts) == 0) == (v.Data == "") {
		return usagef("give texts, --images PATH or --data FILE, one of them")
	}
	if err := noneEmpty(v.Texts); err != nil {
		return err
	}
	if v.Label != "" && v.Data == "" && v.Shots == "" {
		return usagef("--label %s is a column of --data or --shots", v.Label)
	}
	path, err := modelPath(v.Model)
	if err != nil {
		return err
	}
	m, labels, err := v.open(ctx, c, path)
	if err != nil {
		return err
	}
	out := classifying{c: c, labels: labels, top: v.Top, scored: v.Label != "" && v.Data != ""}
	var waiting []tableRow
	flush := func() error {
		p, err := m.probabilities(ctx, waiting)
		if err != nil {
			return err
		}
		for i, row := range waiting {
			if err := out.add(row, p[i]); err != nil {
				return err
			}
		}
		waiting = waiting[:0]
		return nil
	}
	add := func(row tableRow) error {
		if waiting = append(waiting, row); len(waiting) < classifyBatch {
			return nil
		}
		return flush()
	}
	for i, text := range v.Texts {
		if err := add(tableRow{where: fmt.Sprintf("text %d", i+1), texts: []string{text}}); err != nil {
			return err
		}
	}
	if v.Data != "" {
		flags := columnFlags{tableFlags: v.tableFlags, pairFlags: v.pairFlags}
		if multiple(labels) {
			flags.Multi = v.Sep // a text without labels is none
		}
		if err := flags.rows(ctx, v.Data, v.Label, func(where string, texts, gold []string) error {
			return add(tableRow{where, slices.Clone(texts), gold})
		}); err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return out.finish(v.Model, m)
}

// open returns what classifies, and the labels: those of the model's head, or with --labels or --shots those given.
func (v *classifyCmd) open(ctx context.Context, c *common, path string) (classifier, zoo.Labels, error) {
	if err := v.check(); err != nil {
		return nil, zoo.Labels{}, err
	}
	if v.asked() {
		return v.zeroShot(ctx, c, path)
	}
	m, labels, err := v.openHead(c, path, model.SequenceTask)
	if err != nil {
		return nil, labels, err
	}
	tok, err := zoo.Tokenizer(path, nil)
	if err != nil {
		return nil, labels, err
	}
	return &headClassifier{m, labels, textsFor(m, tok), tensor.Evaluation(c.kernels())}, labels, nil
}

// headClassifier is a head's own labels.
type headClassifier struct {
	m      zoo.TaskModel
	labels zoo.Labels
	texts  *adapt.Texts
	t      *tensor.Tape
}

func (h *headClassifier) cut() (texts, limit int) { return h.texts.Cut, h.texts.Limit }

func (h *headClassifier) probabilities(ctx context.Context, rows []tableRow) ([][]float64, error) {
	var examples []adapt.Example
	for _, row := range rows {
		e, err := h.texts.Example(row.texts...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.where, err)
		}
		examples = append(examples, e)
	}
	scores, err := adapt.Scores(ctx, h.t, h.m, examples)
	p := make([][]float64, len(scores))
	for i, s := range scores {
		p[i] = adapt.Loss(h.labels.Problem).Probabilities(s)
	}
	return p, err
}

// multiple says whether a text may have several of the labels.
func multiple(l zoo.Labels) bool { return l.Problem == string(adapt.MultiLabel) }

// classifying is the output of a run.
type classifying struct {
	c      *common
	labels zoo.Labels
	top    int
	scored bool

	all             []classified
	gold, predicted []int // classes
	goldSets, sets  [][]bool
}

// add takes the probabilities of a row's labels: it prints them, or keeps them for the object.
func (o *classifying) add(row tableRow, p []float64) error {
	if o.scored {
		if err := o.compare(row, p); err != nil {
			return err
		}
	}
	r := classified{Texts: row.texts, Labels: []labelled{}}
	if o.labels.Problem == string(adapt.Regression) {
		r.Number = &p[0]
	} else {
		r.Labels = choose(p, o.labels, o.top)
	}
	if o.c.JSON {
		o.all = append(o.all, r)
		return nil
	}
	return printClassified(o.c, r)
}

// compare notes what is right and what is said.
func (o *classifying) compare(row tableRow, p []float64) error {
	gold := make([]bool, len(p))
	class := 0
	for _, name := range row.gold {
		if class = slices.Index(o.labels.Names, name); class < 0 {
			return fmt.Errorf("%s: --label: %q is none of the labels %s", row.where, name, someOf(o.labels.Names))
		}
		gold[class] = true
	}
	if !multiple(o.labels) {
		o.gold, o.predicted = append(o.gold, class), append(o.predicted, slices.Index(p, slices.Max(p)))
		return nil
	}
	said := make([]bool, len(p))
	for i, q := range p {
		said[i] = q > 0.5
	}
	o.goldSets, o.sets = append(o.goldSets, gold), append(o.sets, said)
	return nil
}

// someOf lists names, the first of many.
func someOf(names []string) string {
	if len(names) > 20 {
		return strings.Join(names[:20], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// classifyScores say how many texts got their labels.
type classifyScores struct {
	Examples  int                 `json:"examples"`
	Accuracy  float64             `json:"accuracy"` // of several labels the share of texts all of whose labels are right
	Averages  task.Averages       `json:"averages"`
	Classes   map[string]task.PRF `json:"classes"`
	Labels    []string            `json:"labels"`
	Confusion task.Confusion      `json:"confusion,omitempty"` // [label][predicted]
}

func (o *classifying) scores() (*classifyScores, error) {
	s := &classifyScores{Examples: len(o.gold) + len(o.goldSets), Labels: o.labels.Names, Classes: map[string]task.PRF{}}
	var classes []task.Counts
	if multiple(o.labels) {
		m, err := task.MultiLabel(o.goldSets, o.sets)
		if err != nil {
			return nil, err
		}
		s.Accuracy, s.Averages, classes = m.Exact, m.Averages, m.Classes
	} else {
		var err error
		if s.Confusion, err = task.NewConfusion(o.gold, o.predicted, len(s.Labels)); err != nil {
			return nil, err
		}
		s.Accuracy, s.Averages, classes = s.Confusion.Accuracy(), s.Confusion.Average(), s.Confusion.Classes()
	}
	for i, n := range classes {
		s.Classes[s.Labels[i]] = n.PRF()
	}
	return s, nil
}

// text is the scores as lines: one for each label, with what its texts were said to be.
func (s *classifyScores) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d texts, accuracy %.2f %%, macro F1 %.2f %%", s.Examples, 100*s.Accuracy, 100*s.Averages.Macro.F1)
	for i, l := range s.Labels {
		if i == 30 {
			fmt.Fprintf(&b, "\n  ... %d more labels with --json", len(s.Labels)-i)
			break
		}
		p := s.Classes[l]
		fmt.Fprintf(&b, "\n  %-24.24s precision %.3f, recall %.3f, F1 %.3f of %d", l, p.Precision, p.Recall, p.F1, p.Support)
		if s.Confusion != nil && len(s.Labels) <= 12 {
			fmt.Fprintf(&b, "; said: %v", s.Confusion[i])
		}
	}
	return b.String()
}

func (o *classifying) finish(name string, m classifier) error {
	cut, limit := m.cut()
	if cut > 0 {
		o.c.say("note: %d texts are longer than the model's context of %d tokens and were cut at their ends", cut, limit)
	}
	result := struct {
		Model   string          `json:"model"`
		Cut     int             `json:"cut"`
		Results []classified    `json:"results"`
		Scores  *classifyScores `json:"scores,omitempty"`
	}{name, cut, append([]classified{}, o.all...), nil}
	if o.scored {
		var err error
		if result.Scores, err = o.scores(); err != nil {
			return err
		}
	}
	if o.c.JSON {
		return json.NewEncoder(o.c.out).Encode(result)
	}
	if o.scored {
		o.c.say("%s", result.Scores.text())
	}
	return nil
}

// choose returns the labels to show: of one label per text the most probable ones, of several those above a half, or the most probable ones.
func choose(p []float64, l zoo.Labels, top int) []labelled {
	list := []labelled{}
	for i, q := range p {
		if !multiple(l) || top != 1 || q > 0.5 {
			list = append(list, labelled{l.Names[i], q})
		}
	}
	if multiple(l) && top == 1 {
		return list
	}
	slices.SortStableFunc(list, func(a, b labelled) int { return cmp.Compare(b.Probability, a.Probability) })
	if top > 0 && top < len(list) {
		list = list[:top]
	}
	return list
}

func printClassified(c *common, r classified) error {
	var b strings.Builder
	if r.Number != nil {
		fmt.Fprintf(&b, "%.4f", *r.Number)
	}
	for i, l := range r.Labels {
		if i > 0 {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "%s %.3f", l.Label, l.Probability)
	}
	_, err := fmt.Fprintf(c.out, "%s\t%s\n", b.String(), oneLine(strings.Join(r.Texts, " | ")))
	return err
}
