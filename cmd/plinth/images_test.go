package main

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/zoo"
)

// The labels of pictures are those of embed's classes, on paper, as JSON, as a table and on a sheet.
func TestClassifyImages(t *testing.T) {
	photos := testkit.Data(t, "images/photos")
	dualFolder(t)
	album(t, photos, "album", "coffee.png", "cat.png", "bald_eagle.jpg")
	write(t, "album/broken.png", "no picture")
	write(t, "own.txt", "a {}\nthe {}\n")
	d, err := embed.OpenDual("dual", zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"album/bald_eagle.jpg", "album/cat.png", "album/coffee.png"}
	vectors, err := d.Images(t.Context(), 3, func(i int) (*media.Image, error) { return decoding{}.read(files[i]) })
	if err != nil {
		t.Fatal(err)
	}
	eighty, err := embed.Templates("imagenet80")
	if err != nil {
		t.Fatal(err)
	}
	labels := []string{"cat", "cup of coffee", "bird"}
	for _, c := range []struct {
		flags     []string
		templates []string
	}{{nil, nil}, {[]string{"--template", "a {}", "--template", "the {}"}, []string{"a {}", "the {}"}}, {args("--templates own.txt"), []string{"a {}", "the {}"}},
		{args("--templates imagenet80"), eighty}} {
		var got struct {
			Labels  []string
			Results []classifiedPicture
			Bad     []badFile `json:"not_read"`
		}
		text := partly(t, append([]string{"classify", "--json", "--model", "dual", "--images", "album", "--labels", strings.Join(labels, ","), "--top", "0", "--out", "sheet.png", "--out", "said.csv"}, c.flags...)...)
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		classes, err := d.Classes(t.Context(), labels, c.templates)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Results) != 3 || len(got.Bad) != 1 || got.Bad[0].File != "album/broken.png" {
			t.Fatalf("%q: %s", c.flags, text)
		}
		table, err := os.ReadFile("said.csv")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
		if err != nil || len(rows) != 4 {
			t.Fatalf("said.csv: %v, %q", err, rows)
		}
		for i, r := range got.Results {
			want := classes.Probabilities(vectors[i])
			for _, l := range r.Labels {
				for j, name := range labels {
					if name == l.Label && math.Abs(want[j]-l.Probability) > 1e-9 {
						t.Errorf("%q: %s: %s has %v, want %v", c.flags, r.File, name, l.Probability, want[j])
					}
				}
			}
			if r.File != files[i] || len(r.Labels) != 3 || rows[i+1][0] != files[i] || rows[i+1][1] != r.Labels[0].Label || rows[i+1][2] != fmt.Sprintf("%.6g", r.Labels[0].Probability) {
				t.Errorf("%q: %+v, row %q", c.flags, r, rows[i+1])
			}
		}
	}
	b, err := os.ReadFile("sheet.png")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := png.Decode(bytes.NewReader(b)); err != nil || m.Bounds().Dx() < 600 {
		t.Errorf("sheet.png: %v", err)
	}
	line := ok(t, args("classify --model dual --images album/cat.png --labels cat,dog")...)
	if !strings.HasSuffix(line, "\talbum/cat.png\n") || strings.Count(line, "\n") != 1 {
		t.Errorf("%q", line)
	}
	for _, c := range []struct{ flags, want string }{
		{"--images album", "two labels"}, {"--images album --labels cat", "two labels"}, {"--images album --labels a,b --template none", "no {}"},
		{"--images album --labels a,b --template a{} --templates best7", "exclude"}, {"--images album --labels a,b --out x.jpg", "--out"},
		{"--images album --labels a,b text", "takes no texts"}, {"--out x.png text", "--images"},
	} {
		fails(t, 2, c.want, append(args("classify --model dual"), args(c.flags)...)...)
	}
	fails(t, 2, "--images PATH", args("classify --model dual --labels a,b text")...)
	fails(t, 1, "nowhere", args("classify --model dual --images nowhere --labels a,b")...)
	fails(t, 1, "--templates", args("classify --model dual --images album --labels a,b --templates nowhere")...)
}

