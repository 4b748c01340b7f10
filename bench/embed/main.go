// Command embed measures sentence embeddings of the MiniLM-L6 shape with random weights, tokens included, in turns with sentence-transformers and ONNX Runtime.
//
//	go run ./bench/embed --tokenizer bert-base-uncased.tokenizer.json --peer ../venv/bin/python --engine torch texts.csv:text questions.jsonl:question
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

func main() {
	size := flag.String("size", "minilm-l6", "a size of BERT")
	tok := flag.String("tokenizer", "", "its tokenizer.json")
	texts := flag.Int("texts", 400, "texts, drawn from all tables alike")
	limit := flag.Int("limit", 256, "most tokens of a text")
	pairs := flag.Int("pairs", 5, "pairs measured")
	threads := flag.Int("threads", runtime.GOMAXPROCS(0), "threads of both")
	peer := flag.String("peer", "", "Python with sentence-transformers; no peer when empty")
	script := flag.String("script", "bench/peers/embed.py", "the peer's program")
	engine := flag.String("engine", "torch", "the peer: torch, onnx or onnx-int8")
	flag.Parse()
	if err := run(*size, *tok, *script, *peer, *engine, *texts, *limit, *pairs, *threads, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(size, tokFile, script, python, engine string, n, limit, pairs, threads int, tables []string) error {
	ctx := context.Background()
	texts, err := draw(ctx, tables, n)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "embed")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := save(dir, size, tokFile, limit); err != nil {
		return err
	}
	var es [2]*embed.Embedder // float32, 8 bits
	for i := range es {
		if es[i], err = embed.Open(dir, zoo.Options{F32: true}); err != nil {
			return err
		}
		es[i].Threads, es[i].Int8 = threads, i == 1
	}
	var lengths []int
	tokens := 0
	for _, t := range texts {
		k := min(limit, len(es[0].Tokenizer.AddSpecial(es[0].Tokenizer.Encode(t))))
		lengths, tokens = append(lengths, k), tokens+k
	}
	slices.Sort(lengths)
	fmt.Printf("%s, %d threads: %d texts, %d tokens; lengths %d, quartiles %d %d %d, %d\n", size, threads, len(texts), tokens, lengths[0], lengths[len(lengths)/4],
		lengths[len(lengths)/2], lengths[3*len(lengths)/4], lengths[len(lengths)-1])
	exact, _, err := es[0].Embed(ctx, texts, "")
	if err != nil {
		return err
	}
	rounded, _, err := es[1].Embed(ctx, texts, "")
	if err != nil {
		return err
	}
	fmt.Printf("8 bits beside float32: 1 - cosine %s\n", bench.Losses(exact, rounded))
	var theirs *bench.Peer
	if python != "" {
		list := filepath.Join(dir, "texts.json")
		b, err := json.Marshal(texts)
		if err != nil {
			return err
		}
		if err := os.WriteFile(list, b, 0o600); err != nil {
			return err
		}
		if theirs, err = bench.Start(nil, python, script, dir, list, "--engine", engine, fmt.Sprintf("--threads=%d", threads)); err != nil {
			return err
		}
		var answer struct{ Vectors [][]float32 }
		if err := theirs.Ask("vectors", &answer); err != nil {
			return err
		}
		fmt.Printf("%s beside float32 here: 1 - cosine %s\n", engine, bench.Losses(exact, answer.Vectors))
	}
	var all [2]bench.Pairs
	for range pairs {
		peer := math.NaN()
		if theirs != nil {
			var answer struct{ Seconds float64 }
			if err := theirs.Ask("go", &answer); err != nil {
				return err
			}
			peer = answer.Seconds
		}
		for i, e := range es {
			began := time.Now()
			if _, _, err := e.Embed(ctx, texts, ""); err != nil {
				return err
			}
			all[i].Add(time.Since(began).Seconds(), peer)
		}
	}
	for i, name := range []string{"float32", "8 bits"} {
		fmt.Printf("%s: %.0f tokens/s", name, float64(tokens)/bench.Quantile(all[i].Ours, 0.5))
		if theirs != nil {
			low, mid, high := all[i].Ratio()
			fmt.Printf("; %s %.0f; theirs/ours %.2f [%.2f, %.2f], %d pairs", engine, float64(tokens)/bench.Quantile(all[i].Peer, 0.5), mid, low, high, pairs)
		}
		fmt.Println()
	}
	if theirs != nil {
		return theirs.Close(nil)
	}
	return nil
}

// draw takes n texts from tables, each FILE:COLUMN, in turns.
func draw(ctx context.Context, tables []string, n int) ([]string, error) {
	var texts []string
	for i, t := range tables {
		at := strings.LastIndexByte(t, ':')
		if at < 0 {
			return nil, fmt.Errorf("embed: %q is not FILE:COLUMN", t)
		}
		table, err := data.OpenTable(t[:at], data.TableOptions{})
		if err != nil {
			return nil, err
		}
		rows, err := table.Select(ctx, data.Column{For: "FILE:COLUMN", Name: t[at+1:]})
		if err != nil {
			return nil, err
		}
		left := n/len(tables) + n%len(tables)*i/max(1, len(tables)-1)
		for row, err := range rows {
			if err != nil {
				return nil, err
			}
			if left--; left < 0 {
				break
			}
			texts = append(texts, row.Fields[0])
		}
		table.Close()
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("embed: no texts: name tables as FILE:COLUMN")
	}
	perm, mixed := random.NewPerm(uint64(len(texts)), random.NewKey(1)), make([]string, len(texts))
	for i := range mixed {
		mixed[i] = texts[perm.At(uint64(i))]
	}
	return mixed, nil
}

// save writes a folder of sentence-transformers with random weights.
func save(dir, name, tokFile string, limit int) error {
	size, err := zoo.SizeByName("bert", name)
	if err != nil {
		return err
	}
	m, err := size.New(size.Vocab, size.Context, -1)
	if err != nil {
		return err
	}
	tok, err := tokenizer.Open(tokFile)
	if err != nil {
		return err
	}
	nn.Init(m.Params(), 1, false)
	if err := zoo.Save(dir, m, tok); err != nil {
		return err
	}
	config := fmt.Sprintf(`{"tokenizer_class": "BertTokenizer", "model_max_length": %d, "do_lower_case": true}`, limit)
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o600); err != nil {
		return err
	}
	return embed.SaveSettings(dir, embed.Settings{Normalize: true, Limit: limit}, m.Sizes().Width)
}
