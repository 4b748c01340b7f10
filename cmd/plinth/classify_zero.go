package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/eval"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// ownLabelFlags name labels that the model was not trained for.
type ownLabelFlags struct {
	Labels     []string `sep:"none" help:"Labels of your own, with commas between them; one that has a comma in quotes, as in CSV; the flag repeated adds to them." placeholder:"A,B" group:"Labels of your own"`
	LabelsFile string   `help:"File of labels of your own, one in each line, which commas do not end." placeholder:"FILE" group:"Labels of your own"`
}

// zeroShotFlags are classify's flags for labels that the model was not trained for.
type zeroShotFlags struct {
	ownLabelFlags
	Template  []string `sep:"none" help:"What is said of a text or a picture, with {} for the label; of pictures the flag repeated, whose mean counts (\"a photo of a {}.\"). Of texts: \"This example is {}.\" for entailment; for a model that writes text, \"Text: {text}\\nLabel: {}\" (\\n is a new line)." placeholder:"TEXT" group:"Zero-shot and few-shot"`
	Multi     bool     `help:"Of entailment: any number of the labels may be true of a text." group:"Zero-shot and few-shot"`
	Score     string   `enum:"mean,sum" default:"mean" help:"Of a model that writes text: ln p of a label over its length in characters, or as it is." group:"Zero-shot and few-shot"`
	Calibrate bool     `help:"Of a model that writes text: divide by what it says of texts without content (Zhao et al. 2021)." group:"Zero-shot and few-shot"`
	Shots     string   `help:"Table of labelled examples that are shown to a model that writes text; its columns are --text and --label." placeholder:"FILE" group:"Zero-shot and few-shot"`
	PerLabel  int      `default:"4" help:"Examples of each label that are shown, drawn with --seed." placeholder:"K" group:"Zero-shot and few-shot"`
}

// asked says whether there are labels of the user's own.
func (v *zeroShotFlags) asked() bool { return len(v.Labels) > 0 || v.LabelsFile != "" || v.Shots != "" }

// check reports flags that do not go together.
func (v *classifyCmd) check() error {
	switch {
	case !v.asked() && (len(v.Template) > 0 || v.Multi || v.Calibrate):
		return usagef("--template, --multi and --calibrate are for labels of your own: --labels A,B")
	case len(v.Template) > 1:
		return usagef("--template: texts take one, there are %d", len(v.Template))
	case v.asked() && v.Adapter != "":
		return usagef("--adapter %s: labels of your own are for a model without an adapter", v.Adapter)
	case v.asked() && v.Pair != "":
		return usagef("--pair %s: labels of your own are for single texts", v.Pair)
	case v.Shots != "" && v.PerLabel < 1:
		return usagef("--per-label %d: want at least 1", v.PerLabel)
	}
	return nil
}

// template is the one of texts, or "".
func (v *zeroShotFlags) template() string { return strings.Join(v.Template, "") }

// names are the labels; none without the flags.
func (v *ownLabelFlags) names() ([]string, error) {
	var names []string
	for _, list := range v.Labels {
		r := csv.NewReader(strings.NewReader(list))
		r.TrimLeadingSpace, r.FieldsPerRecord = true, -1
		rows, err := r.ReadAll()
		if err != nil {
			return nil, usagef("--labels %q: %w; a label with a comma or a quote stands in quotes, with its own quotes doubled", list, err)
		}
		labels := slices.Concat(rows...)
		if len(labels) == 0 {
			return nil, usagef("--labels %q names no label", list)
		}
		for i, l := range labels {
			if labels[i] = strings.TrimSpace(l); labels[i] == "" {
				return nil, usagef("--labels %q: label %d is empty", list, i+1)
			}
		}
		names = append(names, labels...)
	}
	if v.LabelsFile != "" {
		text, err := file.ReadText(v.LabelsFile, maxText)
		if err != nil {
			return nil, fmt.Errorf("--labels-file: %w", err)
		}
		had := len(names)
		for l := range strings.Lines(text) {
			if l = strings.TrimSpace(l); l != "" {
				names = append(names, l)
			}
		}
		if len(names) == had {
			return nil, fmt.Errorf("--labels-file: %s names no label", v.LabelsFile)
		}
	}
	seen := map[string]bool{}
	for _, l := range names {
		if seen[l] {
			return nil, usagef("--labels and --labels-file: %q stands there twice", l)
		}
		seen[l] = true
	}
	return names, nil
}

