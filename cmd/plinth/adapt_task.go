package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// adaptTasks are the tasks that adapt knows, each in its own file.
var adaptTasks = []struct {
	name, help string
	new        func(*adaptCmd) adaptTask
}{
	{"classify", "texts, or pairs of texts with --pair, get one label or with --multi several", func(a *adaptCmd) adaptTask { return &classifyTask{adaptCmd: a} }},
	{"tag", "each word gets a tag, such as the type of a name", func(a *adaptCmd) adaptTask { return &tagTask{adaptCmd: a} }},
	{"qa", "the answer to a question is found in a text", func(a *adaptCmd) adaptTask { return &qaTask{adaptCmd: a} }},
	{"summarize", "texts get summaries, written by an encoder-decoder or a decoder", func(a *adaptCmd) adaptTask { return &summarizeTask{adaptCmd: a} }},
	{"regress", "texts, or pairs of texts with --pair, get a number, which --label has", func(a *adaptCmd) adaptTask { return &regressTask{adaptCmd: a} }},
	{"embed", "vectors of texts, from pairs of --text and --pair that belong together", func(a *adaptCmd) adaptTask { return &embedTask{adaptCmd: a} }},
	{imagesTask, "pictures, in class folders or named by a table, get one label: logistic regression on what a CLIP sees in them (a linear probe)", nil},
}

// imagesTask is the one that trains no weights of a model: see runImages.
const imagesTask = "images"

// adaptHelp is what the command line says of the tasks: their names, and what each is.
func adaptHelp() (names, help string) {
	var a, b []string
	for _, t := range adaptTasks {
		a, b = append(a, t.name), append(b, t.name+": "+t.help)
	}
	return strings.Join(a, ","), strings.Join(b, "; ") + "."
}

// task is the one that --task names.
func (a *adaptCmd) task() adaptTask {
	for _, t := range adaptTasks {
		if t.name == a.Task {
			return t.new(a)
		}
	}
	panic("adapt: task " + a.Task + " passed the command line")
}

// adaptTask is what one task makes of a table of examples. Its methods are called in this order.
type adaptTask interface {
	// read reads the tables. What it refuses is refused before the model is read.
	read(ctx context.Context, seed uint64) error
	// open reads the model, with the head that the task wants, and makes the examples.
	open(path string, tok *tokenizer.Tokenizer, seed uint64, o zoo.Options) (*subject, error)
	// objective is what is minimised; trained is what of the model is trained, such as an adapter and the head.
	objective(trained []nn.Named, batch int, seed uint64) (train.Objective, error)
	// measure tests the model on the validation: its loss, and the score of which more is better. It is called where subject.validated.
	measure(ctx context.Context, t *tensor.Tape) (loss, score float64, err error)
	// results tests the model on what the report is about, and writes its predictions into dir, unless that is "".
	results(ctx context.Context, t *tensor.Tape, dir string) ([]taskScores, error)
	// save writes the model's folder.
	save(dir string) error
	// next is a command to try; model is what its --model says.
	next(model string) string
}

// taskScores is how a task does on one set of examples; report.json holds it as it is.
type taskScores interface {
	// text appends the lines of the report.
	text(b *strings.Builder)
	// measures are the numbers that two sets are compared by, always in the same order.
	measures() []measure
}

// attached puts what was trained beside a finished model, where it is kept apart.
func (a *adaptCmd) attached(m zoo.Stored) error {
	if a.attach == nil {
		return nil
	}
	return a.attach(m)
}

// subject is the model that a task adapts, and what it is adapted from.
type subject struct {
	model     zoo.Stored
	head      []nn.Named // trained beside an adapter or a frozen body: what the pre-trained model lacks; nil where the task needs no head
	labelling zoo.Labels // what the scores of the head mean
	kind      string     // of the task, as PEFT names it
	labels    []string   // of the classes, nil where there are none
	examples  int        // of training
	tok       *tokenizer.Tokenizer
	beside    func(dir string) error // writes what a verb wants beside an adapter without a head, or nil
	cut       int                    // texts that lost their ends
	validated bool                   // there is a validation
}

