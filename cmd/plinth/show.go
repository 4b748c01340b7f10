package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/plinth-ml/plinth/model/zoo"
)

type showCmd struct {
	Model   string `arg:"" optional:"" help:"Model folder, or the name of a size; without it the sizes are listed." placeholder:"DIR|NAME"`
	Tensors bool   `help:"List every parameter."`
}

func (s *showCmd) Help() string { return "Example: plinth show gpt3-175b" }

func (s *showCmd) Run(c *common) error {
	if s.Model == "" {
		return s.list(c)
	}
	m, err := s.open()
	if err != nil {
		return err
	}
	z := m.Sizes()
	cost := m.Cost(z.Context)
	type param struct {
		Name  string `json:"name"`
		Shape []int  `json:"shape"`
	}
	out := struct {
		Model     string  `json:"model"`
		Layers    int     `json:"layers"`
		Width     int     `json:"width"`
		Heads     int     `json:"heads"`
		HeadDim   int     `json:"head_dim"`
		Vocab     int     `json:"vocab"`
		Context   int     `json:"context"`
		Window    int     `json:"window,omitempty"`
		Params    int64   `json:"params"`
		Bytes     int64   `json:"weight_bytes"`
		Train     int64   `json:"training_bytes"`
		Forward   float64 `json:"forward_flops_per_token"`
		TrainFlop float64 `json:"train_flops_per_token"`
		Tensors   []param `json:"tensors,omitempty"`
	}{s.Model, z.Layers, z.Width, z.Heads, z.HeadDim, z.Vocab, z.Context, z.Window, cost.Params, 4 * cost.Params, 16 * cost.Params,
		cost.Matrix + cost.Attention, cost.Train(), nil}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n  layers %d, width %d, heads %d x %d, vocabulary %d, context %d\n", s.Model, z.Layers, z.Width, z.Heads, z.HeadDim, z.Vocab, z.Context)
	if z.Window > 0 {
		fmt.Fprintf(&text, "  some layers attend within a band of %d\n", z.Window)
	}
	fmt.Fprintf(&text, "  parameters        %d (%s)\n", cost.Params, count(cost.Params))
	fmt.Fprintf(&text, "  weights           %sB in float32\n", count(out.Bytes))
	fmt.Fprintf(&text, "  training          %sB for weights, gradients and AdamW's moments, activations not counted\n", count(out.Train))
	fmt.Fprintf(&text, "  forward           %sFLOP per token (attention %.1f %%)\n", count(out.Forward), 100*cost.Attention/out.Forward)
	fmt.Fprintf(&text, "  forward+backward  %sFLOP per token; the rule of thumb 6N gives %s\n", count(out.TrainFlop), count(6*float64(cost.Params)))
	if s.Tensors {
		for _, p := range m.Params() {
			out.Tensors = append(out.Tensors, param{p.Name, p.T().Shape()})
			fmt.Fprintf(&text, "  %-40s %v\n", p.Name, p.T().Shape())
		}
	}
	return c.finish(out, text.String())
}

// open returns the model of a folder or of a named size, shapes only.
func (s *showCmd) open() (zoo.Model, error) {
	if info, err := os.Stat(s.Model); err == nil && info.IsDir() {
		return zoo.Describe(s.Model)
	}
	size, err := zoo.SizeByName("", s.Model)
	if err != nil {
		return nil, usagef("%s is no folder, and %w", s.Model, err)
	}
	return size.New(size.Vocab, size.Context, -1)
}

func (s *showCmd) list(c *common) error {
	type row struct {
		Family string `json:"family"`
		Name   string `json:"name"`
		Params int64  `json:"params"`
	}
	var rows []row
	var text strings.Builder
	for _, z := range zoo.Sizes() {
		m, err := z.New(z.Vocab, z.Context, -1)
		if err != nil {
			return err
		}
		n := m.Sizes()
		rows = append(rows, row{z.Family, z.Name, m.Cost(1).Params})
		fmt.Fprintf(&text, "%-6s %-12s %3d layers, width %5d, heads %2d, context %6d, vocabulary %6d: %d parameters\n", z.Family, z.Name, n.Layers, n.Width,
			n.Heads, n.Context, n.Vocab, rows[len(rows)-1].Params)
	}
	return c.finish(map[string]any{"sizes": rows}, text.String())
}
