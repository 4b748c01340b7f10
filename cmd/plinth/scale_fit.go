package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/plinth-ml/plinth/scaling"
)

type scaleFitCmd struct {
	Paths []string `arg:"" name:"path" help:"CSV files, sweeps, run directories, or folders of run directories." placeholder:"PATH"`

	N          string `placeholder:"COL" group:"Columns of a CSV" help:"Parameters; without it n, params, Model Size and the like."`
	D          string `placeholder:"COL" group:"Columns of a CSV" help:"Training tokens; without such a column C/6N."`
	C          string `placeholder:"COL" group:"Columns of a CSV" help:"FLOPs; without such a column 6ND."`
	Loss       string `placeholder:"COL" group:"Columns of a CSV" help:"Loss in nats per token."`
	Diverged   string `placeholder:"COL" group:"Columns of a CSV" help:"True for a run that diverged."`
	OnBad      string `group:"Columns of a CSV" enum:"error,skip" default:"error" help:"A row with a bad number is an error, or is left out and counted."`
	Convention string `group:"Columns of a CSV" enum:"auto,all,non-embedding" default:"auto" help:"What N counts, for the law file: all or non-embedding parameters; auto goes by the column's name."`

	DropHighest int       `placeholder:"K" help:"Leave out the K runs of highest loss."`
	Approach    string    `enum:"all,envelope,isoflop,parametric,kaplan" default:"all" help:"Hoffmann's approaches 1 (envelope), 2 (isoflop) and 3 (parametric), Kaplan's L(N, D), or all."`
	Bootstrap   int       `placeholder:"N" default:"1000" help:"Resamples for the intervals; 0 means none."`
	Holdout     int       `placeholder:"K" default:"1" help:"Fit without the K runs of most compute too, and predict them; 0 means not."`
	Budget      []float64 `placeholder:"C,..." help:"Budgets in FLOPs to give the optimum for; without it ten times the largest run's."`
	Out         string    `placeholder:"FILE" help:"Law file to write, for plinth scale plan."`
}

func (*scaleFitCmd) Help() string {
	return "Example: plinth scale fit runs.csv --budget 1e21 --out law.json"
}

// fitResult is the object of --json.
type fitResult struct {
	Runs       int            `json:"runs"` // fitted
	Diverged   int            `json:"diverged"`
	Dropped    int            `json:"dropped"`
	Convention string         `json:"convention"`
	Notes      []string       `json:"notes"`
	Parametric *parametricFit `json:"parametric,omitempty"`
	Envelope   *frontierFit   `json:"envelope,omitempty"`
	IsoFLOP    *frontierFit   `json:"isoflop,omitempty"`
	Kaplan     *kaplanFit     `json:"kaplan,omitempty"`
	HeldOut    []heldOut      `json:"held_out,omitempty"`
	LawFile    string         `json:"law_file,omitempty"`
}

// estimate is a number with its interval, which is absent without a bootstrap.
type estimate struct {
	Value float64 `json:"value"`
	*scaling.Interval
}

func (e estimate) span(format func(float64) string) string {
	if e.Interval == nil {
		return format(e.Value)
	}
	return fmt.Sprintf("%s (%s to %s)", format(e.Value), format(e.Low), format(e.High))
}

// estimated is the number of a law with the interval of its draws.
func estimated[T any](law T, draws []T, number func(T) float64) estimate {
	e := estimate{Value: number(law)}
	if len(draws) > 1 {
		if i := scaling.Over(draws, number); !math.IsNaN(i.SE) {
			e.Interval = &i
		}
	}
	return e
}

// bestSplit is the optimum of a budget.
type bestSplit struct {
	C    float64   `json:"c"`
	N    estimate  `json:"n"`
	D    estimate  `json:"d"`
	Loss *estimate `json:"loss,omitempty"`
}

// optimumAt asks a law and its draws for the optimum of a budget.
func optimumAt[T interface{ Optimum(float64) (N, D float64) }](law T, draws []T, C float64) bestSplit {
	return bestSplit{C: C, N: estimated(law, draws, func(l T) float64 { n, _ := l.Optimum(C); return n }),
		D: estimated(law, draws, func(l T) float64 { _, d := l.Optimum(C); return d })}
}

