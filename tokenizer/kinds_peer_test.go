package tokenizer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/tokenizer/split"
)

// peerFile is a tokenizer and the tokenizer.json that the peer reads for it.
type peerFile struct {
	path string
	tok  *Tokenizer // nil: Open reads the path too
}

// rankFile is a file of tiktoken's format.
type rankFile struct {
	dir, name string
	pattern   *split.Pattern
}

// rankFiles are those whose names Open does not know, or whose special tokens leave holes.
var rankFiles = []rankFile{
	{"tiktoken", "cl100k_base.tiktoken", split.CL100KTiktoken}, {"tiktoken", "whisper-multilingual.tiktoken", split.GPT2}, {"torchtune-tiny", "tiktoken_small.model", split.CL100K},
}

// TestCLIPMerges: OpenAI's packed merges, read as its code does, are the vocabulary and the merges of the tokenizer.json that TestPeerKinds compares.
func TestCLIPMerges(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(readData(t, "tokenizers", "clip", "bpe_simple_vocab_16e6.txt.gz")))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	merges := strings.Split(string(text), "\n")[1 : 49152-256-2+1]
	var f struct {
		Model struct {
			Vocab  map[string]int
			Merges []jsonMerge
		}
	}
	if err := json.Unmarshal(readData(t, "tokenizers", "hf-json", "clip.tokenizer.json"), &f); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ending := range []string{"", "</w>"} {
		for _, b := range alphabet() {
			names = append(names, string(byteRune[b])+ending)
		}
	}
	for i, m := range merges {
		a, b, _ := strings.Cut(m, " ")
		names = append(names, a+b)
		if theirs := f.Model.Merges[i]; theirs != (jsonMerge{a, b}) {
			t.Fatalf("merge %d is %q, in tokenizer.json %q", i, m, theirs)
		}
	}
	names = append(names, "<|startoftext|>", "<|endoftext|>")
	if len(f.Model.Merges) != len(merges) || len(f.Model.Vocab) != len(names) {
		t.Errorf("%d merges and %d tokens, in tokenizer.json %d and %d", len(merges), len(names), len(f.Model.Merges), len(f.Model.Vocab))
	}
	for id, name := range names {
		if have, ok := f.Model.Vocab[name]; !ok || have != id {
			t.Errorf("%q is %d, in tokenizer.json %d", name, id, have)
		}
	}
}

// peerTokenizers returns, by name, the tokenizers of the shared data and those that testdata/kinds.py makes. Files of other formats
// than tokenizer.json are given to the peer as Save writes them.
func peerTokenizers(t *testing.T) map[string]peerFile {
	t.Helper()
	files := map[string]peerFile{}
	for _, name := range []string{"bert-base-uncased", "clip", "gpt2", "t5-small", "whisper-tiny"} {
		files[name] = peerFile{path: dataFile(t, "tokenizers", "hf-json", name+".tokenizer.json")}
	}
	files["tiny-bpe"] = peerFile{path: dataFile(t, "tokenizers", "torchtune-tiny", "tiny_bpe_tokenizer.json")}
	dir := t.TempDir()
	c := exec.Command(testkit.Python(t, peers...), "testdata/kinds.py", dir, dataFile(t, "corpora", "wiki_demo.txt"), dataFile(t, "corpora", "zh", "hongloumeng.txt"))
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	made, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, path := range made {
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = peerFile{path: path}
	}
	if len(made) < 50 {
		t.Fatalf("kinds.py made %d files", len(made))
	}
	for _, parts := range [][]string{
		{"gpt2"}, {"bert-uncased"}, {"tiktoken", "r50k_base.tiktoken"},
		{"sentencepiece", "llama2.tokenizer.model"}, {"sentencepiece", "t5.spiece.model"}, {"sentencepiece", "test_model.model"},
		{"sentencepiece", "seqio.model"}, {"sentencepiece", "hf-test_sentencepiece_bpe.model"}, {"torchtune-tiny", "m.model"},
	} {
		files["file-"+parts[len(parts)-1]] = saved(t, openData(t, append([]string{"tokenizers"}, parts...)...))
	}
	// Without special tokens, as the peer gives them other ids where theirs leave holes.
	for _, c := range rankFiles {
		tok, err := LoadTiktoken(readData(t, "tokenizers", c.dir, c.name), c.pattern, nil)
		if err != nil {
			t.Fatal(err)
		}
		files["file-"+c.name] = saved(t, tok)
	}
	vocabularies, _ := filepath.Glob(filepath.Join(dataFile(t, "tokenizers", "llama.cpp"), "*.gguf"))
	for _, path := range vocabularies {
		tok, err := FromGGUF(readGGUF(t, path))
		if err != nil {
			t.Fatal(err)
		}
		files["file-"+filepath.Base(path)] = saved(t, tok)
	}
	return files
}

