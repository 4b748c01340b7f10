package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model/zoo"
)

type convertCmd struct {
	Model  string `required:"" help:"Model folder, GGUF file, or model of the store." placeholder:"DIR|FILE|NAME"`
	Out    string `required:"" help:"GGUF file (its name ends in .gguf), or a new folder with Hugging Face's files." placeholder:"FILE.gguf|DIR"`
	DType  string `name:"dtype" default:"f32" enum:"f32,f16,bf16,q8_0" help:"Type of matrices: f32, f16, bf16; q8_0 for a GGUF file."`
	Shard  int64  `default:"5000000000" help:"Most bytes of each file of weights in a folder." placeholder:"BYTES"`
	Layout string `enum:"transformers,open_clip" default:"transformers" help:"Of a CLIP's folder: transformers, or open_clip." placeholder:"NAME"`
	Force  bool   `help:"Replace a GGUF file that is there."`
}

func (*convertCmd) Help() string {
	return "Weights, config, tokenizer and chat template, between folders in Hugging Face's layout and GGUF files.\nExample: plinth convert --model runs/quickstart --out quickstart.gguf --dtype f16"
}

// dtypes are the types by flag, with general.file_type of a GGUF.
var dtypes = map[string]struct {
	dtype    checkpoint.DType
	fileType uint32
}{"f32": {checkpoint.F32, 0}, "f16": {checkpoint.F16, 1}, "bf16": {checkpoint.BF16, 32}, "q8_0": {checkpoint.Q8_0, 7}}

func (v *convertCmd) Run(ctx context.Context, c *common) error {
	path, err := modelPath(v.Model)
	if err != nil {
		return err
	}
	if err := mayWrite(path, v.Out, v.Force); err != nil {
		return err
	}
	d := dtypes[v.DType]
	switch {
	case zoo.IsGGUF(v.Out) && v.Layout == "open_clip":
		return usagef("--layout open_clip is for a folder")
	case zoo.IsGGUF(v.Out):
		list, err := zoo.WriteGGUF(ctx, path, v.Out, d.fileType, c.Threads, zoo.PickType(d.dtype))
		if err != nil {
			return err
		}
		return c.finishWritten(v.Out, list, false)
	case v.Shard < 1:
		return usagef("--shard %d is no number of bytes", v.Shard)
	case d.dtype == checkpoint.Q8_0:
		return usagef("--dtype q8_0 is for a GGUF file")
	}
	if err := zoo.WriteDir(ctx, path, v.Out, zoo.DirOptions{DType: d.dtype, ShardBytes: v.Shard, Threads: c.Threads, OpenCLIP: v.Layout == "open_clip"}); err != nil {
		return err
	}
	return c.finish(map[string]string{"out": v.Out}, v.Out+"\n")
}

// mayWrite refuses to write a model over the file that it is read from, which may be the only one with all of its bits, and without force over any other. A
// folder is never replaced.
func mayWrite(model, out string, force bool) error {
	a, err := os.Stat(model)
	if err != nil {
		return err
	}
	b, err := os.Stat(out)
	switch {
	case err != nil:
		dir := filepath.Dir(out)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return usagef("--out %s: there is no folder %s", out, dir)
		}
		return nil // whoever writes it will tell
	case os.SameFile(a, b):
		return usagef("--out %s is the model itself", out)
	case b.IsDir():
		return usagef("--out %s is a folder that is there already", out)
	case !zoo.IsGGUF(out):
		return usagef("--out %s is a file that is there already, and no GGUF file, whose name ends in .gguf: a new folder is written, no file replaced", out)
	case !force:
		return usagef("--out %s is there already; --force replaces it", out)
	}
	return nil
}

// finishWritten prints what a GGUF file holds, with all a line for each tensor.
func (c *common) finishWritten(path string, list []zoo.Written, all bool) error {
	return c.finishTensors(tensorList{Out: path}, list, all)
}

// tensorList is what a file of tensors holds.
type tensorList struct {
	Out     string      `json:"out,omitempty"`  // the file, where it was written
	File    string      `json:"file,omitempty"` // the file, where it was read
	Bytes   int64       `json:"bytes"`
	Params  int64       `json:"params"`
	Tensors []tensorRow `json:"tensors"`
}

type tensorRow struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
	Bytes int    `json:"bytes"`
}

func (c *common) finishTensors(out tensorList, list []zoo.Written, all bool) error {
	var text strings.Builder
	for _, t := range list {
		out.Bytes += int64(t.Bytes)
		out.Params += int64(t.Elements())
		out.Tensors = append(out.Tensors, tensorRow{t.Name, strings.ToLower(string(t.DType)), t.Shape, t.Bytes})
		if all {
			fmt.Fprintf(&text, "%-36s %-5s %-16s %12d\n", t.Name, strings.ToLower(string(t.DType)), fmt.Sprint(t.Shape), t.Bytes)
		}
	}
	fmt.Fprintf(&text, "%s: %s, %sB, %.3g bits per weight\n", out.Out+out.File, plural(len(list), "tensor"), count(out.Bytes), 8*float64(out.Bytes)/float64(max(out.Params, 1)))
	return c.finish(out, text.String())
}
