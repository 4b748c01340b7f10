package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
)

// counts reads a flag such as "1,8".
func counts(flag, s string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("decode: --%s %q: want numbers such as 1,8", flag, s)
		}
		list = append(list, n)
	}
	return list, nil
}

// together decodes for several users at once, who begin with one token each, and reports the tokens per second of all, the time of a step, how many times the
// tokens of the first number of users that is, and the share of the memory's speed at which weights are read.
func together(o options, m model.Decoder, set *kernel.Set, bytes int) error {
	users, err := counts("users", o.users)
	if err != nil {
		return err
	}
	rates := make([]bench.Pairs, len(users)) // seconds of a token: those users, the first
	shares := make([]bench.Pairs, len(users))
	for round := range o.pairs + 1 { // the first one warms
		read := o.ceilings(50 * time.Millisecond).Read
		first := 0.0
		for i, n := range users {
			e := generate.New(m, set, generate.EngineOptions{Slots: n, MaxContext: o.tokens + 2})
			reqs := make([]generate.Request, n)
			for u := range reqs {
				reqs[u] = generate.Request{Prompt: []int32{int32(1 + u)}, Options: generate.Options{MaxTokens: o.tokens}}
			}
			start := time.Now()
			if _, err := e.Generate(context.Background(), reqs, nil); err != nil {
				return err
			}
			s := time.Since(start).Seconds() / float64(n*o.tokens)
			if i == 0 {
				first = s
			}
			if round > 0 {
				rates[i].Add(s, first)
				shares[i].Add(float64(bytes)/read, s*float64(n))
			}
		}
	}
	for i, n := range users {
		low, mid, high := rates[i].Ratio()
		s := bench.Quantile(rates[i].Ours, 0.5)
		_, share, _ := shares[i].Ratio()
		fmt.Printf("  %2d users: %6.1f tokens/s, a step %.2f ms, %.3f [%.3f, %.3f] times %d user's; weights at %.1f GB/s, %.0f %% of the live ceiling\n",
			n, 1/s, 1e3*s*float64(n), mid, low, high, users[0], float64(bytes)/s/float64(n)/1e9, 100/share)
	}
	return nil
}

// chunked reads prompts of eight users at once in chunks of several sizes, in turns, and reports the tokens per second and how many times those of the first size that is.
func chunked(o options, m model.Decoder, set *kernel.Set) error {
	const users = 8
	sizes, err := counts("chunks", o.chunks)
	if err != nil {
		return err
	}
	rates := make([]bench.Pairs, len(sizes)) // seconds: this size, the first
	for range o.pairs {
		first := 0.0
		for i, n := range sizes {
			e := generate.New(m, set, generate.EngineOptions{Slots: users, MaxContext: o.prompt + 1, PrefillChunk: n})
			reqs := make([]generate.Request, users)
			for u := range reqs {
				reqs[u] = generate.Request{Prompt: o.ids(u, m.Sizes().Vocab), Options: generate.Options{MaxTokens: 1}}
			}
			start := time.Now()
			if _, err := e.Generate(context.Background(), reqs, nil); err != nil {
				return err
			}
			s := time.Since(start).Seconds()
			if i == 0 {
				first = s
			}
			rates[i].Add(s, first)
		}
	}
	for i, n := range sizes {
		low, mid, high := rates[i].Ratio()
		fmt.Printf("  chunks of %3d: %6.1f tokens/s, %.3f [%.3f, %.3f] times chunks of %d\n", n, float64(users*o.prompt)/bench.Quantile(rates[i].Ours, 0.5), mid, low, high, sizes[0])
	}
	return nil
}
