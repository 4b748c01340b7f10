package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/tokenizer/split"
)

type tokenizerCmd struct {
	Train  tokenizerTrainCmd  `cmd:"" help:"Train a tokenizer on text."`
	Encode tokenizerEncodeCmd `cmd:"" help:"Text to ids."`
	Decode tokenizerDecodeCmd `cmd:"" help:"Ids to text."`
	Info   tokenizerInfoCmd   `cmd:"" help:"Describe a tokenizer."`
}

type tokenizerTrainCmd struct {
	Data    []string `required:"" help:"Files and folders of text (also .jsonl, .csv, .gz, .zst)." placeholder:"PATH"`
	Out     string   `required:"" help:"Folder or .json file to write." placeholder:"PATH"`
	Type    string   `default:"bpe" enum:"bpe,wordpiece,unigram" help:"Byte-level BPE as GPT-2, WordPiece as BERT, or Unigram as T5."`
	Vocab   int      `default:"8192" help:"Vocabulary size, special tokens included." placeholder:"N"`
	Pattern string   `default:"gpt2" help:"For bpe, split pattern: gpt2, cl100k, o200k, llama3, qwen2, or a regular expression." placeholder:"NAME"`
	Special []string `help:"Special tokens, the flag repeated; for bpe the first ends documents. Default: <|endoftext|>, BERT's five, or <pad> </s> <unk>." placeholder:"TOKEN" sep:"none"`
	MinFreq int64    `default:"0" help:"For bpe and wordpiece, least number of times that a pair must occur to be merged; 0 means any." placeholder:"N"`
	Ties    string   `default:"huggingface" enum:"huggingface,greatest" help:"For bpe, which of equally frequent pairs is merged first: as Hugging Face's trainer, or the greatest pair."`
	Cased   bool     `help:"For wordpiece, keep capitals and accents."`

	Sentinels int `default:"0" help:"Special tokens <extra_id_0>, <extra_id_1>, ... that get the last of the --vocab ids, counting down; T5 has 100." placeholder:"N"`
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
	least := len(t.Special) + 1
	if t.Type == "bpe" {
		least = 256 + max(1, len(t.Special))
	}
	if t.Sentinels < 0 || t.Sentinels > 10000 {
		return usagef("--sentinels %d is not within 0 to 10000", t.Sentinels)
	}
	least += t.Sentinels
	if t.Vocab < least || t.Vocab > 1<<24 {
		return usagef("--vocab %d is not within %d to %d", t.Vocab, least, 1<<24)
	}
	docs := t.texts(ctx, t.Data)
	t.Vocab -= t.Sentinels
	tok, err := t.train(ctx, docs, pattern, c.Threads)
	if err == nil {
		err = docs.err
	}
	if docs.bytes == 0 && docs.err == nil {
		return fmt.Errorf("no text in %s", strings.Join(t.Data, " "))
	}
	if err == nil && t.Sentinels > 0 {
		tok, err = tok.WithSpecial(data.Sentinels(t.Sentinels)...)
	}
	if err != nil {
		return err
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
		fmt.Sprintf("%s: %d ids from %s, %sB\n", out, tok.VocabSize(), plural(docs.count, "document"), count(docs.bytes)))
}

func (t *tokenizerTrainCmd) train(ctx context.Context, docs *texts, pattern *split.Pattern, threads int) (*tokenizer.Tokenizer, error) {
	words := tokenizer.WordOptions{VocabSize: t.Vocab, Special: t.Special, Cased: t.Cased, MinFrequency: t.MinFreq, Threads: threads}
	switch t.Type {
	case "wordpiece":
		return tokenizer.TrainWordPiece(ctx, docs.all(), words)
	case "unigram":
		return tokenizer.TrainUnigram(ctx, docs.all(), words)
	}
	o := tokenizer.TrainOptions{VocabSize: t.Vocab, Pattern: pattern, Special: t.Special, Threads: threads, MinFrequency: t.MinFreq}
	if t.Ties == "greatest" {
		o.TieBreak = tokenizer.GreatestPair
	}
	return tokenizer.Train(ctx, docs.all(), o)
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
	Model   string `required:"" help:"Folder or file of the tokenizer: tokenizer.json, vocab.json with merges.txt, tokenizer.model, spiece.model, vocab.txt, tiktoken ranks, .gguf; or a model of the store." placeholder:"PATH|NAME"`
	Pattern string `help:"Read --model as tiktoken ranks of this encoding: r50k_base, p50k_base, cl100k_base, o200k_base; or of a split pattern: gpt2, cl100k, o200k, llama3, qwen2, or a regular expression." placeholder:"NAME"`
}

