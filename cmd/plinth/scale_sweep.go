package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/scaling"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

type scaleSweepCmd struct {
	Data   []string `help:"A folder of prepared data, or files and folders of text; without it Go's own source." placeholder:"PATH"`
	Out    string   `required:"" help:"Folder of the sweep." placeholder:"DIR"`
	Resume bool     `help:"Go on with the sweep in --out: finished runs stay, half-done ones go on, further runs may be added."`
	DryRun bool     `help:"Print the plan and end."`

	Sizes    []string  `default:"2x32,2x48,2x64,2x96" help:"Shapes: layers x width." placeholder:"LxW,..." group:"Ladder (--tokens-per-param, or --isoflop; and --also)"`
	PerParam []float64 `name:"tokens-per-param" help:"Every size at these numbers of tokens per parameter; 20 without --isoflop and --also." placeholder:"F,..." group:"Ladder (--tokens-per-param, or --isoflop; and --also)"`
	IsoFLOP  []float64 `name:"isoflop" help:"Profiles: every size that spends this many FLOPs on --ratio tokens per parameter." placeholder:"C,..." group:"Ladder (--tokens-per-param, or --isoflop; and --also)"`
	Ratio    []float64 `default:"4,200" help:"Least and most tokens per parameter in a profile." placeholder:"MIN,MAX" group:"Ladder (--tokens-per-param, or --isoflop; and --also)"`
	Also     []string  `help:"Further runs: a size and its tokens." placeholder:"LxW:D,..." group:"Ladder (--tokens-per-param, or --isoflop; and --also)"`

	LR         float64 `name:"lr" default:"0.024" help:"Peak learning rate at --base-width." placeholder:"F" group:"Recipe"`
	BaseWidth  int     `default:"64" help:"Width that --lr is for; others get --lr·(this/width)^--lr-power." placeholder:"N" group:"Recipe"`
	LRPower    float64 `name:"lr-power" default:"1" help:"0: one rate for all widths." placeholder:"F" group:"Recipe"`
	Batch      int     `default:"4096" help:"Tokens per step of a run on --base-tokens; others get --batch·(D/this)^--batch-power." placeholder:"N" group:"Recipe"`
	BaseTokens int64   `default:"4000000" help:"Tokens that --batch is for." placeholder:"N" group:"Recipe"`
	BatchPower float64 `default:"0.383" help:"0: one batch for all." placeholder:"F" group:"Recipe"`
	HeadDim    int     `default:"16" help:"Of attention, where it divides the width; else half of it." placeholder:"N" group:"Recipe"`
	Optimizer  string  `default:"muon" enum:"adamw,muon" help:"adamw or muon." group:"Recipe"`
	Schedule   string  `default:"linear" enum:"cosine,linear,wsd,constant" help:"Of the learning rate, to the end of each run." group:"Recipe"`
	MinLR      float64 `name:"min-lr" default:"0" help:"Final learning rate as a share of the peak." placeholder:"F" group:"Recipe"`
	Repeat     bool    `help:"Allow runs to see the training text more than once." group:"Recipe"`

	Vocab      int     `default:"1024" help:"For text: size of the tokenizer, which is trained on it." placeholder:"N" group:"Data"`
	Seq        int     `default:"128" help:"For text: tokens per sequence." placeholder:"N" group:"Data"`
	Validation float64 `default:"0.04" help:"For text: share of the documents held out, chosen by their hash." placeholder:"F" group:"Data"`
	ValTokens  int     `default:"131072" help:"Held-out tokens that the loss is measured on, taken evenly from all there are." placeholder:"N" group:"Data"`
	readFlags  `group:"Data"`

	Jobs int `default:"0" help:"Runs at once, each on its share of --threads; 0: as many as threads." placeholder:"N"`
}

func (*scaleSweepCmd) Help() string {
	return "Example: plinth scale sweep --out sweep --isoflop 1e12,3e12 --sizes 2x32,2x48,2x64,2x80"
}

func (s *scaleSweepCmd) Run(ctx context.Context, c *common) error {
	recipe, err := s.recipe(c)
	if err != nil {
		return err
	}
	dir, err := s.prepared(ctx, c)
	if err != nil {
		return err
	}
	set, err := data.Open(dir, false)
	if err != nil {
		return err
	}
	in := set.Info
	if err := set.Close(); err != nil {
		return err
	}
	trials, err := s.plan(recipe, scaling.Text{Vocab: in.Vocab, Seq: in.Seq, Tokens: int64(in.Train.Sequences) * int64(in.Seq)})
	if err != nil {
		return err
	}
	total := 0.0
	for _, b := range trials {
		total += b.C
		if s.DryRun {
			c.say("%-18s %8s parameters (%s without embeddings) on %8s tokens = %5.1f each, %5d steps of %2d x %d, learning rate %.2e, %sFLOP", b.Name, count(b.N),
				count(b.NonEmbedding), count(b.D), float64(b.D)/float64(b.N), b.Steps, b.Batch, in.Seq, b.LR, count(b.C))
		}
	}
	c.say("%d runs, %sFLOP; held out: %s tokens", len(trials), count(total), count(int64(in.Val.Tokens)))
	if s.DryRun {
		return c.finish(trials, "")
	}
	show := newProgress(c.err)
	list, err := scaling.Sweep(ctx, recipe, trials, scaling.SweepOptions{Data: dir, Out: s.Out, Threads: c.Threads, Jobs: s.Jobs, Resume: s.Resume, Progress: show.sweep})
	if errors.Is(err, train.ErrInterrupted) {
		c.say("%s holds all that was done; go on with the same flags and --resume", s.Out)
	}
	if errors.Is(err, train.ErrMismatch) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	return c.finish(map[string]any{"out": s.Out, "runs": jsonRuns(list)}, table(list)+fmt.Sprintf("%s\ntry: plinth scale plot %s --out %s\n", filepath.Join(s.Out, scaling.ResultsFile), s.Out, filepath.Join(s.Out, "figures")))
}

