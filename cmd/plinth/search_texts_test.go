package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/index"
	"github.com/plinth-ml/plinth/internal/file"
)

// Paragraphs and lines have the numbers of their first lines; long ones are divided between lines, words, or characters, and nothing is lost.
func TestPassages(t *testing.T) {
	long := strings.Repeat("word ", 150)
	for _, c := range []struct {
		text  string
		lines bool
		want  []passage
	}{
		{"", false, nil},
		{" \n\t\n", false, nil},
		{"one\r\ntwo\r\n\r\n\r\n  three", false, []passage{{"f:1", "one\ntwo"}, {"f:5", "three"}}},
		{"one\ntwo\n\nthree\n", true, []passage{{"f:1", "one"}, {"f:2", "two"}, {"f:4", "three"}}},
		{"\n" + strings.Repeat("a", 300) + "\n" + strings.Repeat("b", 300) + "\nc", false, []passage{{"f:2", strings.Repeat("a", 300)}, {"f:3", strings.Repeat("b", 300) + "\nc"}}},
		{long, true, []passage{{"f:1", strings.TrimSpace(long[:500])}, {"f:1", strings.TrimSpace(long[500:])}}},
		{strings.Repeat("ß", 251), false, []passage{{"f:1", strings.Repeat("ß", 250)}, {"f:1", "ß"}}},
	} {
		if got := passagesOf("f", c.text, c.lines); !slices.Equal(got, c.want) {
			t.Errorf("%.20q: %q, want %q", c.text, got, c.want)
		}
	}
}

// An index of texts follows them by what they say, and what is found is what says the same as the query.
func TestSearchTexts(t *testing.T) {
	base(t)
	write(t, "more.csv", "id,body\n7,one two\n8,six seven\n9,one two\n")
	for name, text := range map[string]string{"a b.txt": "one two three\n\nfour five six\n", "below/c.md": "seven eight nine\n\none two three\n", "below/bad.txt": "\xff\xfe", ".hidden/d.txt": "ten", "e.csv": "text\nten\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join("notes", name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join("notes", name), text)
	}
	type told struct {
		Texts int
		textChanges
		Answers []searchAnswer
	}
	find := func(flags ...string) (s told) {
		t.Helper()
		code, text, errs := plinth(append(args("search --json --model base"), flags...)...)
		if err := json.Unmarshal([]byte(text), &s); err != nil || code != len(s.Bad) {
			t.Fatalf("exit code %d, %v: %s, %s", code, err, text, errs)
		}
		return s
	}
	s := find("notes", "one two three", "seven eight nine", "--top", "2")
	if s.Texts != 3 || s.New != 3 || len(s.Bad) != 1 || s.Bad[0].File != filepath.Join("notes", "below", "bad.txt") || len(s.Answers) != 2 {
		t.Fatalf("%+v", s)
	}
	for i, want := range [][2]string{{"a b.txt:1", "one two three"}, {"below/c.md:3", "one two three"}, {"below/c.md:1", "seven eight nine"}} {
		if h := s.Answers[i/2].Hits[i%2]; h.File != filepath.Join("notes", filepath.FromSlash(want[0])) || h.Text != want[1] || h.Cosine < 0.99999 {
			t.Errorf("hit %d is %+v, want %q", i, h, want)
		}
	}
	// One text goes, one comes, and one stands elsewhere.
	write(t, "notes/a b.txt", "\nten eleven\n\nfour five six\n")
	if err := os.Remove("notes/below/bad.txt"); err != nil {
		t.Fatal(err)
	}
	if s = find("notes", "four five six"); s.New != 1 || s.Deleted != 0 || s.Texts != 4 || s.Answers[0].Hits[0].File != filepath.Join("notes", "a b.txt")+":4" {
		t.Errorf("after the changes: %+v", s)
	}
	write(t, "notes/below/c.md", "seven eight nine")
	if s = find("notes"); s.New != 0 || s.Deleted != 1 || len(s.Answers) != 0 {
		t.Errorf("after another: %+v", s)
	}
	if s = find("notes", "five", "--by", "line"); s.New != 0 || s.Texts != 3 {
		t.Errorf("by lines: %+v", s)
	}
	if s = find("more.csv", "--text", "body", "one two"); s.Texts != 2 || s.Answers[0].Hits[1] != (searchHit{"more.csv:4", "one two", s.Answers[0].Hits[0].Cosine}) {
		t.Errorf("a table: %+v", s)
	}
	if out := ok(t, "search", "--model", "base", "notes/a b.txt", "four five six", "--top", "1"); out != fmt.Sprintf("1.0000\t%s:4\tfour five six\n", "notes/a b.txt") {
		t.Errorf("%q", out)
	}
	album(t, "", "empty")
	fails(t, 1, "pictures want a CLIP", args("search --model base empty cat")...)
	write(t, "empty.txt", "\n")
	fails(t, 1, "no text could be read", args("search --model base empty.txt cat")...)
	fails(t, 1, `"text"`, args("search --model base more.csv cat")...)
	fails(t, 2, "--by", args("search --model base more.csv cat --text body --by line")...)
	fails(t, 2, "--image", args("search --model base notes --image x.png")...)
	fails(t, 2, "are for a table", args("search --model base notes cat --text body")...)
	fails(t, 2, "would be lost", "search", "--model", "base", "notes", "cat", "--index", "notes/a b.txt")
}

// A run waits for another on the same index, until it is stopped.
func TestIndexWaits(t *testing.T) {
	var said strings.Builder
	k := keptIndex{c: &common{err: &said}, path: filepath.Join(t.TempDir(), "x.index")}
	unlock, err := file.Lock(k.path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := k.lock(ctx); !errors.Is(err, context.DeadlineExceeded) || strings.Count(said.String(), "waiting") != 1 {
		t.Errorf("%v, %q", err, said.String())
	}
	time.AfterFunc(10*time.Millisecond, func() { unlock() })
	again, err := k.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// What is printed in a line of its own has no new lines, and nothing that a terminal obeys.
func TestOneLine(t *testing.T) {
	if got := oneLine("a\nb\tc\x1b[2Jd\u009be"); got != "a b c [2Jd e" {
		t.Errorf("%q", got)
	}
}

// An index that may not be written is searched as it is, with a note; one that is not there is an error that names the flag.
func TestIndexReadOnly(t *testing.T) {
	var said strings.Builder
	path := filepath.Join(t.TempDir(), "x.index")
	x, err := index.New(2, true)
	if err != nil {
		t.Fatal(err)
	}
	if x.Note, err = markOf([]float32{1, 0}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.Save(path, index.Change{Put: []index.Entry{{Key: "a", Vector: []float32{0, 1}}}}), x.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/sys/none", path+".lock"); err != nil || runtime.GOOS != "linux" {
		t.Skip("no file that root may not make") // as in Linux's /sys
	}
	k := keptIndex{c: &common{err: &said}, path: path}
	never := func() error { return errors.New("it is to be written") }
	if err := k.update(t.Context(), 2, x.Note, never); err != nil || k.index.Len() != 1 || !strings.Contains(said.String(), "may not be written") {
		t.Errorf("%v, %q", err, said.String())
	}
	k.index.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	k = keptIndex{c: &common{err: &said}, path: path}
	if err := k.update(t.Context(), 2, x.Note, never); err == nil || !strings.Contains(err.Error(), "--index FILE") {
		t.Errorf("without an index: %v", err)
	}
}