// zeroShot returns what the model's head asks for: entailment, or the likelihood of labels.
func (v *classifyCmd) zeroShot(ctx context.Context, c *common, path string) (classifier, zoo.Labels, error) {
	var l zoo.Labels
	var err error
	if l.Names, err = v.names(); err != nil {
		return nil, l, err
	}
	m, err := zoo.Describe(path)
	if err != nil {
		return nil, l, err
	}
	tok, err := zoo.Tokenizer(path, m)
	if err != nil {
		return nil, l, err
	}
	if _, ok := m.(zoo.TaskModel); ok {
		if v.Shots != "" || v.Calibrate || v.Score != "mean" {
			return nil, l, usagef("--shots, --calibrate and --score are for a model that writes text; %s has a head for a task", path)
		}
		if v.Multi {
			l.Problem = string(adapt.MultiLabel)
		}
		e, err := v.entailment(c, path, tok, l.Names)
		return e, l, err
	}
	if _, ok := m.(*clip.Model); ok {
		return nil, l, usagef("%s is a CLIP, which labels pictures: --images PATH", path)
	}
	_, pairs := m.(model.Seq2Seq)
	if _, err := zoo.AsDecoder(m); err != nil && !pairs {
		return nil, l, fmt.Errorf("%s: labels of your own need a head with a label of entailment, or a model that writes text: %w", path, err)
	}
	if v.Multi {
		return nil, l, usagef("--multi is for a model with a head for entailment; %s writes text", path)
	}
	p, err := newPrompted(v.template(), v.Score == "mean", v.Calibrate)
	if err != nil {
		return nil, l, usagef("--template: %w", err)
	}
	p.say = c.say
	if l.Names, err = v.draw(ctx, c.Seed, l.Names, p); err != nil {
		return nil, l, err
	}
	if len(l.Names) < 2 {
		return nil, l, usagef("--labels %s: a single label is always right", strings.Join(l.Names, ","))
	}
	if pairs {
		w, err := zoo.OpenAny(path, zoo.Options{})
		if err != nil {
			return nil, l, err
		}
		a := &pairAnswers{w.(model.Seq2Seq), tok, tensor.Evaluation(c.kernels())}
		p.use(a, tok, a.m.Sizes().Context, l.Names)
		return p, l, nil
	}
	d, err := zoo.Open(path, zoo.Options{})
	if err != nil {
		return nil, l, err
	}
	p.use(eval.NewLikelihoods(d, tok, c.kernels()), tok, d.Sizes().Context, l.Names)
	return p, l, nil
}

// template is the flag's with new lines, or the default.
func template(flag, otherwise string) string {
	if flag == "" {
		return otherwise
	}
	return strings.ReplaceAll(flag, `\n`, "\n")
}

// entailed classifies by entailment: each label is a hypothesis about the text.
type entailed struct {
	m          zoo.TaskModel
	classes    task.Entailment
	hypotheses []string
	multi      bool
	texts      *adapt.Texts
	t          *tensor.Tape
	cuts       int
}

func (v *classifyCmd) entailment(c *common, path string, tok *tokenizer.Tokenizer, labels []string) (*entailed, error) {
	m, own, err := v.openHead(c, path, model.SequenceTask)
	if err != nil {
		return nil, err
	}
	classes, err := task.EntailmentOf(own.Names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; without --labels texts get these", path, err)
	}
	e, err := newEntailed(m, classes, tok, tensor.Evaluation(c.kernels()), labels, v.template(), v.Multi)
	if err != nil {
		return nil, usagef("--template: %w", err)
	}
	return e, nil
}

// newEntailed makes a hypothesis of each label.
func newEntailed(m zoo.TaskModel, classes task.Entailment, tok *tokenizer.Tokenizer, t *tensor.Tape, labels []string, text string, multi bool) (*entailed, error) {
	e := &entailed{m: m, classes: classes, multi: multi, t: t, texts: textsFor(m, tok)}
	e.texts.KeepSecond = true
	for _, l := range labels {
		h, err := task.Hypothesis(template(text, "This example is {}."), l)
		if err != nil {
			return nil, err
		}
		e.hypotheses = append(e.hypotheses, h)
	}
	return e, nil
}