// squares writes pictures of coloured squares in class folders: n of each, with noise.
func squares(t *testing.T, dir string, n int, colours map[string]color.NRGBA) {
	t.Helper()
	for name, c := range colours {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			m := image.NewNRGBA(image.Rect(0, 0, 32, 32))
			for p := range 32 * 32 {
				noise := uint8((p*p*(i+3) + 7*i + len(dir)) % 61)
				m.SetNRGBA(p%32, p/32, color.NRGBA{c.R/2 + noise, c.G/2 + noise, c.B/2 + noise, 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name, fmt.Sprintf("%d.png", i)), b.String())
		}
	}
}

// A linear probe learns class folders, and is used and scored from its folder; a table says the same as folders.
func TestLinearProbe(t *testing.T) {
	testkit.Data(t, "images/photos") // dualFolder needs the data too
	dualFolder(t)
	colours := map[string]color.NRGBA{"red": {200, 0, 0, 255}, "blue-green": {0, 150, 150, 255}, "yellow": {200, 200, 0, 255}}
	squares(t, "train", 12, colours)
	squares(t, "test", 4, colours)
	var report probeReport
	text := ok(t, args("adapt --json --task images --model dual --data train --validation 0.3 --test test --out probe")...)
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	if report.Top1.Value != 1 || report.Top1.N != 12 || report.Examples != 36 || len(report.Trials) != 11 || strings.Join(report.Labels, ",") != "blue green,red,yellow" {
		t.Errorf("%+v", report)
	}
	var scores pictureScores
	if err := json.Unmarshal([]byte(ok(t, args("eval --json --task images --model probe --data test")...)), &scores); err != nil || scores.Top1 != report.Top1 || len(scores.Classes) != 3 {
		t.Errorf("eval says %+v (%v), the report %+v", scores, err, report.Top1)
	}
	out := ok(t, args("classify --model probe --images test/red --images test/yellow/0.png --out sheet.png")...)
	if strings.Count(out, "red ") != 4 {
		t.Errorf("the red squares: %s", out)
	}
	yellow, err := os.ReadFile("test/yellow/0.png")
	if err != nil {
		t.Fatal(err)
	}
	answer := ask(t, served(t, "--model", "probe")+"/v1/classify", map[string]any{"input": map[string]any{"image": base64.StdEncoding.EncodeToString(yellow)}})
	if label := answer["data"].([]any)[0].(map[string]any)["label"]; label != "yellow" {
		t.Errorf("the server says %v of a yellow square", label)
	}
	var table strings.Builder
	table.WriteString("picture,colour\n")
	for name := range colours {
		for i := range 12 {
			fmt.Fprintf(&table, "train/%s/%d.png,%s\n", name, i, strings.ReplaceAll(name, "-", " "))
		}
	}
	write(t, "train.csv", table.String())
	ok(t, args("adapt --task images --model dual --data train.csv --image picture --label colour --validation test --out again --ground 102030")...)
	for probe, want := range map[string][3]uint8{"probe": {255, 255, 255}, "again": {16, 32, 48}} { // the first took what the model's folder says
		if p, err := openProbe(t.Context(), &common{}, probe); err != nil || p.d.Prepare.Ground == nil || *p.d.Prepare.Ground != want {
			t.Errorf("%s: %v, want the ground %v of its training", probe, err, want)
		}
	}
	for _, c := range []struct{ flags, want string }{
		{"--data train --epochs 3", "--epochs"}, {"--data train --validation 0", "--validation"}, {"--data train --ground x", "--ground"},
	} {
		fails(t, 2, c.want, append(args("adapt --task images --model dual --out new"), args(c.flags)...)...)
	}
	before := read(t, "probe/probe.json")
	fails(t, 1, "holds a probe already", args("adapt --task images --model dual --data test --out probe")...)
	if read(t, "probe/probe.json") != before {
		t.Error("a probe was written over")
	}
	write(t, "test/red/bad.png", "no picture")
	fails(t, 1, "bad.png", args("adapt --task images --model dual --data train --test test --out new")...)
	fails(t, 2, "is a linear probe", args("classify --model probe --images train --labels a,b")...)
	write(t, "train/red/bad.png", "no picture")
	code, _, errs := plinth(args("adapt --task images --model dual --data train --validation test --out new")...)
	if code != 1 || strings.Count(errs, "not read: ") != 1 || !strings.Contains(errs, "--data: 1 picture could not be read") {
		t.Errorf("a damaged picture to train on: exit code %d, %s", code, errs)
	}
	if err := os.Rename("dual", "moved"); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, "probe reads what", args("classify --model probe --images train")...)
}

