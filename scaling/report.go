package scaling

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"
)

//go:embed report.html
var reportPage string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"si": si,
	"flop": func(v float64) template.HTML {
		f, e := power(v)
		return template.HTML(fmt.Sprintf("%s<sup>%s</sup>", f, e))
	},
	"f4":  func(v float64) string { return fmt.Sprintf("%.4f", v) },
	"pct": func(v float64) string { return fmt.Sprintf("%+.2f %%", 100*v) },
	"svg": func(f *Figure) template.HTML { return template.HTML(f.SVG(true)) },
	"css": themeCSS,
}).Parse(reportPage))

// themeCSS are the colours as variables.
func themeCSS(name string) template.CSS {
	theme := light
	if name == "dark" {
		theme = dark
	}
	var b strings.Builder
	for _, t := range []tone{ink, muted, grid, paper, accent, second} {
		fmt.Fprintf(&b, "--%s:%s;", t, theme[t])
	}
	for i := range ramp {
		fmt.Fprintf(&b, "--%s:%s;", rampTone(i), theme[rampTone(i)])
	}
	return template.CSS(b.String())
}

// Formula is a law with its constants and its source.
func Formula(p Predictor) string {
	switch l := p.(type) {
	case Law:
		return l.String() + " (Hoffmann et al. 2022, equation 2)"
	case KaplanND:
		return fmt.Sprintf("L = ((%.4g/N)^(%.4g/%.4g) + %.4g/D)^%.4g (Kaplan et al. 2020, equation 1.5)", l.NC, l.AlphaN, l.AlphaD, l.DC, l.AlphaD)
	}
	return fmt.Sprint(p)
}

// reportRun is a row of the report's table.
type reportRun struct {
	Run
	PerParam, Law, Off float64 // Off is the law's loss over the measured one, less one
	Held               bool
}

// Report is all figures and the runs as one HTML page that needs nothing else, readable in light and dark and on a phone. Title names the set of runs.
func (p Plot) Report(title string) ([]byte, error) {
	figures, err := p.Figures()
	if err != nil {
		return nil, err
	}
	v := struct {
		Title     string
		Figures   []*Figure
		Rows      []reportRun
		Converged int
		Decades   float64
		Total     float64
		Law       Predictor
		Formula   string
		A, B      float64 // exponents of the optimum
		Held      []reportRun
		BestSmall float64
	}{Title: title, Figures: figures, Law: p.Law, BestSmall: math.Inf(1)}
	low, high := math.Inf(1), 0.0
	d := drawn{Plot: p}
	for _, r := range p.Runs {
		row := reportRun{Run: r, PerParam: r.D / r.N, Held: d.held(r)}
		v.Total += r.C
		if !r.Diverged {
			v.Converged++
			low, high = min(low, r.C), max(high, r.C)
			if p.Law != nil {
				row.Law = p.Law.Loss(r.N, r.D)
				row.Off = row.Law/r.Loss - 1
			}
			if row.Held {
				v.Held = append(v.Held, row)
			} else {
				v.BestSmall = min(v.BestSmall, r.Loss)
			}
		}
		v.Rows = append(v.Rows, row)
	}
	v.Decades = math.Log10(high / low)
	if p.Law != nil {
		v.Formula = Formula(p.Law)
		n1, d1 := p.Law.Optimum(low)
		n2, d2 := p.Law.Optimum(high)
		v.A, v.B = math.Log(n2/n1)/math.Log(high/low), math.Log(d2/d1)/math.Log(high/low)
	}
	var b bytes.Buffer
	err = reportTemplate.Execute(&b, v)
	return b.Bytes(), err
}
