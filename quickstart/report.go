package quickstart

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"pct": func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
	"f3":  func(v float64) string { return fmt.Sprintf("%.3f", v) },
	"mb":  func(n int) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) },
	"m":   func(n int64) string { return fmt.Sprintf("%.2f M", float64(n)/1e6) },
	"k":   func(v float64) string { return fmt.Sprintf("%.1f k", v/1e3) },
}).Parse(page))

// html is the report: one file without scripts and without anything from outside.
func (s *story) html() ([]byte, error) {
	v := struct {
		*story
		Machine                   string
		CurveSVG, BitsSVG, BarSVG template.HTML
		Rows                      []row
		Verdict                   string
		NextLines                 []string
		BodyTokens, Seeds         int
	}{story: s, Machine: s.machine(), CurveSVG: template.HTML(s.curveSVG()), BitsSVG: template.HTML(s.bitsSVG()),
		NextLines: strings.Split(s.Next(), "\n"), BodyTokens: bodyTokens, Seeds: seeds}
	if t := s.Transfer; t != nil {
		v.Rows, v.Verdict, v.BarSVG = t.rows(), t.Verdict(), template.HTML(t.svg())
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, v)
	return out.Bytes(), err
}