// lossAt is optimumAt with the predicted loss there.
func lossAt[T scaling.Predictor](law T, draws []T, C float64) bestSplit {
	b := optimumAt(law, draws, C)
	loss := estimated(law, draws, func(l T) float64 { return l.Loss(l.Optimum(C)) })
	b.Loss = &loss
	return b
}

func (b bestSplit) String() string {
	s := fmt.Sprintf("  C %.4g: N %s, D %s, %.3g tokens per parameter", b.C, b.N.span(count[float64]), b.D.span(count[float64]), b.D.Value/b.N.Value)
	if b.Loss != nil {
		s += ", loss " + b.Loss.span(func(v float64) string { return fmt.Sprintf("%.4f", v) })
	}
	return s + "\n"
}

func (f *scaleFitCmd) Run(ctx context.Context, c *common) error {
	if err := f.check(); err != nil {
		return err
	}
	set := &scaling.Set{}
	for _, path := range f.Paths {
		s, err := scaling.Read(path, scaling.Columns{N: f.N, D: f.D, C: f.C, Loss: f.Loss, Diverged: f.Diverged}, f.OnBad == "skip")
		if err != nil {
			return err
		}
		if f.Convention != "auto" {
			s.Convention = f.Convention
		}
		if err := set.Add(s); err != nil {
			return fmt.Errorf("%s: %w; --convention says what N counts", path, err)
		}
	}
	whole := len(scaling.Converged(set.Runs))
	runs := scaling.DropHighest(set.Runs, f.DropHighest)
	r := fitResult{Runs: len(runs), Diverged: len(set.Runs) - whole, Dropped: whole - len(runs), Convention: set.Convention, Notes: set.Notes}
	points := runs
	if len(set.Curves) > 0 {
		points = set.Curves
	}
	budgets := f.Budget
	if len(budgets) == 0 {
		most := 0.0
		for _, p := range runs {
			most = max(most, p.C)
		}
		budgets = []float64{10 * most}
	}
	var text strings.Builder
	o := scaling.FitOptions{Threads: c.Threads, Seed: c.Seed, Bootstrap: f.Bootstrap}
	for _, a := range []struct {
		name string
		fit  func() (string, error)
	}{
		{"parametric", func() (string, error) { return f.parametric(ctx, &r, runs, budgets, o) }},
		{"envelope", func() (string, error) { return f.envelope(ctx, &r, points, budgets, o) }},
		{"isoflop", func() (string, error) { return f.isoflop(ctx, &r, runs, budgets, o) }},
		{"kaplan", func() (string, error) { return f.kaplan(ctx, &r, runs, budgets, o) }},
	} {
		if f.Approach != "all" && f.Approach != a.name {
			continue
		}
		section, err := a.fit()
		switch {
		case err != nil && (f.Approach == a.name || a.name == "parametric" || ctx.Err() != nil):
			return err
		case err != nil:
			r.Notes = append(r.Notes, fmt.Sprintf("no %s: %s", a.name, strings.TrimPrefix(err.Error(), "scaling: ")))
		}
		text.WriteString(section)
	}
	if p := r.Parametric; p != nil && p.E.Value < 1e-3 {
		r.Notes = append(r.Notes, "E is at its bound of 0: these runs do not tell how much of the loss is irreducible, and the law should not be trusted far beyond them")
	}
	head := fmt.Sprintf("%d runs fitted", r.Runs)
	if r.Diverged > 0 {
		head += fmt.Sprintf(", %d diverged and left out", r.Diverged)
	}
	if r.Dropped > 0 {
		head += fmt.Sprintf(", the %d of highest loss left out", r.Dropped)
	}
	head += fmt.Sprintf("; N counts %s parameters\n", r.Convention)
	for _, n := range r.Notes {
		head += "note: " + n + "\n"
	}
	return c.finish(r, head+text.String())
}

