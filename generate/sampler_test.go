package generate

import (
	"math"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate/constrain"
	"github.com/plinth-ml/plinth/internal/random"
)

// table returns candidates of the given probabilities, ids in order.
func table(p ...float64) []candidate {
	c := make([]candidate, len(p))
	for i, p := range p {
		c[i] = candidate{id: int32(i), logit: math.Log(p) + 3} // the filters must not rely on a normalised input
	}
	return c
}

func kept(c []candidate) []int32 {
	ids := []int32{}
	for _, x := range c {
		ids = append(ids, x.id)
	}
	slices.Sort(ids)
	return ids
}

// TestFilters holds each filter against hand-computed tables.
func TestFilters(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []candidate
		want []int32
	}{
		{"top-k 1", topK(table(0.1, 0.4, 0.3, 0.2), 1), []int32{1}},
		{"top-k 3", topK(table(0.1, 0.4, 0.3, 0.2), 3), []int32{1, 2, 3}},
		{"top-k of more than all", topK(table(0.1, 0.4, 0.5), 9), []int32{0, 1, 2}},
		{"top-k, equals: lower ids", topK(table(0.2, 0.2, 0.2, 0.2, 0.2), 2), []int32{0, 1}},
		{"top-p below the best", topP(table(0.1, 0.4, 0.3, 0.2), 0.1), []int32{1}},
		{"top-p crosses within the second", topP(table(0.1, 0.4, 0.3, 0.2), 0.65), []int32{1, 2}},
		{"top-p crosses within the third", topP(table(0.1, 0.4, 0.3, 0.2), 0.75), []int32{1, 2, 3}},
		{"top-p of all", topP(table(0.1, 0.4, 0.3, 0.2), 0.99), []int32{0, 1, 2, 3}},
		{"min-p: a quarter of the best", minP(table(0.05, 0.15, 0.5, 0.3), 0.25), []int32{1, 2, 3}},
		{"min-p: half of the best", minP(table(0.05, 0.15, 0.5, 0.3), 0.5), []int32{2, 3}},
		{"min-p 1", minP(table(0.05, 0.15, 0.5, 0.3), 1), []int32{2}},
		// Entropy of (0.6, 0.2, 0.1, 0.1) is 1.0889; information 0.5108, 1.6094, 2.3026, 2.3026; distances 0.578, 0.521, 1.214, 1.214:
		// the second is more typical than the best.
		{"typical drops the best", typical(table(0.6, 0.2, 0.1, 0.1), 0.15), []int32{1}},
		{"typical takes the best second", typical(table(0.6, 0.2, 0.1, 0.1), 0.5), []int32{0, 1}},
		{"typical, equals: lower ids", typical(table(0.6, 0.2, 0.1, 0.1), 0.85), []int32{0, 1, 2}},
		{"typical of all", typical(table(0.6, 0.2, 0.1, 0.1), 0.999), []int32{0, 1, 2, 3}},
		{"typical never keeps a banned token", typical(table(0.5, 0, 0.5), 0.999), []int32{0, 2}},
	} {
		if got := kept(c.got); !slices.Equal(got, c.want) {
			t.Errorf("%s: kept %v, want %v", c.name, got, c.want)
		}
	}
}

// TestBest compares the early-ending heap sort with a sort.
func TestBest(t *testing.T) {
	key := random.NewKey(1)
	for n := range 40 {
		c := make([]candidate, n)
		for i := range c {
			c[i] = candidate{id: int32(i), logit: float64(key.IntN(uint64(100*n+i), 9))}
		}
		want := slices.SortedFunc(slices.Values(c), func(a, b candidate) int {
			if a.before(b) {
				return -1
			}
			return 1
		})
		for k := 1; k <= n; k++ {
			if got := topK(slices.Clone(c), k); !slices.Equal(got, want[:k]) {
				t.Fatalf("top %d of %v: %v", k, c, got)
			}
		}
	}
}

