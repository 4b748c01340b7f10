// Command tokenizer measures encoding with any tokenizer and the training of byte-level BPE, alone or in turns with peers.
//
//	go run ./bench/tokenizer --tokenizer gpt2.tokenizer.json --peer ../venv/bin/python --engines hf,tiktoken book*.txt
//	go run ./bench/tokenizer --tokenizer t5.tokenizer.json --peer ../venv/bin/python --engines hf,sentencepiece --model spiece.model book*.txt
//	go run ./bench/tokenizer --train 8192,32768 --peer ../venv/bin/python book*.txt
//	go run ./bench/tokenizer --tokenizer gpt2.tokenizer.json --worst book*.txt
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/tokenizer"
)

type options struct {
	tokenizer, peer, script, engines, model string
	threads, train                          string
	pairs, doc, limit                       int
	worst                                   bool
}

func main() {
	var o options
	flag.StringVar(&o.tokenizer, "tokenizer", "", "tokenizer's folder or file")
	flag.StringVar(&o.peer, "peer", "", "Python with the peers' packages; no peer when empty")
	flag.StringVar(&o.script, "script", "bench/peers/tokenizers.py", "the peers' program")
	flag.StringVar(&o.engines, "engines", "hf,tiktoken", "peers of encode: hf, hf-single, tiktoken, gigatoken, sentencepiece")
	flag.StringVar(&o.model, "model", "", "the same vocabulary as SentencePiece's model file, for sentencepiece")
	flag.StringVar(&o.threads, "threads", "1,2", "thread counts, of the peers too")
	flag.StringVar(&o.train, "train", "", "vocabulary sizes to train; empty: encode")
	flag.IntVar(&o.pairs, "pairs", 7, "pairs for each figure")
	flag.IntVar(&o.doc, "doc", 8192, "bytes of a document: the text is cut at the line end behind them")
	flag.IntVar(&o.limit, "limit", 64<<20, "bytes of text that are read at most")
	flag.BoolVar(&o.worst, "worst", false, "one word, white space, and a random word of 10 MB in place of peers")
	flag.Parse()
	if err := run(o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "tokenizer:", err)
		os.Exit(1)
	}
}

func run(o options, files []string) error {
	text, err := read(files, o.limit)
	if err != nil {
		return err
	}
	docs := cut(text, o.doc)
	fmt.Printf("%s; %d documents, %.2f MB\n", runtime.Version(), len(docs), float64(len(text))/1e6)
	steal := bench.ReadSteal()
	defer func() { fmt.Printf("stolen %.2f %%\n", 100*bench.ReadSteal().Since(steal)) }()
	b := &runner{options: o, docs: docs, size: len(text)}
	if b.dir, err = os.MkdirTemp("", "tokenizer"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if o.train == "" {
		if b.tok, err = tokenizer.Open(o.tokenizer); err != nil {
			return fmt.Errorf("--tokenizer: %w", err)
		}
	}
	if o.worst {
		return b.worstCases()
	}
	threads, err := numbers("--threads", o.threads)
	if err != nil {
		return err
	}
	for _, n := range threads {
		if err := b.withThreads(n); err != nil {
			return err
		}
	}
	return nil
}

// runner measures on one text.
type runner struct {
	options
	tok  *tokenizer.Tokenizer
	docs [][]byte
	size int    // bytes of docs
	dir  string // for files that the peer reads and writes
	peer *bench.Peer
}

// withThreads measures everything with n threads and, if there is one, a peer process with as many.
func (b *runner) withThreads(n int) (err error) {
	if b.options.peer != "" {
		if b.peer, err = bench.Start(nil, b.options.peer, b.script, "--threads", strconv.Itoa(n)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.peer.Close(nil)) }()
		texts := make([]string, len(b.docs))
		for i, d := range b.docs {
			texts[i] = string(d)
		}
		data, err := json.Marshal(texts)
		if err != nil {
			return err
		}
		if err := os.WriteFile(b.file("docs.json"), data, 0o644); err != nil {
			return err
		}
	}
	if b.train != "" {
		sizes, err := numbers("--train", b.train)
		if err != nil {
			return err
		}
		for _, vocab := range sizes {
			if err := b.trainPairs(n, vocab); err != nil {
				return err
			}
		}
		return nil
	}
	return b.encodePairs(n)
}

func (b *runner) file(name string) string { return filepath.Join(b.dir, name) }

// ask sends a job to the peer.
func (b *runner) ask(job map[string]any, answer any) error {
	line, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return b.peer.Ask(string(line), answer)
}

// report prints the medians of both sides and the quartiles of their ratio.
func (b *runner) report(what string, p *bench.Pairs, peer bool) {
	rate := func(seconds []float64) float64 { return float64(b.size) / bench.Quantile(seconds, 0.5) / 1e6 }
	fmt.Printf("%-32s %8.1f MB/s (best %.1f)", what, rate(p.Ours), float64(b.size)/bench.Quantile(p.Ours, 0)/1e6)
	if peer {
		low, mid, high := p.Ratio()
		fmt.Printf("; peer %8.2f MB/s; peer/ours %.2f [%.2f, %.2f] of %d pairs", rate(p.Peer), mid, low, high, len(p.Ours))
	}
	fmt.Println()
}

// read returns the files one after the other, valid UTF-8, at most limit bytes.
func read(files []string, limit int) ([]byte, error) {
	var text []byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		text = append(text, bytes.ToValidUTF8(data, nil)...)
		if len(text) >= limit {
			text = bytes.ToValidUTF8(text[:limit], nil)
			break
		}
	}
	if len(text) == 0 {
		return nil, errors.New("no text: name files")
	}
	return text, nil
}

// cut returns documents of size bytes and up to the end of the line.
func cut(text []byte, size int) (docs [][]byte) {
	for len(text) > 0 {
		end := len(text)
		if size < end {
			if i := bytes.IndexByte(text[size:], '\n'); i >= 0 {
				end = size + i + 1
			}
		}
		docs = append(docs, text[:end])
		text = text[end:]
	}
	return docs
}

func numbers(flag, list string) ([]int, error) {
	var ns []int
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s: %q is no count", flag, s)
		}
		ns = append(ns, n)
	}
	return slices.Compact(ns), nil
}