func (f *scaleFitCmd) check() error {
	for _, v := range []struct {
		flag    string
		v, most int
	}{{"drop-highest", f.DropHighest, math.MaxInt}, {"bootstrap", f.Bootstrap, 1e6}, {"holdout", f.Holdout, math.MaxInt}} {
		if v.v < 0 || v.v > v.most {
			return usagef("--%s %d is not within 0 to %d", v.flag, v.v, v.most)
		}
	}
	for _, b := range f.Budget {
		if !(b > 0) || math.IsInf(b, 0) {
			return usagef("--budget %v is not a positive number of FLOPs", b)
		}
	}
	if f.Out != "" && f.Approach != "all" && f.Approach != "parametric" {
		return usagef("--out needs the parametric law, --approach %s fits none", f.Approach)
	}
	return nil
}

type parametricFit struct {
	E         estimate         `json:"e"`
	A         estimate         `json:"a"`
	B         estimate         `json:"b"`
	Alpha     estimate         `json:"alpha"`
	Beta      estimate         `json:"beta"`
	ExponentN estimate         `json:"exponent_n"` // N ~ C^a
	ExponentD estimate         `json:"exponent_d"`
	Objective float64          `json:"objective"`
	Fit       scaling.Goodness `json:"fit"`
	Lost      int              `json:"lost"` // resamples without a law
	Optima    []bestSplit      `json:"optima"`
}

func (f *scaleFitCmd) parametric(ctx context.Context, r *fitResult, runs []scaling.Run, budgets []float64, o scaling.FitOptions) (string, error) {
	fit, err := scaling.Fit(ctx, runs, o)
	if err != nil {
		return "", err
	}
	of := func(number func(scaling.Law) float64) estimate { return estimated(fit.Law, fit.Draws, number) }
	p := &parametricFit{Objective: fit.Objective, Fit: fit.Fit, Lost: fit.Lost,
		E:         of(func(l scaling.Law) float64 { return l.E }),
		A:         of(func(l scaling.Law) float64 { return l.A }),
		B:         of(func(l scaling.Law) float64 { return l.B }),
		Alpha:     of(func(l scaling.Law) float64 { return l.Alpha }),
		Beta:      of(func(l scaling.Law) float64 { return l.Beta }),
		ExponentN: of(func(l scaling.Law) float64 { a, _ := l.Exponents(); return a }),
		ExponentD: of(func(l scaling.Law) float64 { _, b := l.Exponents(); return b }),
	}
	r.Parametric = p
	var t strings.Builder
	fmt.Fprintf(&t, "\nparametric: L(N, D) = E + A/N^alpha + B/D^beta\n")
	for _, row := range []struct {
		name string
		estimate
	}{{"E", p.E}, {"A", p.A}, {"B", p.B}, {"alpha", p.Alpha}, {"beta", p.Beta}, {"N ~ C^", p.ExponentN}, {"D ~ C^", p.ExponentD}} {
		writeRow(&t, row.name, row.estimate)
	}
	fmt.Fprintf(&t, "  sum of Huber losses %.9g, %s%s\n", p.Objective, describeFit(p.Fit), lost(p.Lost))
	for _, C := range budgets {
		b := lossAt(fit.Law, fit.Draws, C)
		p.Optima = append(p.Optima, b)
		t.WriteString(b.String())
	}
	if f.Holdout > 0 {
		section, err := f.holdout(ctx, r, runs, o)
		if err != nil && (f.Holdout > 1 || ctx.Err() != nil) {
			return "", fmt.Errorf("--holdout %d: %w", f.Holdout, err)
		}
		if err != nil {
			r.Notes = append(r.Notes, "nothing held out: "+err.Error())
		}
		t.WriteString(section)
	}
	if f.Out != "" {
		if err := fit.File(runs, r.Convention, f.Paths).Write(f.Out); err != nil {
			return "", err
		}
		r.LawFile = f.Out
		fmt.Fprintf(&t, "  written to %s\n", f.Out)
	}
	return t.String(), nil
}

