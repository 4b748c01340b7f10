package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// TestMain lets the test binary be the program itself, for the tests that send signals.
func TestMain(m *testing.M) {
	testkit.OneProcessor()
	peakTime = time.Millisecond
	if os.Getenv("PLINTH_TEST_MAIN") != "" {
		main()
	}
	code := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// plinth runs the program and returns its exit code, stdout and stderr.
func plinth(args ...string) (int, string, string) {
	var out, err bytes.Buffer
	code := run(args, &out, &err)
	return code, out.String(), err.String()
}

// ok runs the program, which must succeed, and returns stdout.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	code, out, err := plinth(args...)
	if code != 0 {
		t.Fatalf("plinth %q: exit code %d\n%s", args, code, err)
	}
	return out
}

// partly runs the program, which must have done what it could and end with 1 for files that it could not read; it returns stdout.
func partly(t *testing.T, args ...string) string {
	t.Helper()
	code, out, err := plinth(args...)
	if code != 1 || !strings.Contains(err, "could not be read; the rest is done") {
		t.Fatalf("plinth %q: exit code %d\n%s", args, code, err)
	}
	return out
}

// object runs the program with --json and returns the one object that stdout must hold.
func object(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out := ok(t, append([]string{"--json"}, args...)...)
	d := json.NewDecoder(strings.NewReader(out))
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		t.Fatalf("plinth %q: %v in %q", args, err, out)
	}
	if d.More() {
		t.Fatalf("plinth %q writes more than one object: %q", args, out)
	}
	return o
}

// fails runs the program, which must end with code, nothing on stdout, and want in its message.
func fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got, out, err := plinth(args...)
	if got != code || out != "" || !strings.Contains(err, want) {
		t.Errorf("plinth %q: exit code %d, stdout %q, stderr %q; want code %d and %q", args, got, out, err, code, want)
	}
}

func keys(t *testing.T, o map[string]any, want string) {
	t.Helper()
	var got []string
	for k := range o {
		got = append(got, k)
	}
	slices.Sort(got)
	w := strings.Fields(want)
	slices.Sort(w)
	if !slices.Equal(got, w) {
		t.Errorf("keys %v, want %v", got, w)
	}
}

// shared are a text, a tokenizer, prepared data and a finished run that the tests read and do not change.
var shared struct {
	once                   sync.Once
	dir                    string
	text, tok, prep, model string
}

const shape = "--layers 2 --width 32 --heads 2 --batch 8 --threads 2"

// args joins words split at spaces and further arguments.
func args(words string, more ...string) []string { return append(strings.Fields(words), more...) }

func world(t *testing.T) {
	t.Helper()
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "plinth-test-")
		if err != nil {
			t.Fatal(err)
		}
		shared.dir = dir
		shared.text, shared.tok, shared.prep, shared.model = dir+"/text", dir+"/tok", dir+"/prep", dir+"/run"
		writeCorpus(t, shared.text)
		ok(t, "tokenizer", "train", "--data", shared.text, "--vocab", "400", "--out", shared.tok)
		ok(t, "data", "prepare", "--data", shared.text, "--tokenizer", shared.tok, "--out", shared.prep, "--seq", "32", "--validation", "0.2")
		ok(t, args("train --steps 30 --lr 0.01 "+shape, "--data", shared.prep, "--out", shared.model)...)
	})
	if shared.model == "" {
		t.Fatal("the shared run could not be made")
	}
}

// made are the folders of fixture that stand in shared.dir.
var made = map[string]bool{}

