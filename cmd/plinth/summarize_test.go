package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
)

// smallT5 puts a T5 that was trained for a moment into the current folder as "t5".
func smallT5(t *testing.T) {
	t.Helper()
	fixture(t, "t5", func() {
		ok(t, args("train --family t5 --vocab 420 --seq 48 --steps 20 --lr 5e-3 --sample-every=-1 --out t5 "+shape, "--data", shared.text)...)
	})
}

// summaries runs summarize on a model and returns the result and its summaries.
func summaries(t *testing.T, args ...string) (map[string]any, []map[string]any) {
	t.Helper()
	o := object(t, append([]string{"summarize"}, args...)...)
	var list []map[string]any
	for _, s := range o["summaries"].([]any) {
		list = append(list, s.(map[string]any))
	}
	return o, list
}

func TestSummarize(t *testing.T) {
	base(t)
	smallT5(t)
	long := strings.Repeat("one and two make 3. ", 20)
	write(t, "long.txt", long)
	verb := args("--model t5 --max-tokens 9 --max-source 40")
	whole, one := summaries(t, append(verb, "--file", "long.txt")...)
	keys(t, whole, "model cut summaries")
	cut, read := whole["cut"].(float64), one[0]["read"].(float64)
	if len(one) != 1 || read != 40 || !(cut > 0) || len(one[0]["ids"].([]any)) > 9 {
		t.Errorf("%v", whole)
	}
	code, out, said := plinth(append([]string{"summarize"}, append(verb, "--file", "long.txt")...)...)
	if code != 0 || out != one[0]["text"].(string)+"\n" || !strings.Contains(said, fmt.Sprintf("%v of %v tokens", cut, cut+read)) {
		t.Errorf("exit code %d, %q, %q; with --json %v", code, out, said, one)
	}
	stdin(t, long)
	if again := ok(t, append([]string{"summarize"}, verb...)...); again != out {
		t.Errorf("from standard input %q, from the file %q", again, out)
	}
	if o, parts := summaries(t, append(verb, "--file", "long.txt", "--chunks")...); !(parts[0]["parts"].(float64) > 2) || o["cut"] != 0.0 {
		t.Errorf("--chunks: %v", o)
	}
	if _, s := summaries(t, append(verb, "--file", "long.txt", "--min-tokens", "9")...); len(s[0]["ids"].([]any)) != 9 {
		t.Errorf("--min-tokens 9: %v", s)
	}

	// What the model itself wrote is a perfect reference; of several references the best counts.
	table := "text,summary,other\n"
	texts := []string{"one and two", "three and four make 7."}
	for _, text := range texts {
		write(t, "one.txt", text)
		table += fmt.Sprintf("%s,nothing like it,%s\n", text, strings.TrimSpace(ok(t, append([]string{"summarize"}, append(verb, "--file", "one.txt", "--min-tokens", "4")...)...)))
	}
	write(t, "table.csv", table)
	o, list := summaries(t, append(verb, "--data", "table.csv", "--summary", "summary,other", "--min-tokens", "4")...)
	rouge := o["rouge"].(map[string]any)
	keys(t, rouge, "rouge1 rouge2 rougeL rougeLsum")
	if len(list) != 2 || rouge["rouge1"] != 1.0 || rouge["rougeLsum"] != 1.0 || list[1]["where"] != "table.csv:3" {
		t.Errorf("%v", o)
	}
	lines := strings.Split(ok(t, append([]string{"summarize"}, append(verb, "--data", "table.csv")...)...), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[2], "2 texts: ROUGE-1 ") {
		t.Errorf("%q", lines)
	}

	fails(t, 1, `"suumary"`, append([]string{"summarize"}, append(verb, "--data", "table.csv", "--summary", "suumary")...)...)
	write(t, "empty.csv", "text,summary\na,b\n ,c\n")
	fails(t, 1, `empty.csv:3: column "text"`, append([]string{"summarize"}, append(verb, "--data", "empty.csv")...)...)
	write(t, "none.txt", "\n")
	fails(t, 1, "none.txt", args("summarize --model t5 --file none.txt")...)
	fails(t, 2, "--file", args("summarize --model t5 --file long.txt --data table.csv")...)
	fails(t, 2, "--max-tokens", args("summarize --model t5 --file long.txt --max-tokens=-1")...)
}

// A decoder goes on behind TL;DR:, or answers in its chat template: what generate and chat write by taking the most probable token each time.
func TestSummarizeDecoder(t *testing.T) {
	base(t)
	text := "one and"
	write(t, "a.txt", text)
	want := ok(t, args("generate --model base --temperature 0 --max-tokens 6", "p "+text+"\nTL;DR:")...)
	got := ok(t, args("summarize --model base --file a.txt --max-tokens 6 --prefix", "p ")...)
	if got != strings.TrimSpace(want)+"\n" {
		t.Errorf("summarize %q, generate %q", got, want)
	}
	stdin(t, text)
	if piped := ok(t, args("summarize --model base --file - --max-tokens 6 --prefix", "p ")...); piped != got {
		t.Errorf("of standard input %q, of a file %q", piped, got)
	}
	write(t, filepath.Join("base", "chat_template.jinja"), lineTemplate)
	want = ok(t, args("chat --model base --temperature 0 --max-tokens 6", "p "+text)...)
	got = ok(t, args("summarize --model base --file a.txt --max-tokens 6 --prefix", "p ")...)
	if got != strings.TrimSpace(want)+"\n" {
		t.Errorf("summarize %q, chat %q", got, want)
	}
	write(t, "long.txt", strings.Repeat("one and two make 3. ", 9))
	code, _, said := plinth(args("summarize --model base --file long.txt --max-tokens 6 --prefix", "p ")...)
	if code != 0 || !strings.Contains(said, "were not read") {
		t.Errorf("exit code %d, %q", code, said)
	}
	fails(t, 1, "no room", args("summarize --model base --file long.txt --max-tokens 31 --prefix", "p ")...)
	ok(t, args("train --family bert --size tiny --steps 1 --vocab 300 --seq 32 --out bert", "--data", shared.text)...)
	fails(t, 1, "no decoder", args("summarize --model bert --file a.txt")...)
}