// recipe checks the flags and turns them into the library's form, where 0 is a default and a negative number none.
func (s *scaleSweepCmd) recipe(c *common) (scaling.Recipe, error) {
	orNone := func(v float64) float64 {
		if v == 0 {
			return -1
		}
		return v
	}
	for _, f := range []struct {
		flag     string
		v, least float64
	}{{"lr", s.LR, 1e-9}, {"base-width", float64(s.BaseWidth), 1}, {"lr-power", s.LRPower, 0}, {"batch", float64(s.Batch), 1}, {"base-tokens", float64(s.BaseTokens), 1},
		{"batch-power", s.BatchPower, 0}, {"head-dim", float64(s.HeadDim), 2}, {"min-lr", s.MinLR, 0}, {"val-tokens", float64(s.ValTokens), 1}, {"jobs", float64(s.Jobs), 0}} {
		if !(f.v >= f.least) {
			return scaling.Recipe{}, usagef("--%s %v is below %v", f.flag, f.v, f.least)
		}
	}
	if len(s.Ratio) != 2 || !(s.Ratio[0] < s.Ratio[1]) {
		return scaling.Recipe{}, usagef("--ratio %v: want the least and the most tokens per parameter", s.Ratio)
	}
	if len(s.PerParam) > 0 && len(s.IsoFLOP) > 0 {
		return scaling.Recipe{}, usagef("--tokens-per-param and --isoflop exclude each other")
	}
	return scaling.Recipe{HeadDim: s.HeadDim, LR: s.LR, BaseWidth: s.BaseWidth, LRPower: orNone(s.LRPower), Batch: s.Batch, BaseTokens: s.BaseTokens, BatchPower: orNone(s.BatchPower),
		Optimizer: s.Optimizer, Schedule: s.Schedule, MinLR: s.MinLR, ValTokens: s.ValTokens, Repeat: s.Repeat, Seed: c.Seed}, nil
}

// plan is the ladder that the flags describe.
func (s *scaleSweepCmd) plan(r scaling.Recipe, t scaling.Text) ([]scaling.Trial, error) {
	var shapes []scaling.Shape
	for _, text := range s.Sizes {
		shape, err := scaling.ParseShape(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--sizes: %w", err)}
		}
		shapes = append(shapes, shape)
	}
	var list []scaling.Trial
	var err error
	switch {
	case len(s.IsoFLOP) > 0:
		list, err = r.IsoFLOP(shapes, s.IsoFLOP, s.Ratio[0], s.Ratio[1], t)
	case len(s.PerParam) > 0 || len(s.Also) == 0:
		per := s.PerParam
		if len(per) == 0 {
			per = []float64{20}
		}
		list, err = r.Ladder(shapes, per, t)
	}
	if err != nil {
		return nil, usageError{err}
	}
	for _, text := range s.Also {
		size, tokens, _ := strings.Cut(text, ":")
		shape, err := scaling.ParseShape(size)
		d, err2 := strconv.ParseFloat(tokens, 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, usagef("--also %s: want a size and its tokens, such as 4x128:2e7", text)
		}
		b, err := r.Trial(shape, d, t)
		if err != nil {
			return nil, usageError{err}
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b scaling.Trial) int { return cmp.Compare(a.C, b.C) })
	return list, nil
}

// sweepText is what OUT/data was made from; it stands beside it in textFile.
type sweepText struct {
	Data       []string `json:"data"` // empty: Go's source in GoRoot
	GoRoot     string   `json:"go_root"`
	Vocab      int      `json:"vocab"`
	Seq        int      `json:"seq"`
	Validation float64  `json:"validation"`
	Field      string   `json:"field"`
	OnBad      string   `json:"on-bad"`
	Seed       uint64   `json:"seed"`
}

