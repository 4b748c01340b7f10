package scaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Milestone is a model that was the largest of its kind, or the answer to one that was.
type Milestone struct {
	Name   string
	Year   float64 // of the first publication, with the part of the year
	Params float64
	Source string
}

// Milestones are published models by year: those of PublishedModels that the history of sizes is told with, and others known for their size alone.
func Milestones() []Milestone {
	list := []Milestone{
		{"ELMo", 2018.1, 94e6, "Peters et al. 2018 (arXiv 1802.05365); count from Smith et al. 2022, figure 1"},
		{"GPT", 2018.4, 117e6, "Radford et al. 2018; count from Radford et al. 2019, table 2"},
		{"Megatron-LM", 2019.7, 8.3e9, "Shoeybi et al. 2019 (arXiv 1909.08053)"},
		{"T5", 2019.8, 11e9, "Raffel et al. 2019 (arXiv 1910.10683)"},
		{"Turing-NLG", 2020.1, 17.2e9, "Microsoft Research 2020; Smith et al. 2022, figure 1"},
		{"Llama 3.1", 2024.6, 405e9, "Dubey et al. 2024 (arXiv 2407.21783)"},
		{"DeepSeek-V3", 2025.0, 671e9, "DeepSeek-AI 2024 (arXiv 2412.19437); 37 B at work for a token"},
	}
	names := map[string]string{"bert-large": "BERT-Large", "gpt2-xl": "GPT-2", "gpt3-175b": "GPT-3", "mt-nlg-530b": "MT-NLG", "gopher-280b": "Gopher",
		"chinchilla-70b": "Chinchilla", "palm-540b": "PaLM"}
	for _, m := range PublishedModels {
		if name := names[m.Name]; name != "" {
			list = append(list, Milestone{name, m.Year, m.Params, m.Source})
		}
	}
	slices.SortFunc(list, func(a, b Milestone) int { return cmp.Or(cmp.Compare(a.Year, b.Year), cmp.Compare(a.Name, b.Name)) })
	return list
}

// models is the history of sizes. list has at least two models.
func models(list []Milestone) *Figure {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Milestone) int { return cmp.Compare(a.Year, b.Year) })
	f := &Figure{Name: "models", Title: "Parameters of published models",
		Note: "By the date of first publication. From 2018 to 2021 the largest grew tenfold a year; since then tokens have grown more than parameters."}
	least, most := math.Inf(1), 0.0
	for _, m := range list {
		least, most = min(least, m.Params), max(most, m.Params)
	}
	low, high := room(least, most, 0.08, true)
	first, last := math.Floor(list[0].Year), math.Ceil(list[len(list)-1].Year+0.3)
	year := func(v float64) (string, string) { return fmt.Sprintf("%.0f", v), "" }
	c := newChart(f, axis{from: first, to: max(last, first+1), title: "year", label: year}, axis{from: low, to: high, log: true, title: "parameters", label: labelSI}, 24)
	start := list[0]
	guide := func(y float64) float64 { return start.Params * math.Pow(10, y-start.Year) }
	c.curve(accent, 2, 6, axis{}.samples(80, start.Year, last), guide)
	barrier := f.boxes // the guide
	for _, m := range list {
		c.disc(c.point(m.Year, m.Params), 5, second, paper, fmt.Sprintf("%s\n%s parameters\n%.1f\n%s", m.Name, si(m.Params), m.Year, m.Source))
		c.taken(c.point(m.Year, m.Params), 6)
	}
	end := start.Year + 0.93*math.Log10(high/start.Params)
	c.place(c.point(end, guide(end)), 10, textSize, accent, "ten times a year", c.frame)
	wide := box{c.frame.x0, c.frame.y0 - 8, figureW - 4, c.frame.y1}
	var left []Milestone
	label := func(m Milestone) bool {
		return c.place(c.point(m.Year, m.Params), 9, textSize, ink, m.Name+" "+si(m.Params), wide)
	}
	for _, m := range list {
		if !label(m) {
			left = append(left, m)
		}
	}
	f.boxes = f.boxes[len(barrier):] // what found no room beside the guide may cross it
	for _, m := range left {
		label(m)
	}
	return f
}
