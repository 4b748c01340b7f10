package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plinth-ml/plinth/bench"
)

// overload sends for a while four times as many requests as the server can answer, after it has measured how many those are.
func overload(ctx context.Context, o options) error {
	s, err := ours(ctx, o)
	if err != nil {
		return err
	}
	defer s.stop()
	quiet, err := s.closed(ctx, o, o.slots, min(o.length/2, 30*time.Second))
	if err != nil {
		return err
	}
	fmt.Printf("at its peak (%d users): %s\n", o.slots, quiet)
	pause := time.Duration(float64(o.tokens) / (4 * quiet.rate()) * float64(time.Second))
	var r report
	var wg sync.WaitGroup
	begin, tick := time.Now(), time.NewTicker(pause)
	defer tick.Stop()
	for time.Since(begin) < o.length && ctx.Err() == nil {
		<-tick.C
		wg.Go(func() { r.add(s.ask(ctx, prompt(o.prompt), o.tokens, 0)) })
	}
	r.length = time.Since(begin) // what comes later was asked for before
	wg.Wait()
	all := time.Since(begin)
	r.length = all
	fmt.Printf("at four times that: %s\n", &r)
	fmt.Printf("tokens per second %.3f of the peak; answers' p99 %.2f times, first pieces' p99 %.2f times as long\n", r.rate()/quiet.rate(),
		bench.Quantile(r.whole, 0.99)/bench.Quantile(quiet.whole, 0.99), bench.Quantile(r.firsts, 0.99)/bench.Quantile(quiet.firsts, 0.99))
	return ctx.Err()
}

// report is what many requests came to, in seconds.
type report struct {
	mu                    sync.Mutex
	length                time.Duration
	tokens                int
	firsts, whole, refuse []float64
	failed                int
	failure               error
}

func (r *report) add(a answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.failed++
		r.failure = err
	case a.status == http.StatusTooManyRequests:
		r.refuse = append(r.refuse, a.last.Seconds())
	default:
		r.tokens += a.tokens
		r.firsts, r.whole = append(r.firsts, a.first.Seconds()), append(r.whole, a.last.Seconds())
	}
}

func (r *report) rate() float64 { return float64(r.tokens) / r.length.Seconds() }

func (r *report) String() string {
	out := fmt.Sprintf("%d answers, %.1f tokens/s", len(r.whole), r.rate())
	if len(r.whole) > 0 {
		out += fmt.Sprintf(", first piece %.2f s median, %.2f p99, whole answer %.2f median, %.2f p99", bench.Quantile(r.firsts, 0.5), bench.Quantile(r.firsts, 0.99),
			bench.Quantile(r.whole, 0.5), bench.Quantile(r.whole, 0.99))
	}
	if len(r.refuse) > 0 {
		out += fmt.Sprintf("; %d refused in %.2f ms median, %.2f p99", len(r.refuse), 1e3*bench.Quantile(r.refuse, 0.5), 1e3*bench.Quantile(r.refuse, 0.99))
	}
	if r.failed > 0 {
		out += fmt.Sprintf("; %d failed, the last with: %v", r.failed, r.failure)
	}
	return out
}

// closed has users ask one thing after the other for a while.
func (s *server) closed(ctx context.Context, o options, users int, d time.Duration) (*report, error) {
	var r report
	var wg sync.WaitGroup
	begin := time.Now()
	for range users {
		wg.Go(func() {
			for time.Since(begin) < d && ctx.Err() == nil {
				r.add(s.ask(ctx, prompt(o.prompt), o.tokens, 0))
			}
		})
	}
	wg.Wait()
	r.length = time.Since(begin)
	return &r, r.failure
}

// leave has clients go away after some pieces, and looks at what stays behind.
func leave(ctx context.Context, o options) error {
	s, err := ours(ctx, o)
	if err != nil {
		return err
	}
	defer s.stop()
	ask := func(n int) error {
		var left atomic.Int64
		left.Store(int64(n))
		errs := make([]error, 2*o.slots)
		var wg sync.WaitGroup
		for u := range errs {
			wg.Go(func() {
				for left.Add(-1) >= 0 && errs[u] == nil && ctx.Err() == nil {
					_, errs[u] = s.ask(ctx, prompt(1+rand.IntN(o.prompt)), o.context-200, 1+rand.IntN(3))
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	if err := ask(o.count / 10); err != nil {
		return err
	}
	time.Sleep(time.Second)
	before, err := s.metrics()
	if err != nil {
		return err
	}
	memory, err := s.memory()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := ask(o.count); err != nil {
		return err
	}
	elapsed := time.Since(begin)
	freed := time.Now()
	var after map[string]float64
	for {
		if after, err = s.metrics(); err != nil {
			return err
		}
		if after["plinth_active_sequences"] == 0 && after["plinth_waiting_sequences"] == 0 {
			break
		}
		if time.Since(freed) > time.Minute {
			return fmt.Errorf("serve: %v sequences are still computed a minute after the last client went away", after["plinth_active_sequences"])
		}
		time.Sleep(time.Millisecond)
	}
	idle := time.Since(freed)
	time.Sleep(time.Second)
	if after, err = s.metrics(); err != nil {
		return err
	}
	now, err := s.memory()
	if err != nil {
		return err
	}
	fmt.Printf("%d clients went away within %v; no sequence was computed %.0f ms after the last; goroutines %v before, %v after\nbefore: %v\nafter:  %v\n",
		o.count, elapsed.Round(time.Second), 1e3*idle.Seconds(), before["go_goroutines"], after["go_goroutines"], memory, now)
	return nil
}

// metrics are the numbers of GET /metrics, summed over labels.
func (s *server) metrics() (map[string]float64, error) {
	res, err := s.client.Get(s.url + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil && !strings.HasPrefix(line, "#") {
			name, _, _ = strings.Cut(name, "{")
			out[name] += v
		}
	}
	return out, nil
}