// writeRow writes a constant with its standard error and interval.
func writeRow(t *strings.Builder, name string, e estimate) {
	if e.Interval == nil {
		fmt.Fprintf(t, "  %-7s %-10.6g\n", name, e.Value)
		return
	}
	fmt.Fprintf(t, "  %-7s %-10.6g s.e. %-9.4g %g %% interval %.5g to %.5g\n", name, e.Value, e.SE, 100*scaling.Confidence, e.Low, e.High)
}

func describeFit(g scaling.Goodness) string {
	return fmt.Sprintf("R2 %.5f of ln L, residuals %.2f %% rms, %.2f %% at most", g.R2, 100*g.RMS, 100*g.Max)
}

func lost(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d resamples had no law", n)
}

// heldOut is a run that a fit did not see.
type heldOut struct {
	Name       string   `json:"name"`
	N          float64  `json:"n"`
	D          float64  `json:"d"`
	C          float64  `json:"c"`
	Ahead      float64  `json:"ahead"` // C over the largest fitted run's
	Loss       float64  `json:"loss"`
	Predicted  estimate `json:"predicted"`
	Error      float64  `json:"error"`
	BestSmall  float64  `json:"best_smaller"`
	NaiveError float64  `json:"naive_error"` // of predicting the best smaller run's loss
}

func (f *scaleFitCmd) holdout(ctx context.Context, r *fitResult, runs []scaling.Run, o scaling.FitOptions) (string, error) {
	h, err := scaling.Holdout(ctx, runs, f.Holdout, o)
	if err != nil {
		return "", err
	}
	var t strings.Builder
	fmt.Fprintf(&t, "  fitted to the other %d runs, it predicts for the largest:\n", h.Runs)
	for _, v := range h.HeldOut {
		out := heldOut{v.Run.Name, v.Run.N, v.Run.D, v.Run.C, v.Ahead, v.Run.Loss, estimate{Value: v.Predicted}, v.Error, v.BestSmall, v.NaiveError}
		if !math.IsNaN(v.Interval.SE) {
			out.Predicted.Interval = &v.Interval
		}
		r.HeldOut = append(r.HeldOut, out)
		fmt.Fprintf(&t, "    N %s, D %s, %.3g times the compute of the next: %s, measured %.4f, error %+.2f %%; the best smaller run's %.4f is %+.2f %% off\n",
			count(out.N), count(out.D), out.Ahead, out.Predicted.span(func(l float64) string { return fmt.Sprintf("%.4f", l) }), out.Loss, 100*out.Error,
			out.BestSmall, 100*out.NaiveError)
	}
	return t.String(), nil
}

type frontierFit struct {
	N         scaling.Power     `json:"n"` // of C
	D         scaling.Power     `json:"d"`
	ExponentN estimate          `json:"exponent_n"`
	ExponentD estimate          `json:"exponent_d"`
	Loss      *scaling.PowerLaw `json:"loss,omitempty"` // along the frontier
	Valleys   []scaling.Valley  `json:"valleys,omitempty"`
	Dropped   []string          `json:"dropped,omitempty"`
	Lost      int               `json:"lost"`
	Optima    []bestSplit       `json:"optima"`
}

func (f *scaleFitCmd) envelope(ctx context.Context, r *fitResult, points []scaling.Run, budgets []float64, o scaling.FitOptions) (string, error) {
	fit, err := scaling.FitEnvelope(points, o)
	if err != nil {
		return "", err
	}
	var section string
	r.Envelope, section = describeFrontier(ctx, fit, budgets, o)
	winners := map[float64]bool{}
	for _, p := range fit.Optima {
		winners[p.N] = true
	}
	first, last := fit.Optima[0].C, fit.Optima[len(fit.Optima)-1].C
	return fmt.Sprintf("\nenvelope: %d sizes are lowest in turn from C %.3g to %.3g\n%s", len(winners), first, last, section), nil
}

