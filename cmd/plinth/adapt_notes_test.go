package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A validation may be the file that is trained on: its labels are those of the training.
func TestAdaptSameFile(t *testing.T) {
	base(t)
	reviews(t, "s.csv", 12, "good", "bad")
	for _, more := range []string{"", " --multi ;"} {
		r := object(t, args("adapt --task classify --model base --data s.csv --validation s.csv --steps 1 --out out"+strings.Trim(more, " -;")+more)...)
		if got := r["labels"].([]any); len(got) != 2 || r["examples"] != 12.0 {
			t.Errorf("%s: %v", more, r)
		}
	}
}

// An adapter that is in the weights already is refused, and read beside the model that it was trained on.
func TestMergedAdapter(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 12, "good", "bad")
	ok(t, args("adapt --task classify --model base --data train.csv --method lora --rslora --dora --steps 2 --out out")...)
	config := read(t, "out/adapter/adapter_config.json")
	for _, want := range []string{`"use_dora": true`, `"use_rslora": true`} {
		if !strings.Contains(config, want) {
			t.Errorf("%s: no %s", config, want)
		}
	}
	fails(t, 1, "merged into the weights of out already", args("classify great --model out --adapter out/adapter")...)
	merged, beside := object(t, args("classify great --model out")...), object(t, args("classify great --model base --adapter out/adapter")...)
	p := func(o map[string]any) float64 {
		return o["results"].([]any)[0].(map[string]any)["labels"].([]any)[0].(map[string]any)["probability"].(float64)
	}
	if math.Abs(p(merged)-p(beside)) > 1e-4 {
		t.Errorf("merged %v, beside the base %v", merged, beside)
	}
	write(t, "text.csv", "text,summary\na dog runs,dog\na cat sits,cat\na cow eats,cow\n")
	ok(t, args("adapt --task summarize --model base --data text.csv --validation 0 --method lora --steps 1 --max-tokens 4 --out writer")...)
	fails(t, 1, "merged into", args("generate a --model writer --adapter writer/adapter")...)
}

