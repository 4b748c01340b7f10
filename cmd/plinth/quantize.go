package main

import (
	"context"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/model/zoo"
)

type quantizeCmd struct {
	Model string `required:"" help:"Model folder, GGUF file of f32, f16 or bf16, or model of the store." placeholder:"DIR|FILE|NAME"`
	Out   string `required:"" help:"GGUF file to write; of nf4 a new folder." placeholder:"FILE.gguf|DIR"`
	Type  string `required:"" help:"Type, or mixture of types, in any case: q8_0, q4_0, q4_k (llama-quantize's Q4_K_S), q6_k, q4_k_m, q5_k_m; nf4, the 4 bits of bitsandbytes in a folder that transformers reads." placeholder:"TYPE"`
	Force bool   `help:"Replace a file that is there (a folder never)."`
}

func (*quantizeCmd) Help() string {
	return "Types are chosen for each tensor as llama-quantize chooses them, and blocks have the bits of ggml's reference.\nExample: plinth quantize --model runs/quickstart --out quickstart-q4_k_m.gguf --type q4_k_m"
}

func (v *quantizeCmd) Run(ctx context.Context, c *common) error {
	types := []string{"q8_0", "q4_0", "q4_k", "q6_k", "q4_k_m", "q5_k_m", "nf4"}
	typ := strings.ToLower(v.Type)
	folder := typ == "nf4"
	switch {
	case !slices.Contains(types, typ):
		return usagef("--type %s is none of %s", v.Type, strings.Join(types, ", "))
	case folder && zoo.IsGGUF(v.Out):
		return usagef("--out %s: GGUF files have no nf4, it is written as a folder", v.Out)
	case !folder && !zoo.IsGGUF(v.Out):
		return usagef("--out %s is no name of a GGUF file: it must end in .gguf", v.Out)
	}
	path, err := modelPath(v.Model)
	if err != nil {
		return err
	}
	if err := mayWrite(path, v.Out, v.Force); err != nil {
		return err
	}
	var list []zoo.Written
	if folder {
		list, err = zoo.Quantize4Bit(ctx, path, v.Out, c.Threads)
	} else {
		list, err = zoo.Quantize(ctx, path, v.Out, typ, c.Threads)
	}
	if err != nil {
		return err
	}
	return c.finishWritten(v.Out, list, true)
}
