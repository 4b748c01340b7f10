package main

import (
	"strings"

	"github.com/plinth-ml/plinth/model/zoo"
)

type quantizeCmd struct {
	Model string `required:"" help:"Model folder, GGUF file of f32, f16 or bf16, or model of the store." placeholder:"DIR|FILE|NAME"`
	Out   string `required:"" help:"GGUF file to write." placeholder:"FILE.gguf"`
	Type  string `required:"" enum:"q8_0,q4_0,q4_k,q6_k,q4_k_m,q5_k_m" help:"Type, or mixture of types: ${enum}." placeholder:"TYPE"`
}

func (*quantizeCmd) Help() string {
	return "Types are chosen for each tensor as llama-quantize chooses them, and blocks have the bits of ggml's reference.\nExample: plinth quantize --model runs/quickstart --out quickstart-q4_k_m.gguf --type q4_k_m"
}

func (v *quantizeCmd) Run(c *common) error {
	if !zoo.IsGGUF(v.Out) {
		return usagef("--out %s is no name of a GGUF file: it must end in .gguf", v.Out)
	}
	path, err := modelPath(v.Model)
	if err != nil {
		return err
	}
	list, err := zoo.Quantize(path, v.Out, strings.ToLower(v.Type))
	if err != nil {
		return err
	}
	return c.finishStored(v.Out, list, true)
}