// prepared returns the folder of prepared data: --data itself, or OUT/data, made from text where it is not there.
func (s *scaleSweepCmd) prepared(ctx context.Context, c *common) (string, error) {
	if len(s.Data) == 1 && isPrepared(s.Data[0]) {
		return s.Data[0], nil
	}
	dir, note := filepath.Join(s.Out, "data"), filepath.Join(s.Out, textFile)
	text := sweepText{Data: s.Data, Vocab: s.Vocab, Seq: s.Seq, Validation: s.Validation, Field: s.Field, OnBad: s.OnBad, Seed: c.Seed}
	read := func(skips *data.Skips) iter.Seq2[data.Document, error] { return s.documents(ctx, s.Data, skips) }
	if len(s.Data) == 0 {
		if text.GoRoot = data.GoRoot(ctx); text.GoRoot == "" {
			return "", usagef("--data: no Go distribution was found on this machine, whose source is the default")
		}
		read = func(skips *data.Skips) iter.Seq2[data.Document, error] {
			return data.GoSource(ctx, filepath.Join(text.GoRoot, "src"), true, data.ReadOptions{Skipped: skips})
		}
	}
	if isPrepared(dir) {
		var was sweepText
		b, err := file.Read(note, maxText)
		if err == nil {
			err = json.Unmarshal(b, &was)
		}
		if err != nil {
			return "", fmt.Errorf("%s was not made by plinth scale sweep: %w", dir, err)
		}
		if !reflect.DeepEqual(was, text) {
			return "", usagef("%s was prepared with %+v, not %+v: go on with that, or choose another --out", dir, was, text)
		}
		return dir, nil
	}
	if err := os.MkdirAll(s.Out, 0o755); err != nil {
		return "", err
	}
	c.say("training a tokenizer of %d ids ...", s.Vocab)
	docs := &texts{docs: read(nil)}
	tok, err := tokenizer.Train(ctx, docs.all(), tokenizer.TrainOptions{VocabSize: s.Vocab, Threads: c.Threads})
	if err := errors.Join(docs.err, err); err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(text, "", "  ")
	if err != nil {
		return "", err
	}
	if err := file.WriteFile(note, append(b, '\n'), 0o644); err != nil {
		return "", err
	}
	var skips data.Skips
	info, err := data.Prepare(ctx, read(&skips), tok, dir, data.PrepareOptions{Seq: s.Seq, Validation: s.Validation, Seed: c.Seed, Threads: c.Threads})
	if err != nil {
		return "", err
	}
	fmt.Fprint(c.err, describe(dir, info)+describeSkips(skips))
	return dir, nil
}

// sweep shows how a sweep goes: what ended as a line, the rest as one that is rewritten.
func (p *progress) sweep(e scaling.SweepProgress) {
	status := fmt.Sprintf("%d/%d runs, %.1f%% of the FLOPs", e.Done, e.Runs, 100*e.FLOPs/e.TotalFLOPs)
	if e.FLOPsPerSec > 0 {
		status += fmt.Sprintf(", %sFLOP/s, %v left", count(e.FLOPsPerSec), e.Left)
	}
	now := time.Now()
	switch o := e.Finished; {
	case o != nil && o.Diverged:
		p.line(fmt.Sprintf("%-18s DIVERGED: %s  [%s]", o.Name, o.Reason, status))
	case o != nil:
		p.line(fmt.Sprintf("%-18s loss %.4f ± %.4f, %.4f bits per byte  [%s]", o.Name, o.Loss, o.StdErr, o.BitsPerByte, status))
	case e.Event.Kind == "resume" || e.Event.Kind == "damaged" || e.Event.Kind == "note":
		p.line(fmt.Sprintf("%-18s %s: step %d %s", e.Run, e.Event.Kind, e.Event.Step, e.Event.Message))
	case e.Event.Kind == "" && now.Sub(p.last) >= p.every:
		p.last = now
		text := fmt.Sprintf("%s  (%s step %d/%d, loss %.4f)", status, e.Run, e.Event.Step, e.Event.Steps, e.Event.Loss)
		if !p.terminal {
			p.line(text)
			return
		}
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.onLine = true
	}
}

// table is the outcomes as text.
func table(list []scaling.Outcome) string {
	var b strings.Builder
	for _, o := range list {
		end := fmt.Sprintf("%.4f ± %.4f", o.Loss, o.StdErr)
		if o.Diverged {
			end = "diverged"
		}
		fmt.Fprintf(&b, "%-18s %9s parameters %9s tokens %9sFLOP  %s\n", o.Name, count(o.N), count(o.D), count(o.C), end)
	}
	return b.String()
}

// jsonRun is an outcome for --json: the loss of a run that diverged is null.
type jsonRun struct {
	Name     string   `json:"name"`
	N        int64    `json:"n"`
	D        int64    `json:"d"`
	C        float64  `json:"c"`
	Loss     *float64 `json:"loss"`
	StdErr   float64  `json:"loss_se"`
	Diverged bool     `json:"diverged"`
}

func jsonRuns(list []scaling.Outcome) []jsonRun {
	var runs []jsonRun
	for _, o := range list {
		r := jsonRun{o.Name, o.N, o.D, o.C, &o.Loss, o.StdErr, o.Diverged}
		if o.Diverged {
			r.Loss = nil
		}
		runs = append(runs, r)
	}
	return runs
}