// fixture copies a folder into the current one. Tests of the same name share it: the first has make write it, in the current folder.
func fixture(t *testing.T, name string, make func()) {
	t.Helper()
	world(t)
	kept := filepath.Join(shared.dir, "fixtures", name)
	from, to := kept, name
	if !made[name] {
		make()
		from, to = name, kept
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	made[name] = true
}

// writeCorpus writes 40 small documents of arithmetic in words.
func writeCorpus(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	names := strings.Fields("one two three four five six seven eight nine ten")
	for i := range 40 {
		var b strings.Builder
		for j := range 12 {
			fmt.Fprintf(&b, "%s and %s make %d.\n", names[(i+j)%10], names[(3*i+7*j)%10], (i+j)%10+(3*i+7*j)%10+2)
		}
		write(t, filepath.Join(dir, fmt.Sprintf("doc%02d.txt", i)), b.String())
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// stdin gives the program standard input for the rest of the test.
func stdin(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	write(t, path, text)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = f
	t.Cleanup(func() { os.Stdin = old; f.Close() })
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUsage(t *testing.T) {
	code, out, _ := plinth()
	if code != 0 || !strings.Contains(out, "tokenizer train") {
		t.Errorf("plinth alone: code %d, %q", code, out)
	}
	fails(t, 2, "frobnicate", "frobnicate")
	fails(t, 2, "--frob", "train", "--frob")
	fails(t, 2, "--data", "train", "--out", "x")
	fails(t, 2, "--threads", "version", "--threads=-1")
	for _, verb := range []string{"quickstart", "tokenizer train", "tokenizer encode", "tokenizer decode", "tokenizer info", "data prepare", "data info",
		"train", "tag", "ask", "generate", "eval", "scale sweep", "scale fit", "scale plan", "scale plot", "bench", "bench step", "pull", "list", "rm", "show", "version"} {
		help := ok(t, args(verb+" --help")...)
		if !strings.Contains(strings.Join(strings.Fields(help), " "), "Example: plinth "+verb) {
			t.Errorf("plinth %s --help has no example:\n%s", verb, help)
		}
		for _, flag := range []string{"--seed", "--threads", "--json"} {
			if !strings.Contains(help, flag) {
				t.Errorf("plinth %s --help does not name %s", verb, flag)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	keys(t, object(t, "version"), "version commit go os arch cpus kernels variants")
	if out := ok(t, "version"); !strings.HasPrefix(out, "plinth ") {
		t.Errorf("version prints %q", out)
	}
}

func TestTokenizer(t *testing.T) {
	world(t)
	for _, text := range []string{"one and two make 3.", " ", "é 世界 \x00 \r\n\t", "<|endoftext|>", strings.Repeat("a", 3000)} {
		ids := object(t, "tokenizer", "encode", "--model", shared.tok, "--", text)
		keys(t, ids, "ids")
		line := ok(t, "tokenizer", "encode", "--model", shared.tok, "--", text)
		if len(strings.Fields(line)) != len(ids["ids"].([]any)) {
			t.Errorf("%q: %d ids with --json, without: %s", text, len(ids["ids"].([]any)), line)
		}
		array := "[" + strings.ReplaceAll(strings.TrimSpace(line), " ", ", ") + "]"
		for _, args := range [][]string{strings.Fields(line), {line}, {array}, strings.Fields(array)} {
			if back := ok(t, append([]string{"tokenizer", "decode", "--model", shared.tok}, args...)...); back != text {
				t.Errorf("%q comes back as %q from %q", text, back, args)
			}
		}
	}
	raw := "\xff\xfe\x00 x\n"
	stdin(t, raw)
	line := ok(t, "tokenizer", "encode", "--model", shared.tok)
	stdin(t, line)
	if back := ok(t, "tokenizer", "decode", "--model", shared.tok); back != raw {
		t.Errorf("%q comes back as %q", raw, back)
	}
	stdin(t, "["+strings.ReplaceAll(strings.TrimSpace(line), " ", ",")+"]")
	if o := object(t, "tokenizer", "decode", "--model", shared.tok); o["text"] != "\ufffd\ufffd\x00 x\n" {
		t.Errorf("as a JSON array: %q", o["text"])
	}
	if got := ok(t, "tokenizer", "encode", "--special", "--model", shared.tok, "<|endoftext|>"); len(strings.Fields(got)) != 1 {
		t.Errorf("--special: %q", got)
	}
	info := object(t, "tokenizer", "info", "--model", shared.tok)
	keys(t, info, "kind vocab all_bytes pipeline longest added_tokens")
	pair := object(t, "tokenizer", "encode", "--offsets", "--model", shared.tok, "one", "two")
	keys(t, pair, "ids tokens offsets texts type_ids special")
	if texts := pair["texts"].([]any); texts[0] != 0.0 || texts[len(texts)-1] != 1.0 {
		t.Errorf("texts of a pair: %v", texts)
	}
	for _, kind := range []string{"wordpiece", "unigram"} {
		out := filepath.Join(t.TempDir(), "tokenizer.json")
		ok(t, "tokenizer", "train", "--type", kind, "--data", shared.text, "--vocab", "500", "--out", out)
		if line := ok(t, "tokenizer", "encode", "--add", "--offsets", "--model", out, "the cat"); !strings.Contains(line, ":7\t") {
			t.Errorf("%s: offsets %q", kind, line)
		}
	}
	if n := info["vocab"].(float64); n <= 257 || n > 400 {
		t.Errorf("vocabulary %v", n)
	}
	dir := t.TempDir()
	again := filepath.Join(dir, "x.json")
	keys(t, object(t, "tokenizer", "train", "--data", shared.text, "--vocab", "400", "--threads", "3", "--out", again), "tokenizer vocab documents bytes")
	if read(t, again) != read(t, shared.tok+"/tokenizer.json") {
		t.Error("the trained tokenizer depends on --threads")
	}

	empty, broken := filepath.Join(dir, "empty"), filepath.Join(dir, "tokenizer.json")
	write(t, empty, "")
	write(t, broken, `{"version":"1.0"`)
	fails(t, 1, empty, "tokenizer", "train", "--data", empty, "--out", dir+"/t")
	fails(t, 1, "missing.txt", "tokenizer", "train", "--data", dir+"/missing.txt", "--out", dir+"/t")
	fails(t, 2, "--vocab", "tokenizer", "train", "--data", shared.text, "--vocab", "99", "--out", dir+"/t")
	fails(t, 2, "--pattern", "tokenizer", "train", "--data", shared.text, "--pattern", "(", "--out", dir+"/t")
	fails(t, 1, broken, "tokenizer", "info", "--model", broken)
	fails(t, 1, "nowhere", "tokenizer", "encode", "--model", dir+"/nowhere", "x")
	fails(t, 1, "99999", "tokenizer", "decode", "--model", shared.tok, "99999")
	fails(t, 2, "abc", "tokenizer", "decode", "--model", shared.tok, "abc")
	fails(t, 2, `"[1,x]" is no array`, "tokenizer", "decode", "--model", shared.tok, "[1,x]")
	for _, c := range []struct{ name, head, kind string }{{"a.pt", "PK\x03\x04", "a zip archive"}, {"a.bin", "\x80\x02", "a pickle"}, {"vocab.txt", "\x1f\x8b\x08", "compressed (gzip or zstd): unpack"}, {"a.safetensors", "\x08\x01\x00\x00\x00\x00\x00\x00{", "a safetensors file"}} {
		path := filepath.Join(dir, c.name)
		write(t, path, c.head+strings.Repeat("\x00", 100))
		fails(t, 1, path+": tokenizer: the file is "+c.kind, "tokenizer", "info", "--model", path)
	}
	mixed := filepath.Join(dir, "mixed")
	if err := os.Mkdir(mixed, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(mixed, "a.txt"), "one two three")
	write(t, filepath.Join(mixed, "b.csv"), "a,b\n1,2\n")
	train := []string{"tokenizer", "train", "--data", mixed, "--vocab", "260", "--out", filepath.Join(dir, "mixed.json")}
	fails(t, 1, `b.csv:1: no column "text"; there are ["a" "b"]: name that of the text (--field)`, train...)
	if o := object(t, append(train, "--on-bad", "skip")...); o["documents"] != 1.0 {
		t.Errorf("a file without the column left out: %v", o)
	}
	if _, err := os.Stat(dir + "/t"); err == nil {
		t.Error("a failed training left a folder")
	}
}

// Many texts in one process: a line of ids each, the same as one at a time.
func TestTokenizerLines(t *testing.T) {
	world(t)
	texts := []string{"one and two", "", "three  four", "\"five\""}
	encode := func(more ...string) []string {
		return append([]string{"tokenizer", "encode", "--model", shared.tok}, more...)
	}
	var want, lines, records strings.Builder
	for _, text := range texts {
		stdin(t, text)
		want.WriteString(ok(t, encode()...))
		lines.WriteString(text + "\n")
	}
	stdin(t, lines.String())
	if got := ok(t, encode("--lines")...); got != want.String() {
		t.Errorf("%q, want %q", got, want.String())
	}
	for i, text := range texts {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			b = fmt.Appendf(nil, `{"q": %s, "n": 1}`, b)
		}
		records.Write(append(b, '\n'))
	}
	stdin(t, records.String())
	if got := ok(t, encode("--jsonl", "--field", "q")...); got != want.String() {
		t.Errorf("JSON lines: %q, want %q", got, want.String())
	}
	stdin(t, lines.String())
	if got := strings.Count(ok(t, encode("--lines", "--json")...), `{"ids":[`); got != len(texts) {
		t.Errorf("%d objects for %d texts", got, len(texts))
	}
	stdin(t, "one\ntwo\n")
	if got := ok(t, encode("--lines", "--offsets")...); strings.Count(got, "\n\n") != 2 || !strings.Contains(got, "0:3") {
		t.Errorf("offsets: %q", got)
	}
	for text, want := range map[string]string{"{\n": "standard input:1: neither a JSON string nor an object", "{\"text\": 1}": `standard input:1: no string under "text"`, "null": `no string under`} {
		stdin(t, text)
		fails(t, 1, want, encode("--jsonl")...)
	}
	fails(t, 2, "give no text", encode("--lines", "x")...)
}

func TestData(t *testing.T) {
	world(t)
	dir := t.TempDir()
	prep := filepath.Join(dir, "prep")
	prepare := []string{"data", "prepare", "--data", shared.text, "--tokenizer", shared.tok, "--out", prep, "--seq", "16"}
	o := object(t, prepare...)
	keys(t, o, "data info skipped")
	if o := object(t, "data", "info", prep); o["info"] == nil || o["data"] != prep {
		t.Errorf("data info: %v", o)
	}
	fails(t, 1, prep, prepare...)
	fails(t, 2, "--seq", "data", "prepare", "--data", shared.text, "--tokenizer", shared.tok, "--out", dir+"/p", "--seq", "1")
	fails(t, 2, "--validation", "data", "prepare", "--data", shared.text, "--tokenizer", shared.tok, "--out", dir+"/p", "--validation", "1")
	fails(t, 2, "--pack", "data", "prepare", "--data", shared.text, "--tokenizer", shared.tok, "--out", dir+"/p", "--pack", "x")
	bad := filepath.Join(dir, "bad.txt")
	write(t, bad, "not \xff UTF-8")
	fails(t, 1, "bad.txt", "data", "prepare", "--data", bad, "--tokenizer", shared.tok, "--out", dir+"/p")
	o = object(t, "data", "prepare", "--data", bad+","+shared.text, "--on-bad", "skip", "--tokenizer", shared.tok, "--out", dir+"/p")
	if n := o["skipped"].(map[string]any)["bad"]; n != 1.0 {
		t.Errorf("%v bad files skipped, want 1", n)
	}
	shard := filepath.Join(prep, "train-00000.bin")
	b := []byte(read(t, shard))
	b[len(b)/2] ^= 1
	write(t, shard, string(b))
	fails(t, 1, "train-00000.bin", "data", "info", prep)
	fails(t, 1, dir+"/none", "data", "info", dir+"/none")
}
