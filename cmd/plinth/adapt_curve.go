package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/scaling"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// curveFlags ask for a learning curve.
type curveFlags struct {
	Curve      []int     `help:"Of classify: the report has also a learning curve: accuracy with so many labels of each class, beside the same model from fresh weights and beside counting tokens." placeholder:"N,..." group:"Learning curve"`
	CurveDraws int       `default:"3" help:"Draws of labels; the curve is their mean; default ${default}." placeholder:"N" group:"Learning curve"`
	CurveSteps int       `default:"100" help:"Steps of each training; default ${default}." placeholder:"N" group:"Learning curve"`
	CurveRates []float64 `help:"Learning rates of which each method takes, for each number of labels, the one that does best on the validation; lora takes ten times these. Without it 1/3, 1 and 3 times 5e-5 · 768/width." placeholder:"F,..." group:"Learning curve"`
	CurveOf    []string  `name:"curve-of" default:"full,lora,probe,scratch,bag" enum:"full,lora,probe,scratch,bag" help:"Methods of the curve, of ${enum}, all where nothing else is said: all weights of the pre-trained model; an adapter; logistic regression on its frozen features; all weights from fresh ones; logistic regression on token counts." placeholder:"NAME,..." group:"Learning curve"`
}

// curvePoint is how a method does with a number of labels.
type curvePoint struct {
	Method   string    `json:"method"`
	Labels   int       `json:"labels_per_class"`
	Accuracy float64   `json:"accuracy"` // mean over the draws
	Spread   float64   `json:"spread"`   // standard deviation over the draws
	Draws    []float64 `json:"draws"`
	LR       float64   `json:"lr,omitempty"`             // that did best on the validation
	Tried    []tried   `json:"tried,omitempty"`          // all learning rates
	Trained  int64     `json:"trained_params,omitempty"` // of the model
}

// tried is how a method does with one learning rate, on average over the draws.
type tried struct {
	LR         float64 `json:"lr"`
	Validation float64 `json:"validation"` // accuracy there, by which the rate is chosen
	Accuracy   float64 `json:"accuracy"`
}

// curveReport is the learning curve on one set.
type curveReport struct {
	Set    string       `json:"set"`
	Steps  int          `json:"steps"`
	Rates  []float64    `json:"rates"`
	Params int64        `json:"params"`
	Points []curvePoint `json:"points"`
}

// checkClassify refuses flags of classify that do not go together.
func (a *adaptCmd) checkClassify() error {
	f := &a.curveFlags
	switch {
	case a.Pool == "mean" && a.Task != "classify":
		return usagef("--pool is for --task classify")
	case a.Head == "probe" && (a.Pool != "mean" || a.Multi != ""):
		return usagef("--head probe is for --pool mean and one label of each text")
	case f.Curve == nil:
		return nil
	case a.Task != "classify" || a.Multi != "":
		return usagef("--curve is for --task classify with one label of each text")
	case slices.Min(f.Curve) < 1 || f.CurveDraws < 1 || f.CurveSteps < 1:
		return usagef("--curve %v --curve-draws %d --curve-steps %d: all must be 1 at least", f.Curve, f.CurveDraws, f.CurveSteps)
	case f.CurveRates != nil && !(slices.Min(f.CurveRates) > 0):
		return usagef("--curve-rates %v: all must be above 0", f.CurveRates)
	}
	return nil
}

// enoughForCurve refuses a curve that the tables are too small for.
func (c *classifyTask) enoughForCurve() error {
	if c.Curve == nil {
		return nil
	}
	if c.sets.validation == nil {
		return usagef("--curve chooses learning rates on the validation: --validation is needed")
	}
	most, count := slices.Max(c.Curve), map[string]int{}
	for _, row := range c.sets.train.rows {
		count[row.labels[0]]++
	}
	for _, l := range c.labels {
		if count[l] < most {
			return usagef("--curve %d: %s has %d examples of label %q beside the validation", most, c.Data, count[l], l)
		}
	}
	return nil
}

// curve is the learning curve of a task in the making.
type curve struct {
	*classifyTask
	c                *common
	k                *kernel.Set
	path             string
	valid, test      *exampleSet[classRow]
	report           *curveReport
	onValid, onTest  [][]float32 // features of the pre-trained model, for the probe
	frozen           model.Encoder
	trainRows        []adapt.Example
	validRows, tests []adapt.Example
}

