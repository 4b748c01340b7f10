package generate_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gemma"
	"github.com/plinth-ml/plinth/nn"
)

// tableRows are the rows of ids in the model's table of embeddings, its first parameter of the vocabulary's height.
func tableRows(t *testing.T, m model.Decoder, ids ...int32) []float32 {
	t.Helper()
	size := m.Sizes()
	for _, p := range m.Params() {
		if s := p.T().Shape(); len(s) == 2 && s[0] == size.Vocab && s[1] == size.Width {
			var rows []float32
			for _, id := range ids {
				rows = append(rows, p.T().F32()[int(id)*size.Width:][:size.Width]...)
			}
			return rows
		}
	}
	t.Fatal("no table")
	return nil
}

// scaledRows is a model whose embeddings are multiplied behind the table.
func scaledRows(t *testing.T) model.Decoder {
	t.Helper()
	c, err := gemma.Parse([]byte(`{"model_type":"gemma","vocab_size":97,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":16,
		"max_position_embeddings":640,"hidden_activation":"gelu_pytorch_tanh","initializer_range":0.3}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := gemma.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	return m
}

// TestSegments: rows of the table in the place of ids give the bits that the ids give, in any batch and chunk, alone or from the cache.
func TestSegments(t *testing.T) {
	for _, m := range []model.Decoder{random(t, 1), scaled(t, 640, "null", 1), scaledRows(t)} {
		ids := text(1, 90)
		var byIDs, bySegments []generate.Request
		for i, cuts := range [][]int{{0, 90}, {0, 10, 40, 90}, {0, 0, 60, 61, 90}, {0, 33, 70}} {
			o := generate.Options{MaxTokens: 12, LogProbs: true, RepetitionPenalty: 1, Seed: uint64(i), Temperature: float64(i % 2)}
			r := generate.Request{Options: o}
			for j := range len(cuts) - 1 {
				part := ids[cuts[j]:cuts[j+1]]
				if j%2 == 0 {
					r.Segments = append(r.Segments, generate.Segment{IDs: part})
				} else {
					r.Segments = append(r.Segments, generate.Segment{Rows: tableRows(t, m, part...)})
				}
			}
			bySegments = append(bySegments, r)
			byIDs = append(byIDs, generate.Request{Prompt: ids[:cuts[len(cuts)-1]], Options: o})
		}
		want := plain(mustGenerate(t, generate.New(m, cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{}), byIDs...))
		for _, o := range []generate.EngineOptions{{}, {PrefillChunk: 7, Slots: 2}, {Lookup: 3}} {
			e := generate.New(m, cpu.New(cpu.Options{Threads: 2}), o)
			for range 2 { // the second time from the cache
				if got := plain(mustGenerate(t, e, bySegments...)); !reflect.DeepEqual(got, want) {
					t.Errorf("%T, %+v: rows of the table give other results than their ids", m, o)
				}
			}
		}
	}
}

// TestSegmentsCached: the cache knows rows by what they hold, and where they end.
func TestSegmentsCached(t *testing.T) {
	m := random(t, 1)
	e := generate.New(m, cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{})
	request := func(scope string, rows []float32, rest ...int32) generate.Request {
		return generate.Request{Segments: []generate.Segment{{IDs: text(2, 5)}, {Rows: rows}, {IDs: rest}}, Scope: scope, Options: generate.Options{MaxTokens: 2, RepetitionPenalty: 1.5}}
	}
	image, rest := tableRows(t, m, text(3, 40)...), text(4, 20)
	other := slices.Clone(image)
	other[len(other)-1]++ // of its last row
	for _, c := range []struct {
		name string
		r    generate.Request
		want int
	}{
		{"nothing", request("", image, rest...), 0},
		{"all but the last token", request("", image, rest...), 64},
		{"up to what follows the rows", request("", image, 1, 2, 3), 45},
		{"other rows: too few ids in front", request("", other, rest...), 0},
		{"fewer rows", request("", image[:32*20], rest...), 0},
		{"another's rows", request("b", image, rest...), 0},
	} {
		alone := mustGenerate(t, generate.New(m, cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{}), c.r)
		if got := mustGenerate(t, e, c.r); got[0].Cached != c.want || !reflect.DeepEqual(plain(got), plain(alone)) {
			t.Errorf("%s: %d cached, want %d", c.name, got[0].Cached, c.want)
		}
	}
}

// TestSegmentNames: rows never share an id with other rows, also when contents are forgotten and when all ids were given away.
func TestSegmentNames(t *testing.T) {
	m := random(t, 1)
	e := generate.New(m, cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{})
	request := func(i int) generate.Request {
		rows := make([]float32, 20*32)
		for j := range rows {
			rows[j] = float32((i+j)%17) - 8
		}
		return generate.Request{Segments: []generate.Segment{{Rows: rows}}, Options: generate.Options{MaxTokens: 1}}
	}
	cached := func(i int) int { return mustGenerate(t, e, request(i))[0].Cached }
	if a, b, c := cached(0), cached(1), cached(0); a != 0 || b != 0 || c != 19 {
		t.Errorf("cached %d, %d, then again %d", a, b, c)
	}
	e.SpendNames(30)
	if a, b := cached(2), cached(0); a != 0 || b != 19 {
		t.Errorf("with the last ids: cached %d, and of before %d", a, b)
	}
	if a, b, c := cached(3), cached(3), cached(0); a != 0 || b != 19 || c != 0 { // its ids are the first again: what had them is forgotten
		t.Errorf("when ids begin anew: cached %d, again %d, of before %d", a, b, c)
	}
}

// TestSegmentErrors: what is no prompt is refused by name.
func TestSegmentErrors(t *testing.T) {
	m := random(t, 1)
	e := generate.New(m, cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{})
	row := tableRows(t, m, 1)
	nan := slices.Clone(row)
	nan[3] = float32(math.NaN())
	for want, r := range map[string]generate.Request{
		"beside segments":       {Prompt: []int32{1}, Segments: []generate.Segment{{IDs: []int32{1}}}},
		"both ids and rows":     {Segments: []generate.Segment{{IDs: []int32{1}, Rows: row}}},
		"width 32":              {Segments: []generate.Segment{{IDs: []int32{1}}, {Rows: row[1:]}}},
		"row 0 holds NaN":       {Segments: []generate.Segment{{Rows: nan}}},
		"no echo":               {Segments: []generate.Segment{{Rows: row}}, Options: generate.Options{Echo: true}},
		"token 2 of the prompt": {Segments: []generate.Segment{{IDs: []int32{1}}, {Rows: row}, {IDs: []int32{-1}}}},
		"prompt is empty":       {Segments: []generate.Segment{{}}},
	} {
		r.MaxTokens = 1
		if _, err := e.Generate(t.Context(), []generate.Request{r}, nil); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
