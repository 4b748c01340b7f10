package embed_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

// dual returns a small CLIP in a folder, with the tokenizer that all of OpenAI's have.
func dual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(testkit.Data(t, "tokenizers/hf-json/clip.tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clip.New(clip.Shape{Side: 32, Patch: 8, Width: 64, Layers: 3, TextWidth: 64, TextLayers: 2, Vocab: 49408, Context: 77, Projection: 32}.Config())
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 5, false)
	dir := t.TempDir()
	if err := zoo.Save(dir, m, nil); err != nil {
		t.Fatal(err)
	}
	if err := zoo.SavePreprocess(dir, media.CLIP(32)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *embed.Dual {
	t.Helper()
	d, err := embed.OpenDual(dir, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// photos are the names of pictures of the test data.
func photos(t *testing.T) []string {
	t.Helper()
	dir := testkit.Data(t, "images/photos")
	var list []string
	for _, name := range []string{"astronaut.png", "bald_eagle.jpg", "coffee.png", "retina.jpg", "sunset_panorama.jpg"} {
		list = append(list, filepath.Join(dir, name))
	}
	return list
}

func picture(path string) (*media.Image, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return media.Decode(bytes.NewReader(b), media.Limits{})
}

// Probabilities and vectors are those of transformers' pipeline, from files of pictures and labels on.
func TestZeroShotPipeline(t *testing.T) {
	dir, files := dual(t), photos(t)
	labels := []string{"a bird", "two cups of Coffee", "the sun", "café 100%"}
	const template = "a photo of {}."
	d := open(t, dir)
	var answer struct {
		Scores [][]float64 `json:"scores"`
		Images [][]float32 `json:"images"`
	}
	testkit.Ask(t, "testdata/clip.py", []string{"torch", "transformers", "PIL"}, map[string]any{"dir": dir, "pictures": files, "labels": labels, "template": template}, &answer)
	classes, err := d.Classes(context.Background(), labels, []string{template})
	if err != nil {
		t.Fatal(err)
	}
	vectors, err := d.Images(context.Background(), len(files), func(i int) (*media.Image, error) { return picture(files[i]) })
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range vectors {
		testkit.Close(t, files[i], v, answer.Images[i], 1e-4, 0)
		for j, p := range classes.Probabilities(v) {
			if want := answer.Scores[i][j]; math.Abs(p-want) > 1e-4 {
				t.Errorf("%s: %q has %v, want %v", files[i], labels[j], p, want)
			}
		}
	}
}

// The number of threads and what is beside a picture or a text change no bit; several templates are the mean of their vectors.
func TestDual(t *testing.T) {
	dir, files := dual(t), photos(t)
	ctx := context.Background()
	texts := []string{"a dog", "", "three birds over the sea", strings.Repeat("red ", 75)}
	var images, words [][]float32
	for _, threads := range []int{1, 2, 3} {
		d := open(t, dir)
		d.Threads = threads
		v, err := d.Images(ctx, len(files), func(i int) (*media.Image, error) { return picture(files[i]) })
		if err != nil {
			t.Fatal(err)
		}
		w, err := d.Texts(ctx, texts)
		if err != nil {
			t.Fatal(err)
		}
		if images != nil && (!reflect.DeepEqual(v, images) || !reflect.DeepEqual(w, words)) {
			t.Errorf("%d threads give other vectors", threads)
		}
		images, words = v, w
	}
	d := open(t, dir)
	for i, text := range texts {
		v, err := d.Texts(ctx, []string{text})
		if err != nil || !reflect.DeepEqual(v[0], words[i]) {
			t.Errorf("%q alone has another vector: %v", text, err)
		}
	}
	c, err := d.Classes(ctx, []string{"dog"}, []string{"a {}", "the {}"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Texts(ctx, []string{"a dog", "the dog"})
	if err != nil {
		t.Fatal(err)
	}
	length := 0.0
	for i := range v[0] {
		length += math.Pow(float64(v[0][i]+v[1][i]), 2)
	}
	for i, x := range c.Vectors[0] {
		if want := float64(v[0][i]+v[1][i]) / math.Sqrt(length); math.Abs(float64(x)-want) > 1e-6 {
			t.Fatalf("component %d of the class is %v, want %v", i, x, want)
		}
	}
	d.Raw = true
	raw, err := d.Texts(ctx, texts[:1])
	if err != nil {
		t.Fatal(err)
	}
	if n := norm(raw[0]); math.Abs(n-1) < 1e-3 {
		t.Errorf("a raw vector has length %v", n)
	}
}

func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func TestDualRefuses(t *testing.T) {
	d := open(t, dual(t))
	ctx := context.Background()
	long := strings.Repeat("red ", 76)
	if _, err := d.Texts(ctx, []string{"fine", long}); err == nil || !strings.Contains(err.Error(), "text 2: tokenizer: a text of 78 tokens") {
		t.Error(err)
	}
	d.Truncate = true
	ids, err := d.IDs(long)
	if err != nil || len(ids) != 77 || ids[0] != 49406 || ids[76] != 49407 {
		t.Errorf("%v: %v", ids, err)
	}
	if _, err := d.Classes(ctx, []string{"dog"}, []string{"no place"}); err == nil || !strings.Contains(err.Error(), "no place") {
		t.Error(err)
	}
	if _, err := d.Classes(ctx, nil, nil); err == nil {
		t.Error("no labels are no error")
	}
	broken := errors.New("broken")
	if _, err := d.Images(ctx, 3, func(int) (*media.Image, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	for _, size := range []int{16, 64} {
		d.Prepare.Size = size
		if _, err := d.Images(ctx, 1, func(int) (*media.Image, error) { return media.NewImage(40, 40), nil }); err == nil || !strings.Contains(err.Error(), "the model takes 32") {
			t.Errorf("pictures prepared at %d pixels: %v", size, err)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Texts(stopped, []string{"dog"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Weights of 16 bits, as they lie in the file, give nearly the vectors and probabilities of the float32 ones.
func TestDual16(t *testing.T) {
	dir := dual(t)
	half := filepath.Join(t.TempDir(), "half")
	if err := zoo.WriteDir(t.Context(), dir, half, zoo.DirOptions{DType: checkpoint.BF16}); err != nil {
		t.Fatal(err)
	}
	var got [2][]float64
	for i, dir := range []string{dir, half} {
		d := open(t, dir)
		c, err := d.Classes(t.Context(), []string{"a dog", "the sea"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.Images(t.Context(), 1, func(int) (*media.Image, error) {
			m := media.NewImage(40, 32)
			for i := range m.Pix {
				m.Pix[i] = uint8(i * 7)
			}
			return m, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got[i] = c.Probabilities(v[0])
	}
	if math.Abs(got[0][0]-got[1][0]) > 0.02 {
		t.Errorf("probabilities %v, and %v with 16 bits", got[0], got[1])
	}
}

// With a tokenizer that is not of OpenAI's kind a text has that one's marks, and loses what does not fit in front of the last.
func TestTextIDs(t *testing.T) {
	texts := [][]byte{[]byte("red green blue red green blue and so on")}
	tok, err := tokenizer.TrainWordPiece(t.Context(), slices.Values(texts), tokenizer.WordOptions{VocabSize: 60})
	if err != nil {
		t.Fatal(err)
	}
	config := func(context int) clip.Config {
		return clip.Shape{Side: 32, Patch: 8, Width: 64, Layers: 1, TextWidth: 64, TextLayers: 1, Vocab: tok.VocabSize(), Context: context, Projection: 8}.Config()
	}
	text := strings.Repeat("red green blue ", 5)
	whole, err := embed.TextIDs(config(100), tok, text, false)
	if want := tok.AddSpecial(tok.Encode(text)); err != nil || !slices.Equal(whole, want) || len(whole) < 17 {
		t.Fatalf("%v, %v, want %v", whole, err, want)
	}
	for _, context := range []int{len(whole), len(whole) - 1, 3} {
		ids, err := embed.TextIDs(config(context), tok, text, true)
		if want := append(slices.Clone(whole[:context-1]), whole[len(whole)-1]); err != nil || !slices.Equal(ids, want) {
			t.Errorf("context %d: %v, %v, want %v", context, ids, err, want)
		}
	}
	for context, truncate := range map[int]bool{len(whole) - 1: false, 2: true} {
		if ids, err := embed.TextIDs(config(context), tok, text, truncate); !errors.Is(err, tokenizer.ErrContext) {
			t.Errorf("context %d: %v, %v", context, ids, err)
		}
	}
	if _, err := embed.TextIDs(config(100), tok, strings.Repeat(" ", 1<<16+1), true); !errors.Is(err, tokenizer.ErrContext) {
		t.Errorf("a text of more than 64 KiB: %v", err)
	}
}