// open reads it.
func (t *tokenizerFlag) open() (*tokenizer.Tokenizer, error) {
	path, err := findPath(t.Model)
	if err != nil {
		return nil, err
	}
	if zoo.IsGGUF(path) {
		if t.Pattern != "" {
			return nil, usagef("--pattern is for tiktoken ranks, and %s is a GGUF file", path)
		}
		return zoo.Tokenizer(path, nil)
	}
	if t.Pattern != "" {
		return tokenizer.OpenTiktoken(path, t.Pattern)
	}
	tok, err := tokenizer.Open(path)
	if errors.Is(err, tokenizer.ErrPattern) {
		return nil, fmt.Errorf("%w; name it with --pattern", err)
	}
	return tok, err
}

type tokenizerEncodeCmd struct {
	tokenizerFlag
	Text    string  `arg:"" optional:"" help:"Text; standard input without it."`
	Pair    *string `arg:"" optional:"" help:"Second text, encoded as the model expects pairs."`
	Special bool    `help:"Recognise special tokens in the text."`
	Add     bool    `help:"Add the special tokens that the model expects around a text. Pairs always have them."`
	Offsets bool    `help:"Print a line a token: id, bytes of the text, token."`
	Lines   bool    `help:"Each line of standard input is a text, and gives a line of ids, or an object with --json." xor:"lines"`
	JSONL   bool    `name:"jsonl" help:"As --lines; each line is a JSON string, or an object whose text stands under --field." xor:"lines"`
	Field   string  `default:"text" help:"With --jsonl: the key of the text." placeholder:"NAME"`
}

func (*tokenizerEncodeCmd) Help() string {
	return `Text that begins with a dash goes behind --; bytes that are not UTF-8 come through standard input. Example: plinth tokenizer encode --model tok/ "Hello, world"`
}

func (t *tokenizerEncodeCmd) Run(c *common) error {
	tok, err := t.open()
	if err != nil {
		return err
	}
	if t.Lines || t.JSONL {
		if t.Text != "" {
			return usagef("--lines and --jsonl read standard input: give no text")
		}
		return t.each(c, tok, os.Stdin)
	}
	text, err := textOrStdin(t.Text)
	if err != nil {
		return err
	}
	return t.one(c, tok, text)
}

// each encodes a text a line. What comes is written at once, so that another program can ask and wait for the answer.
func (t *tokenizerEncodeCmd) each(c *common, tok *tokenizer.Tokenizer, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxText)
	n := 0
	for lines.Scan() {
		n++
		text := lines.Text()
		if t.JSONL {
			var err error
			if text, err = t.jsonText(lines.Bytes()); err != nil {
				return fmt.Errorf("standard input:%d: %w", n, err)
			}
		}
		if err := t.one(c, tok, text); err != nil {
			return fmt.Errorf("standard input:%d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("standard input:%d: %w", n+1, err)
	}
	return nil
}

// jsonText is the text of a line of JSON.
func (t *tokenizerEncodeCmd) jsonText(line []byte) (text string, err error) {
	if err := json.Unmarshal(line, &text); err == nil && !bytes.Equal(line, []byte("null")) {
		return text, nil
	}
	var object map[string]any
	if err := json.Unmarshal(line, &object); err != nil {
		return "", fmt.Errorf("neither a JSON string nor an object: %w", err)
	}
	text, ok := object[t.Field].(string)
	if !ok {
		return "", fmt.Errorf("no string under %q", t.Field)
	}
	return text, nil
}

// one encodes one text and prints it.
func (t *tokenizerEncodeCmd) one(c *common, tok *tokenizer.Tokenizer, text string) error {
	if t.Offsets || t.Pair != nil {
		return t.offsets(c, tok, text)
	}
	ids, err := encode(tok, text, t.Special)
	if err != nil {
		return err
	}
	if t.Add {
		ids = tok.AddSpecial(ids)
	}
	if ids == nil {
		ids = []int32{}
	}
	return c.finish(map[string]any{"ids": ids}, idLine(ids))
}

func idLine(ids []int32) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	return b.String() + "\n"
}

