package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/scaling"
)

type scalePlotCmd struct {
	Path    string  `arg:"" help:"Folder of a sweep, run directories, or a CSV with columns of loss and two of n, d and c."`
	Out     string  `required:"" help:"Folder for the figures (SVG and PNG) and report.html." placeholder:"DIR"`
	Law     string  `help:"Law to draw, a file that plinth scale fit wrote; without it one is fitted, where there are runs enough." placeholder:"FILE"`
	Form    string  `default:"hoffmann" enum:"hoffmann,kaplan" help:"Of the law that is fitted: Hoffmann's, with an irreducible loss, or Kaplan's L(N, D), without."`
	HoldOut int     `name:"holdout" default:"1" help:"The so many runs of most compute are not fitted, to see how far the law is off; 0: none." placeholder:"K"`
	Title   string  `help:"Of the report; default: the path of the runs." placeholder:"TEXT"`
	Scale   float64 `default:"2" help:"Pixels of the PNGs to a unit of their 560 x 420." placeholder:"F"`
	OnBad   string  `default:"error" enum:"error,skip" help:"A row with a bad number is an error, or is left out and counted."`
}

func (*scalePlotCmd) Help() string { return "Example: plinth scale plot sweep --out figures" }

func (s *scalePlotCmd) Run(ctx context.Context, c *common) error {
	if s.HoldOut < 0 {
		return usagef("--holdout %d is below 0", s.HoldOut)
	}
	if !(s.Scale >= 1 && s.Scale <= 10) {
		return usagef("--scale %v is not within 1 to 10", s.Scale)
	}
	set, err := scaling.Read(s.Path, scaling.Columns{}, s.OnBad == "skip")
	if err != nil {
		return err
	}
	for _, note := range set.Notes {
		c.say("%s", note)
	}
	p := scaling.Plot{Runs: set.Runs, Models: scaling.Milestones()}
	slices.SortStableFunc(p.Runs, func(a, b scaling.Run) int { return cmp.Or(cmp.Compare(a.C, b.C), cmp.Compare(a.N, b.N)) })
	if info, err := os.Stat(s.Path); err == nil && info.IsDir() {
		if p.Curves, err = scaling.TrainingCurves(s.Path); err != nil {
			return err
		}
	}
	if p.Law, p.HeldOut, err = s.law(ctx, c, p.Runs); err != nil {
		return err
	}
	figures, err := p.Figures()
	if err != nil {
		return err
	}
	page, err := p.Report(cmp.Or(s.Title, "Scaling laws: "+s.Path))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Out, 0o755); err != nil {
		return err
	}
	var written []string
	text := ""
	put := func(name string, b []byte) error {
		path := filepath.Join(s.Out, name)
		written = append(written, path)
		return file.WriteFile(path, b, 0o644)
	}
	for _, f := range figures {
		png, err := f.PNG(s.Scale)
		if err != nil {
			return err
		}
		if err := put(f.Name+".svg", []byte(f.SVG(false))); err != nil {
			return err
		}
		if err := put(f.Name+".png", png); err != nil {
			return err
		}
		text += fmt.Sprintf("%-32s %s\n", filepath.Join(s.Out, f.Name)+".svg, .png", f.Title)
	}
	if err := put("report.html", page); err != nil {
		return err
	}
	held := []string{}
	for _, r := range p.HeldOut {
		held = append(held, r.Name)
	}
	out := map[string]any{"files": written, "runs": len(p.Runs), "law": p.Law, "held_out": held}
	return c.finish(out, text+fmt.Sprintf("%s\n", filepath.Join(s.Out, "report.html")))
}

// law reads the law or fits one, and names the runs that it has not seen.
func (s *scalePlotCmd) law(ctx context.Context, c *common, runs []scaling.Run) (scaling.Predictor, []scaling.Run, error) {
	if s.Law != "" {
		f, err := scaling.ReadLaw(s.Law)
		if err != nil {
			return nil, nil, err
		}
		return f.Law, nil, nil
	}
	seen := scaling.Converged(runs)
	slices.SortStableFunc(seen, func(a, b scaling.Run) int { return cmp.Compare(a.C, b.C) })
	cut := max(0, len(seen)-s.HoldOut)
	law, err := s.fit(ctx, seen[:cut], scaling.FitOptions{Threads: c.Threads, Seed: c.Seed})
	if err != nil {
		c.say("no law is drawn: %v", err)
		return nil, nil, nil
	}
	c.say("%s, fitted to %d runs", scaling.Formula(law), cut)
	return law, seen[cut:], nil
}

func (s *scalePlotCmd) fit(ctx context.Context, runs []scaling.Run, o scaling.FitOptions) (scaling.Predictor, error) {
	if s.Form == "kaplan" {
		f, err := scaling.FitKaplan(ctx, runs, o)
		if err != nil {
			return nil, err
		}
		return f.Law, nil
	}
	f, err := scaling.Fit(ctx, runs, o)
	if err != nil {
		return nil, err
	}
	return f.Law, nil
}