func TestPenalties(t *testing.T) {
	logits := func(c []candidate) (l []float64) {
		for _, x := range c {
			l = append(l, x.logit)
		}
		return l
	}
	start := func() []candidate {
		return []candidate{{id: 0, logit: 2}, {id: 1, logit: -2}, {id: 2, logit: 0}, {id: 3, logit: 1}}
	}
	count := make([]int32, 4)
	c := start()
	repetition(c, []int32{0, 1, 0, 2}, count, 2)
	if want := []float64{1, -4, 0, 1}; !slices.Equal(logits(c), want) {
		t.Errorf("repetition: %v, want %v", logits(c), want)
	}
	c = start()
	presenceFrequency(c, []int32{0, 1, 0}, count, 0.5, 0.25)
	if want := []float64{2 - 0.5 - 0.5, -2 - 0.5 - 0.25, 0, 1}; !slices.Equal(logits(c), want) {
		t.Errorf("presence and frequency: %v, want %v", logits(c), want)
	}
	if slices.Max(count) != 0 {
		t.Errorf("counts left behind: %v", count)
	}
}

// TestNext: which ids each penalty sees, and the order of the steps.
func TestNext(t *testing.T) {
	logits := []float32{4, 3, 2, 1}
	ids := []int32{0, 1, 2, 0} // two given, two generated
	inf := float32(math.Inf(-1))
	for _, c := range []struct {
		name string
		o    Options
		want int32
	}{
		{"greedy", Options{}, 0},
		{"repetition sees prompt and output", Options{RepetitionPenalty: 10}, 3},
		{"repetition within a window of one", Options{RepetitionPenalty: 10, PenaltyWindow: 1}, 1},
		{"presence sees the output", Options{PresencePenalty: 3.5}, 1},
		{"frequency sees the output", Options{FrequencyPenalty: 3.5}, 1},
		{"presence within a window of one", Options{PresencePenalty: -1.5, PenaltyWindow: 1}, 0},
		{"presence that favours", Options{PresencePenalty: -3, LogitBias: map[int32]float32{0: inf}}, 2},
		{"bias", Options{LogitBias: map[int32]float32{3: 3.5}}, 3},
		{"ban", Options{LogitBias: map[int32]float32{0: inf, 1: inf}}, 2},
		{"filters hold at a high temperature", Options{Temperature: 1e9, TopK: 1}, 0},
		{"min-p before temperature", Options{Temperature: 1e9, MinP: 0.5}, 0},
		{"top-p before temperature", Options{Temperature: 1e9, TopP: 0.6}, 0},
		{"a small temperature is greedy", Options{Temperature: 1e-300}, 0},
		{"bias before top-k", Options{Temperature: 1, TopK: 1, LogitBias: map[int32]float32{3: 3.5}}, 3},
	} {
		var s sampler
		for seed := range uint64(20) {
			c.o.Seed = seed
			if got, err := s.next(logits, ids, 2, &c.o, nil); err != nil || got != c.want {
				t.Errorf("%s: %d, %v, want %d", c.name, got, err, c.want)
				break
			}
		}
	}
	for _, l := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		if _, err := new(sampler).next([]float32{0, l}, nil, 0, &Options{}, nil); err != errNaN {
			t.Errorf("logit %v: error %v", l, err)
		}
	}
	if _, err := new(sampler).next([]float32{0, inf}, nil, 0, &Options{LogitBias: map[int32]float32{0: inf}}, nil); err != ErrBanned {
		t.Errorf("all banned: error %v", err)
	}
	only := constrain.Mask{1} // token 0 alone
	if _, err := new(sampler).next([]float32{0, 1}, nil, 0, &Options{LogitBias: map[int32]float32{0: inf}}, only); err != ErrBanned {
		t.Errorf("all that the constraint allows banned: error %v", err)
	}
	if _, err := new(sampler).next([]float32{inf, 1}, nil, 0, &Options{}, only); err != errNone {
		t.Errorf("no probability for what the constraint allows: error %v", err)
	}
}

