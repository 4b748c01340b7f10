package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/eval"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

type evalCmd struct {
	Model  string   `required:"" help:"Model folder, .gguf file, or model of the store." placeholder:"DIR|NAME"`
	Data   []string `required:"" help:"Files and folders of text (also .jsonl, .csv, .gz, .zst)." placeholder:"PATH"`
	Seq    int      `default:"0" help:"Tokens per window; 0 means the model's context." placeholder:"N"`
	Stride int      `default:"0" help:"Tokens between two windows; smaller than --seq gives every token more context. 0 means no overlap." placeholder:"N"`
	BOS    string   `name:"bos" enum:"file,always,none" default:"file" help:"Token before each document, which then predicts its first: file (as the tokenizer's file says), always (else the token that ends documents), none." placeholder:"WHEN"`
	readFlags
	taskFlags
}

func (*evalCmd) Help() string {
	return "Every token of a document is predicted from what stands before it in its window, the first where a token such as BOS begins documents. Example: plinth eval --model runs/quickstart --data docs/"
}

func (e *evalCmd) Run(ctx context.Context, c *common) error {
	switch e.Task {
	case imagesTask:
		return e.runImages(ctx, c)
	case retrievalTask:
		return e.runRetrieval(ctx, c)
	}
	path, err := modelPath(e.Model)
	if err != nil {
		return err
	}
	adapted := e.Task != "" && e.Task != "lambada" && e.Task != "mmlu"
	if !adapted && (e.Shifted != "" || e.Adapter != "") {
		return usagef("--shifted and --adapter are for the tasks of plinth adapt")
	}
	if adapted {
		return e.runAdapted(ctx, c, path)
	}
	m, tok, err := openWriter(path, zoo.Options{})
	if err != nil {
		return err
	}
	if e.Task != "" {
		if e.BOS != "file" {
			return usagef("--bos %s is for perplexity: tasks begin texts as the tokenizer's file says", e.BOS)
		}
		return e.runTask(ctx, c, m, tok)
	}
	p, err := eval.NewPerplexity(m, c.kernels(), e.Seq, e.Stride)
	if err != nil {
		return usagef("--seq %d --stride %d: %w", e.Seq, e.Stride, err)
	}
	var skips data.Skips
	documents := 0
	enc := tok.NewEncoder()
	var ids []int32
	for doc, err := range e.documents(ctx, e.Data, &skips) {
		if err != nil {
			return err
		}
		ids = enc.AppendEncode(ids[:0], doc.Text)
		if err := enc.Err(); err != nil {
			return fmt.Errorf("%s: %w", doc.Name, err)
		}
		if ids, err = e.begin(tok, ids); err != nil {
			return err
		}
		if err := p.Add(ctx, ids, func(id int32) int { return len(tok.Token(id)) }); err != nil {
			return fmt.Errorf("%s: %w", doc.Name, err)
		}
		documents++
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	if p.Tokens == 0 {
		return fmt.Errorf("no document of two tokens or more in %s", strings.Join(e.Data, " "))
	}
	out := struct {
		Loss        float64    `json:"loss"`
		Perplexity  float64    `json:"perplexity"`
		BitsPerByte float64    `json:"bits_per_byte"`
		Tokens      int        `json:"tokens"`
		Bytes       int        `json:"bytes"`
		Documents   int        `json:"documents"`
		Skipped     data.Skips `json:"skipped"`
	}{p.Mean(), math.Exp(p.Mean()), p.BitsPerByte(), p.Tokens, p.Bytes, documents, skips}
	return c.finish(out, fmt.Sprintf("%s, %d tokens, %sB\nloss %.4f nats per token, perplexity %.2f, %.4f bits per byte\n%s",
		plural(documents, "document"), p.Tokens, count(p.Bytes), out.Loss, out.Perplexity, out.BitsPerByte, describeSkips(skips)))
}

// begin puts the token of --bos before a document.
func (e *evalCmd) begin(tok *tokenizer.Tokenizer, ids []int32) ([]int32, error) {
	if e.BOS == "none" || len(ids) == 0 {
		return ids, nil
	}
	n := len(ids)
	if ids = begun(tok, ids); len(ids) > n || e.BOS == "file" {
		return ids, nil
	}
	eos, ok := tok.EOS()
	if !ok {
		return nil, usagef("--bos always: the tokenizer of %s has no token that begins or ends documents", e.Model)
	}
	return slices.Insert(ids, 0, eos), nil
}
