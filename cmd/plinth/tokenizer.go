package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/tokenizer/split"
)

type tokenizerCmd struct {
	Train  tokenizerTrainCmd  `cmd:"" help:"Train byte-level BPE on text."`
	Encode tokenizerEncodeCmd `cmd:"" help:"Text to ids."`
	Decode tokenizerDecodeCmd `cmd:"" help:"Ids to text."`
	Info   tokenizerInfoCmd   `cmd:"" help:"Describe a tokenizer."`
}

type tokenizerTrainCmd struct {
	Data    []string `required:"" help:"Files and folders of text (also .jsonl, .csv, .gz, .zst)." placeholder:"PATH"`
	Out     string   `required:"" help:"Folder or .json file to write." placeholder:"PATH"`
	Vocab   int      `default:"8192" help:"Vocabulary size, special tokens included." placeholder:"N"`
	Pattern string   `default:"gpt2" help:"Split pattern: gpt2, cl100k, o200k, llama3, qwen2, or a regular expression." placeholder:"NAME"`
	Special []string `default:"<|endoftext|>" help:"Special tokens; the first ends documents." placeholder:"TOKEN" sep:"none"`
	MinFreq int64    `default:"0" help:"Least number of times that a pair must occur to be merged; 0 means 2, as Hugging Face's trainer." placeholder:"N"`
	Ties    string   `default:"huggingface" enum:"huggingface,greatest" help:"Which of equally frequent pairs is merged first: as Hugging Face's trainer, or the greatest pair."`
	readFlags
}

func (*tokenizerTrainCmd) Help() string {
	return "Example: plinth tokenizer train --data docs/ --vocab 4096 --out tok/"
}

func (t *tokenizerTrainCmd) Run(ctx context.Context, c *common) error {
	pattern, err := patternByName(t.Pattern)
	if err != nil {
		return err
	}
	if t.Vocab < 256+len(t.Special) || t.Vocab > 1<<24 {
		return usagef("--vocab %d is not within %d to %d", t.Vocab, 256+len(t.Special), 1<<24)
	}
	o := tokenizer.TrainOptions{VocabSize: t.Vocab, Pattern: pattern, Special: t.Special, Threads: c.Threads, MinFrequency: t.MinFreq}
	if t.Ties == "greatest" {
		o.TieBreak = tokenizer.GreatestPair
	}
	docs := t.texts(ctx, t.Data)
	tok, err := tokenizer.Train(ctx, docs.all(), o)
	if err == nil {
		err = docs.err
	}
	if err != nil {
		return err
	}
	if docs.bytes == 0 {
		return fmt.Errorf("no text in %s", strings.Join(t.Data, " "))
	}
	out := t.Out
	if filepath.Ext(out) != ".json" {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		out = filepath.Join(out, "tokenizer.json")
	}
	if err := tok.Save(out); err != nil {
		return err
	}
	return c.finish(map[string]any{"tokenizer": out, "vocab": tok.VocabSize(), "documents": docs.count, "bytes": docs.bytes},
		fmt.Sprintf("%s: %d ids from %d documents, %sB\n", out, tok.VocabSize(), docs.count, count(docs.bytes)))
}

func patternByName(name string) (*split.Pattern, error) {
	var names []string
	for _, p := range split.Known {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	p, err := split.ByRegex(name)
	if err != nil {
		return nil, usagef("--pattern %q is none of %s, and as an expression: %w", name, strings.Join(names, ", "), err)
	}
	return p, nil
}

// tokenizerFlag is where a verb gets its tokenizer from.
type tokenizerFlag struct {
	Model string `required:"" help:"Folder or file of the tokenizer (tokenizer.json, vocab.json with merges.txt, or tiktoken ranks)." placeholder:"PATH"`
}

type tokenizerEncodeCmd struct {
	tokenizerFlag
	Text    string `arg:"" optional:"" help:"Text; standard input without it."`
	Special bool   `help:"Recognise special tokens in the text."`
}

func (*tokenizerEncodeCmd) Help() string {
	return `Text that begins with a dash goes behind --; bytes that are not UTF-8 come through standard input. Example: plinth tokenizer encode --model tok/ "Hello, world"`
}

func (t *tokenizerEncodeCmd) Run(c *common) error {
	tok, err := tokenizer.Open(t.Model)
	if err != nil {
		return err
	}
	text, err := textOrStdin(t.Text)
	if err != nil {
		return err
	}
	ids, err := encode(tok, text, t.Special)
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	if ids == nil {
		ids = []int32{}
	}
	return c.finish(map[string]any{"ids": ids}, b.String()+"\n")
}

// encode returns the ids of a text; special recognises special tokens in it.
func encode(tok *tokenizer.Tokenizer, text string, special bool) ([]int32, error) {
	e := tok.NewEncoder()
	ids := e.AppendEncode
	if special {
		ids = e.AppendEncodeSpecial
	}
	out := ids(nil, []byte(text))
	return out, e.Err()
}

type tokenizerDecodeCmd struct {
	tokenizerFlag
	IDs []int32 `arg:"" optional:"" name:"ids" help:"Ids; standard input without them, separated by white space or as a JSON array."`
}

func (*tokenizerDecodeCmd) Help() string {
	return `The bytes are written as they are, without a line end. Example: plinth tokenizer decode --model tok/ 15496 11 995`
}

func (t *tokenizerDecodeCmd) Run(c *common) error {
	tok, err := tokenizer.Open(t.Model)
	if err != nil {
		return err
	}
	if len(t.IDs) == 0 {
		if t.IDs, err = readIDs(os.Stdin); err != nil {
			return err
		}
	}
	for i, id := range t.IDs {
		if !tok.Has(id) {
			return fmt.Errorf("id %d, number %d of the input, is not in the vocabulary of %d", id, i+1, tok.VocabSize())
		}
	}
	text := tok.Decode(t.IDs)
	return c.finish(map[string]any{"text": text}, text)
}

func readIDs(r io.Reader) ([]int32, error) {
	b, err := io.ReadAll(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	var ids []int32
	if s := strings.TrimSpace(string(b)); strings.HasPrefix(s, "[") {
		err := json.Unmarshal([]byte(s), &ids)
		return ids, err
	}
	for _, f := range strings.Fields(string(b)) {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("standard input: %q is no id", f)
		}
		ids = append(ids, int32(n))
	}
	return ids, nil
}

type tokenizerInfoCmd struct{ tokenizerFlag }

func (*tokenizerInfoCmd) Help() string { return `Example: plinth tokenizer info --model tok/` }

func (t *tokenizerInfoCmd) Run(c *common) error {
	tok, err := tokenizer.Open(t.Model)
	if err != nil {
		return err
	}
	type added struct {
		ID      int32  `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	}
	list := []added{}
	var b strings.Builder
	fmt.Fprintf(&b, "byte-level BPE, %d ids, all bytes %v\n", tok.VocabSize(), tok.HasAllBytes())
	for _, a := range tok.Added() {
		list = append(list, added{a.ID, a.Content, a.Special})
		fmt.Fprintf(&b, "  %d %q special %v\n", a.ID, a.Content, a.Special)
	}
	return c.finish(map[string]any{"vocab": tok.VocabSize(), "all_bytes": tok.HasAllBytes(), "added_tokens": list}, b.String())
}

// textOrStdin returns the argument, or what standard input holds when it is empty.
func textOrStdin(arg string) (string, error) {
	if arg != "" {
		return arg, nil
	}
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return string(b), nil
}