// curve trains and tests all methods.
func (t *classifyTask) curve(ctx context.Context, c *common, k *kernel.Set, path string) (*curveReport, error) {
	u := &curve{classifyTask: t, c: c, k: k, path: path, valid: t.sets.validation, test: t.sets.tests()[0]}
	u.trainRows, u.validRows, u.tests = t.sets.train.examples((*classRow).made), u.valid.examples((*classRow).made), u.test.examples((*classRow).made)
	base := 5e-5 * 768 / float64(t.m.Sizes().Width)
	u.report = &curveReport{Set: u.test.name, Steps: t.CurveSteps, Rates: t.CurveRates, Params: nn.Count(t.m.Params())}
	if u.report.Rates == nil {
		u.report.Rates = []float64{base / 3, base, 3 * base}
	}
	slices.Sort(t.Curve)
	kept, err := openCurve(filepath.Join(t.Out, curveFile), u.settings(), t.Resume)
	if err != nil {
		return nil, err
	}
	if len(kept.Points) > 0 {
		c.say("%d points of the learning curve are there already", len(kept.Points))
	}
	for _, n := range slices.Compact(t.Curve) {
		for _, method := range t.CurveOf {
			if p, ok := kept.find(method, n); ok {
				u.report.Points = append(u.report.Points, p)
				continue
			}
			p, err := u.point(ctx, method, n)
			if err != nil && ctx.Err() != nil {
				c.say("%s holds the model's training and %d finished points of the learning curve; go on with the same command and --resume", t.Out, len(kept.Points))
			}
			if err != nil {
				return nil, fmt.Errorf("--curve %d, %s: %w", n, method, err)
			}
			if err := kept.add(p); err != nil {
				return nil, err
			}
			u.report.Points = append(u.report.Points, p)
			c.say("%d labels per class, %-8s %.1f %% ± %.1f", n, method, 100*p.Accuracy, 100*p.Spread)
		}
	}
	return u.report, nil
}

// point is what a method makes of n labels of each class.
func (u *curve) point(ctx context.Context, method string, n int) (curvePoint, error) {
	p := curvePoint{Method: method, Labels: n}
	rates := u.report.Rates
	if method == "probe" || method == "bag" {
		rates = []float64{0}
	}
	best := -1.0
	for _, rate := range rates {
		if method == "lora" {
			rate *= 10
		}
		var valid, test []float64
		for d := range uint64(u.CurveDraws) {
			places, err := adapt.DrawPerClass(adapt.Labels(u.trainRows), len(u.labels), n, u.c.Seed+d)
			if err != nil {
				return p, err
			}
			drawn := make([]adapt.Example, len(places))
			for i, at := range places {
				drawn[i] = u.trainRows[at]
			}
			v, t, err := u.run(ctx, method, drawn, rate, u.c.Seed+d, &p)
			if err != nil {
				return p, err
			}
			valid, test = append(valid, v), append(test, t)
		}
		chosen, _ := adapt.Spread(valid)
		mean, spread := adapt.Spread(test)
		if rate > 0 {
			p.Tried = append(p.Tried, tried{rate, chosen, mean})
		}
		if chosen > best {
			best, p.LR, p.Draws, p.Accuracy, p.Spread = chosen, rate, test, mean, spread
		}
	}
	return p, nil
}

// run trains on drawn examples and returns the accuracies on validation and test.
func (u *curve) run(ctx context.Context, method string, drawn []adapt.Example, rate float64, seed uint64, p *curvePoint) (valid, test float64, err error) {
	switch method {
	case "probe":
		return u.probe(ctx, drawn, seed)
	case "bag":
		bag, err := adapt.FitBag(drawn, u.tok.VocabSize(), len(u.labels), seed)
		if err != nil {
			return 0, 0, err
		}
		return adapt.Accuracy(bag.Predict(u.validRows), u.validRows), adapt.Accuracy(bag.Predict(u.tests), u.tests), nil
	}
	m, err := zoo.NewTask(u.path, model.SequenceTask, len(u.labels), seed, zoo.Options{Train: method != "lora", F32: true, MeanPool: u.Pool == "mean"})
	if err != nil {
		return 0, 0, err
	}
	a := *u.adaptCmd
	a.Method, a.LayerDecay = "full", 1
	switch method {
	case "scratch":
		nn.Init(m.Params(), seed, true)
	case "lora":
		a.Method = "lora"
	default:
		a.LayerDecay = u.LayerDecay
	}
	if u.Head == "probe" && method != "scratch" {
		if err := startFromProbe(ctx, u.k, m, drawn, len(u.labels), seed); err != nil {
			return 0, 0, err
		}
	}
	s, err := withHead(u.path, m, u.labelling())
	if err != nil {
		return 0, 0, err
	}
	trained, _, err := a.choose(u.k, s, seed)
	if err != nil {
		return 0, 0, err
	}
	p.Trained = nn.Count(trained)
	batch := min(u.Batch, len(drawn))
	f := &adapt.FineTuning{Model: m, Loss: adapt.SingleLabel, Examples: drawn, Batch: batch, Trained: trained, Seed: seed}
	if err := f.Check(); err != nil {
		return 0, 0, err
	}
	o := adapt.Defaults(train.Options{Steps: u.CurveSteps, LR: rate, Seed: seed}, len(drawn), batch, 0)
	o.ValEvery, o.SaveEvery = o.Steps, o.Steps
	if _, err := adapt.Tune(ctx, f, u.k, o, nil, nil); err != nil {
		return 0, 0, err
	}
	tape := tensor.Evaluation(u.k)
	for _, s := range []struct {
		rows []adapt.Example
		to   *float64
	}{{u.validRows, &valid}, {u.tests, &test}} {
		predicted, err := adapt.Predict(ctx, tape, m, s.rows)
		if err != nil {
			return 0, 0, err
		}
		*s.to = adapt.Accuracy(predicted, s.rows)
	}
	return valid, test, nil
}

