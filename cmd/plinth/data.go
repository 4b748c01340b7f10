package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/tokenizer"
)

type dataCmd struct {
	Prepare dataPrepareCmd `cmd:"" help:"Text to packed, checksummed token shards."`
	Info    dataInfoCmd    `cmd:"" help:"Describe prepared data and verify its checksums."`
}

// readFlags say how text is read.
type readFlags struct {
	Field string `default:"text" help:"Field of JSON lines, column of CSV." placeholder:"NAME"`
	OnBad string `default:"error" enum:"error,skip" help:"Bad records (not UTF-8, broken JSON, too long): stop, or leave out and count."`
}

// documents reads the paths, counting what was left out.
func (r readFlags) documents(ctx context.Context, paths []string, skips *data.Skips) iter.Seq2[data.Document, error] {
	return data.Documents(ctx, paths, data.ReadOptions{Field: r.Field, OnBad: r.OnBad, Skipped: skips})
}

// texts is a stream of documents without their names, for the tokenizer's trainer; err tells how it ended.
type texts struct {
	docs  iter.Seq2[data.Document, error]
	count int
	bytes int64
	err   error
}

func (r readFlags) texts(ctx context.Context, paths []string) *texts {
	return &texts{docs: r.documents(ctx, paths, nil)}
}

func (t *texts) all() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for d, err := range t.docs {
			if err != nil {
				t.err = err
				return
			}
			t.count++
			t.bytes += int64(len(d.Text))
			if !yield(d.Text) {
				return
			}
		}
	}
}

type dataPrepareCmd struct {
	Data       []string `required:"" help:"Files and folders of text (also .jsonl, .csv, .gz, .zst)." placeholder:"PATH"`
	Tokenizer  string   `required:"" help:"Folder or file of the tokenizer." placeholder:"PATH"`
	Out        string   `required:"" help:"Folder to make." placeholder:"DIR"`
	Seq        int      `default:"256" help:"Tokens per sequence." placeholder:"N"`
	Validation float64  `default:"0.05" help:"Share of the documents kept for validation, chosen by their hash." placeholder:"F"`
	Pack       string   `default:"concat" enum:"concat,bestfit" help:"concat: documents one after the other, cut at sequence ends. bestfit: sequences begin with a document and are filled with whole ones, the last cropped."`
	ByFolder   bool     `help:"Choose whole folders for validation instead of single documents."`
	readFlags
}

func (*dataPrepareCmd) Help() string {
	return "Example: plinth data prepare --data docs/ --tokenizer tok/ --out prepared/"
}

func (d *dataPrepareCmd) Run(ctx context.Context, c *common) error {
	tok, err := tokenizer.Open(d.Tokenizer)
	if err != nil {
		return err
	}
	info, skips, err := d.prepare(ctx, c, tok)
	if err != nil {
		return err
	}
	return c.finish(map[string]any{"data": d.Out, "info": info, "skipped": skips}, describe(d.Out, info)+describeSkips(skips))
}

func (d *dataPrepareCmd) prepare(ctx context.Context, c *common, tok *tokenizer.Tokenizer) (*data.Info, data.Skips, error) {
	var skips data.Skips
	if d.Seq < 2 || d.Seq > 1<<20 {
		return nil, skips, usagef("--seq %d is not within 2 to %d", d.Seq, 1<<20)
	}
	if !(d.Validation >= 0 && d.Validation < 1) {
		return nil, skips, usagef("--validation %v is not within 0 to 1", d.Validation)
	}
	if _, err := os.Lstat(d.Out); err == nil {
		return nil, skips, fmt.Errorf("%s exists already: choose another --out, or delete it", d.Out)
	}
	info, err := data.Prepare(ctx, d.documents(ctx, d.Data, &skips), tok, d.Out, data.PrepareOptions{
		Seq: d.Seq, Validation: d.Validation, Pack: d.Pack, ByGroup: d.ByFolder, Seed: c.Seed, Threads: c.Threads})
	return info, skips, err
}

func describe(dir string, info *data.Info) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: vocabulary %d, sequences of %d tokens, packing %s\n", dir, info.Vocab, info.Seq, info.Pack)
	for _, s := range []struct {
		name string
		data.SplitInfo
	}{{"train", info.Train}, {"val", info.Val}} {
		per := 0.0
		if s.Tokens > 0 {
			per = float64(s.Bytes) / float64(s.Tokens)
		}
		fmt.Fprintf(&b, "  %-5s %d documents, %sB of text, %d tokens (%.2f bytes each)", s.name, s.Documents, count(float64(s.Bytes)), s.Tokens, per)
		if s.Sequences > 0 {
			fmt.Fprintf(&b, ", %d sequences", s.Sequences)
		}
		fmt.Fprintf(&b, ", %d shards\n", len(s.Shards))
		if s.Cropped > 0 {
			fmt.Fprintf(&b, "        %d tokens cropped\n", s.Cropped)
		}
	}
	fmt.Fprintf(&b, "  corpus %.16s\n", info.CorpusSHA256)
	return b.String()
}

func describeSkips(s data.Skips) string {
	if s == (data.Skips{}) {
		return ""
	}
	return fmt.Sprintf("  left out: %d hidden, %d binary, %d bad, %d generated\n", s.Hidden, s.Binary, s.Bad, s.Generated)
}

type dataInfoCmd struct {
	Data string `arg:"" help:"Folder of prepared data." placeholder:"DIR"`
}

func (*dataInfoCmd) Help() string { return `Example: plinth data info prepared/` }

func (d *dataInfoCmd) Run(c *common) error {
	set, err := data.Open(d.Data, true)
	if err != nil {
		return err
	}
	defer set.Close()
	return c.finish(map[string]any{"data": d.Data, "info": set.Info}, describe(d.Data, &set.Info)+"  checksums verified\n")
}