// offsets encodes one text or two with all that is known of the tokens.
func (t *tokenizerEncodeCmd) offsets(c *common, tok *tokenizer.Tokenizer, text string) error {
	o := tokenizer.EncodeOptions{AddSpecial: t.Add || t.Pair != nil, ParseSpecial: t.Special}
	e, err := tok.EncodeOffsets(text, o)
	if t.Pair != nil {
		e, err = tok.EncodePair(text, *t.Pair, o)
	}
	if err != nil {
		return err
	}
	var b strings.Builder
	spans := make([][2]int, len(e.Offsets))
	for i, at := range e.Offsets {
		spans[i] = [2]int{at.Start, at.End}
		fmt.Fprintf(&b, "%d\t%d:%d\t%q\n", e.IDs[i], at.Start, at.End, e.Tokens[i])
	}
	if t.Lines || t.JSONL {
		b.WriteByte('\n') // an empty line between texts
	}
	if !t.Offsets {
		b.Reset()
		b.WriteString(idLine(e.IDs))
	}
	return c.finish(map[string]any{
		"ids": append([]int32{}, e.IDs...), "tokens": append([]string{}, e.Tokens...), "offsets": spans,
		"texts": append([]int{}, e.Texts...), "type_ids": append([]int{}, e.TypeIDs...), "special": append([]bool{}, e.Special...),
	}, b.String())
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
	IDs []string `arg:"" optional:"" name:"ids" sep:"none" help:"Ids, separated by white space or commas, or a JSON array; standard input without them."`
}

func (*tokenizerDecodeCmd) Help() string {
	return `The bytes are written as they are, without a line end. Example: plinth tokenizer decode --model tok/ 15496 11 995`
}

func (t *tokenizerDecodeCmd) Run(c *common) error {
	tok, err := t.open()
	if err != nil {
		return err
	}
	ids, err := t.ids()
	if err != nil {
		return err
	}
	if err := known(tok, ids); err != nil {
		return err
	}
	text := tok.Decode(ids)
	return c.finish(map[string]any{"text": text}, text)
}

// known refuses ids that no token has.
func known(tok *tokenizer.Tokenizer, ids []int32) error {
	for i, id := range ids {
		if !tok.Has(id) {
			return fmt.Errorf("id %d, number %d of the input, is not in the vocabulary of %d", id, i+1, tok.VocabSize())
		}
	}
	return nil
}

// ids are those of the arguments, or of standard input.
func (t *tokenizerDecodeCmd) ids() ([]int32, error) {
	if len(t.IDs) > 0 {
		ids, err := parseIDs(strings.Join(t.IDs, " "))
		if err != nil {
			return nil, usageError{err}
		}
		return ids, nil
	}
	text, err := textOrStdin("")
	if err != nil {
		return nil, err
	}
	ids, err := parseIDs(text)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return ids, nil
}

// parseIDs reads a JSON array, or numbers between white space and commas.
func parseIDs(text string) (ids []int32, err error) {
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &ids); err != nil {
			return nil, fmt.Errorf("%.40q is no array of ids: %w", text, err)
		}
		return ids, nil
	}
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%.40q is no id", f)
		}
		ids = append(ids, int32(n))
	}
	return ids, nil
}

type tokenizerInfoCmd struct {
	tokenizerFlag
	Longest int `default:"5" help:"How many of the longest tokens to list." placeholder:"N"`
}

func (*tokenizerInfoCmd) Help() string { return `Example: plinth tokenizer info --model tok/` }

func (t *tokenizerInfoCmd) Run(c *common) error {
	tok, err := t.open()
	if err != nil {
		return err
	}
	type added struct {
		ID      int32  `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	}
	type token struct {
		ID    int32  `json:"id"`
		Token string `json:"token"`
	}
	list, longest := []added{}, []token{}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d ids, all bytes %v\n", tok.Kind(), tok.VocabSize(), tok.HasAllBytes())
	pipeline := map[string]string{}
	for _, p := range tok.Pipeline() {
		pipeline[p.Section] = p.Parts
		fmt.Fprintf(&b, "  %-15s %s\n", p.Section, p.Parts)
	}
	for _, id := range tok.Longest(t.Longest) {
		longest = append(longest, token{id, tok.Name(id)})
		fmt.Fprintf(&b, "  longest %d %q\n", id, tok.Name(id))
	}
	for _, a := range tok.Added() {
		list = append(list, added{a.ID, a.Content, a.Special})
		fmt.Fprintf(&b, "  %d %q special %v\n", a.ID, a.Content, a.Special)
	}
	return c.finish(map[string]any{
		"kind": tok.Kind(), "vocab": tok.VocabSize(), "all_bytes": tok.HasAllBytes(), "pipeline": pipeline, "longest": longest, "added_tokens": list,
	}, b.String())
}

// textOrStdin returns the argument, or what standard input holds when it is empty.
func textOrStdin(arg string) (string, error) {
	if arg != "" {
		return arg, nil
	}
	b, err := file.ReadFrom(os.Stdin, "standard input", maxText)
	return string(b), err
}
