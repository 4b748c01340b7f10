package main

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// The four kinds of holdings: a question, and the first and the second words of its answers.
var kinds = [4][3]string{{"who ?", "ada bob carl", "stone wood hill"}, {"where ?", "north south east", "paris rome oslo"}, {"what ?", "red blue green", "apples boats coins"}, {"when ?", "late early next", "june monday spring"}}

// holdings writes n questions such as "who ?" on contexts of up to seven answers, one of them to it; with none, every fourth question is of a kind that the context
// does not have.
func holdings(t *testing.T, path string, n int, seed uint64, none bool) {
	t.Helper()
	next := draw(seed)
	type answer struct {
		Text  string `json:"text"`
		Start int    `json:"answer_start"`
	}
	type qa struct {
		ID         string   `json:"id"`
		Question   string   `json:"question"`
		Impossible bool     `json:"is_impossible,omitempty"`
		Answers    []answer `json:"answers"`
	}
	var paragraphs []map[string]any
	for i := range n {
		kind, context := next(4), "“é” "
		impossible := none && i%4 == 0
		q := qa{ID: fmt.Sprint("q", i), Question: kinds[kind][0], Impossible: impossible, Answers: []answer{}}
		phrases := 2 + next(6)
		at := next(phrases)
		for j := range phrases {
			k := (kind + 1 + next(3)) % 4
			if j == at && !impossible {
				k = kind
			}
			text := strings.Fields(kinds[k][1])[next(3)] + " " + strings.Fields(kinds[k][2])[next(3)]
			if k == kind {
				q.Answers = []answer{{text, len([]rune(context))}}
			}
			context += text + " . "
		}
		paragraphs = append(paragraphs, map[string]any{"context": context, "qas": []qa{q}})
	}
	b, err := json.Marshal(map[string]any{"version": "1.1", "data": []any{map[string]any{"title": "t", "paragraphs": paragraphs}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(b))
}

// readerText is text with the words of holdings.
func readerText(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "x.json")
	holdings(t, path, 200, 77, true)
	return strings.NewReplacer(`"`, " ", "{", " ", "}", " ", ",", " ").Replace(read(t, path))
}

func TestAdaptQAAndAsk(t *testing.T) {
	freshBERT(t, readerText(t), 2, 32)
	holdings(t, "train.json", 400, 1, true)
	holdings(t, "dev.json", 40, 2, true)
	holdings(t, "test.json", 40, 3, true)
	holdings(t, "other.json", 20, 4, false)
	r := object(t, args("adapt --task qa --model bert --data train.json --validation dev.json --test test.json --shifted other.json --out out --epochs 8 --lr 3e-3")...)
	keys(t, r, "cut examples lr method model out params results seconds shift steps task trained_params validated")
	evaluated(t, r, "--task qa --model out --data test.json --shifted other.json")
	result := r["results"].([]any)[0].(map[string]any)
	keys(t, result, "set examples loss exact f1 has_answer no_answer best_exact best_f1")
	if result["f1"].(float64) < 80 {
		t.Errorf("F1 %v: %v", result["f1"], r["validated"])
	}
	if other := r["results"].([]any)[1].(map[string]any); other["no_answer"] != nil || other["exact"].(float64) < 70 {
		t.Errorf("without impossible questions: %v", other)
	}
	// The verb answers as the report counted, and writes the same predictions.
	said := object(t, args("ask --model out --data test.json --no-answer --out said")...)
	if got := said["scores"].(map[string]any)["f1"].(float64); math.Abs(got-result["f1"].(float64)) > 1e-9 {
		t.Errorf("ask finds F1 %v, the report %v", got, result["f1"])
	}
	if read(t, "said/predictions.json") != read(t, "out/predictions.json") || read(t, "said/null_odds.json") != read(t, "out/predictions-null-odds.json") {
		t.Error("the predictions of ask and of adapt differ")
	}
	context := "“é” north oslo . ada wood . red coins . "
	long := strings.Repeat("next june . green boats . ", 12) + context // longer than the model's context
	for _, text := range []string{context, long} {
		one := object(t, "ask", "--model", "out", "--context", text, "--top", "3", "who ?")["results"].([]any)[0].(map[string]any)
		answers := one["answers"].([]any)
		best := answers[0].(map[string]any)
		if best["text"] != "ada wood" || len(answers) != 3 || one["no_answer"] != nil {
			t.Errorf("on %d bytes: %v", len(text), one)
		}
		for _, a := range answers {
			a := a.(map[string]any)
			if got := string([]rune(text)[int(a["start"].(float64)):int(a["end"].(float64))]); got != a["text"] {
				t.Errorf("%v is %q", a, got)
			}
		}
	}
	write(t, "context.txt", context)
	if line := ok(t, "ask", "--model", "out", "--file", "context.txt", "what ?"); !strings.HasPrefix(line, "red coins\t") || !strings.HasSuffix(line, "\t28-37\twhat ?\n") {
		t.Errorf("ask: %q", line)
	}
	if line := ok(t, "ask", "--model", "out", "--context", context, "--no-answer", "when ?"); !strings.HasPrefix(line, "(no answer)\t") {
		t.Errorf("a question without an answer: %q", line)
	}
	if line := ok(t, "ask", "--model", "out", "--context", context, "--no-answer", "--threshold", "1e6", "when ?"); strings.HasPrefix(line, "(no answer)\t") {
		t.Errorf("a threshold that nothing exceeds: %q", line)
	}
	fails(t, 1, "plinth ask", args("tag --model out text")...)
	fails(t, 2, "one of them", args("ask --model out what")...)
	fails(t, 2, "no question", args("ask --model out --context a")...)
	fails(t, 2, "its own questions", args("ask --model out --data test.json what")...)
	fails(t, 2, "--stride", args("ask --model out --context a --stride -1 what")...)
	fails(t, 1, "no room", args("ask --model out --context a --window 8", strings.Repeat("what ", 9))...)
}

func TestAdaptQATables(t *testing.T) {
	freshBERT(t, readerText(t), 1, 48)
	var b strings.Builder
	b.WriteString("question,context,answer,answer_start\n")
	for range 12 {
		b.WriteString("what has red ?,red has eggs . blue has eggs .,eggs,8\nwhat has blue ?,red has eggs . blue has eggs .,eggs,24\n")
	}
	write(t, "train.csv", b.String())
	for method, flags := range map[string]string{"frozen": "--method frozen", "lora": "--method lora"} {
		r := object(t, args("adapt --task qa --model bert --data train.csv --validation train.csv --epochs 1 --out out-"+method+" "+flags)...)
		if r["trained_params"].(float64) >= r["params"].(float64) {
			t.Errorf("%s trains %v of %v", method, r["trained_params"], r["params"])
		}
		ok(t, args("ask --data train.csv --out said --model out-"+method)...) // also with an adapter that was merged
		if read(t, "said/predictions.json") != read(t, "out-"+method+"/predictions.json") {
			t.Errorf("%s: the predictions of ask and of adapt differ", method)
		}
	}
	var adapter struct {
		Kind string `json:"task_type"`
	}
	if err := json.Unmarshal([]byte(read(t, "out-lora/adapter/adapter_config.json")), &adapter); err != nil || adapter.Kind != "QUESTION_ANS" {
		t.Errorf("adapter_config.json: %+v, %v", adapter, err)
	}
	write(t, "hf.jsonl", `{"id": "a", "q": "what has red ?", "text": "red has eggs .", "answers": {"text": ["eggs"], "answer_start": [8]}}`+"\n"+
		`{"id": "b", "q": "what has blue ?", "text": "red has eggs .", "answers": {"text": [], "answer_start": []}}`+"\n")
	o := object(t, args("ask --model out-frozen --data hf.jsonl --question-column q --context-column text")...)
	if s := o["scores"].(map[string]any); s["no_answer"].(map[string]any)["examples"] != 1.0 || o["results"].([]any)[1].(map[string]any)["id"] != "b" {
		t.Errorf("a table as Hugging Face has it: %v", o)
	}
	type listed struct { // answers of the same table in a Parquet file
		Text  []string `parquet:"text,list"`
		Start []int32  `parquet:"answer_start,list"`
	}
	type asked struct {
		ID      string `parquet:"id"`
		Q       string `parquet:"q"`
		Text    string `parquet:"text"`
		Answers listed `parquet:"answers"`
	}
	if err := parquet.WriteFile("hf.parquet", []asked{{"a", "what has red ?", "red has eggs .", listed{[]string{"eggs"}, []int32{8}}}, {ID: "b", Q: "what has blue ?", Text: "red has eggs ."}}); err != nil {
		t.Fatal(err)
	}
	o["scores"].(map[string]any)["set"] = "hf.parquet" // all but the name
	if p := object(t, args("ask --model out-frozen --data hf.parquet --question-column q --context-column text")...); !reflect.DeepEqual(p, o) {
		t.Errorf("in a Parquet file: %v\nwant %v", p, o)
	}
	write(t, "open.tsv", "question\tcontext\nwhat has red ?\tred has eggs .\n")
	if o := object(t, args("ask --model out-frozen --data open.tsv")...); o["scores"] != nil || len(o["results"].([]any)) != 1 {
		t.Errorf("questions without answers: %v", o)
	}
	for text, want := range map[string]string{
		`{"question": "q", "context": "a b", "answer": "c"}`:                                               "does not stand in the context",
		`{"question": "q", "context": "a b", "answer": "b", "answer_start": 1}`:                            "character 1",
		`{"question": "q", "context": "a b", "answer": "b", "answer_start": "x"}`:                          "is no number",
		`{"question": "q", "context": "a b", "answer": "b", "answer_start": -1}`:                           "character -1",
		`{"question": "q", "context": "", "answer": "b"}`:                                                  "is empty",
		`{"question": "q", "context": "a b", "answers": ["b"]}`:                                            `"answer_start": [...]`,
		`{"question": "q", "context": "a b", "answers": {"text": ["b"], "answer_start": [0, 1]}}`:          "one length",
		`{"question": "q", "context": "a b", "answers": {"text": ["b"], "answer_start": [4]}}`:             "character 4",
		`{"question": "q", "context": "a b"}`:                                                              "no question has an answer",
		`{"question": "q", "text": "a b"}`:                                                                 "--context-column",
		`{"question": "` + strings.Repeat("what ", 60) + `", "context": "red has eggs", "answer": "eggs"}`: "no room",
	} {
		write(t, "bad.jsonl", text+"\n")
		fails(t, 1, want, args("adapt --task qa --model bert --validation 0 --out out --data bad.jsonl")...)
		fails(t, 1, "bad.jsonl", args("adapt --task qa --model bert --validation 0 --out out --data bad.jsonl")...)
	}
	write(t, "twice.jsonl", strings.Repeat(`{"id": "x", "question": "q", "context": "a b", "answer": "b"}`+"\n", 2))
	fails(t, 1, `id "x"`, args("ask --model out-frozen --data twice.jsonl")...)
	write(t, "bad.json", `{"data": [{"paragraphs": [{"context": "a b", "qas": [{"id": "q7", "question": "q", "answers": [{"text": "b", "answer_start": 0}]}]}]}]}`)
	fails(t, 1, "question q7", args("adapt --task qa --model bert --out out --data bad.json")...)
	fails(t, 1, "bad.json", args("adapt --task qa --model bert --out out --data bad.json")...)
	fails(t, 1, "--answer-column", args("adapt --task qa --model bert --out out --data train.csv --answer-column reply")...)
	fails(t, 2, "--balance", args("adapt --task qa --model bert --out out --data train.csv --balance")...)
}
