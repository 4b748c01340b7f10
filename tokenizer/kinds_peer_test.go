package tokenizer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// peerTokenizers returns every tokenizer.json of the shared data and those that testdata/kinds.py makes, by name.
func peerTokenizers(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"hf-json/bert-base-uncased", "hf-json/clip", "hf-json/gpt2", "hf-json/t5-small", "hf-json/whisper-tiny"} {
		files[filepath.Base(name)] = dataFile(t, "tokenizers", name+".tokenizer.json")
	}
	files["tiny-bpe"] = dataFile(t, "tokenizers", "torchtune-tiny", "tiny_bpe_tokenizer.json")
	dir := t.TempDir()
	c := exec.Command(python(t), "testdata/kinds.py", dir, dataFile(t, "corpora", "wiki_demo.txt"), dataFile(t, "corpora", "zh", "hongloumeng.txt"))
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	made, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, path := range made {
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = path
	}
	if len(made) < 50 {
		t.Fatalf("kinds.py made %d files", len(made))
	}
	return files
}

// realTexts returns n lines of several languages.
func realTexts(t *testing.T, n int, seed uint64) []string {
	var lines []string
	for _, parts := range [][]string{{"wiki_demo.txt"}, {"zh", "sanguoyanyi.txt"}, {"ja", "wagahaiwa_nekodearu.txt"}, {"gutenberg", "carroll-alice.txt"}} {
		data := readData(t, append([]string{"corpora"}, parts...)...)
		lines = append(lines, strings.Split(strings.ToValidUTF8(string(data[:min(len(data), 1<<20)]), ""), "\n")...)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	texts := make([]string, n)
	for i := range texts {
		line := lines[r.IntN(len(lines))]
		for len(line) > 300 {
			line = line[:strings.LastIndexFunc(line[:300], func(c rune) bool { return c < utf8.RuneSelf || c > 0x2000 })]
		}
		texts[i] = strings.ToValidUTF8(line, "")
	}
	return texts
}

// peerEncoding is what the peer says about a text.
type peerEncoding struct {
	IDs     []int32
	Tokens  []string
	Offsets [][2]int // in characters
	Types   []int
	Special []int
	Text    string // decoded
	Plain   string // decoded without special tokens
}

// TestPeerKinds compares ids, tokens, offsets, type ids, special tokens and decoded texts of all kinds of tokenizers, of single texts
// and of pairs, and the streamed text.
func TestPeerKinds(t *testing.T) {
	files := peerTokenizers(t)
	texts := slices.Concat(randomTexts(peerTexts*2/3, 11), realTexts(t, peerTexts/3, 12),
		[]string{"", " ", "   ", "▁", " ▁ a", "a", "\u0301", "e\u0301\u0327", "ﬁ", "ﬁ\u0301", "　全角　ＡＢＣ１２３", "İstanbul ẞ ǅ", "각각 각", "\r\n\t", "☺️👩‍👩‍👧", "�"})
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t.Run(name, func(t *testing.T) { comparePeer(t, files[name], texts) })
	}
}

func comparePeer(t *testing.T, path string, texts []string) {
	tok, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range tok.Added() { // added tokens among the text
		for i := range min(len(texts)/40, 50) {
			k := (i*37 + int(a.ID)) % len(texts)
			texts = append(texts, texts[k]+a.Content+" x "+a.Content)
		}
		if len(texts) > 2*peerTexts {
			break
		}
	}
	c := exec.Command(python(t), "testdata/encode.py", path)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		w := bufio.NewWriter(in)
		for i, text := range texts {
			_ = json.NewEncoder(w).Encode(request(texts, i, text))
		}
		_ = w.Flush()
		_ = in.Close()
	}()
	answers := json.NewDecoder(bufio.NewReader(out))
	bad := 0
	for i, text := range texts {
		var want peerEncoding
		if err := answers.Decode(&want); err != nil {
			t.Fatalf("text %d: %v", i, err)
		}
		if diff := difference(tok, request(texts, i, text), want); diff != "" {
			if bad++; bad <= 3 {
				t.Errorf("%q: %s", request(texts, i, text), diff)
			}
		}
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if bad > 0 {
		t.Errorf("%d of %d texts differ", bad, len(texts))
	}
}

// request is a text, or for every fourth a pair of texts.
func request(texts []string, i int, text string) []string {
	if i%4 == 3 {
		return []string{text, texts[i-1]}
	}
	return []string{text}
}

// difference says how the tokenizer's answer to a request is not the peer's.
func difference(tok *Tokenizer, req []string, want peerEncoding) string {
	o := EncodeOptions{AddSpecial: true, ParseSpecial: true}
	have, err := tok.EncodeOffsets(req[0], o)
	if len(req) == 2 {
		have, err = tok.EncodePair(req[0], req[1], o)
	}
	if err != nil {
		return err.Error()
	}
	if !slices.Equal(have.IDs, want.IDs) {
		return fmt.Sprintf("ids\n have %v %q\n want %v %q", have.IDs, have.Tokens, want.IDs, want.Tokens)
	}
	if !slices.Equal(have.Tokens, want.Tokens) {
		return fmt.Sprintf("tokens\n have %q\n want %q", have.Tokens, want.Tokens)
	}
	special := make([]int, len(have.Special))
	for i, s := range have.Special {
		if s {
			special[i] = 1
		}
	}
	if !slices.Equal(have.TypeIDs, want.Types) || !slices.Equal(special, want.Special) {
		return fmt.Sprintf("types %v special %v\n want %v %v", have.TypeIDs, special, want.Types, want.Special)
	}
	for i, at := range have.Offsets {
		if have.Special[i] {
			continue
		}
		text := req[have.Texts[i]]
		if chars := [2]int{charsBefore(text, at.Start), charsBefore(text, at.End)}; chars != want.Offsets[i] {
			return fmt.Sprintf("token %d %q of %q: characters %v, want %v", i, have.Tokens[i], have.Tokens, chars, want.Offsets[i])
		}
	}
	if len(req) == 1 {
		if ids := tok.AddSpecial(tok.EncodeSpecial(req[0])); !slices.Equal(ids, want.IDs) {
			return fmt.Sprintf("the fast path's ids\n have %v\n want %v", ids, want.IDs)
		}
	}
	s, plain := tok.NewStream(), tok.NewStream()
	plain.SkipSpecial = true
	var streamed, skipped strings.Builder
	for _, id := range have.IDs {
		part := s.Push(id)
		if !utf8.ValidString(part) && utf8.ValidString(want.Text) && !strings.Contains(want.Text, "\uFFFD") {
			return fmt.Sprintf("half a character: %q", part)
		}
		streamed.WriteString(part)
		skipped.WriteString(plain.Push(id))
	}
	streamed.WriteString(s.Flush())
	skipped.WriteString(plain.Flush())
	for _, p := range [][2]string{{streamed.String(), want.Text}, {tok.Decode(have.IDs), want.Text}, {skipped.String(), want.Plain}, {tok.DecodeText(have.IDs), want.Plain}} {
		if lossy(p[0]) != lossy(p[1]) {
			return fmt.Sprintf("decodes to %q, want %q", p[0], p[1])
		}
	}
	return ""
}

// lossy replaces what is not UTF-8; a run of it counts as one, as the peer's own count of them is another.
func lossy(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}

func charsBefore(s string, end int) int { return utf8.RuneCountInString(s[:min(end, len(s))]) }
