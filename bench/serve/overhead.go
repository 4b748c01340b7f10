package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
)

// overhead compares the processor time that the server takes for a token with that of the bare engine, in turns, and tells how long tokens are on their way through the
// server. Unlike rates of tokens, processor time does not depend on what else the machine does: with a small model the difference is seen to a microsecond.
func overhead(ctx context.Context, o options) error {
	s, err := ours(ctx, o)
	if err != nil {
		return err
	}
	defer s.stop()
	engine, err := bare(o)
	if err != nil {
		return err
	}
	pid := strconv.Itoa(s.cmd.Process.Pid)
	for _, users := range o.users {
		var server, alone, more []float64 // microseconds of a token
		var rates bench.Pairs
		var before map[float64]float64
		for round := range o.rounds + 1 { // the first one warms
			if round == 1 {
				if before, err = s.histogram("plinth_event_seconds"); err != nil {
					return err
				}
			}
			begin, cpu := time.Now(), taskTime(pid)
			n, _, _, err := s.users(o)(ctx, users)
			if err != nil {
				return err
			}
			cpu, wall := taskTime(pid)-cpu, time.Since(begin)
			begin, own := time.Now(), taskTime("self")
			m, _, _, err := engine(ctx, users)
			if err != nil {
				return err
			}
			own = taskTime("self") - own
			if round > 0 {
				rates.Add(float64(m)/time.Since(begin).Seconds(), float64(n)/wall.Seconds())
				server, alone = append(server, cpu.Seconds()/float64(n)*1e6), append(alone, own.Seconds()/float64(m)*1e6)
				more = append(more, server[round-1]-alone[round-1])
			}
		}
		after, err := s.histogram("plinth_event_seconds")
		if err != nil {
			return err
		}
		for le := range after {
			after[le] -= before[le]
		}
		low, rate, high := rates.Ratio()
		fmt.Printf("%d users, %d rounds of %d tokens each: processor time of a token %.1f us in the server, %.1f of the engine alone; difference %.1f us [%.1f, %.1f]; tokens/s of the engine / the server %.3f [%.3f, %.3f]; a token is on its way for %.0f us at most in the median, %.0f at the 99th percentile\n",
			users, o.rounds, o.tokens, bench.Quantile(server, 0.5), bench.Quantile(alone, 0.5), bench.Quantile(more, 0.5), bench.Quantile(more, 0.25), bench.Quantile(more, 0.75),
			rate, low, high, 1e6*within(after, 0.5), 1e6*within(after, 0.99))
	}
	return nil
}

// taskTime is the processor time of a process's threads.
func taskTime(process string) (sum time.Duration) {
	files, _ := filepath.Glob("/proc/" + process + "/task/*/schedstat")
	for _, f := range files {
		data, _ := os.ReadFile(f)
		first, _, _ := strings.Cut(string(data), " ")
		n, _ := strconv.ParseInt(first, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

// histogram returns the counts of a histogram of GET /metrics by the upper ends of its parts, each with all below it.
func (s *server) histogram(name string) (map[float64]float64, error) {
	res, err := s.client.Get(s.url + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	counts := map[float64]float64{}
	for line := range strings.Lines(string(data)) {
		labels, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		_, le, found := strings.Cut(labels, `le="`)
		if !ok || !found || !strings.HasPrefix(line, name+"_bucket{") {
			continue
		}
		end, err := strconv.ParseFloat(strings.TrimSuffix(le, `"`), 64)
		if err != nil {
			return nil, fmt.Errorf("serve: %q: %w", line, err)
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("serve: %q: %w", line, err)
		}
		counts[end] += n
	}
	return counts, nil
}

// within is the upper end of the part of a histogram in which a quantile lies.
func within(counts map[float64]float64, q float64) float64 {
	ends := slices.Sorted(maps.Keys(counts))
	for _, end := range ends {
		if counts[end] >= q*counts[ends[len(ends)-1]] {
			return end
		}
	}
	return 0
}
