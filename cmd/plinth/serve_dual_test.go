package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/serve"
)

// dualFolder writes a small CLIP with random weights and CLIP's own tokenizer into the folder dual.
func dualFolder(t *testing.T) {
	t.Helper()
	tokens, err := os.ReadFile(testkit.Data(t, "tokenizers/hf-json/clip.tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	fixture(t, "dual", func() {
		m, err := clip.New(clip.Shape{Side: 32, Patch: 8, Width: 64, Layers: 2, TextWidth: 64, TextLayers: 2, Vocab: 49408, Context: 77, Projection: 16}.Config())
		if err != nil {
			t.Fatal(err)
		}
		nn.Init(m.Params(), 7, false)
		if err := zoo.Save("dual", m, nil); err != nil {
			t.Fatal(err)
		}
		prepare := media.CLIP(32)
		prepare.Ground = &[3]uint8{255, 255, 255}
		if err := zoo.SavePreprocess("dual", prepare); err != nil {
			t.Fatal(err)
		}
		write(t, "dual/tokenizer.json", string(tokens))
	})
}

// TestServeDual: vectors and labels of pictures and texts are those that the model makes of the files.
func TestServeDual(t *testing.T) {
	clear := image.NewNRGBA(image.Rect(0, 0, 60, 40)) // more and more of what the model puts behind it is seen
	for i := range 60 * 40 {
		copy(clear.Pix[4*i:], []uint8{uint8(i), 90, uint8(i / 60), uint8(i % 60 * 4)})
	}
	var file bytes.Buffer
	if err := png.Encode(&file, clear); err != nil {
		t.Fatal(err)
	}
	photo := file.Bytes()
	dualFolder(t)
	url := served(t, "--model", "dual")
	d, err := embed.OpenDual("dual", zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	picture, err := d.Prepare.Decode(bytes.NewReader(photo), media.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := d.Images(t.Context(), 1, func(int) (*media.Image, error) { return picture, nil })
	if err != nil {
		t.Fatal(err)
	}
	said, err := d.Texts(t.Context(), []string{"a cup of coffee"})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]any{"image": base64.StdEncoding.EncodeToString(photo)}
	for i, one := range ask(t, url+"/v1/embeddings", map[string]any{"input": []any{at, "a cup of coffee"}})["data"].([]any) {
		want := append(seen, said...)[i]
		for j, x := range one.(map[string]any)["embedding"].([]any) {
			if float32(x.(float64)) != want[j] {
				t.Fatalf("vector %d: number %d is %v, want %v", i, j, x, want[j])
			}
		}
	}
	for _, templates := range [][]string{nil, {"a {}.", "the {}."}, {"a {}."}} {
		classes, err := d.Classes(t.Context(), []string{"cat", "cup"}, templates)
		if err != nil {
			t.Fatal(err)
		}
		want := classes.Probabilities(seen[0])
		for range 2 { // the second time the labels' vectors are at hand
			body := map[string]any{"input": at, "labels": []string{"cat", "cup"}}
			if templates != nil {
				body["templates"] = templates
			}
			if got := ask(t, url+"/v1/classify", body)["data"].([]any)[0].(map[string]any)["probs"]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q: %v, want %v", templates, got, want)
			}
		}
	}
	long := strings.Repeat("word ", 100)
	if a := ask(t, url+"/v1/embeddings", map[string]any{"input": []string{long, "a"}, "truncate": true}); a["truncated"] != 1.0 {
		t.Errorf("truncated: %v", a["truncated"])
	}
	text := base64.StdEncoding.EncodeToString(photo)
	for _, c := range []struct{ path, body, says string }{
		{"embeddings", `{"input":"` + long + `"}`, "more than the 77"},
		{"embeddings", `{"input":[[1,2]]}`, "no ids"},
		{"classify", `{"input":{"image":"` + text + `"},"labels":["a","` + long + `"]}`, "labels: label 2, "},
		{"classify", `{"input":{"image":"` + text + `"},"labels":["a"]}`, "always right"},
		{"classify", `{"input":{"image":"` + text + `"},"labels":["a","b"],"multi_label":true}`, "exclude"},
		{"classify", `{"input":{"image":"` + text + `"},"labels":["a","b"],"calibrate":true}`, "write text"},
		{"classify", `{"input":{"image":"` + text + `"}}`, "no labels of its own"},
		{"classify", `{"input":{"image":"http://127.0.0.1/"},"labels":["a","b"]}`, "--image-urls"},
	} {
		r, err := http.Post(url+"/v1/"+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 400 || !strings.Contains(string(b), c.says) {
			t.Errorf("%s %.60s: %d %s", c.path, c.body, r.StatusCode, b)
		}
	}
	small := served(t, "--model", "dual", "--image-pixels", "100", "--image-urls")
	for body, says := range map[string]string{`{"image":"` + text + `"}`: "limit of 100 pixels", `{"image":"http://127.0.0.1/"}`: "could not be fetched"} {
		r, err := http.Post(small+"/v1/embeddings", "application/json", strings.NewReader(`{"input":`+body+`}`))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 400 || !strings.Contains(string(b), says) {
			t.Errorf("%.60s: %d %s", body, r.StatusCode, b)
		}
	}
	fails(t, 2, "--image-pixels", args("serve --model dual --image-pixels 0")...)
}

// The vectors of the latest labels are kept, and those of others made again.
func TestKeptClasses(t *testing.T) {
	dualFolder(t)
	d, err := embed.OpenDual("dual", zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var kept keptClasses
	of := func(names, templates string) *embed.Classes {
		t.Helper()
		c, err := kept.of(t.Context(), d, &serve.OwnLabels{Names: args(names), Templates: args(templates)})
		if err != nil || len(c.Labels) != len(args(names)) {
			t.Fatal(err, c)
		}
		return c
	}
	first := of("cat dog", "a{}")
	for i := range maxKeptClasses - 1 {
		of(fmt.Sprintf("cat %d", i), "a{}")
	}
	if of("cat dog", "a{}") != first || of("cat dog", "the{}") == first || of("dog cat", "a{}") == first {
		t.Error("labels are not kept, or taken for others")
	}
	other, err := kept.of(t.Context(), d, &serve.OwnLabels{Names: args("cat dog"), Templates: args("a{}"), Scope: "another key"})
	if err != nil || other == first {
		t.Error("another key gets what is kept", err)
	}
	if of("cat dog", "a{}") != first || len(kept) != maxKeptClasses {
		t.Errorf("%d are kept", len(kept))
	}
	for i := range maxKeptClasses {
		of(fmt.Sprintf("dog %d", i), "a{}")
	}
	if of("cat dog", "a{}") == first || len(kept) != maxKeptClasses {
		t.Error("old labels are kept for ever")
	}
}