// probe is the mean of the pre-trained model's features, and logistic regression. The features of validation and test are made once.
func (u *curve) probe(ctx context.Context, drawn []adapt.Example, seed uint64) (valid, test float64, err error) {
	tape := tensor.Evaluation(u.k)
	if u.frozen == nil {
		m, err := zoo.NewTask(u.path, model.SequenceTask, len(u.labels), seed, zoo.Options{F32: true})
		if err != nil {
			return 0, 0, err
		}
		if u.onValid, err = adapt.Features(ctx, tape, m, u.validRows, model.Mean); err != nil {
			return 0, 0, err
		}
		if u.onTest, err = adapt.Features(ctx, tape, m, u.tests, model.Mean); err != nil {
			return 0, 0, err
		}
		u.frozen = m
	}
	probe, err := adapt.ProbeEncoder(ctx, tape, u.frozen, drawn, len(u.labels), model.Mean, seed)
	if err != nil {
		return 0, 0, err
	}
	return adapt.Accuracy(probe.Predict(u.onValid), u.validRows), adapt.Accuracy(probe.Predict(u.onTest), u.tests), nil
}

// curveNames are the methods in the report's words.
var curveNames = map[string]string{"full": "pre-trained, all weights", "lora": "pre-trained, LoRA", "probe": "pre-trained, linear probe",
	"scratch": "from scratch", "bag": "bag of tokens"}

// figure draws the curve.
func (r *curveReport) figure() *scaling.Figure {
	var lines []scaling.Line
	for _, p := range r.Points {
		at := slices.IndexFunc(lines, func(l scaling.Line) bool { return l.Name == curveNames[p.Method] })
		if at < 0 {
			at = len(lines)
			lines = append(lines, scaling.Line{Name: curveNames[p.Method]})
		}
		l := &lines[at]
		l.Labels, l.Mean, l.Spread = append(l.Labels, float64(p.Labels)), append(l.Mean, p.Accuracy), append(l.Spread, p.Spread)
	}
	return scaling.LearningCurve("Accuracy against labels", lines)
}

// write writes the figure as SVG and PNG.
func (r *curveReport) write(dir string) error {
	f := r.figure()
	png, err := f.PNG(2)
	if err != nil {
		return err
	}
	return errors.Join(file.WriteFile(filepath.Join(dir, f.Name+".svg"), []byte(f.SVG(false)), 0o644), file.WriteFile(filepath.Join(dir, f.Name+".png"), png, 0o644))
}

// text appends the lines of the report.
func (r *curveReport) text(b *strings.Builder) {
	var counts []int
	rows := map[string][]curvePoint{}
	var methods []string
	draws := 0
	for _, p := range r.Points {
		if !slices.Contains(counts, p.Labels) {
			counts = append(counts, p.Labels)
		}
		if rows[p.Method] == nil {
			methods = append(methods, p.Method)
		}
		rows[p.Method], draws = append(rows[p.Method], p), len(p.Draws)
	}
	fmt.Fprintf(b, "\nLearning curve on %s: accuracy in percent, mean ± standard deviation of %d draws of labels, %d steps, best of %d learning rates on the validation\n", r.Set, draws, r.Steps, len(r.Rates))
	fmt.Fprintf(b, "  %-36s", "labels per class")
	for _, n := range counts {
		fmt.Fprintf(b, " %12d", n)
	}
	b.WriteByte('\n')
	for _, m := range methods {
		name := curveNames[m]
		if m == "lora" {
			name += fmt.Sprintf(" (%.2g %% of weights)", 100*float64(rows[m][0].Trained)/float64(r.Params))
		}
		fmt.Fprintf(b, "  %-36s", name)
		for _, p := range rows[m] {
			fmt.Fprintf(b, " %12s", fmt.Sprintf("%.1f ± %.1f", 100*p.Accuracy, 100*p.Spread))
		}
		b.WriteByte('\n')
	}
}