// withHead is the subject of a model with a head for the pre-trained model of path.
func withHead(path string, m zoo.TaskModel, l zoo.Labels) (*subject, error) {
	head, err := zoo.Drawn(path, m)
	kinds := map[model.Task]string{model.SequenceTask: "SEQ_CLS", model.TokenTask: "TOKEN_CLS", model.SpanTask: "QUESTION_ANS"}
	return &subject{model: m, head: head, labelling: l, kind: kinds[m.Task()]}, err
}

// exampleSet is the examples of one file.
type exampleSet[E any] struct {
	name    string
	rows    []E
	heldOut bool // of --data, so that its labels are known too
}

// examples are those of a set's rows.
func (set *exampleSet[E]) examples(of func(*E) adapt.Example) []adapt.Example {
	list := make([]adapt.Example, len(set.rows))
	for i := range set.rows {
		list[i] = of(&set.rows[i])
	}
	return list
}

// exampleSets are what a run is trained, validated and tested on; all but train may be nil.
type exampleSets[E any] struct{ train, validation, test, shifted *exampleSet[E] }

// all are the sets that are there.
func (s *exampleSets[E]) all() []*exampleSet[E] {
	return those(s.train, s.validation, s.test, s.shifted)
}

// tests are what the report is about.
func (s *exampleSets[E]) tests() []*exampleSet[E] {
	if s.test == nil && s.shifted == nil {
		return those(s.validation)
	}
	return those(s.test, s.shifted)
}

