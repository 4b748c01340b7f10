package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
)

type showCmd struct {
	Model   string `arg:"" optional:"" help:"Model folder or file, a model of the store, or the name of a size; without it the sizes are listed." placeholder:"DIR|NAME"`
	Tensors bool   `help:"List every parameter."`
}

func (s *showCmd) Help() string { return "Example: plinth show gpt3-175b" }

// cacheTypes are the bytes of one key or value in each type of cache.
var cacheTypes = []struct {
	name  string
	bytes float64
}{{"f32", 4}, {"f16", 2}, {"q8_0", 34.0 / 32}}

// memory is what using a model takes at one context length.
type memory struct {
	Context int              `json:"context"`
	Cache   map[string]int64 `json:"cache_bytes"` // of one sequence, by the cache's type
}

// memoryTable is the cache's memory at context lengths from 1024, times 4, up to the model's own.
func memoryTable(z model.Sizes) []memory {
	var lengths []int
	for n := 1024; n < z.Context; n *= 4 {
		lengths = append(lengths, n)
	}
	var rows []memory
	for _, n := range append(lengths, z.Context) {
		m := memory{n, map[string]int64{}}
		for _, t := range cacheTypes {
			m.Cache[t.name] = int64(2 * float64(z.Layers*z.KVHeads*z.HeadDim) * float64(n) * t.bytes)
		}
		rows = append(rows, m)
	}
	return rows
}

