package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
)

// marshal is for values that always marshal. It leaves <, > and & alone.
func marshal(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("tokenizer: %v", err))
	}
	return bytes.TrimSpace(b.Bytes())
}

// Marshal returns the tokenizer as tokenizer.json, byte for byte as Hugging Face tokenizers saves it.
func (t *Tokenizer) Marshal() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n  \"version\": \"1.0\"")
	section := func(name string, raw json.RawMessage) {
		fmt.Fprintf(&b, ",\n  %q: ", name)
		if len(raw) == 0 {
			b.WriteString("null")
		} else if err := json.Indent(&b, raw, "  ", "  "); err != nil {
			panic(fmt.Sprintf("tokenizer: %s: %v", name, err)) // it was valid when it was read
		}
	}
	section("truncation", t.truncation)
	section("padding", t.padding)
	t.writeAdded(&b)
	section("normalizer", marshalPart(t.normalizer))
	section("pre_tokenizer", marshalPart(t.pre))
	section("post_processor", marshalPart(t.post))
	section("decoder", marshalPart(t.decoder))
	switch t.kind {
	case BPE:
		section("model", marshal(t.bpe))
		reopen(&b)
		t.writeVocab(&b)
		t.writeMerges(&b)
	case WordPiece:
		section("model", marshal(t.wordPiece))
		reopen(&b)
		t.writeVocab(&b)
	case WordLevel:
		section("model", marshal(simple{WordLevel}))
		reopen(&b)
		t.writeVocab(&b)
		b.WriteString(",\n    \"unk_token\": ")
		quote(&b, t.wordLevelUnk)
	case Unigram:
		var unk *int32
		if t.unigramUnk >= 0 {
			unk = &t.unigramUnk
		}
		section("model", marshal(struct {
			Type string `json:"type"`
			Unk  *int32 `json:"unk_id"`
		}{Unigram, unk}))
		reopen(&b)
		t.writeScores(&b)
		fmt.Fprintf(&b, ",\n    \"byte_fallback\": %t", t.byteFallback)
	}
	b.WriteString("\n  }\n}")
	return b.Bytes(), nil
}

// reopen takes the end of an object away.
func reopen(b *bytes.Buffer) { b.Truncate(b.Len() - len("\n  }")) }

func marshalPart(p part) json.RawMessage {
	if p == nil {
		return nil
	}
	return marshal(p)
}

func (t *Tokenizer) writeAdded(b *bytes.Buffer) {
	b.WriteString(",\n  \"added_tokens\": [")
	added := t.Added()
	slices.SortFunc(added, func(x, y AddedToken) int { return int(x.ID) - int(y.ID) })
	for i, a := range added {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    {\n      \"id\": " + strconv.Itoa(int(a.ID)) + ",\n      \"content\": ")
		quote(b, a.Content)
		for _, f := range []struct {
			name string
			on   bool
		}{{"single_word", a.SingleWord}, {"lstrip", a.LStrip}, {"rstrip", a.RStrip}, {"normalized", a.Normalized}, {"special", a.Special}} {
			fmt.Fprintf(b, ",\n      %q: %t", f.name, f.on)
		}
		b.WriteString("\n    }")
	}
	closeList(b, len(added), "\n  ", ']')
}

func (t *Tokenizer) writeVocab(b *bytes.Buffer) {
	b.WriteString(",\n    \"vocab\": {")
	n := 0
	for id, name := range t.names {
		if !t.listed[id] {
			continue
		}
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteString("\n      ")
		quote(b, name)
		b.WriteString(": " + strconv.Itoa(id))
	}
	closeList(b, n, "\n    ", '}')
}

func (t *Tokenizer) writeMerges(b *bytes.Buffer) {
	b.WriteString(",\n    \"merges\": [")
	for i, m := range t.ranked {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n      [\n        ")
		quote(b, t.names[m[0]])
		b.WriteString(",\n        ")
		quote(b, t.names[m[1]])
		b.WriteString("\n      ]")
	}
	closeList(b, len(t.ranked), "\n    ", ']')
}

func (t *Tokenizer) writeScores(b *bytes.Buffer) {
	b.WriteString(",\n    \"vocab\": [")
	for i, s := range t.scored {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n      [\n        ")
		quote(b, s.text)
		b.WriteString(",\n        ")
		b.Write(appendScore(nil, s.score))
		b.WriteString("\n      ]")
	}
	closeList(b, len(t.scored), "\n    ", ']')
}

// appendScore writes a score so that it is read as the same again: see peerFloat.
func appendScore(dst []byte, score float64) []byte {
	up, down := score, score
	for range 8 {
		for _, v := range []float64{up, down} {
			if text := appendFloat(nil, v); peerFloat(string(text), v) == score {
				return append(dst, text...)
			}
		}
		up, down = math.Nextafter(up, math.Inf(1)), math.Nextafter(down, math.Inf(-1))
	}
	return appendFloat(dst, score)
}

// appendFloat writes a number as serde does: the shortest digits that give it back, an exponent below 1e-5 and from 1e16 on.
func appendFloat(dst []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-5 || a >= 1e16) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		digits, exponent, _ := strings.Cut(s, "e")
		sign := strings.TrimPrefix(exponent[:1], "+")
		return append(dst, digits+"e"+sign+strings.TrimLeft(exponent[1:], "0")...)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return append(dst, s...)
}

func closeList(b *bytes.Buffer, n int, indent string, with byte) {
	if n > 0 {
		b.WriteString(indent)
	}
	b.WriteByte(with)
}

// quote writes a JSON string with no more escapes than must be, as serde does.
func quote(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			if r < ' ' {
				fmt.Fprintf(b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
}

// Save writes tokenizer.json to path. The file is either the old one or whole.
func (t *Tokenizer) Save(path string) error {
	data, err := t.Marshal()
	if err != nil {
		return err
	}
	if err := file.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("tokenizer: saving %s: %w", path, err)
	}
	return nil
}
