package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/model/zoo"
)

// The three files and the object hold the same vectors, also with a prefix, of fewer numbers and with 8 bits near.
func TestEmbed(t *testing.T) {
	base(t)
	write(t, "texts.csv", "id,body\n1,one two three\n2,four five\n3,\"one, two\"\n")
	o := object(t, args("embed --model base --data texts.csv --text body --normalize")...)
	keys(t, o, "model texts dimensions cut seconds embeddings")
	var want [][]float32
	for _, v := range o["embeddings"].([]any) {
		row := []float32{}
		length := 0.0
		for _, x := range v.([]any) {
			row = append(row, float32(x.(float64)))
			length += x.(float64) * x.(float64)
		}
		if math.Abs(length-1) > 1e-5 {
			t.Errorf("squared length %v", length)
		}
		want = append(want, row)
	}
	for _, name := range []string{"v.npy", "v.jsonl", "v.csv"} {
		ok(t, args("embed --model base --data texts.csv --text body --normalize --out "+name)...)
	}
	npy := read(t, "v.npy")
	header := int(binary.LittleEndian.Uint16([]byte(npy[8:])))
	if !strings.HasPrefix(npy, "\x93NUMPY\x01\x00") || (10+header)%64 != 0 || !strings.Contains(npy[:10+header], fmt.Sprintf("(3, %d)", len(want[0]))) {
		t.Fatalf("header %q", npy[:10+header])
	}
	lines, table := strings.Split(read(t, "v.jsonl"), "\n"), strings.Split(read(t, "v.csv"), "\n")
	for i, row := range want {
		var line struct{ Embedding []float32 }
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		for j, x := range row {
			if got := math.Float32frombits(binary.LittleEndian.Uint32([]byte(npy[10+header+4*(i*len(row)+j):]))); got != x || line.Embedding[j] != x {
				t.Fatalf("vector %d, number %d: %v and %v in files, want %v", i, j, got, line.Embedding[j], x)
			}
		}
		if last := fmt.Sprint(row[len(row)-1]); !strings.HasSuffix(table[i+1], ","+last) {
			t.Errorf("row %d of the table does not end in %s: %s", i, last, table[i+1])
		}
	}
	same := func(a, b string) {
		t.Helper()
		if x, y := fmt.Sprint(object(t, strings.Split(a, "|")...)["embeddings"]), fmt.Sprint(object(t, strings.Split(b, "|")...)["embeddings"]); x != y {
			t.Errorf("%s and %s differ", a, b)
		}
	}
	same("embed|--model|base|--prefix|one |two", "embed|--model|base|one two")
	if v := object(t, args("embed --model base --dimensions 8 --int8 --pool last one")...)["embeddings"].([]any)[0].([]any); len(v) != 8 {
		t.Errorf("%d numbers", len(v))
	}
}

// What would be missing at the end is told before the model is read.
func TestEmbedEarly(t *testing.T) {
	base(t)
	write(t, "plain", "a file")
	if err := os.Remove("base/model.safetensors"); err != nil {
		t.Fatal(err)
	}
	for want, flags := range map[string]string{"--out no/v.npy: there is no folder no": "--out no/v.npy", "no folder plain": "--out plain/v.csv", "nowhere.csv": "--search nowhere.csv"} {
		fails(t, 1, want, args("embed --model base a "+flags)...)
	}
	fails(t, 1, "model.safetensors", args("embed --model base a --out v.npy")...)
}

func TestEmbedSearch(t *testing.T) {
	base(t)
	write(t, "docs.jsonl", `{"text": "four five six"}`+"\n"+`{"text": "one two three"}`+"\n"+`{"text": "six"}`+"\n")
	r := object(t, "embed", "--model", "base", "--search", "docs.jsonl", "--top", "2", "one two three")["results"].([]any)[0].(map[string]any)
	found := r["results"].([]any)
	first := found[0].(map[string]any)
	if len(found) != 2 || first["row"] != 2.0 || math.Abs(first["cosine"].(float64)-1) > 1e-6 || found[1].(map[string]any)["cosine"].(float64) > 1 {
		t.Errorf("%v", r)
	}
	if text := ok(t, "embed", "--model", "base", "--search", "docs.jsonl", "six"); !strings.HasPrefix(text, "six\n  1.0000\t3\tsix\n") {
		t.Errorf("%q", text)
	}
	fails(t, 2, "one of them", args("embed --model base")...)
	fails(t, 2, "--out", args("embed --model base --out v.txt a")...)
	fails(t, 2, "--pool", args("embed --model base --pool median a")...)
	fails(t, 2, "--dimensions", args("embed --model base --dimensions 100000 a")...)
	fails(t, 1, `"body"`, args("embed --model base --data docs.jsonl --text body")...)
}

