package quickstart

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

// text writes files of made-up words into folders; the words of a folder are its own in part.
func text(t *testing.T, folders, files int) string {
	t.Helper()
	dir := t.TempDir()
	for f := range folders {
		for i := range files {
			key := random.NewKey(7, uint64(f), uint64(i))
			var b bytes.Buffer
			for w := range uint64(500) {
				word := fmt.Sprintf("word%d ", key.IntN(2*w, 50))
				if w%3 == 0 {
					word = fmt.Sprintf("topic%d%c ", f, 'a'+key.IntN(2*w+1, 20))
				}
				b.WriteString(word)
				if w%9 == 8 {
					b.WriteByte('\n')
				}
			}
			path := filepath.Join(dir, fmt.Sprintf("part%d", f), fmt.Sprintf("file%02d.txt", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// The whole story on a little text: the model folder opens, the report stands by itself, and all is the same again but for times.
func TestRun(t *testing.T) {
	dir := text(t, 4, 8)
	run := func(threads int) (Result, string) {
		out := filepath.Join(t.TempDir(), "run")
		r, err := Run(context.Background(), Options{Data: []string{dir}, Out: out, Seed: 1, Kernels: cpu.New(cpu.Options{Threads: threads}), Steps: 10, tuneSteps: 2})
		if err != nil {
			t.Fatal(err)
		}
		return r, out
	}
	r, out := run(2)
	if r.Transfer == nil || r.Classes != 4 || r.LabelsPerClass != labelsPerClass || r.ProbeAccuracy == nil || r.Seconds <= 0 || r.TrainTokens == 0 || r.GzipBitsPerByte <= 0 {
		t.Fatalf("%+v", r)
	}
	if bag := r.Transfer.Bag.Mean; bag < 0.8 {
		t.Errorf("bag of tokens has accuracy %v on folders with words of their own", bag)
	}
	m, err := zoo.Open(out, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zoo.Tokenizer(out, m); err != nil {
		t.Fatal(err)
	}
	again, out2 := run(1)
	if *again.ProbeAccuracy != *r.ProbeAccuracy || *again.FinetuneAccuracy != *r.FinetuneAccuracy || again.ValBitsPerByte != r.ValBitsPerByte {
		t.Errorf("%+v and again %+v", r, again)
	}
	for _, name := range []string{zoo.ConfigFile, zoo.TokenizerFile, zoo.WeightsFile} {
		a, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(out2, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs between two runs", name)
		}
	}
	report, err := os.ReadFile(r.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"http://", "https://", "<script", "src=", "@import", "NaN", "Inf"} {
		if bytes.Contains(report, []byte(bad)) {
			t.Errorf("the report contains %q", bad)
		}
	}
	pictures := 0
	for rest := string(report); ; pictures++ {
		from := strings.Index(rest, "<svg")
		if from < 0 {
			break
		}
		rest = rest[from:]
		svg := rest[:strings.Index(rest, "</svg>")+6]
		rest = rest[6:]
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("picture %d: %v", pictures, err)
			}
		}
	}
	if pictures != 3 {
		t.Errorf("the report has %d pictures, want 3", pictures)
	}
	if _, err := Run(context.Background(), Options{Data: []string{dir}, Out: out, Kernels: cpu.New(cpu.Options{Threads: 1}), Steps: 10}); err == nil {
		t.Error("a folder that holds a run is written over")
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Run(ctx, Options{Data: []string{text(t, 5, 8)}, Out: filepath.Join(t.TempDir(), "run"), Kernels: cpu.New(cpu.Options{Threads: 1}), Steps: 10})
	if err == nil {
		t.Error("a run whose context has ended gives no error")
	}
}

func TestTooLittleText(t *testing.T) {
	for _, folders := range []int{0, 1} {
		if _, err := open(context.Background(), []string{text(t, folders, 2)}, 1); err == nil {
			t.Errorf("%d folders are enough", folders)
		}
	}
}

// Text without classes is told so.
func TestNoClasses(t *testing.T) {
	c, err := open(context.Background(), []string{text(t, 1, 40)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.Classes != nil || c.NoClasses == "" || c.HeldBytes == 0 {
		t.Errorf("%+v", c)
	}
}

// The embedded corpus is at most 1 MB and can be learned from.
func TestEmbedded(t *testing.T) {
	total := 0
	for d, err := range unpack() {
		if err != nil {
			t.Fatal(err)
		}
		total += len(d.Text)
	}
	if total < 500_000 || total > 1_000_000 {
		t.Errorf("%d bytes", total)
	}
	c, err := openEmbedded(1)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Classes) < minClasses || c.HeldBytes == 0 {
		t.Errorf("classes %v (%s), %d bytes held out", c.Classes, c.NoClasses, c.HeldBytes)
	}
}

// Nothing of what is held out reaches training or labels, and every class has unseen test snippets.
func TestHeldOut(t *testing.T) {
	if data.GoRoot(context.Background()) == "" {
		t.Skip("no Go distribution")
	}
	c, err := open(context.Background(), nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Classes) < 8 || c.Generated == 0 {
		t.Errorf("classes %v, %d generated files dropped", c.Classes, c.Generated)
	}
	seen, unseen := map[string]bool{}, map[string]bool{}
	for _, d := range c.docs {
		if strings.Contains(d.name, "/testdata/") || strings.Contains(d.name, "/vendor/") || strings.HasSuffix(d.name, "_test.go") {
			t.Errorf("%s is in the corpus", d.name)
		}
		if d.held {
			unseen[d.unit] = true
		} else {
			seen[d.unit] = true
		}
		if bytes.HasPrefix(d.body, []byte("package ")) || bytes.HasPrefix(d.body, []byte("import ")) {
			t.Errorf("%s: the body begins with %q", d.name, d.body[:20])
		}
	}
	for u := range unseen {
		if seen[u] {
			t.Errorf("package %s is on both sides", u)
		}
	}
	for _, class := range c.Classes {
		for _, s := range pick(c.snippets(class, true), testPerClass, random.NewKey(1)) {
			if !unseen[s.unit] {
				t.Errorf("%s: a test snippet is of %s", class, s.unit)
			}
		}
	}
}

// The held-out rows predict every token of the files once, and count every byte.
func TestValidationCoversFiles(t *testing.T) {
	c, err := open(context.Background(), []string{text(t, 5, 8)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Train(context.Background(), c.texts(), tokenizer.TrainOptions{VocabSize: 400, Special: []string{tokenizer.EndOfText, headerToken}})
	if err != nil {
		t.Fatal(err)
	}
	w, h, files, err := c.encode(tok, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	total := 0
	for i, row := range h.rows {
		got = tok.AppendDecode(got, row[1:])
		total += h.bytes[i]
	}
	if want := bytes.Join(files, nil); !bytes.Equal(got, want) || total != len(want) {
		t.Errorf("%d bytes of %d, counted %d", len(got), len(want), total)
	}
	for _, row := range w.rows {
		if len(row) < 2 || len(row) > contextTokens+1 {
			t.Fatalf("a sequence of %d ids", len(row))
		}
	}
}

func TestPick(t *testing.T) {
	list := []snippet{{"a", []byte("1")}, {"a", []byte("2")}, {"a", []byte("3")}, {"b", []byte("4")}}
	got := pick(list, 3, random.NewKey(1))
	units := []string{got[0].unit, got[1].unit, got[2].unit}
	slices.Sort(units)
	if len(got) != 3 || !slices.Equal(units, []string{"a", "a", "b"}) || bytes.Equal(got[0].text, got[2].text) {
		t.Errorf("%q", got)
	}
	if n := len(pick(list, 10, random.NewKey(1))); n != 4 {
		t.Errorf("%d of 4", n)
	}
}