// saved writes a tokenizer. Unigram's is opened again, as scores change by a last bit when the peer, and so Load, reads them.
func saved(t *testing.T, tok *Tokenizer) peerFile {
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := tok.Save(path); err != nil {
		t.Fatal(err)
	}
	if tok.Kind() == Unigram {
		tok = nil
	}
	return peerFile{path, tok}
}

// realTexts returns n lines of several languages and of code.
func realTexts(t *testing.T, n int, seed uint64) []string {
	lines := strings.Split(strings.Join(sample(t), "\n"), "\n")
	for _, parts := range [][]string{{"wiki_demo.txt"}, {"zh", "sanguoyanyi.txt"}, {"ja", "wagahaiwa_nekodearu.txt"}, {"gutenberg", "carroll-alice.txt"}} {
		data := readData(t, append([]string{"corpora"}, parts...)...)
		lines = append(lines, strings.Split(strings.ToValidUTF8(string(data[:min(len(data), 1<<20)]), ""), "\n")...)
	}
	for _, line := range []string{ // a line of these counts as a hundred of the others
		"Все люди рождаются свободными и равными в своём достоинстве и правах.", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι.",
		"يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.", "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם.", "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
		"மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்.", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
		"ყველა ადამიანი იბადება თავისუფალი და თანასწორი.", "Բոլոր մարդիկ ծնվում են ազատ ու հավասար։", "የሰው፡ልጅ፡ሁሉ፡ሲወለድ፡ነጻና፡እኩል፡ነው።", "Tất cả mọi người sinh ra đều được tự do và bình đẳng.",
		"لوگ آزاد پیدا ہوتے ہیں ۱۲۳۴۵۶", "មនុស្សទាំងអស់កើតមកមានសេរីភាព", "လူတိုင်းသည် တူညီ လွတ်လပ်သော", "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪🇫🇷 1️⃣ ☺︎ ♥️", "x = {\t'a': [1, 2.5e-3],\r\n\t\"b\": null}; // ≤ 10⁻³ ∑ᵢ√x",
	} {
		for range len(lines) / 1000 {
			lines = append(lines, line)
		}
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

// blockTexts returns n texts of characters that are close to each other, of control characters and white space, and of very long words.
func blockTexts(n int, seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 0))
	blanks := []rune(" \t\n\r\v\f\x00\x07\x1b\x7f\u0085\u00a0\u00ad\u1680\u2003\u200b\u200d\u2028\u2029\u202f\u2060\u3000\ufe0f\ufeff")
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		switch {
		case i%200 == 0:
			unit := string(anyRune(r)) + []string{"a", "中", "é", "--", "1"}[r.IntN(5)]
			b.WriteString(strings.Repeat(unit[r.IntN(2)*(len(unit)-1):], 100+r.IntN(600)))
		case i%3 == 0:
			for range 1 + r.IntN(40) {
				b.WriteString(strings.Repeat(string(blanks[r.IntN(len(blanks))]), 1+r.IntN(4)*r.IntN(4)))
				if r.IntN(3) == 0 {
					b.WriteByte(byte('!' + r.IntN(94)))
				}
			}
		default:
			first := anyRune(r) // most are in planes without characters
			if r.IntN(4) > 0 {
				first = rune(r.IntN(0x20000))
			}
			for range 1 + r.IntN(40) {
				b.WriteRune(first + rune(r.IntN(64)))
			}
		}
		texts[i] = strings.ToValidUTF8(b.String(), "\uFFFD")
	}
	return texts
}

// peerEncoding is what the peer says about a text.
type peerEncoding struct {
	IDs     []int32
	Tokens  []string
	Offsets []int // of each token, in characters
	Types   []int
	Special []int
	Text    string // decoded
	Plain   string // decoded without special tokens
}

// TestPeerKinds compares ids, tokens, offsets, type ids, special tokens and decoded texts of all kinds of tokenizers, of single texts
// and of pairs, and the streamed text. With -tags slow it takes an hour.
func TestPeerKinds(t *testing.T) {
	files := peerTokenizers(t)
	texts := slices.Concat(randomTexts(peerTexts/2, 11), realTexts(t, peerTexts/4, 12), blockTexts(peerTexts/4, 13),
		[]string{"", " ", "   ", "▁", " ▁ a", "a", "\u0301", "e\u0301\u0327", "ﬁ", "ﬁ\u0301", "　全角　ＡＢＣ１２３", "İstanbul ẞ ǅ", "각각 각", "\r\n\t", "☺️👩‍👩‍👧", "�"})
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t.Run(name, func(t *testing.T) { comparePeer(t, files[name], texts) })
	}
}

