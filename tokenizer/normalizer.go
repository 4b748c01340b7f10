package tokenizer

import (
	"bytes"
	"cmp"
	"unicode"
	"unicode/utf8"
)

// A normalizer changes a text before it is split.
type normalizer interface {
	part
	normalize(t *text) error
}

var normalizers = parts[normalizer]{
	kinds: map[string]func() normalizer{
		"BertNormalizer": func() normalizer { return &bertNormalizer{} },
		"ByteLevel":      func() normalizer { return &byteNormalizer{} },
		"Lowercase":      func() normalizer { return &lowercase{} },
		"NFC":            func() normalizer { return &normalForm{compose: true} },
		"NFD":            func() normalizer { return &normalForm{} },
		"NFKC":           func() normalizer { return &normalForm{compose: true, compatible: true} },
		"NFKD":           func() normalizer { return &normalForm{compatible: true} },
		"Nmt":            func() normalizer { return &nmt{} },
		"Precompiled":    func() normalizer { return &precompiled{} },
		"Prepend":        func() normalizer { return &prepend{} },
		"Replace":        func() normalizer { return &replace{} },
		"Strip":          func() normalizer { return &strip{} },
		"StripAccents":   func() normalizer { return &stripAccents{} },
	},
	list:     "normalizers",
	sequence: func(ps []normalizer) normalizer { return &normalizerSequence{"Sequence", ps} },
}

// simple is a part that has nothing but a type.
type simple struct {
	Type string `json:"type"`
}

func (simple) prepare(string) error { return nil }

type normalizerSequence struct {
	Type  string       `json:"type"`
	Parts []normalizer `json:"normalizers"`
}

func (s *normalizerSequence) prepare(where string) error { return prepareAll(where, s.Parts) }

func (s *normalizerSequence) normalize(t *text) error {
	for _, n := range s.Parts {
		if err := cmp.Or(n.normalize(t), t.check()); err != nil {
			return err
		}
	}
	return nil
}

// prepend puts a string before every text that is not empty.
type prepend struct {
	Type    string `json:"type"`
	Prepend string `json:"prepend"`
}

func (*prepend) prepare(string) error { return nil }

func (p *prepend) normalize(t *text) error {
	t.prepend(p.Prepend)
	return nil
}

// replace puts a string in the place of each match.
type replace struct {
	Type    string  `json:"type"`
	Pattern pattern `json:"pattern"`
	Content string  `json:"content"`
}

func (r *replace) prepare(where string) error { return r.Pattern.prepare(where) }

func (r *replace) normalize(t *text) error { return t.replace(&r.Pattern, r.Content) }

// replace replaces each match of p. The new characters come from the last one that they replace.
func (t *text) replace(p *pattern, content string) error {
	if t.at == nil && p.compiled == nil {
		return t.replaceString(*p.String, content)
	}
	ms, err := p.matches(nil, t.norm)
	if err != nil || len(ms) == 1 && !ms[0].is {
		return err
	}
	e := edit{t: t, to: len(t.norm), norm: make([]byte, 0, len(t.norm)+len(t.norm)/4)}
	for _, m := range ms {
		if !m.is {
			e.keep(m.start, m.end)
			continue
		}
		if e.norm = append(e.norm, content...); len(e.norm) > t.limit {
			return t.tooLong()
		}
		if t.at == nil {
			continue
		}
		at := Span{t.whole.Start, t.whole.Start}
		if m.end > 0 {
			at = t.at[m.end-1]
		}
		for range len(content) {
			e.at = append(e.at, at)
		}
	}
	e.done()
	return nil
}

// replaceString is replace for a string, not empty, in a text that keeps no places.
func (t *text) replaceString(find, content string) error {
	n := bytes.Count(t.norm, []byte(find))
	if n == 0 {
		return nil
	}
	if size := len(t.norm) + n*(len(content)-len(find)); size > t.limit {
		return t.tooLong()
	}
	t.norm = bytes.ReplaceAll(t.norm, []byte(find), []byte(content))
	return nil
}

// strip removes white space at the ends.
type strip struct {
	Type  string `json:"type"`
	Left  bool   `json:"strip_left"`
	Right bool   `json:"strip_right"`
}

func (*strip) prepare(string) error { return nil }

func (s *strip) normalize(t *text) error {
	from, to := 0, len(t.norm)
	if s.Left {
		from = to - len(trimLeft(t.norm))
	}
	if s.Right {
		to = len(trimRight(t.norm))
	}
	if from == 0 && to == len(t.norm) {
		return nil
	}
	e := t.edit()
	e.skip(utf8.RuneCount(t.norm[:from]))
	for _, r := range string(t.norm[from:max(from, to)]) {
		e.put(r, 0)
	}
	e.done()
	return nil
}