func (e *entailed) cut() (texts, limit int) { return e.cuts, e.texts.Limit }

func (e *entailed) probabilities(ctx context.Context, rows []tableRow) ([][]float64, error) {
	var pairs []adapt.Example
	for _, row := range rows {
		before := e.texts.Cut
		for _, h := range e.hypotheses {
			x, err := e.texts.Example(row.texts[0], h)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", row.where, err)
			}
			pairs = append(pairs, x)
		}
		if e.texts.Cut > before {
			e.cuts++
		}
	}
	scores, err := adapt.Scores(ctx, e.t, e.m, pairs)
	if err != nil {
		return nil, err
	}
	var p [][]float64
	for some := range slices.Chunk(scores, len(e.hypotheses)) {
		p = append(p, e.classes.Probabilities(some, e.multi))
	}
	return p, nil
}

// answerer says how likely a text is behind another.
type answerer interface {
	Answer(ctx context.Context, requests []task.Request) ([]task.Likelihood, error)
	Fits(task.Request) bool
}

// pairAnswers are those of an encoder-decoder: it reads the context, and writes the continuation up to the token that ends it.
type pairAnswers struct {
	m   model.Seq2Seq
	tok *tokenizer.Tokenizer
	t   *tensor.Tape
}

func (a *pairAnswers) ids(text string) []int32 {
	return a.tok.AddSpecial(a.tok.Encode(strings.TrimSpace(text)))
}

func (a *pairAnswers) Fits(r task.Request) bool { return len(a.ids(r.Context)) <= a.m.Sizes().Context }

func (a *pairAnswers) Answer(ctx context.Context, requests []task.Request) ([]task.Likelihood, error) {
	list := make([]adapt.Pair, len(requests))
	for i, r := range requests {
		list[i] = adapt.Pair{Source: a.ids(r.Context), Target: a.ids(r.Continuation)}
	}
	losses, err := adapt.WritingLosses(ctx, a.t, a.m, list)
	answers := make([]task.Likelihood, len(losses))
	for i, l := range losses {
		answers[i].LogProb = -l
	}
	return answers, err
}

// shot is a labelled example.
type shot struct{ text, label string }

// prompted classifies by how likely each label is behind the text, with labelled examples before it.
type prompted struct {
	answers   answerer
	limit     int // tokens that answers has room for
	prompt    task.LabelPrompt
	labels    []string
	longest   string // of the labels, in tokens
	shots     []string
	mean      bool
	calibrate bool
	free      map[int][]task.Likelihood // what is said of texts without content, by the number of examples before them
	dropped   int                       // texts that not all examples fitted before
	cuts      int
	say       func(format string, args ...any)
}

// newPrompted reads the template; use sets the model.
func newPrompted(text string, mean, calibrate bool) (*prompted, error) {
	prompt, err := task.ParseLabelPrompt(template(text, "Text: {text}\nLabel: {}"))
	return &prompted{prompt: prompt, mean: mean, free: map[int][]task.Likelihood{}, calibrate: calibrate}, err
}

// contentFree are texts without content, as Zhao et al. 2021 average over.
var contentFree = []string{"N/A", "", "[MASK]"}