// predictions.csv has what the scores of the report are made of.
func TestPredictedProbabilities(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 30, "good", "bad", "odd")
	for _, more := range []string{"", "--multi ;"} {
		out := "out" + strings.Trim(more, "- ;")
		r := object(t, args("adapt --task classify --model base --data train.csv --test train.csv --steps 3 --out "+out+" "+more)...)
		rows, err := csv.NewReader(strings.NewReader(read(t, out+"/predictions.csv"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(rows[0][5:], " "); got != "p(bad) p(good) p(odd)" {
			t.Fatalf("columns %s", got)
		}
		loss := 0.0
		for _, row := range rows[1:] {
			for i, label := range []string{"bad", "good", "odd"} {
				p, err := strconv.ParseFloat(row[5+i], 64)
				switch {
				case err != nil:
					t.Fatal(err)
				case row[2] == label:
					loss -= math.Log(p)
				case more != "":
					loss -= math.Log(1 - p)
				}
			}
		}
		terms := map[string]float64{"": 30, "--multi ;": 90}[more]
		if want := r["results"].([]any)[0].(map[string]any)["loss"].(float64); math.Abs(loss/terms-want) > 1e-12 {
			t.Errorf("%s: loss %v of the probabilities, %v in the report", more, loss/terms, want)
		}
	}
}

// What of a table cannot be learned from is told, and texts that are not there are refused by every verb.
func TestAdaptNotes(t *testing.T) {
	base(t)
	for _, c := range []struct{ table, flags, want string }{
		{"text,label\na,x\nb,NaN\nc,x\nd,NaN\n", "--validation 0 --test s.csv", `note: 2 examples have the label "NaN"`},
		{"text,label\na,x\nb,y\nc,x\nd,y\n", "--validation 0", "note: there is neither a validation nor a test"},
		{"text,label\na,x\nb,y\nc,x\nd,y\n", "--validation 0.1", "note: s.csv has too few examples (4) for --validation 0.1"},
		{"text,label\na,x\nb,y\n", "--validation 0.5", "note: s.csv has too few examples (2) for --validation 0.5"},
		{"text,label\na,x\nb,y\n", "--validation 0.5 --multi ;", "has no example beside the validation: it cannot be learned"},
		{"text,label\na,x\nb,y\nc,x\nd,y\n", "--validation 0.3", "note: the validation has 2 examples where --validation 0.3 is 1"},
		{"text,label\na,x\nb,y\na,x\n", "--validation s.csv", "note: 3 of the 3 texts of s.csv stand in the training data too"},
		{"text,label\na,x\nb,y\na,x\na,x\n", "--validation 0.3", "note: 1 of the 1 texts of validation stand in the training data too"},
	} {
		write(t, "s.csv", c.table)
		code, _, errs := plinth(args("adapt --task classify --model base --data s.csv --steps 1 --out out " + c.flags)...)
		if code != 0 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %d %s, want %s", c.flags, code, errs, c.want)
		}
		if err := os.RemoveAll("out"); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "empty.csv", "text,pair,label\na,b,1\n,c,2\n")
	for _, verb := range []string{"adapt --task classify --out no", "adapt --task regress --out no", "adapt --task embed --pair pair --out no", "embed", "summarize --max-tokens 4"} {
		fails(t, 1, `empty.csv:3: column "text" is empty`, args(verb+" --model base --data empty.csv")...)
	}
	fails(t, 2, "text 2 is empty", "embed", "--model", "base", "a", " ")
	for _, verb := range []string{"classify", "tag"} {
		fails(t, 2, "text 1 is empty", verb, "--model", "base", "")
	}
	for flags, want := range map[string]string{"--rank 0": "--rank is 0", "--alpha 0": "--alpha is 0", "--dropout 1": "--dropout is 1", "--dora --method full": "--dora and --rslora"} {
		fails(t, 2, want, args("adapt --task classify --model base --data s.csv --out no --method lora "+flags)...)
	}
}

// A share for the validation has examples of each class, in proportion, the same ones for the same seed.
func TestStratified(t *testing.T) {
	rows := func() *exampleSets[classRow] {
		s := &exampleSets[classRow]{train: &exampleSet[classRow]{}}
		for i := range 200 {
			label := map[bool]string{true: "many", false: "some"}[i%4 != 0]
			if i >= 196 {
				label = []string{"few", "few", "one", "other"}[i-196]
			}
			s.train.rows = append(s.train.rows, classRow{where: strconv.Itoa(i), labels: []string{label}})
		}
		return s
	}
	var before []string
	for _, seed := range []uint64{7, 7, 8} {
		s := rows()
		s.holdOut(20, seed, func(row *classRow) string { return row.labels[0] })
		count, places := map[string]int{}, []string(nil)
		for _, row := range s.validation.rows {
			count[row.labels[0]]++
			places = append(places, row.where)
		}
		if count["many"] < 14 || count["many"] > 15 || count["some"] < 4 || count["some"] > 5 || count["few"] != 1 || len(count) != 3 || len(places) != 20 || len(s.train.rows) != 180 {
			t.Errorf("held out: %v", count)
		}
		if same := slices.Equal(before, places); before != nil && same != (seed == 7) {
			t.Errorf("seed %d: %v, before %v", seed, places, before)
		}
		before = places
	}
	for _, c := range []struct {
		count  string
		n, all int
		want   string
	}{{"a", 3, 10, "map[a:3]"}, {"aab", 1, 3, "map[a:1 b:0]"}, {"aabb", 1, 4, "map[a:1 b:1]"}, {"aaaaabbbbb", 9, 10, "map[a:4 b:4]"}, {"aaabbb", 3, 6, "map[a:2 b:1]"}} {
		count := map[string]int{}
		for _, l := range c.count {
			count[string(l)]++
		}
		if c.count == "a" {
			count["a"] = c.all
		}
		if got := fmt.Sprint(quotas(count, c.n, c.all)); got != c.want {
			t.Errorf("%d of %s: %s, want %s", c.n, c.count, got, c.want)
		}
	}
}