// stripAccents removes combining marks.
type stripAccents struct{ simple }

func (*stripAccents) normalize(t *text) error {
	t.filter(func(r rune) bool { return !combiningSet.has(r) })
	return nil
}

type lowercase struct{ simple }

func (*lowercase) normalize(t *text) error {
	t.lower()
	return nil
}

func (t *text) lower() {
	e := t.edit()
	var low [2]rune
	for _, r := range string(t.norm) {
		for i, r := range appendLower(low[:0], r) {
			e.put(r, min(i, 1))
		}
	}
	e.done()
}

// nmt removes control characters and makes spaces of others, as Google's translation models do.
type nmt struct{ simple }

func (*nmt) normalize(t *text) error {
	t.filter(func(r rune) bool {
		return !(1 <= r && r <= 8 || r == 0xB || 0xE <= r && r <= 0x1F || r == 0x7F || r == 0x8F || r == 0x9F)
	})
	t.mapRunes(func(r rune) rune {
		switch {
		case r == 9, r == 0xA, r == 0xC, r == 0xD, r == 0x1680, 0x200B <= r && r <= 0x200F, r == 0x2028, r == 0x2029, r == 0x2581,
			r == 0xFEFF, r == 0xFFFD:
			return ' '
		}
		return r
	})
	return nil
}

// byteNormalizer spells each byte as one character.
type byteNormalizer struct{ simple }

func (*byteNormalizer) normalize(t *text) error {
	t.spellBytes()
	return nil
}

func (t *text) spellBytes() {
	if t.at == nil {
		t.norm = spell(make([]byte, 0, 2*len(t.norm)), unsafeString(t.norm))
		return
	}
	e := t.edit()
	for i := 0; i < len(t.norm); {
		_, n := utf8.DecodeRune(t.norm[i:])
		for k, b := range t.norm[i : i+n] {
			e.put(byteRune[b], min(k, 1))
		}
		i += n
	}
	e.done()
}

// bertNormalizer is the cleaning of BERT's BasicTokenizer.
type bertNormalizer struct {
	Type    string `json:"type"`
	Clean   bool   `json:"clean_text"`
	Chinese bool   `json:"handle_chinese_chars"`
	Accents *bool  `json:"strip_accents"` // null: as Lower
	Lower   bool   `json:"lowercase"`
}

func (*bertNormalizer) prepare(string) error { return nil }

func (b *bertNormalizer) normalize(t *text) error {
	if t.at != nil {
		b.all(t)
		return nil
	}
	// Without places to keep, ASCII takes one pass. Characters of it begin no canonical order, so what is between is by itself.
	out := make([]byte, 0, len(t.norm)+len(t.norm)/8)
	for at := 0; at < len(t.norm); {
		for ; at < len(t.norm) && t.norm[at] < utf8.RuneSelf; at++ {
			switch c := t.norm[at]; {
			case b.Lower && 'A' <= c && c <= 'Z':
				out = append(out, c+'a'-'A')
			case c > ' ' && c < 0x7F || !b.Clean:
				out = append(out, c)
			case controlSet.ascii[c]:
			case unicode.IsSpace(rune(c)):
				out = append(out, ' ')
			default:
				out = append(out, c)
			}
		}
		from := at
		for at < len(t.norm) && t.norm[at] >= utf8.RuneSelf {
			at++
		}
		if from < at {
			part := text{norm: t.norm[from:at:at]}
			b.all(&part)
			out = append(out, part.norm...)
		}
	}
	t.norm = out
	return nil
}

// all takes the steps one after the other.
func (b *bertNormalizer) all(t *text) {
	if b.Clean {
		t.filter(func(r rune) bool { return !controlSet.has(r) })
		t.mapRunes(func(r rune) rune {
			if unicode.IsSpace(r) {
				return ' '
			}
			return r
		})
	}
	if b.Chinese {
		e := t.edit()
		for _, r := range string(t.norm) {
			if !isChinese(r) {
				e.put(r, 0)
				continue
			}
			e.put(' ', 0)
			e.put(r, 1)
			e.put(' ', 1)
		}
		e.done()
	}
	if b.Accents == nil && b.Lower || b.Accents != nil && *b.Accents {
		nfd.normalize(t)
		t.filter(func(r rune) bool { return !nonspacingSet.has(r) })
	}
	if b.Lower {
		t.lower()
	}
}