// Zero-shot scores and recall are those of the definition, on pictures whose answers were computed apart.
func TestEvalImages(t *testing.T) {
	photos := testkit.Data(t, "images/photos")
	dualFolder(t)
	album(t, photos, "classes/house_cat", "cat.png")
	album(t, photos, "classes/bird", "bald_eagle.jpg", "pelican.jpg")
	album(t, photos, "classes/coffee", "coffee.png")
	var s pictureScores
	if err := json.Unmarshal([]byte(ok(t, args("eval --json --task images --model dual --data classes --templates best7")...)), &s); err != nil {
		t.Fatal(err)
	}
	seven, err := embed.Templates("best7")
	if err != nil {
		t.Fatal(err)
	}
	d, err := embed.OpenDual("dual", zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	classes, err := d.Classes(t.Context(), []string{"bird", "coffee", "house cat"}, seven)
	if err != nil {
		t.Fatal(err)
	}
	files, truth := []string{"classes/bird/bald_eagle.jpg", "classes/bird/pelican.jpg", "classes/coffee/coffee.png", "classes/house_cat/cat.png"}, []int{0, 0, 1, 2}
	vectors, _, err := pictureVectors(t.Context(), d, files, decoding{})
	if err != nil {
		t.Fatal(err)
	}
	right := 0.0
	for i, v := range vectors {
		p := classes.Probabilities(v)
		if p[truth[i]] == max(p[0], p[1], p[2]) {
			right++
		}
	}
	if s.Top1.Value != right/4 || s.Top5.Value != 1 || s.Top1.N != 4 || s.Labels != 3 || math.Abs(s.Chance-1./3) > 1e-12 {
		t.Errorf("%+v, want %v right of 4", s, right)
	}
	write(t, "captions.jsonl", `{"image":"classes/coffee/coffee.png","text":["a cup of coffee","breakfast"]}
{"image":"classes/house_cat/cat.png","text":["a cat"]}
{"image":"classes/bird/pelican.jpg","text":["a large bird","a pelican on the water"]}
`)
	var r recallScores
	if err := json.Unmarshal([]byte(ok(t, args("eval --json --task retrieval --model dual --data captions.jsonl")...)), &r); err != nil {
		t.Fatal(err)
	}
	texts := []string{"a cup of coffee", "breakfast", "a cat", "a large bird", "a pelican on the water"}
	said, err := d.Texts(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	seen, owner := [][]float32{vectors[2], vectors[3], vectors[1]}, []int{0, 0, 1, 2, 2}
	dot := func(a, b []float32) (s float64) {
		for i := range a {
			s += float64(a[i]) * float64(b[i])
		}
		return s
	}
	var first [2]float64
	for i, v := range said {
		best := 0
		for j := range seen {
			if dot(v, seen[j]) > dot(v, seen[best]) {
				best = j
			}
		}
		if best == owner[i] {
			first[0]++
		}
	}
	for j, v := range seen {
		best := 0
		for i := range said {
			if dot(v, said[i]) > dot(v, said[best]) {
				best = i
			}
		}
		if owner[best] == j {
			first[1]++
		}
	}
	if r.Pictures != 3 || r.Texts != 5 || r.TextToImage[0].Recall.Value != first[0]/5 || r.ImageToText[0].Recall.Value != first[1]/3 || r.TextToImage[1].Recall.Value != 1 || r.ImageToText[2].Recall.Value != 1 {
		t.Errorf("%+v, want %v right first", r, first)
	}
	if text := ok(t, args("eval --task retrieval --model dual --data captions.jsonl")...); !strings.Contains(text, "recall@10") || !strings.Contains(text, "Wilson") {
		t.Errorf("%s", text)
	}
	// A picture that cannot be read is left out of the scores, with the captions of no other.
	write(t, "classes/bird/pelican.jpg", "no picture")
	if err := json.Unmarshal([]byte(partly(t, args("eval --json --task images --model dual --data classes --templates best7")...)), &s); err != nil || s.Top1.N != 3 || len(s.Bad) != 1 || s.Bad[0].File != "classes/bird/pelican.jpg" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := json.Unmarshal([]byte(partly(t, args("eval --json --task retrieval --model dual --data captions.jsonl")...)), &r); err != nil || r.Pictures != 2 || r.Texts != 3 || len(r.Bad) != 1 || r.TextToImage[1].Recall.Value != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	fails(t, 1, `"house cat" is none of`, args("eval --task images --model dual --data classes --labels bird,coffee")...)
	fails(t, 1, "nowhere", args("eval --task images --model dual --data nowhere")...)
}

// plinth embed puts pictures and texts of a CLIP into one space, in each form of output.
func TestEmbedImages(t *testing.T) {
	photos := testkit.Data(t, "images/photos")
	dualFolder(t)
	album(t, photos, "album", "coffee.png", "cat.png")
	write(t, "album/bad.png", "no picture")
	d, err := embed.OpenDual("dual", zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen, _, err := pictureVectors(t.Context(), d, []string{"album/cat.png", "album/coffee.png"}, decoding{})
	if err != nil {
		t.Fatal(err)
	}
	said, err := d.Texts(t.Context(), []string{"a cat"})
	if err != nil {
		t.Fatal(err)
	}
	var got embedded
	if err := json.Unmarshal([]byte(partly(t, args("embed --json --model dual --images album")...)), &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Embeddings) != fmt.Sprint(seen) || got.Images != 2 || len(got.Bad) != 1 {
		t.Errorf("%+v", got)
	}
	got = embedded{}
	if err := json.Unmarshal([]byte(ok(t, "embed", "--json", "--model", "dual", "a cat")), &got); err != nil || fmt.Sprint(got.Embeddings) != fmt.Sprint(said) || got.Texts != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	line := ok(t, args("embed --model dual --images album/cat.png")...)
	if !strings.HasPrefix(line, `{"image":"album/cat.png","embedding":[`) {
		t.Errorf("%.60s", line)
	}
	partly(t, args("embed --model dual --images album --out v.csv")...)
	if b := read(t, "v.csv"); !strings.HasPrefix(b, "image,e0,") || strings.Count(b, "\n") != 3 {
		t.Errorf("%.60s", b)
	}
	// Texts, and pictures behind them.
	got = embedded{}
	if err := json.Unmarshal([]byte(partly(t, "embed", "--json", "--model", "dual", "--images", "album", "a cat")), &got); err != nil || fmt.Sprint(got.Embeddings) != fmt.Sprint(append(said, seen...)) || got.Texts != 1 || got.Images != 2 {
		t.Errorf("texts and pictures: %+v, %v", got, err)
	}
	write(t, "texts.csv", "text\na\n")
	partly(t, args("embed --model dual --images album --data texts.csv --out v.csv")...)
	if b := read(t, "v.csv"); !strings.HasPrefix(b, "text,image,e0,") || !strings.Contains(b, "\na,,") || !strings.Contains(b, "\n,album/cat.png,") {
		t.Errorf("%.60s", b)
	}
	fails(t, 2, "--pool", args("embed --model dual --images album --pool cls")...)
	fails(t, 2, "one of them", args("embed --model dual --data texts.csv text")...)
	fails(t, 2, "plinth search", args("embed --model dual text --search texts.csv")...)
}