// each calls f with every row of every set.
func (s *exampleSets[E]) each(f func(*E) error) error {
	for _, set := range s.all() {
		for i := range set.rows {
			if err := f(&set.rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// tested is what test finds on each set that the report is about. test writes what is predicted too.
func (s *exampleSets[E]) tested(test func(*exampleSet[E]) (taskScores, error)) ([]taskScores, error) {
	var list []taskScores
	for _, set := range s.tests() {
		scores, err := test(set)
		if err != nil {
			return nil, err
		}
		list = append(list, scores)
	}
	return list, nil
}

// of tells a subject how many examples it is adapted from, how many of their texts were cut, and whether there is a validation.
func (s *exampleSets[E]) of(to *subject, cut int) *subject {
	to.cut, to.validated = cut, s.validation != nil
	if s.train != nil {
		to.examples = len(s.train.rows)
	}
	return to
}

// balanced are weights of classes from how often each occurs: the inverse of that, 1 on average over what was counted.
func balanced(count []float64) []float64 {
	all := 0.0
	for _, n := range count {
		all += n
	}
	weights := make([]float64, len(count))
	for i, n := range count {
		weights[i] = all / (max(n, 1) * float64(len(count)))
	}
	return weights
}

// predictions is the name of the file of what is predicted of a set.
func (s *exampleSets[E]) predictions(set *exampleSet[E], ext string) string {
	if set == s.shifted {
		return "predictions-shifted" + ext
	}
	return "predictions" + ext
}

func those[T any](list ...*T) []*T {
	return slices.DeleteFunc(list, func(p *T) bool { return p == nil })
}

// rowFacts are what readSets asks about an example.
type rowFacts[E any] struct {
	text  func(*E) string // what the model reads
	class func(*E) string // a share for the validation has examples of each; nil: there are no classes
}

// readSets reads all files of a with read, and holds examples out for the validation where it is a share.
func readSets[E any](a *adaptCmd, seed uint64, facts rowFacts[E], read func(path string) ([]E, error)) (*exampleSets[E], error) {
	share, isShare := 0.0, a.Validation == ""
	if v, err := strconv.ParseFloat(a.Validation, 64); err == nil {
		share, isShare = v, true
		if !(share >= 0 && share < 1) {
			return nil, usagef("--validation %s is no share of the examples: want a number from 0 to below 1, or a file", a.Validation)
		}
	}
	s := &exampleSets[E]{}
	for _, f := range []struct {
		path string
		set  **exampleSet[E]
	}{{a.Data, &s.train}, {a.Validation, &s.validation}, {a.Test, &s.test}, {a.Shifted, &s.shifted}} {
		if f.path == "" || f.set == &s.validation && isShare {
			continue
		}
		rows, err := read(f.path)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return nil, fmt.Errorf("%s holds no examples", f.path)
		}
		*f.set = &exampleSet[E]{name: f.path, rows: rows}
	}
	if a.finished != nil {
		return s, nil
	}
	n := int(share*float64(len(s.train.rows)) + 0.5)
	if n > 0 && n < len(s.train.rows) {
		s.holdOut(n, seed, facts.class)
	}
	switch {
	case share > 0 && s.validation == nil:
		a.note("%s has too few examples (%d) for --validation %s: none is held out", a.Data, len(s.train.rows), a.Validation)
	case share > 0 && len(s.validation.rows) > n:
		a.note("the validation has %d examples where --validation %s is %d: it holds one of each label at least", len(s.validation.rows), a.Validation, n)
	}
	s.noteRepeated(a, facts.text)
	if len(s.tests()) == 0 {
		a.note("there is neither a validation nor a test: the report has no scores")
	}
	return s, nil
}

// noteRepeated tells of texts that are tested although they are trained on.
func (s *exampleSets[E]) noteRepeated(a *adaptCmd, text func(*E) string) {
	known := map[string]bool{}
	for i := range s.train.rows {
		known[text(&s.train.rows[i])] = true
	}
	for _, set := range those(s.validation, s.test, s.shifted) {
		n := 0
		for i := range set.rows {
			if known[text(&set.rows[i])] {
				n++
			}
		}
		if n > 0 {
			a.note("%d of the %d texts of %s stand in the training data too", n, len(set.rows), set.name)
		}
	}
}

// holdOut moves about n examples, drawn with seed, from train to validation: of each class as many as quotas says.
func (s *exampleSets[E]) holdOut(n int, seed uint64, class func(*E) string) {
	count := map[string]int{}
	classes := make([]string, len(s.train.rows)) // of the rows
	for i := range classes {
		if class != nil {
			classes[i] = class(&s.train.rows[i])
		}
		count[classes[i]]++
	}
	left := quotas(count, n, len(classes))
	perm := random.NewPerm(uint64(len(classes)), random.NewKey(seed).Named("validation"))
	out := make([]bool, len(classes))
	for i := range classes {
		if at := perm.At(uint64(i)); left[classes[at]] > 0 {
			left[classes[at]]--
			out[at] = true
		}
	}
	if !slices.Contains(out, true) {
		return
	}
	rest, held := &exampleSet[E]{name: s.train.name}, &exampleSet[E]{name: "validation", heldOut: true}
	for i, row := range s.train.rows {
		to := rest
		if out[i] {
			to = held
		}
		to.rows = append(to.rows, row)
	}
	s.train, s.validation = rest, held
}

// quotas shares n of all examples out among classes by how many each has: one at least of a class with two examples, none of a single one, and always fewer
// than there are. What rounding down leaves goes to the largest remainders, so the sum is n unless there are many small classes.
func quotas(count map[string]int, n, all int) map[string]int {
	classes := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b]*n%all, count[a]*n%all), strings.Compare(a, b))
	})
	quota, rest := map[string]int{}, n
	for _, c := range classes {
		quota[c] = count[c] * n / all
		if quota[c] == 0 && count[c] > 1 {
			quota[c] = 1
		}
		rest -= quota[c]
	}
	for _, c := range classes {
		if down := quota[c] == count[c]*n/all; rest > 0 && down && count[c] > quota[c]+1 {
			quota[c]++
			rest--
		}
	}
	return quota
}