func (s *showCmd) Run(c *common) error {
	if s.Model == "" {
		return s.list(c)
	}
	if info, err := os.Stat(s.Model); err == nil && !info.IsDir() && zoo.IsTensors(s.Model) {
		if !zoo.IsModelDir(filepath.Dir(s.Model)) || filepath.Ext(s.Model) != ".safetensors" {
			return s.file(c)
		}
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
		Model     string   `json:"model"`
		Family    string   `json:"family"`
		Layers    int      `json:"layers"`
		Width     int      `json:"width"`
		Heads     int      `json:"heads"`
		KVHeads   int      `json:"kv_heads"`
		HeadDim   int      `json:"head_dim"`
		Vocab     int      `json:"vocab"`
		Context   int      `json:"context"`
		Window    int      `json:"window,omitempty"`
		Params    int64    `json:"params"`
		Bytes     int64    `json:"weight_bytes"`
		File      int64    `json:"file_bytes,omitempty"` // what the files of weights hold
		Train     int64    `json:"training_bytes"`
		Forward   float64  `json:"forward_flops_per_token"`
		TrainFlop float64  `json:"train_flops_per_token"`
		Memory    []memory `json:"memory,omitempty"` // of a decoder
		Pictures  *tower   `json:"pictures,omitempty"`
		Tensors   []param  `json:"tensors,omitempty"`
	}{s.Model, family(m), z.Layers, z.Width, z.Heads, z.KVHeads, z.HeadDim, z.Vocab, z.Context, z.Window, cost.Params, 4 * cost.Params, weightFiles(s.Model), 16 * cost.Params,
		cost.Matrix + cost.Attention, cost.Train(), nil, picturesOf(m), nil}
	if _, ok := m.(zoo.Model); ok {
		out.Memory = memoryTable(z)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s (%s)\n  layers %d, width %d, heads %d x %d", s.Model, out.Family, z.Layers, z.Width, z.Heads, z.HeadDim)
	if z.KVHeads != z.Heads {
		fmt.Fprintf(&text, " on %d of keys and values", z.KVHeads)
	}
	fmt.Fprintf(&text, ", vocabulary %d, context %d\n", z.Vocab, z.Context)
	if z.Window > 0 {
		fmt.Fprintf(&text, "  some layers attend within a band of %d\n", z.Window)
	}
	if p := out.Pictures; p != nil {
		fmt.Fprintf(&text, "  pictures of %d pixels a side: %s; vectors of %d numbers\n", p.Side, p.Tower, p.Vector)
	}
	fmt.Fprintf(&text, "  parameters        %d (%s)\n", cost.Params, count(cost.Params))
	fmt.Fprintf(&text, "  weights           %sB in float32", count(out.Bytes))
	if out.File > 0 {
		fmt.Fprintf(&text, ", %sB in the file", count(out.File))
	}
	text.WriteByte('\n')
	fmt.Fprintf(&text, "  training          %sB for weights, gradients and AdamW's moments, activations not counted\n", count(out.Train))
	fmt.Fprintf(&text, "  forward           %sFLOP per token (attention %.1f %%)\n", count(out.Forward), 100*cost.Attention/out.Forward)
	fmt.Fprintf(&text, "  forward+backward  %sFLOP per token; the rule of thumb 6N gives %s\n", count(out.TrainFlop), count(6*float64(cost.Params)))
	if len(out.Memory) > 0 {
		fmt.Fprintf(&text, "  to use it, beside the weights, for each sequence of a context of\n")
	}
	for _, row := range out.Memory {
		fmt.Fprintf(&text, "    %8d tokens ", row.Context)
		for _, t := range cacheTypes {
			fmt.Fprintf(&text, "  %9sB (%s)", count(row.Cache[t.name]), t.name)
		}
		text.WriteByte('\n')
	}
	if s.Tensors {
		for _, p := range m.Params() {
			out.Tensors = append(out.Tensors, param{p.Name, p.T().Shape()})
			fmt.Fprintf(&text, "  %-40s %v\n", p.Name, p.T().Shape())
		}
	}
	return c.finish(out, text.String())
}

// tower is what a model has for pictures.
type tower struct {
	Side   int    `json:"side"` // pixels
	Tower  string `json:"tower"`
	Vector int    `json:"vector"`
}

// picturesOf describes a model's tower for pictures; nil where it has none.
func picturesOf(m zoo.Stored) *tower {
	c, ok := m.(*clip.Model)
	if !ok {
		return nil
	}
	return &tower{c.Tower().Side(), c.Describe(), c.Config.Projection}
}

// file lists the tensors of a file that does not say what model they are of.
func (s *showCmd) file(c *common) error {
	src, err := zoo.OpenTensors(s.Model)
	if err != nil {
		return err
	}
	defer src.Close()
	var list []zoo.Written
	for _, t := range src.Infos() {
		list = append(list, zoo.Written{Info: t, Bytes: t.Elements() * t.DType.Size()})
	}
	return c.finishTensors(tensorList{File: s.Model}, list, true)
}

// family is the model_type of a model's config.json.
func family(m zoo.Stored) string {
	if c, ok := m.(*clip.Model); ok {
		return c.Config.ModelType // which a file of open_clip does not name
	}
	var head struct {
		Type string `json:"model_type"`
	}
	config, err := m.ConfigJSON()
	if err != nil || json.Unmarshal(config, &head) != nil {
		return "unknown family"
	}
	return head.Type
}

// weightFiles is the size of a model's files of weights; 0 where there are none.
func weightFiles(name string) int64 {
	path, err := modelPath(name)
	if err != nil {
		return 0
	}
	files := []string{path}
	if !zoo.IsGGUF(path) {
		files = nil
		for _, pattern := range []string{"*.safetensors", "pytorch_model*.bin", "*.pth", "*.pt"} {
			if len(files) == 0 {
				files, _ = filepath.Glob(filepath.Join(path, pattern))
			}
		}
	}
	total := int64(0)
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	return total
}

// open returns the model of a folder, of the store or of a named size, shapes only.
func (s *showCmd) open() (zoo.Stored, error) {
	if size, err := zoo.SizeByName("", s.Model); err == nil {
		return size.New(size.Vocab, size.Context, -1)
	}
	path, err := modelPath(s.Model)
	if err != nil {
		return nil, usagef("%w; plinth show lists the names of sizes", err)
	}
	return zoo.Describe(path)
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
