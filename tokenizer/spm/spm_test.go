package spm

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// published are the model files of the test data.
var published = []string{"hf-test_sentencepiece_bpe.model", "llama2.tokenizer.model", "seqio.model", "t5.spiece.model", "test_model.model"}

func open(t testing.TB, name string) ([]byte, *Model) {
	t.Helper()
	data, err := os.ReadFile(testkit.Data(t, filepath.Join("tokenizers", "sentencepiece", name)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(data)
	if err != nil {
		t.Fatal(name, err)
	}
	return data, m
}

func TestPublished(t *testing.T) {
	for _, name := range published {
		_, m := open(t, name)
		back, err := Parse(m.Marshal())
		if err != nil {
			t.Fatal(name, err)
		}
		if !reflect.DeepEqual(m, back) {
			t.Errorf("%s changes when it is written and read", name)
		}
	}
}

// small is a model with everything in it.
func small() *Model {
	m := &Model{
		Pieces: []Piece{{"<unk>", 0, Unknown}, {"<s>", 0, Control}, {"</s>", 0, Control}, {"\u2581a", -1, Normal}, {"a", -1.5, Normal}, {"[X]", 0, UserDefined},
			{"b", -2, Unused}, {"<0x0A>", 0, Byte}, {"\u2581", -3, Normal}, {"\u2581ab", -1, Normal}},
		Trainer:    DefaultTrainer(),
		Normalizer: DefaultNormalizer(),
		Rest:       []byte{0xc8, 0x0c, 0x07}, // field 201, 7
	}
	m.Trainer.Rest = []byte{0x52, 0x01, 'x'}
	m.Normalizer.CharsMap = []byte("\x04\x00\x00\x00\x00\x00\x00\x00x\x00")
	d := DefaultNormalizer()
	d.AddDummyPrefix = false
	m.Denormalizer = &d
	return m
}

func TestMarshal(t *testing.T) {
	m := small()
	back, err := Parse(m.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	back.Denormalizer.CharsMap = nil // empty and none are the same
	if !reflect.DeepEqual(m, back) {
		t.Errorf("%+v\nwant %+v", back, m)
	}
	if want := []Merge{{8, 4, 3}, {3, 6, 9}}; !reflect.DeepEqual(m.Merges(), want) {
		t.Errorf("merges %v, want %v", m.Merges(), want)
	}
	if want := []int32{0, 0, 0, 1, 2, 0, 3, 0, 4, 1}; !reflect.DeepEqual(m.Ranks(), want) {
		t.Errorf("ranks %v, want %v", m.Ranks(), want)
	}
	if ids := m.ByteIDs(); ids[10] != 7 || ids[0] != -1 {
		t.Errorf("bytes %v", ids)
	}
}

func TestDefaults(t *testing.T) {
	m, err := Parse([]byte("\x0a\x03\x0a\x01a"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Model{Pieces: []Piece{{"a", 0, Normal}}, Trainer: DefaultTrainer(), Normalizer: DefaultNormalizer()}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("%+v, want %+v", m, want)
	}
}

func TestHostile(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "no pieces"},
		{"text", "hello there", "field 13: wire type 4"},
		{"cut key", "\x80", "broken field key"},
		{"key of 11 bytes", strings.Repeat("\xff", 11), "broken field key"},
		{"field 0", "\x00\x00", "field number 0"},
		{"field 2^29", "\x80\x80\x80\x80\x10\x00", "field number 536870912"},
		{"group", "\x0b\x0c", "field 1: wire type 3"},
		{"length behind the end", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "field 1: length 9223372036854775807, 0 bytes are left"},
		{"no length", "\x0a", "field 1: broken length"},
		{"cut float", "\x0a\x03\x15\x00\x00", "pieces[0]: field 2: cut short"},
		{"pieces as a number", "\x08\x01", "pieces has wire type 0, want 2"},
		{"piece in a piece cut", "\x0a\x03\x0a\x05a", "pieces[0]: field 1: length 5, 1 bytes are left"},
		{"empty piece", "\x0a\x02\x0a\x00", "pieces[0]: piece is empty"},
		{"no piece", "\x0a\x00", "pieces[0]: piece is empty"},
		{"not UTF-8", "\x0a\x03\x0a\x01\xff", "pieces[0]: piece is not valid UTF-8"},
		{"NaN", "\x0a\x08\x0a\x01a\x15\xff\xff\xff\x7f", "pieces[0]: score is NaN"},
		{"infinity", "\x0a\x08\x0a\x01a\x15\x00\x00\x80\xff", "pieces[0]: score is -Inf"},
		{"score as a string", "\x0a\x06\x0a\x01a\x12\x01x", "pieces[0]: score has wire type 2, want 5"},
		{"type 7", "\x0a\x05\x0a\x01a\x18\x07", "type 7 is not in [1, 6]"},
		{"model type 9", "\x12\x02\x18\x09", "trainer_spec: model_type 9"},
		{"spec as a number", "\x10\x01", "trainer_spec has wire type 0"},
		{"name not UTF-8", "\x1a\x03\x0a\x01\xff", "normalizer_spec: name is not valid UTF-8"},
		{"denormalizer", "\x2a\x02\x1d\x00", "denormalizer_spec: field 3: cut short"},
	} {
		if _, err := Parse([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	good := small().Marshal()
	for i := range good {
		check(t, good[:i])
		bad := slices.Clone(good)
		bad[i] ^= 0xff
		check(t, bad)
	}
	m := small()
	m.Normalizer.CharsMap = []byte("abc")
	if _, err := m.Cleaner(); err == nil || !strings.Contains(err.Error(), "precompiled_charsmap") {
		t.Errorf("broken map: %v", err)
	}
}

// TestMemory reads a file of the smallest pieces there are.
func TestMemory(t *testing.T) {
	data := []byte(strings.Repeat("\x0a\x03\x0a\x01a", 1<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Parse(data)
	runtime.ReadMemStats(&after)
	if err != nil || len(m.Pieces) != 1<<20 {
		t.Fatal(err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8*uint64(len(data))+16<<20 {
		t.Errorf("%d bytes for a file of %d", grown, len(data))
	}
}

// check reads a file: an error or a model that is the same when written and read.
func check(t *testing.T, data []byte) {
	m, err := Parse(data)
	if err != nil {
		return
	}
	written := m.Marshal()
	back, err := Parse(written)
	if err != nil {
		t.Fatalf("%x is written as %x: %v", data, written, err)
	}
	if again := back.Marshal(); string(written) != string(again) {
		t.Fatalf("%x is written as %x, then %x", data, written, again)
	}
	m.Merges()
	m.MergesByScore()
	m.Ranks()
	m.ByteIDs()
	c, err := m.Cleaner()
	if err != nil {
		return
	}
	for _, s := range []string{"", " a  b ", "\xff\u2581é[X]" + m.Pieces[0].Text} {
		out, from := c.Clean(s)
		if len(from) != len(out)+1 || from[len(out)] > len(s) || !slices.IsSorted(from) {
			t.Fatalf("%q becomes %q from %v", s, out, from)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small().Marshal())
	f.Add([]byte("\x0a\x03\x0a\x01a"))
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}
