package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/zoo"
)

// ours starts Plinth's server.
func ours(ctx context.Context, o options) (*server, error) {
	args := []string{"serve", "--model", "base=" + o.file, "--listen", "{host}:{port}", "--slots", strconv.Itoa(o.slots), "--context", strconv.Itoa(o.context), "--threads", strconv.Itoa(o.threads), "--template", "chatml"}
	if o.adapter != "" {
		args = append(args, "--adapter", "base:lora="+o.adapter)
	}
	return start(ctx, "plinth", o.plinth, args...)
}

// side is a way to have answers written: users ask at once, and the result is tokens and the seconds until the last has all of them.
type side struct {
	name string
	ask  func(ctx context.Context, users int) (tokens int, firsts, gaps []float64, err error)
}

// speed compares the sides in turns.
func speed(ctx context.Context, o options) error {
	a, err := ours(ctx, o)
	if err != nil {
		return err
	}
	defer a.stop()
	engine, err := bare(o)
	if err != nil {
		return err
	}
	sides := []side{{"plinth serve", a.users(o)}, {"the engine alone", engine}}
	if o.peer != "" {
		b, err := start(ctx, "llama-server", o.peer, "-m", o.file, "--host", "{host}", "--port", "{port}", "-np", strconv.Itoa(o.slots), "-c", strconv.Itoa(o.slots*o.context),
			"-t", strconv.Itoa(o.threads), "-tb", strconv.Itoa(o.threads))
		if err != nil {
			return err
		}
		defer b.stop()
		sides = append(sides, side{"llama-server", b.users(o)})
	}
	rates := map[string]map[int][]float64{}
	var firsts, gaps map[int][]float64 = map[int][]float64{}, map[int][]float64{}
	var read []float64
	before := bench.ReadSteal()
	for round := range o.rounds + 1 { // the first one warms
		c := cpu.Ceilings(cpu.Options{Threads: o.threads}, 100*time.Millisecond)
		debug.FreeOSMemory()
		for _, users := range o.users {
			for _, s := range sides {
				begin := time.Now()
				n, f, g, err := s.ask(ctx, users)
				if err != nil {
					return err
				}
				if round == 0 {
					continue
				}
				if rates[s.name] == nil {
					rates[s.name] = map[int][]float64{}
				}
				rates[s.name][users] = append(rates[s.name][users], float64(n)/time.Since(begin).Seconds())
				if s.name == sides[0].name {
					firsts[users], gaps[users] = append(firsts[users], f...), append(gaps[users], g...)
				}
			}
		}
		if round > 0 {
			read = append(read, c.Read)
		}
	}
	fmt.Printf("%s, %d threads, answers of %d tokens to %d words, %d rounds in turns; memory reads at %.1f GB/s, %.1f %% of the processor stolen\n",
		filepath.Base(o.file), o.threads, o.tokens, o.prompt, o.rounds, bench.Quantile(read, 0.5)/1e9, 100*bench.ReadSteal().Since(before))
	for _, users := range o.users {
		for _, s := range sides {
			r := rates[s.name][users]
			fmt.Printf("%2d users  %-17s %8.1f tokens/s", users, s.name, bench.Quantile(r, 0.5))
			if s.name == sides[0].name {
				one := rates[s.name][o.users[0]]
				fmt.Printf("  %s times %d user;", ratio(r, one), o.users[0])
				fmt.Printf(" first piece %.0f ms median, %.0f p99; longest pause %.0f ms median, %.0f p99\n", 1e3*bench.Quantile(firsts[users], 0.5), 1e3*bench.Quantile(firsts[users], 0.99),
					1e3*bench.Quantile(gaps[users], 0.5), 1e3*bench.Quantile(gaps[users], 0.99))
				continue
			}
			fmt.Printf("  plinth serve / it %s\n", ratio(rates[sides[0].name][users], r))
		}
	}
	return nil
}

// ratio is a/b over pairs: median and quartiles.
func ratio(a, b []float64) string {
	var p bench.Pairs
	for i := range a {
		p.Add(b[i], a[i])
	}
	low, median, high := p.Ratio()
	return fmt.Sprintf("%.3f [%.3f, %.3f]", median, low, high)
}

// users asks a server.
func (s *server) users(o options) func(ctx context.Context, users int) (int, []float64, []float64, error) {
	return func(ctx context.Context, users int) (tokens int, firsts, gaps []float64, err error) {
		var wg sync.WaitGroup
		answers, errs := make([]answer, users), make([]error, users)
		for u := range users {
			p := prompt(o.prompt)
			wg.Go(func() { answers[u], errs[u] = s.ask(ctx, p, o.tokens, 0) })
		}
		wg.Wait()
		for u, a := range answers {
			if errs[u] != nil {
				return 0, nil, nil, errs[u]
			}
			if a.tokens != o.tokens {
				return 0, nil, nil, fmt.Errorf("serve: %s wrote %d tokens (status %d), not %d: take a model that does not end by itself", s.name, a.tokens, a.status, o.tokens)
			}
			tokens += a.tokens
			firsts, gaps = append(firsts, a.first.Seconds()), append(gaps, a.worst.Seconds())
		}
		return tokens, firsts, gaps, nil
	}
}

// bare asks an engine in this process.
func bare(o options) (func(ctx context.Context, users int) (int, []float64, []float64, error), error) {
	m, err := zoo.Open(o.file, zoo.Options{})
	if err != nil {
		return nil, err
	}
	tok, err := zoo.Tokenizer(o.file, m)
	if err != nil {
		return nil, err
	}
	set := cpu.New(cpu.Options{Threads: o.threads})
	engine := generate.New(m, set, generate.EngineOptions{Slots: o.slots, MaxContext: o.context})
	return func(ctx context.Context, users int) (tokens int, _, _ []float64, err error) {
		var wg sync.WaitGroup
		counts, errs := make([]int, users), make([]error, users)
		for u := range users {
			ids := tok.Encode(prompt(o.prompt))
			wg.Go(func() {
				out, err := engine.Generate(ctx, []generate.Request{{Prompt: ids, Options: generate.Options{MaxTokens: o.tokens}}}, nil)
				if errs[u] = err; err == nil {
					counts[u] = len(out[0].IDs)
				}
			})
		}
		wg.Wait()
		for u, n := range counts {
			if errs[u] != nil {
				return 0, nil, nil, errs[u]
			}
			tokens += n
		}
		return tokens, nil, nil, nil
	}, nil
}
