// Command decode measures the reading of a prompt and decoding for one user, from a GGUF file of Llama's architecture, alone or in turns with llama-bench on
// the same file.
//
//	go run ./bench/decode --peer ../llama.cpp/bin/llama-bench model.gguf ...       A B A B
//	go run ./bench/decode --users 1,2,4,8 model.gguf ...                           several users at once, in turns
//	go run ./bench/decode --chunks 64,128,512 --prompt 177 model.gguf ...          prompts of eight users, in chunks of several sizes, in turns
//
// Weights may be random: the speed does not depend on them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
)

type options struct {
	prompt, tokens, pairs, threads int
	variant, peer                  string
	users, chunks, profile         string
}

func main() {
	var o options
	flag.IntVar(&o.prompt, "prompt", 512, "tokens of the prompt")
	flag.IntVar(&o.tokens, "tokens", 32, "tokens decoded")
	flag.IntVar(&o.pairs, "pairs", 3, "pairs of runs")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0), "threads of both sides")
	flag.StringVar(&o.variant, "variant", "", "instruction set; the best one when empty")
	flag.StringVar(&o.peer, "peer", "", "path of llama-bench; no peer when empty")
	flag.StringVar(&o.users, "users", "", "decode for so many users at once instead, such as 1,2,4,8; no prompts and no peer")
	flag.StringVar(&o.chunks, "chunks", "", "read the prompts of eight users in chunks of so many tokens instead, such as 64,128,512; no peer")
	flag.StringVar(&o.profile, "profile", "", "file for a profile of the processor's time; without ceilings, which would be in it")
	flag.Parse()
	for _, path := range flag.Args() {
		if err := run(o, path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func run(o options, path string) error {
	start := time.Now()
	m, bytes, err := open(path)
	if err != nil {
		return err
	}
	loaded := time.Since(start)
	set := cpu.New(cpu.Options{Threads: o.threads, Variant: o.variant})
	if _, _, err := ours(o, m, generate.New(m, set, generate.EngineOptions{Slots: 1, MaxContext: o.prompt + o.tokens + 1})); err != nil { // warm
		return err
	}
	fmt.Printf("%s: %s, %d threads; opened in %v; %.1f MB of weights per token\n", filepath.Base(path), set.Name, set.Threads, loaded.Round(10*time.Microsecond), float64(bytes)/1e6)
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if o.users != "" {
		return together(o, m, set, bytes)
	}
	if o.chunks != "" {
		return chunked(o, m, set)
	}
	before := bench.ReadSteal()
	var prefill, decode, shares bench.Pairs // shares: of the reading of memory measured beside each pair
	var read, fma []float64
	for range o.pairs {
		ceiling := o.ceilings(100 * time.Millisecond)
		read, fma = append(read, ceiling.Read), append(fma, ceiling.FMA)
		e := generate.New(m, set, generate.EngineOptions{Slots: 1, MaxContext: o.prompt + o.tokens + 1})
		p, d, err := ours(o, m, e)
		if err != nil {
			return err
		}
		peerP, peerD := p, d
		if o.peer != "" {
			if peerP, peerD, err = theirs(o, path); err != nil {
				return err
			}
		}
		prefill.Add(p, peerP)
		decode.Add(d, peerD)
		least := float64(bytes*o.tokens) / ceiling.Read // seconds
		shares.Add(least/d, least/peerD)
	}
	fmt.Printf("  live ceilings: %.1f GB/s read, %.1f GFLOP/s\n", bench.Quantile(read, 0.5)/1e9, bench.Quantile(fma, 0.5)/1e9)
	report := func(what string, p *bench.Pairs, tokens int) {
		low, mid, high := p.Ratio()
		s := bench.Quantile(p.Ours, 0.5) / float64(tokens)
		fmt.Printf("  %s: %.1f tokens/s", what, 1/s)
		if tokens == o.tokens {
			fmt.Printf(", %.1f GB/s, %.0f %% of the live ceiling", float64(bytes)/s/1e9, 100*bench.Quantile(shares.Ours, 0.5))
		}
		if o.peer != "" {
			fmt.Printf("; peer %.1f", float64(tokens)/bench.Quantile(p.Peer, 0.5))
			if tokens == o.tokens {
				fmt.Printf(", %.0f %%", 100*bench.Quantile(shares.Peer, 0.5))
			}
			fmt.Printf("; ratio %.2f [%.2f, %.2f]", mid, low, high)
		}
		fmt.Println()
	}
	report(fmt.Sprintf("prompt of %d", o.prompt), &prefill, o.prompt)
	report("decode", &decode, o.tokens)
	fmt.Printf("  %d pairs, stolen %.1f %%\n", o.pairs, 100*bench.ReadSteal().Since(before))
	return nil
}

// ceilings measures for about d a figure; with a profile all are 1.
func (o options) ceilings(d time.Duration) cpu.Ceiling {
	if o.profile != "" {
		return cpu.Ceiling{Read: 1, FMA: 1}
	}
	defer debug.FreeOSMemory() // of its buffer, lest that happen while we are timed
	return cpu.Ceilings(cpu.Options{Threads: o.threads}, d)
}

// ids are the prompt of a user; no two begin alike.
func (o options) ids(user, vocab int) []int32 {
	ids := make([]int32, o.prompt)
	for i := range ids {
		ids[i] = int32((i*7919 + 11 + user) % vocab)
	}
	return ids
}

// ours returns the seconds of the prompt, and of the tokens after an empty one, as llama-bench counts them.
func ours(o options, m model.Decoder, e *generate.Engine) (prompt, decode float64, err error) {
	ask := func(prompt []int32, tokens int) error {
		_, err := e.Generate(context.Background(), []generate.Request{{Prompt: prompt, Options: generate.Options{MaxTokens: tokens}}}, nil)
		return err
	}
	start := time.Now()
	if err := ask(o.ids(0, m.Sizes().Vocab), 1); err != nil {
		return 0, 0, err
	}
	prompt = time.Since(start).Seconds()
	start = time.Now()
	if err := ask([]int32{1}, o.tokens); err != nil {
		return 0, 0, err
	}
	return prompt, time.Since(start).Seconds(), nil
}

// theirs runs llama-bench once: its repacked layouts are on by default, as is flash attention where it helps.
func theirs(o options, path string) (prompt, decode float64, err error) {
	cmd := exec.Command(o.peer, "-m", path, "-t", strconv.Itoa(o.threads), "-p", strconv.Itoa(o.prompt), "-n", strconv.Itoa(o.tokens), "-r", "1", "-o", "json")
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("decode: %s: %w", o.peer, err)
	}
	var runs []struct {
		Prompt int     `json:"n_prompt"`
		Tokens int     `json:"n_gen"`
		Nanos  float64 `json:"avg_ns"`
	}
	if err := json.Unmarshal(out, &runs); err != nil {
		return 0, 0, fmt.Errorf("decode: %s: %w", o.peer, err)
	}
	for _, r := range runs {
		if r.Prompt > 0 {
			prompt = r.Nanos / 1e9
		} else {
			decode = r.Nanos / 1e9
		}
	}
	return prompt, decode, nil
}