// draw chooses the examples of --shots, and returns the labels: those given, or else those of the examples.
func (v *classifyCmd) draw(ctx context.Context, seed uint64, labels []string, p *prompted) ([]string, error) {
	if v.Shots == "" {
		return labels, nil
	}
	flags := columnFlags{tableFlags: v.tableFlags}
	flags.Format = formatBeside(v.Format, v.Shots)
	given := len(labels) > 0
	var examples []shot
	err := flags.rows(ctx, v.Shots, cmp.Or(v.Label, "label"), func(where string, texts, labelled []string) error {
		label := labelled[0]
		if !slices.Contains(labels, label) {
			if label == "" {
				return fmt.Errorf("%s: the label is empty", where)
			}
			if given {
				return fmt.Errorf("%s: label %q is none of --labels %s", where, label, strings.Join(labels, ","))
			}
			labels = append(labels, label)
		}
		examples = append(examples, shot{texts[0], label})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("--shots: %w", err)
	}
	if !given {
		slices.SortFunc(labels, compareLabels)
	}
	classes, count := make([]int, len(examples)), make([]int, len(labels))
	for i, x := range examples {
		classes[i] = slices.Index(labels, x.label)
		count[classes[i]]++
	}
	for i, n := range count {
		if n < v.PerLabel {
			return nil, fmt.Errorf("--shots %s has %d examples of %q, fewer than --per-label %d", v.Shots, n, labels[i], v.PerLabel)
		}
	}
	drawn, err := task.Demonstrations(classes, len(labels), v.PerLabel*len(labels), seed)
	if err != nil {
		return nil, err
	}
	for _, i := range drawn {
		p.shots = append(p.shots, p.prompt.Shot(examples[i].text, examples[i].label))
	}
	return labels, nil
}

// use sets the model.
func (p *prompted) use(answers answerer, tok *tokenizer.Tokenizer, limit int, labels []string) {
	p.answers, p.limit, p.labels = answers, limit, labels
	most := 0
	for _, l := range labels {
		if n := len(tok.Encode(" " + l)); n > most {
			most, p.longest = n, l
		}
	}
}

// formatBeside is the format of a second table: what --format says is about standard input where the file's name tells its own.
func formatBeside(format, path string) string {
	if strings.ContainsRune(path, '.') {
		return ""
	}
	return format
}

func (p *prompted) cut() (texts, limit int) {
	if p.dropped > 0 {
		p.say("note: before %d texts there was room for some of the %d examples only", p.dropped, len(p.shots))
	}
	return p.cuts, p.limit
}

func (p *prompted) fits(context string) bool {
	return p.answers.Fits(task.Request{Context: context, Continuation: p.longest})
}

// question is the text's prompt, with as many examples before it as there is room for. A text that has no room alone loses its end.
func (p *prompted) question(text string) (context string, used int, err error) {
	if !p.fits(p.prompt.Question(text)) {
		runes := []rune(text)
		n := sort.Search(len(runes), func(n int) bool { return !p.fits(p.prompt.Question(string(runes[:n+1]))) }) // the runes that there is room for
		text = string(runes[:n])
		p.cuts++
	}
	return task.Prompt("", p.shots, p.prompt.Question(text), p.fits)
}

func (p *prompted) requests(context string) []task.Request {
	list := make([]task.Request, len(p.labels))
	for i, l := range p.labels {
		list[i] = task.Request{Context: context, Continuation: l}
	}
	return list
}

func (p *prompted) ask(ctx context.Context, requests []task.Request) ([]task.Likelihood, error) {
	answers, err := p.answers.Answer(ctx, requests)
	if err == nil && p.mean {
		answers = task.LengthNormalized(answers, p.labels)
	}
	return answers, err
}

func (p *prompted) probabilities(ctx context.Context, rows []tableRow) ([][]float64, error) {
	var requests []task.Request
	used := make([]int, len(rows))
	for i, row := range rows {
		context, n, err := p.question(row.texts[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.where, err)
		}
		if used[i] = n; n < len(p.shots) {
			p.dropped++
		}
		requests = append(requests, p.requests(context)...)
	}
	answers, err := p.ask(ctx, requests)
	if err != nil {
		return nil, err
	}
	all := make([][]float64, len(rows))
	for i := range all {
		free, err := p.withoutContent(ctx, used[i])
		if err != nil {
			return nil, err
		}
		if all[i], err = task.LabelProbabilities(answers[i*len(p.labels):(i+1)*len(p.labels)], free); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// withoutContent is what is said of texts without content behind the first of the examples.
func (p *prompted) withoutContent(ctx context.Context, used int) ([]task.Likelihood, error) {
	if free, ok := p.free[used]; ok || !p.calibrate {
		return free, nil
	}
	var requests []task.Request
	for _, text := range contentFree {
		requests = append(requests, p.requests(strings.Join(p.shots[:used], "")+p.prompt.Question(text))...)
	}
	var err error
	p.free[used], err = p.ask(ctx, requests)
	return p.free[used], err
}