func (f *scaleFitCmd) isoflop(ctx context.Context, r *fitResult, runs []scaling.Run, budgets []float64, o scaling.FitOptions) (string, error) {
	fit, err := scaling.FitIsoFLOP(runs, o)
	if err != nil {
		return "", err
	}
	var section string
	r.IsoFLOP, section = describeFrontier(ctx, &fit.Frontier, budgets, o)
	r.IsoFLOP.Valleys, r.IsoFLOP.Dropped = fit.Valleys, fit.Dropped
	var t strings.Builder
	fmt.Fprintf(&t, "\nisoflop: %d valleys\n", len(fit.Valleys))
	for _, v := range fit.Valleys {
		fmt.Fprintf(&t, "    C %.3g, %d runs: least loss %.4f at N %s, D %s\n", v.C, len(v.Runs), v.Loss, count(v.N), count(v.D))
	}
	for _, d := range fit.Dropped {
		fmt.Fprintf(&t, "    dropped: %s\n", d)
	}
	return t.String() + section, nil
}

func describeFrontier(ctx context.Context, fit *scaling.Frontier, budgets []float64, o scaling.FitOptions) (*frontierFit, string) {
	r := &frontierFit{N: fit.N, D: fit.D, Lost: fit.Lost,
		ExponentN: estimated(fit.Allocation, fit.Draws, func(a scaling.Allocation) float64 { return a.N.Exponent }),
		ExponentD: estimated(fit.Allocation, fit.Draws, func(a scaling.Allocation) float64 { return a.D.Exponent })}
	var t strings.Builder
	writeRow(&t, "N ~ C^", r.ExponentN)
	writeRow(&t, "D ~ C^", r.ExponentD)
	o.Bootstrap = 0
	if l, err := fit.FitLoss(ctx, o); err == nil {
		r.Loss = &l.Law
		fmt.Fprintf(&t, "  L(C) = (%.4g/C)^%.4g + %.4g, %s\n", l.Law.X, l.Law.Alpha, l.Law.E, describeFit(l.Fit))
	}
	if r.Lost > 0 {
		fmt.Fprintf(&t, "  %d resamples had no frontier\n", r.Lost)
	}
	for _, C := range budgets {
		b := optimumAt(fit.Allocation, fit.Draws, C)
		r.Optima = append(r.Optima, b)
		t.WriteString(b.String())
	}
	return r, t.String()
}

type kaplanFit struct {
	NC        estimate         `json:"nc"`
	DC        estimate         `json:"dc"`
	AlphaN    estimate         `json:"alpha_n"`
	AlphaD    estimate         `json:"alpha_d"`
	Objective float64          `json:"objective"`
	Fit       scaling.Goodness `json:"fit"`
	Lost      int              `json:"lost"`
	Optima    []bestSplit      `json:"optima"`
}

func (f *scaleFitCmd) kaplan(ctx context.Context, r *fitResult, runs []scaling.Run, budgets []float64, o scaling.FitOptions) (string, error) {
	fit, err := scaling.FitKaplan(ctx, runs, o)
	if err != nil {
		return "", err
	}
	of := func(number func(scaling.KaplanND) float64) estimate { return estimated(fit.Law, fit.Draws, number) }
	k := &kaplanFit{Objective: fit.Objective, Fit: fit.Fit, Lost: fit.Lost,
		NC:     of(func(l scaling.KaplanND) float64 { return l.NC }),
		DC:     of(func(l scaling.KaplanND) float64 { return l.DC }),
		AlphaN: of(func(l scaling.KaplanND) float64 { return l.AlphaN }),
		AlphaD: of(func(l scaling.KaplanND) float64 { return l.AlphaD }),
	}
	r.Kaplan = k
	var t strings.Builder
	fmt.Fprintf(&t, "\nkaplan: L(N, D) = ((NC/N)^(alphaN/alphaD) + DC/D)^alphaD, no irreducible loss\n")
	for _, row := range []struct {
		name string
		estimate
	}{{"NC", k.NC}, {"DC", k.DC}, {"alphaN", k.AlphaN}, {"alphaD", k.AlphaD}} {
		writeRow(&t, row.name, row.estimate)
	}
	fmt.Fprintf(&t, "  sum of Huber losses %.9g, %s%s\n", k.Objective, describeFit(k.Fit), lost(k.Lost))
	for _, C := range budgets {
		b := lossAt(fit.Law, fit.Draws, C)
		k.Optima = append(k.Optima, b)
		t.WriteString(b.String())
	}
	return t.String(), nil
}
