package embed_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
)

// texts are of many lengths: empty, beyond the limit of 20 tokens, with words that the vocabulary has not.
var texts = []string{"a", "", "the cat sat on the mat", strings.Repeat("one two three ", 30), "Ünknown ☃ word", "cat", "mat the on sat cat the"}

const words = "[PAD] [UNK] [CLS] [SEP] [MASK] a the cat sat on mat one two three word ##s find :"

// tokenizerFolder returns a folder whose base has a tokenizer and its settings.
func tokenizerFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var vocab []string
	for i, w := range strings.Fields(words) {
		vocab = append(vocab, fmt.Sprintf("%q: %d", w, i))
	}
	for name, text := range map[string]string{
		"base/tokenizer.json": `{"version": "1.0", "added_tokens": [` + special(0, "[PAD]") + `, ` + special(2, "[CLS]") + `, ` + special(3, "[SEP]") + `],
			"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
			"pre_tokenizer": {"type": "BertPreTokenizer"},
			"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
			"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {` + strings.Join(vocab, ", ") + `}}}`,
		"base/tokenizer_config.json": `{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40, "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func special(id int, name string) string {
	return fmt.Sprintf(`{"id": %d, "content": %q, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}`, id, name)
}

type job struct {
	Dir   string         `json:"dir"`
	Make  map[string]any `json:"make"`
	Texts []string       `json:"texts"`
	Kind  string         `json:"kind"`
}

type answer struct{ Vectors [][]float32 }

func peer(t *testing.T, j job) [][]float32 {
	t.Helper()
	var a answer
	testkit.Ask(t, "testdata/embed.py", []string{"torch", "transformers", "sentence_transformers"}, j, &a)
	return a.Vectors
}

func vectors(t *testing.T, e *embed.Embedder, kind string, texts ...string) [][]float32 {
	t.Helper()
	v, _, err := e.Embed(context.Background(), texts, kind)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// near fails where vectors differ by more than 1e-5 of the largest number: two float32 programs of two layers.
func near(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	top := 0.0
	for _, v := range want {
		for _, x := range v {
			top = max(top, math.Abs(float64(x)))
		}
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("%s: vector %d has %d numbers, want %d", what, i, len(got[i]), len(want[i]))
		}
		for j, x := range want[i] {
			if d := math.Abs(float64(got[i][j] - x)); !(d <= 1e-5*top) {
				t.Fatalf("%s: vector %d, number %d: %v, want %v", what, i, j, got[i][j], x)
			}
		}
	}
}

// What sentence-transformers saves gives the same vectors here, and what is saved here gives the same there.
func TestSentenceTransformers(t *testing.T) {
	for _, c := range []struct {
		pool      any
		normalize int
	}{{"mean", 1}, {[]string{"cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"}, 0}} {
		dir := tokenizerFolder(t)
		want := peer(t, job{dir, map[string]any{"vocab": len(strings.Fields(words)), "limit": 20, "pool": c.pool, "normalize": c.normalize}, texts, ""})
		e, err := embed.Open(dir, zoo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprint(c.pool)
		near(t, what, vectors(t, e, "", texts...), want)
		if c.normalize == 0 {
			continue // starting the peer takes seconds
		}
		near(t, what+", prompt", vectors(t, e, "query", texts...), peer(t, job{dir, nil, texts, "query"}))

		again := t.TempDir()
		m, err := zoo.OpenAny(dir, zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := zoo.Save(again, m, e.Tokenizer); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(again, "copied"), os.DirFS(filepath.Join(dir, "base"))); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(again, "copied", "tokenizer_config.json"), filepath.Join(again, "tokenizer_config.json")); err != nil {
			t.Fatal(err)
		}
		if err := embed.SaveSettings(again, e.Settings, 48); err != nil {
			t.Fatal(err)
		}
		near(t, what+", saved here", peer(t, job{again, nil, texts, ""}), want)
	}
}

// tiny writes a folder with random weights as sentence-transformers has them, in the older form of its files.
func tiny(t *testing.T, edit map[string]string) string {
	t.Helper()
	dir := filepath.Join(tokenizerFolder(t), "base")
	c := bert.Shape(2, 64, len(strings.Fields(words)), 40)
	c.Heads, c.Head = 2, bert.Body
	m, err := bert.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	if err := zoo.Save(dir, m, nil); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"modules.json": `[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
			{"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
			{"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]`,
		"1_Pooling/config.json":             `{"word_embedding_dimension": 64, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}`,
		"sentence_bert_config.json":         `{"max_seq_length": 20, "do_lower_case": false}`,
		"config_sentence_transformers.json": `{"prompts": {"query": "find: "}, "default_prompt_name": null}`,
	}
	maps.Copy(files, edit)
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A text alone has the bits that it has beside others, on one thread and on three, in float32 and with 8 bits; and 8 bits are near.
func TestAloneAndTogether(t *testing.T) {
	dir := tiny(t, nil)
	many := slices.Repeat(texts, 40)
	var exact [][]float32
	for _, int8 := range []bool{false, true} {
		open := func(threads int) *embed.Embedder {
			e, err := embed.Open(dir, zoo.Options{F32: true})
			if err != nil {
				t.Fatal(err)
			}
			e.Threads, e.Int8 = threads, int8
			return e
		}
		one, three := open(1), open(3)
		all := vectors(t, three, "", many...)
		for i, v := range vectors(t, one, "", many...) {
			if !slices.Equal(v, all[i]) {
				t.Fatalf("int8 %v: text %d differs between one thread and three", int8, i)
			}
		}
		for i, text := range texts {
			if alone := vectors(t, one, "", text)[0]; !slices.Equal(alone, all[i]) {
				t.Errorf("int8 %v: text %d alone differs", int8, i)
			}
		}
		if exact == nil {
			exact = all
		}
		for i := range texts {
			if loss := 1 - task.Cosine(exact[i], all[i]); loss > 1e-3 {
				t.Errorf("int8 %v: text %d: 1 - cosine is %v", int8, i, loss)
			}
		}
	}
}

// The settings of a folder hold: limit, length 1, prompts; dimensions cut before the length is made 1.
func TestSettings(t *testing.T) {
	e, err := embed.Open(tiny(t, nil), zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if e.Limit != 20 || !e.Normalize || !slices.Equal(e.Pools, []embed.Pool{embed.Mean}) {
		t.Errorf("%+v", e.Settings)
	}
	_, cut, err := e.Embed(context.Background(), texts, "")
	if err != nil || cut != 1 {
		t.Errorf("%d texts cut, %v", cut, err)
	}
	if a, b := vectors(t, e, "query", "cat"), vectors(t, e, "", "find: cat"); !slices.Equal(a[0], b[0]) {
		t.Error("a prompt differs from its text")
	}
	if _, _, err := e.Embed(context.Background(), texts, "other"); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("unknown prompt: %v", err)
	}
	whole := vectors(t, e, "", "the cat")[0]
	const cls, sep, the, cat = 2, 3, 6, 7
	ids := [][]int32{{cls, the, cat, sep}, {the, cat}, slices.Repeat([]int32{cat}, 21)}
	byIDs, cut, err := e.EmbedIDs(context.Background(), ids)
	if err != nil || cut != 1 || !slices.Equal(byIDs[0], whole) || slices.Equal(byIDs[1], whole) {
		t.Errorf("ids as they are: %d cut, %v; %v, the text's %v", cut, err, byIDs, whole)
	}
	for _, bad := range [][]int32{nil, {-1}, {1000}} {
		if _, _, err := e.EmbedIDs(context.Background(), [][]int32{bad}); err == nil {
			t.Errorf("ids %v have a vector", bad)
		}
	}
	e.Dimensions = 16
	part := vectors(t, e, "", "the cat")[0]
	if c := task.Cosine(part, whole[:16]); len(part) != 16 || c < 0.999999 || math.Abs(task.Cosine(part, part)-1) > 1e-6 {
		t.Errorf("%d numbers, cosine %v", len(part), c)
	}
	length := 0.0
	for _, x := range part {
		length += float64(x) * float64(x)
	}
	if math.Abs(length-1) > 1e-5 {
		t.Errorf("squared length %v", length)
	}
}

// Folders that say what is not implemented are refused by name.
func TestRefuses(t *testing.T) {
	dense := `{"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]`
	two := `[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}`
	for want, edit := range map[string]map[string]string{
		"models.Dense": {"modules.json": two + ", " + dense}, "no module Pooling": {"modules.json": strings.Split(two, ", {\"idx\": 1")[0] + "]"}, `"median"`: {"1_Pooling/config.json": `{"pooling_mode": "median"}`},
		"48 numbers": {"1_Pooling/config.json": `{"embedding_dimension": 48, "pooling_mode": "mean"}`}, "outside": {"modules.json": strings.Replace(two, `"1_Pooling"`, `"../x"`, 1) + "]"},
		"modules.json": {"modules.json": "{"},
	} {
		if _, err := embed.Open(tiny(t, edit), zoo.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	e, err := embed.Open(tiny(t, map[string]string{"1_Pooling/config.json": `{"pooling_mode": "mean", "include_prompt": false}`}), zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Embed(context.Background(), texts, "query"); err == nil || !strings.Contains(err.Error(), "include_prompt") {
		t.Errorf("a prompt outside of the pooling: %v", err)
	}
}