// stories writes a table of n texts about one of two people, of whom the summary tells.
func stories(t *testing.T, path string, n int, columns string) {
	t.Helper()
	names, rest := strings.Fields("one two"), strings.Fields("six seven eight nine ten")
	key := random.NewKey(uint64(n))
	var b strings.Builder
	b.WriteString(columns + "\n")
	for i := range uint64(n) {
		name := names[key.IntN(3*i, 2)]
		fmt.Fprintf(&b, "%s and %s make %s.,and %s", rest[key.IntN(3*i+1, 5)], name, rest[key.IntN(3*i+2, 5)], name)
		for range strings.Count(columns, ",") - 1 {
			b.WriteString(",nothing")
		}
		b.WriteByte('\n')
	}
	write(t, path, b.String())
}

func TestAdaptSummarize(t *testing.T) {
	base(t)
	smallT5(t)
	stories(t, "train.csv", 200, "text,summary")
	stories(t, "test.csv", 20, "text,summary1,summary2")
	// T5 learns whom a text is about; the GPT in so few steps how a summary reads, which is 0.75 of the score on average.
	for _, c := range []struct {
		model, method, lr string
		epochs            string
		least             float64
	}{{"t5", "full", "5e-3", "25", 0.9}, {"base", "full", "5e-3", "12", 0.6}, {"t5", "lora", "1e-2", "1", 0}, {"base", "lora", "1e-2", "1", 0}} {
		name := c.model + " " + c.method
		out := "out-" + c.model + c.method
		flags := args("adapt --task summarize --data train.csv --test test.csv --summary summary,summary1,summary2 --max-tokens 12 --model "+c.model,
			"--method", c.method, "--lr", c.lr, "--epochs", c.epochs, "--out", out)
		r := object(t, flags...)
		keys(t, r, "cut examples lr method model out params results seconds steps task trained_params validated")
		result := r["results"].([]any)[0].(map[string]any)
		keys(t, result, "set examples loss rouge lead3")
		rouge := result["rouge"].(map[string]any)
		if got := rouge["rouge1"].(float64); got < c.least || c.least > 0 && got <= result["lead3"].(map[string]any)["rouge1"].(float64) || r["examples"] != 180.0 {
			t.Errorf("%s: %v", name, r)
		}
		if trained, all := r["trained_params"].(float64), r["params"].(float64); (c.method == "full") != (trained == all) {
			t.Errorf("%s trains %v of %v parameters", name, trained, all)
		}
		// What summarize says of the test's texts is what the report counted, also with an adapter that was merged.
		rows, err := csv.NewReader(strings.NewReader(read(t, filepath.Join(out, "predictions.csv")))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		o, said := summaries(t, args("--data test.csv --summary summary1,summary2 --model "+out)...)
		if len(rows) != 21 || len(said) != 20 || o["rouge"].(map[string]any)["rouge1"] != rouge["rouge1"] {
			t.Errorf("%s: %d predictions, %d summaries, %v, the report %v", name, len(rows), len(said), o["rouge"], rouge)
		}
		for i, s := range said {
			if s["text"] != rows[i+1][3] {
				t.Errorf("%s, text %d: summarize says %q, the report %q", name, i, s["text"], rows[i+1][3])
			}
		}
		if c.method == "lora" {
			if _, err := os.Stat(filepath.Join(out, "adapter", "adapter_model.safetensors")); err != nil {
				t.Error(err)
			}
			continue
		}
		fails(t, 1, "--resume", flags...)
		if again := object(t, append(flags, "--resume")...); fmt.Sprint(again["results"]) != fmt.Sprint(r["results"]) {
			t.Errorf("%s resumed: %v, before %v", name, again["results"], r["results"])
		}
	}
	for _, c := range []struct {
		code        int
		want, flags string
	}{
		{1, `"sumary"`, "--summary sumary"}, {2, "--method frozen", "--summary summary --method frozen"}, {1, "no examples", "--data empty.csv"},
		{1, `gap.csv:3: column "summary" is empty`, "--data gap.csv"}, {2, "--max-source", "--max-source=-3"},
	} {
		write(t, "empty.csv", "text,summary\n")
		write(t, "gap.csv", "text,summary\na,b\nc,\n")
		f := args("adapt --task summarize --model t5 --out no " + c.flags)
		if !strings.Contains(c.flags, "--data") {
			f = append(f, "--data", "train.csv")
		}
		fails(t, c.code, c.want, f...)
	}
}