func comparePeer(t *testing.T, file peerFile, texts []string) {
	tok := file.tok
	if tok == nil {
		var err error
		if tok, err = Open(file.path); err != nil {
			t.Fatal(err)
		}
	}
	reqs := requests(tok, texts)
	c := exec.Command(testkit.Python(t, peers...), "testdata/encode.py", file.path)
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
	const size = 500 // of a batch
	go func() {
		w := json.NewEncoder(in)
		for batch := range slices.Chunk(reqs, size) {
			valid := make([][]string, len(batch))
			for i, req := range batch {
				for _, text := range req {
					valid[i] = append(valid[i], string([]rune(text)))
				}
			}
			_ = w.Encode(valid)
		}
		_ = in.Close()
	}()
	answers := make(chan []*peerEncoding, 2)
	var broken error
	go func() {
		defer close(answers)
		d := json.NewDecoder(bufio.NewReader(out))
		for {
			var batch []*peerEncoding
			if broken = d.Decode(&batch); broken != nil {
				_ = out.Close() // so that the peer does not wait to be heard
				return
			}
			answers <- batch
		}
	}()
	n, bad, panics := 0, 0, 0
	for batch := range answers {
		for _, want := range batch {
			req := reqs[n]
			n++
			if want == nil {
				panics++
				continue
			}
			if diff := difference(tok, req, *want); diff != "" {
				if bad++; bad <= 3 {
					t.Errorf("%q: %s", req, diff)
				}
			}
		}
	}
	if err := c.Wait(); err != nil || broken != io.EOF || n != len(reqs) {
		t.Errorf("%d answers to %d texts: %v, %v", n, len(reqs), err, broken)
	}
	if bad > 0 {
		t.Errorf("%d of %d texts differ", bad, len(reqs))
	}
	if panics > 0 {
		t.Logf("the peer panics on %d of %d texts", panics, len(reqs))
	}
	if panics > len(reqs)/10 {
		t.Error("the peer hardly answers")
	}
}

// requests returns a request a text: every fourth is a pair, in every eighth are added tokens, in every sixteenth bytes that are not
// UTF-8, where the tokenizer reads them as U+FFFD.
func requests(tok *Tokenizer, texts []string) [][]string {
	r := rand.New(rand.NewPCG(14, 0))
	added := tok.Added()
	all := make([][]string, len(texts))
	put := func(text, what string) string {
		at := r.IntN(len(text) + 1)
		for at < len(text) && !utf8.RuneStart(text[at]) {
			at++
		}
		return text[:at] + what + text[at:]
	}
	for i, text := range texts {
		if i%8 == 5 && len(added) > 0 {
			for range 1 + r.IntN(3) {
				text = put(text, added[r.IntN(len(added))].Content)
			}
		}
		if i%16 == 2 && !tok.spelled {
			for range 1 + r.IntN(3) {
				text = put(text, string([]byte{byte(0x80 + r.IntN(0x80)), byte(0x80 + r.IntN(0x80))}[:1+r.IntN(2)]))
			}
		}
		all[i] = []string{text}
		if i%4 == 3 {
			all[i] = append(all[i], texts[i-1])
		}
	}
	return all
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
		if chars := []int{charsBefore(text, at.Start), charsBefore(text, at.End)}; !slices.Equal(chars, want.Offsets[2*i:2*i+2]) {
			return fmt.Sprintf("token %d %q of %q: characters %v, want %v", i, have.Tokens[i], have.Tokens, chars, want.Offsets[2*i:2*i+2])
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
	if slices.ContainsFunc(have.IDs, tok.misspelled) {
		return ""
	}
	skipped.WriteString(plain.Flush())
	for _, p := range [][2]string{{streamed.String(), want.Text}, {tok.Decode(have.IDs), want.Text}, {skipped.String(), want.Plain}, {tok.DecodeText(have.IDs), want.Plain}} {
		if lossy(p[0]) != lossy(p[1]) {
			return fmt.Sprintf("decodes to %q, want %q", p[0], p[1])
		}
	}
	return ""
}

// misspelled reports whether the peer decodes an added token of a byte-level vocabulary to other text than its content: characters
// that spell bytes elsewhere are those bytes there too, so that "ö", a token of deepseek-coder, becomes half a character.
func (t *Tokenizer) misspelled(id int32) bool {
	_, added := t.addedAt[id]
	bytes, ok := unspell(t.names[id])
	return t.spelled && added && ok && bytes != t.names[id]
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