// TestDistribution draws many tokens and compares their counts with hand-computed probabilities by a chi-squared statistic.
func TestDistribution(t *testing.T) {
	logits := make([]float32, 4)
	for i, p := range []float64{0.1, 0.2, 0.3, 0.4} {
		logits[i] = float32(math.Log(p))
	}
	norm := 0.01 + 0.04 + 0.09 + 0.16
	for _, c := range []struct {
		name string
		o    Options
		want []float64
	}{
		{"the model's own", Options{Temperature: 1}, []float64{0.1, 0.2, 0.3, 0.4}},
		{"temperature 1/2 squares", Options{Temperature: 0.5}, []float64{0.01 / norm, 0.04 / norm, 0.09 / norm, 0.16 / norm}},
		{"top-k 2", Options{Temperature: 1, TopK: 2}, []float64{0, 0, 3. / 7, 4. / 7}},
		{"top-p 0.8", Options{Temperature: 1, TopP: 0.8}, []float64{0, 2. / 9, 3. / 9, 4. / 9}},
		{"min-p 0.6", Options{Temperature: 1, MinP: 0.6}, []float64{0, 0, 3. / 7, 4. / 7}},
		// Entropy 1.2799; information 2.303, 1.609, 1.204, 0.916; distances 1.023, 0.330, 0.076, 0.364.
		{"typical 0.4", Options{Temperature: 1, Typical: 0.4}, []float64{0, 0.4, 0.6, 0}},
		{"bias of log 3 triples", Options{Temperature: 1, LogitBias: map[int32]float32{0: float32(math.Log(3))}}, []float64{3. / 12, 2. / 12, 3. / 12, 4. / 12}},
	} {
		const draws = 20000
		var s sampler
		var counts [4]int
		ids := make([]int32, 100) // a draw for each of 200 seeds at each of 100 positions
		for i := range draws {
			c.o.Seed = uint64(i / 100)
			id, err := s.next(logits, ids[:i%100], 0, &c.o, nil)
			if err != nil {
				t.Fatal(err)
			}
			counts[id]++
		}
		chi := 0.0
		for i, p := range c.want {
			if p == 0 {
				if counts[i] > 0 {
					t.Errorf("%s: %d draws of filtered token %d", c.name, counts[i], i)
				}
				continue
			}
			d := float64(counts[i]) - draws*p
			chi += d * d / (draws * p)
		}
		if chi > 16.27 { // 0.999 quantile for 3 degrees of freedom; seeds are fixed, so the test is not random
			t.Errorf("%s: counts %v of %v, chi-squared %.1f", c.name, counts, c.want, chi)
		}
	}
}

func TestTopLogProbs(t *testing.T) {
	logits := []float32{1, 3, 2, 3, 0}
	sum := LogSum(logits)
	want := math.Log(math.Exp(1) + 2*math.Exp(3) + math.Exp(2) + 1)
	if math.Abs(sum-want) > 1e-15*want {
		t.Errorf("log-sum %v, want %v", sum, want)
	}
	for n, ids := range [][]int32{{1}, {1, 3}, {1, 3, 2}, {1, 3, 2, 0}, {1, 3, 2, 0, 4}} {
		top := topLogProbs(logits, n+1, sum)
		got := []int32{}
		for _, p := range top {
			got = append(got, p.ID)
			if p.LogProb != float64(logits[p.ID])-sum {
				t.Errorf("log-probability of %d is %v", p.ID, p.LogProb)
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("top %d: %v, want %v", n+1, got, ids)
		}
	}
	if !math.IsNaN(LogSum([]float32{0, float32(math.NaN())})) || !math.IsNaN(LogSum([]float32{0, float32(math.Inf(1))})) {
		t.Error("NaN or infinity gave a log-sum")
	}
}
