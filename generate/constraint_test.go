package generate_test

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/generate/constrain"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
)

// spelling is a vocabulary of 97 for random: printable characters, the last id ends a text.
func spelling(t testing.TB) ([][]byte, *constrain.Vocabulary) {
	t.Helper()
	texts := make([][]byte, 97)
	for id := range 96 {
		texts[id] = fmt.Appendf(nil, "%c", ' '+id)
	}
	for id, two := range []string{"ab", "ba", "aa", "b.", "ab,", "12"} { // in place of characters that no grammar here needs
		texts['A'-' '+id] = []byte(two)
	}
	v, err := constrain.NewVocabulary(texts, map[string]int32{"<end>": 96})
	if err != nil {
		t.Fatal(err)
	}
	return texts, v
}

// TestConstraint: what is written satisfies the constraint, as a whole unless it is cut off, alone, beside requests without one, and with speculation, which
// changes nothing; log-probabilities are the model's own.
func TestConstraint(t *testing.T) {
	texts, v := spelling(t)
	m := random(t, 1)
	var reqs []generate.Request
	var patterns []*regexp.Regexp
	for i, pattern := range []string{`(ab|ba){3,9}\.`, `[a-z]{2,30}(, [a-z]{1,9}){0,3}`, "", `-?(0|[1-9][0-9]*)(\.[0-9]+)?`, `(a|aa|aaa)*b`, `x{25}`} {
		o := generate.Options{MaxTokens: 60, Stop: []int32{96}, Seed: uint64(i), LogProbs: true, TopLogProbs: i % 2}
		if i%2 == 1 {
			o.Temperature, o.TopP, o.RepetitionPenalty = 1.5, 0.99, 1.1
		}
		if pattern != "" {
			g, err := constrain.ParseRegexp(pattern)
			if err != nil {
				t.Fatal(err)
			}
			if o.Constraint, err = g.Compile(v); err != nil {
				t.Fatal(err)
			}
		}
		reqs = append(reqs, generate.Request{Prompt: slices.Concat(text(i, 20), text(i, 20)), Options: o})
		patterns = append(patterns, regexp.MustCompile("^(?:"+pattern+")$"))
	}
	want := alone(t, m, reqs, generate.EngineOptions{})
	for i, r := range want {
		var s []byte
		for _, id := range r.IDs {
			s = append(s, texts[id]...)
		}
		if reqs[i].Constraint == nil {
			continue
		}
		if r.Finish == generate.Stop && !patterns[i].Match(s) {
			t.Errorf("%s: wrote %q, which ends for %s", patterns[i], s, r.Finish)
		}
		free := reqs[i]
		free.Prompt, free.Constraint = slices.Concat(free.Prompt, r.IDs), nil
		free.MaxTokens, free.Echo = -1, true
		scored := mustGenerate(t, generate.New(m, cpu.New(cpu.Options{}), generate.EngineOptions{}), free)[0]
		if !slices.Equal(scored.PromptLogProbs[len(reqs[i].Prompt):], r.LogProbs) {
			t.Errorf("%s: log-probabilities are not the model's own", patterns[i])
		}
	}
	if last := want[5]; len(last.IDs) != 25 || last.Finish != generate.Stop {
		t.Errorf("a text that nothing can follow ends by %s after %d tokens", last.Finish, len(last.IDs))
	}
	for _, o := range []generate.EngineOptions{{Slots: 3, PrefillChunk: 7}, {Lookup: 2}, {Draft: m}, {Draft: random(t, 2), Slots: 2}} {
		for i, r := range plain(mustGenerate(t, generate.New(m, cpu.New(cpu.Options{Threads: 2}), o), reqs...)) {
			if !reflect.DeepEqual(r, want[i]) {
				t.Errorf("slots %d, lookup %d: request %d differs:\n%+v, alone\n%+v", o.Slots, o.Lookup, i, r, want[i])
			}
		}
	}
}

// TestConstraintErrors: a vocabulary that is not the model's, and a bias that bans all that is allowed.
func TestConstraintErrors(t *testing.T) {
	_, v := spelling(t)
	g, err := constrain.ParseRegexp("x+")
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	o := generate.Options{Constraint: c, MaxTokens: 9}
	if err := o.Check(96); err == nil {
		t.Error("a constraint of 97 tokens for a model of 96 is taken")
	}
	o.LogitBias = map[int32]float32{'x' - ' ': float32(math.Inf(-1))}
	e := generate.New(random(t, 1), cpu.New(cpu.Options{}), generate.EngineOptions{})
	if _, err := e.Generate(t.Context(), []generate.Request{{Prompt: []int32{1}, Options: o}}, nil); err == nil {
		t.Error("a banned token is written")
	}
}