// A model trained to numbers orders unseen texts, and classify shows the number.
func TestAdaptRegress(t *testing.T) {
	base(t)
	var b strings.Builder
	b.WriteString("text,score\n")
	for i := range 96 {
		fmt.Fprintf(&b, "it is %s,%d\n", strings.Fields("bad dull fine good")[i%4], i%4)
	}
	write(t, "train.csv", b.String())
	r := object(t, args("adapt --task regress --model base --data train.csv --label score --out out --lr 1e-2 --epochs 40")...)
	if s := r["results"].([]any)[0].(map[string]any); s["spearman"].(float64) < 0.8 {
		t.Errorf("%v", s)
	}
	said := object(t, "classify", "--model", "out", "it is good", "it is bad")["results"].([]any)
	if high, low := said[0].(map[string]any)["number"].(float64), said[1].(map[string]any)["number"].(float64); high < low+1 {
		t.Errorf("good is %v, bad %v", high, low)
	}
	write(t, "bad.csv", "text,score\na,1\nb,many\n")
	fails(t, 1, `"many"`, args("adapt --task regress --model base --data bad.csv --label score --out out2")...)
}

// Pairs that belong together come nearer, and what is written is a folder of sentence-transformers.
func TestAdaptEmbed(t *testing.T) {
	base(t)
	var b strings.Builder
	b.WriteString("question,answer\n")
	names := strings.Fields("red blue green black white brown")
	for i := range 60 {
		fmt.Fprintf(&b, "what is %s %d,it is a %s thing %d\n", names[i%6], i, names[i%6], i)
	}
	write(t, "pairs.csv", b.String())
	const run = "adapt --task embed --model base --data pairs.csv --text question --pair answer --validation 0.2 --lr 3e-3 --batch 8 --out "
	before := object(t, args(run+"out1 --steps 1")...)["results"].([]any)[0].(map[string]any)
	after := object(t, args(run+"out2 --epochs 20")...)["results"].([]any)[0].(map[string]any)
	if before["mrr"].(float64) >= after["mrr"].(float64) || after["mrr"].(float64) < 0.5 {
		t.Errorf("before %v, after %v", before, after)
	}
	for _, name := range []string{"modules.json", "1_Pooling/config.json", "2_Normalize/config.json", "predictions.csv"} {
		read(t, "out2/"+name)
	}
	if n := object(t, args("embed --model out2 red")...)["dimensions"].(float64); n < 8 {
		t.Errorf("%v numbers", n)
	}
	// A folder keeps its pooling and its length, whatever is trained: pairs with negatives, or scored ones.
	b.Reset()
	b.WriteString("question,answer,wrong,near\n")
	for i := range 40 {
		fmt.Fprintf(&b, "what is %s %d,it is a %s thing %d,it is %s,%v\n", names[i%6], i, names[i%6+i%2*(1-2*(i%6/5))], i, names[(i+3)%6], 0.8-float64(i%2)/2)
	}
	write(t, "wide.csv", b.String())
	e, err := embed.Open("out2", zoo.Options{F32: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := embed.SaveSettings("out2", embed.Settings{Pools: []embed.Pool{embed.Last}, Limit: 20}, e.Model.Sizes().Width); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("out2/2_Normalize"); err != nil {
		t.Fatal(err)
	}
	for flag, column := range map[string]string{"--negative": "wrong", "--score": "near"} {
		out := "out" + flag
		r := object(t, args("adapt --task embed --model out2 --data wide.csv --text question --pair answer --lr 1e-3 --epochs 2 --batch 8", "--out", out, flag, column)...)
		if _, ok := r["results"].([]any)[0].(map[string]any)["pearson"]; ok != (flag == "--score") {
			t.Errorf("%s: %v", flag, r["results"])
		}
		s, _, err := embed.ReadSettings(out)
		if err != nil || s.Normalize || len(s.Pools) != 1 || s.Pools[0] != embed.Last || s.Limit != 20 {
			t.Errorf("%s: %+v, %v", flag, s, err)
		}
	}
	fails(t, 1, "no cosine", args("adapt --task embed --model base --data wide.csv --text question --pair answer --score wrong --out out3")...)
	fails(t, 2, "exclude", args("adapt --task embed --model base --data wide.csv --text question --pair answer --score near --negative wrong --out out3")...)
	fails(t, 2, "--pair", args("adapt --task embed --model base --data pairs.csv --text question --out out3")...)
	fails(t, 2, "--batch", args("adapt --task embed --model base --data pairs.csv --text question --pair answer --batch 1 --out out3")...)
}
