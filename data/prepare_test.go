package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/tokenizer"
)

// leftNothing fails unless folder is empty.
func leftNothing(t *testing.T, folder string) {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil || len(list) != 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

func TestPrepareStops(t *testing.T) {
	tok := testTokenizer(t)
	text := []byte(strings.Repeat("a document to stop at ", 1<<10))
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		stop func(cancel func()) error // called at document 100 of 400
		want error
	}{
		{"cancelled", func(cancel func()) error { cancel(); return nil }, context.Canceled},
		{"bad document", func(func()) error { return broken }, broken},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		read := 0
		docs := func(yield func(Document, error) bool) {
			for i := range 400 {
				var err error
				if read++; i == 100 {
					err = c.stop(cancel)
				}
				if !yield(Document{Name: fmt.Sprint(i), Text: text}, err) {
					return
				}
			}
		}
		folder := t.TempDir()
		_, err := Prepare(ctx, docs, tok, filepath.Join(folder, "set"), PrepareOptions{Threads: 2, ShardTokens: 100_000})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "set") {
			t.Errorf("%s: %v", c.name, err)
		}
		if read > 150 {
			t.Errorf("%s: %d documents read", c.name, read)
		}
		leftNothing(t, folder)
		cancel()
	}
}

func TestPrepareRefuses(t *testing.T) {
	tok := testTokenizer(t)
	folder := t.TempDir()
	for want, o := range map[string]PrepareOptions{
		"fewer than one sequence": {Seq: 1 << 20},
		"fraction 1":              {Validation: 1},
		"fraction NaN":            {Validation: nan()},
		"seq -1":                  {Seq: -1},
		"pack \"tight\"":          {Pack: "tight"},
	} {
		if _, err := Prepare(t.Context(), all(texts(5)), tok, filepath.Join(folder, "set"), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	leftNothing(t, folder)
	if _, err := Prepare(t.Context(), all(texts(5)), tok, folder, PrepareOptions{Seq: 2}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a folder that exists: %v", err)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestByGroup(t *testing.T) {
	var docs []Document
	for i, d := range texts(300) {
		d.Group = fmt.Sprint("g", i%40)
		docs = append(docs, d)
	}
	tok := testTokenizer(t)
	dir := filepath.Join(t.TempDir(), "set")
	info, err := Prepare(t.Context(), all(docs), tok, dir, PrepareOptions{Seq: 8, Validation: 0.4, ByGroup: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// The validation split holds the documents of some groups, all of each, in the order read.
	in := func(d Document) bool {
		h := sha256.Sum256([]byte(d.Group))
		return float64(binary.LittleEndian.Uint64(h[:]))/(1<<64) < 0.4
	}
	var want strings.Builder
	groups := map[string]bool{}
	for _, d := range docs {
		if in(d) {
			want.Write(d.Text)
			want.WriteString(tokenizer.EndOfText)
			groups[d.Group] = true
		}
	}
	v, err := s.val.Val(64, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := v.FillAt(&b, 0, v.Sequences()); err != nil {
		t.Fatal(err)
	}
	if tok.Decode(b.IDs) != want.String() || len(groups) < 8 || len(groups) > 24 {
		t.Errorf("validation is not whole groups; %d groups of 40", len(groups))
	}
	if info.Val.Documents+info.Train.Documents != 300 || int(info.Val.Bytes) != want.Len()-int(info.Val.Documents)*len(tokenizer.EndOfText) {
		t.Errorf("%+v", info)
	}
}

func TestCorpusHash(t *testing.T) {
	tok := testTokenizer(t)
	hash := func(docs []Document, o PrepareOptions) string {
		info, err := Prepare(t.Context(), all(docs), tok, filepath.Join(t.TempDir(), "set"), o)
		if err != nil {
			t.Fatal(err)
		}
		return info.CorpusSHA256
	}
	docs := texts(50)
	h := sha256.New()
	for _, d := range docs {
		sum := sha256.Sum256(d.Text)
		h.Write(sum[:])
	}
	want := fmt.Sprintf("%x", h.Sum(nil))
	if a, b := hash(docs, PrepareOptions{Seq: 8}), hash(docs, PrepareOptions{Seq: 16, Pack: BestFit, Validation: 0.5, Threads: 7}); a != want || b != want {
		t.Errorf("corpus hash %s and %s, want %s", a, b, want)
	}
	docs[0], docs[1] = docs[1], docs[0]
	if hash(docs, PrepareOptions{Seq: 8}) == want {
		t.Error("the hash does not depend on the order")
	}
}

// wideTokenizer is testTokenizer with end of text at an id that takes four bytes.
func wideTokenizer(t *testing.T) *tokenizer.Tokenizer {
	raw, err := testTokenizer(t).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	f["added_tokens"] = append(f["added_tokens"].([]any)[:0], map[string]any{"id": 70000, "content": tokenizer.EndOfText, "single_word": false,
		"lstrip": false, "rstrip": false, "normalized": false, "special": true})
	delete(f["model"].(map[string]any)["vocab"].(map[string]any), tokenizer.EndOfText)
	if raw, err = json.Marshal(f); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestFourByteTokens(t *testing.T) {
	tok := wideTokenizer(t)
	dir := filepath.Join(t.TempDir(), "set")
	info, err := Prepare(t.Context(), all(texts(40)), tok, dir, PrepareOptions{Seq: 1})
	if err != nil {
		t.Fatal(err)
	}
	if info.Vocab != 70001 || info.Width != 4 || info.EOS != 70000 {
		t.Fatalf("%+v", info)
	}
	s, err := Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v, err := s.train.Val(1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := v.FillAt(&b, 0, v.Sequences()); err != nil {
		t.Fatal(err)
	}
	var want []int32
	for _, d := range texts(40) {
		want = append(append(want, tok.Encode(string(d.Text))...), 70000)
	}
	if !slices.Equal(b.IDs, want) {
		t.Error("tokens differ")
	}
	st, err := os.Stat(filepath.Join(dir, "train-00000.bin"))
	if err != nil || st.Size() != int64(4*len(want)) {
		t.Errorf("%v, %v", st, err)
	}
}

func TestMetaNames(t *testing.T) {
	dir, _ := prepared(t, 12, PrepareOptions{Seq: 16, Validation: 0.3})
	raw, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"format", "vocab", "width", "eos", "tokenizer_sha256", "corpus_sha256", "seq", "pack", "seed", "validation", "by_group", "train", "val",
		"documents", "tokens", "bytes", "sequences", "pieces", "cropped", "shards"} {
		if !bytes.Contains(raw, []byte(`"`+name+`"`)) {
			t.Errorf("meta.json has no %s", name)
		}
	}
	info, err := decodeMeta(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := json.MarshalIndent(info, "", "  "); err != nil || !bytes.Equal(again, raw) {
		t.Errorf("meta.json reads back as %s", again)
	}
}

// TestMemoryOfALongLine: a line of 300 MB costs no more than the limit, whether it ends or not.
func TestMemoryOfALongLine(t *testing.T) {
	const size, limit = 300 << 20, 1 << 20
	for _, name := range []string{"a.jsonl", "a.csv", "a.txt"} {
		var skips Skips
		r := &reader{ctx: t.Context(), o: ReadOptions{Field: "text", OnBad: "skip", MaxBytes: limit, Skipped: &skips}, yield: func(d Document, err error) bool {
			t.Errorf("%s: a document of %d bytes, %v", name, len(d.Text), err)
			return false
		}}
		head := map[string]string{"a.jsonl": `{"text":"`, "a.csv": "text\n\""}[name]
		in := &endless{head: head, left: size}
		allocated := allocatedBy(func() {
			if err := r.read(name, in); err != nil {
				t.Error(err)
			}
		})
		if allocated > 24*limit || skips.Bad != 1 {
			t.Errorf("%s: %d bytes allocated, %d bad", name, allocated, skips.Bad)
		}
		if name == "a.jsonl" && in.left != 0 {
			t.Errorf("%d bytes not read", in.left)
		}
	}
}

// TestTextsAtWork: 32 MB pass through stages that may hold 1 MB of text.
func TestTextsAtWork(t *testing.T) {
	tok := testTokenizer(t)
	text := []byte(strings.Repeat("document 7 says 49. ", 1<<12)) // 80 KiB
	docs := func(yield func(Document, error) bool) {
		for i := range 400 {
			if !yield(Document{Name: fmt.Sprint(i), Text: bytes.Clone(text)}, nil) {
				return
			}
		}
	}
	w := &writer{tok: tok, width: 2, atWork: 1 << 20, o: PrepareOptions{Threads: 2}, train: shardWriter{dir: t.TempDir(), name: "train", limit: 1 << 40}}
	tok.NewEncoder() // what all encoders start from is made once
	peak := heapPeak(t, func() {
		if err := errors.Join(w.run(t.Context(), docs), w.train.close()); err != nil {
			t.Error(err)
		}
	})
	if peak > 24<<20 || w.train.info.Documents != 400 { // two encoders are up to 14 MiB each
		t.Errorf("live memory grew by %d KiB, %d documents", peak>>10, w.train.info.Documents)
	}
}

// A Unigram tokenizer gives one space back for several and for line ends: its text is prepared all the same.
func TestPrepareUnigram(t *testing.T) {
	text := []byte("one fish\n\ntwo  fish, \u212b\n")
	tok, err := tokenizer.TrainUnigram(t.Context(), slices.Values([][]byte{text}), tokenizer.WordOptions{VocabSize: 280})
	if err != nil {
		t.Fatal(err)
	}
	info, err := Prepare(t.Context(), all([]Document{{Name: "a", Text: text}}), tok, filepath.Join(t.TempDir(), "set"), PrepareOptions{Seq: 8})
	if err != nil || info.Train.Documents != 1 {
		t.Errorf("%+v, %v", info, err)
	}
}
