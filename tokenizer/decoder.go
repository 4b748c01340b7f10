package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// A decoder turns tokens back into text. It works as a chain of stages, through which tokens come as fragments, so that streaming and
// decoding at once are the same.
type decoder interface {
	part
	// start returns the stage at the start of a text. It sends what it makes to next.
	start(next stage) stage
}

// A stage takes a fragment of a token; end says that the token ends with it. flush is the end of the text.
type stage interface {
	put(s string, end bool)
	flush()
}

var decoders = parts[decoder]{
	kinds: map[string]func() decoder{
		"BPEDecoder":   func() decoder { return &bpeDecoder{} },
		"ByteFallback": func() decoder { return &byteFallback{} },
		"ByteLevel":    func() decoder { return &byteLevel{TrimOffsets: true, UseRegex: true} },
		"CTC":          func() decoder { return &ctc{} },
		"Fuse":         func() decoder { return &fuse{} },
		"Metaspace":    func() decoder { return &metaspace{} },
		"Replace":      func() decoder { return &replace{} },
		"Strip":        func() decoder { return &stripDecoder{} },
		"WordPiece":    func() decoder { return &wordPieceDecoder{} },
	},
	list:     "decoders",
	sequence: func(ps []decoder) decoder { return &decoderSequence{"Sequence", ps} },
}

type decoderSequence struct {
	Type  string    `json:"type"`
	Parts []decoder `json:"decoders"`
}

func (s *decoderSequence) prepare(where string) error { return prepareAll(where, s.Parts) }

func (s *decoderSequence) start(next stage) stage {
	for i := len(s.Parts) - 1; i >= 0; i-- {
		next = s.Parts[i].start(next)
	}
	return next
}

// tokenStage calls each with whole tokens and their numbers, and done at the end of the text.
type tokenStage struct {
	held strings.Builder
	n    int
	open bool
	each func(token string, i int)
	done func()
}

func (w *tokenStage) put(s string, end bool) {
	if end && w.held.Len() == 0 {
		w.call(s)
		return
	}
	w.held.WriteString(s)
	w.open = true
	if end {
		w.call(w.held.String())
	}
}

func (w *tokenStage) call(token string) {
	w.each(token, w.n)
	w.n++
	w.held.Reset()
	w.open = false
}

func (w *tokenStage) flush() {
	if w.open {
		w.call(w.held.String())
	}
	w.done()
	w.n = 0
}

// eachToken returns a stage that changes tokens one by one.
func eachToken(next stage, change func(token string, i int) string) stage {
	return &tokenStage{each: func(token string, i int) { next.put(change(token, i), true) }, done: next.flush}
}

// start decodes what byteLevel spelled; a token that it did not spell stands for itself. All is one token.
func (*byteLevel) start(next stage) stage {
	return &tokenStage{
		each: func(token string, _ int) {
			if raw, ok := unspell(token); ok {
				token = raw
			}
			next.put(token, false)
		},
		done: func() {
			next.put("", true)
			next.flush()
		},
	}
}

// start makes spaces of ▁, and nothing of those in the first token if some may have been put there.
func (m *metaspace) start(next stage) stage {
	rep := string(rune(m.Replacement))
	return eachToken(next, func(token string, i int) string {
		if i == 0 && *m.Prepend != prependNever {
			return strings.ReplaceAll(token, rep, "")
		}
		return strings.ReplaceAll(token, rep, " ")
	})
}

// start replaces matches within each token.
func (r *replace) start(next stage) stage {
	return eachToken(next, func(token string, _ int) string {
		t := text{norm: []byte(token), limit: max(len(token), growthRoom)}
		if t.replace(&r.Pattern, r.Content) != nil {
			return token
		}
		return string(t.norm)
	})
}

// fuse makes one token of all.
type fuse struct{ simple }

func (*fuse) start(next stage) stage { return &fuseStage{next} }

type fuseStage struct{ next stage }

func (f *fuseStage) put(s string, _ bool) { f.next.put(s, false) }

func (f *fuseStage) flush() {
	f.next.put("", true)
	f.next.flush()
}

// byteFallback joins tokens <0x00> to <0xFF> to characters. Where a run of them is not UTF-8, each becomes U+FFFD.
type byteFallback struct{ simple }

func (*byteFallback) start(next stage) stage {
	var run []byte
	end := func() {
		if utf8.Valid(run) && len(run) > 0 {
			next.put(string(run), true)
		} else {
			for range run {
				next.put("\uFFFD", true)
			}
		}
		run = run[:0]
	}
	return &tokenStage{
		each: func(token string, _ int) {
			if b, ok := byteOf(token); ok {
				run = append(run, b)
				return
			}
			end()
			next.put(token, true)
		},
		done: func() {
			end()
			next.flush()
		},
	}
}

// byteOf returns the byte that a token <0xNN> stands for.
func byteOf(token string) (b byte, ok bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	for _, c := range []byte(token[3:5]) {
		switch {
		case '0' <= c && c <= '9':
			b = b<<4 | (c - '0')
		case 'A' <= c && c <= 'F':
			b = b<<4 | (c - 'A' + 10)
		case 'a' <= c && c <= 'f':
			b = b<<4 | (c - 'a' + 10)
		default:
			return 0, false
		}
	}
	return b, true
}

// stripDecoder removes up to Start and Stop characters Content at the ends of each token.
type stripDecoder struct {
	Type    string `json:"type"`
	Content one    `json:"content"`
	Start   int    `json:"start"`
	Stop    int    `json:"stop"`
}

func (*stripDecoder) prepare(string) error { return nil }

func (s *stripDecoder) start(next stage) stage { return &stripStage{s: s, next: next} }

type stripStage struct {
	s       *stripDecoder
	next    stage
	started bool // within a token
	cut     int  // at its start
	begun   bool // something else was there
	held    int  // contents at the end so far
}

func (w *stripStage) put(s string, end bool) {
	w.started = true
	var out strings.Builder
	for _, r := range s {
		if r != rune(w.s.Content) {
			w.release(&out, w.held)
			out.WriteRune(r)
			w.begun = true
			continue
		}
		if !w.begun && w.cut < w.s.Start {
			w.cut++
			continue
		}
		w.begun = true
		w.held++
		if w.held > w.s.Stop {
			w.release(&out, 1)
		}
	}
	if end {
		w.started, w.cut, w.begun, w.held = false, 0, false, 0
	}
	if end || out.Len() > 0 {
		w.next.put(out.String(), end)
	}
}

// release writes n of the held characters.
func (w *stripStage) release(out *strings.Builder, n int) {
	for range n {
		out.WriteRune(rune(w.s.Content))
	}
	w.held -= n
}

func (w *stripStage) flush() {
	if w.started {
		w.put("", true)
	}
	w.next.flush()
}

// wordPieceDecoder puts spaces between words.
type wordPieceDecoder struct {
	Type    string `json:"type"`
	Prefix  string `json:"prefix"` // of a token that continues a word
	Cleanup bool   `json:"cleanup"`
}

func (*wordPieceDecoder) prepare(string) error { return nil }

func (d *wordPieceDecoder) start(next stage) stage {
	return eachToken(next, func(token string, i int) string {
		if i > 0 {
			var ok bool
			if token, ok = strings.CutPrefix(token, d.Prefix); !ok {
				token = " " + token
			}
		}
		if d.Cleanup {
			token = cleanUp(token)
		}
		return token
	})
}

// cleanUp takes spaces before English punctuation and contractions out.
func cleanUp(s string) string {
	for _, p := range [][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}

// bpeDecoder makes spaces of the suffix that ends words, but for the last token's.
type bpeDecoder struct {
	Type   string `json:"type"`
	Suffix string `json:"suffix"`
}

func (*bpeDecoder) prepare(string) error { return nil }

func (d *bpeDecoder) start(next stage) stage {
	last, some := "", false
	return &tokenStage{
		each: func(token string, _ int) {
			if some {
				next.put(strings.ReplaceAll(last, d.Suffix, " "), true)
			}
			last, some = token, true
		},
		done: func() {
			if some {
				next.put(strings.ReplaceAll(last, d.Suffix, ""), true)
			}
			some = false
			next.flush()
		},
	}
}

// ctc reads the output of connectionist temporal classification: equal neighbours are one token, and pads go.
type ctc struct {
	Type      string `json:"type"`
	Pad       string `json:"pad_token"`
	Delimiter string `json:"word_delimiter_token"`
	Cleanup   bool   `json:"cleanup"`
}

func (*ctc) prepare(string) error { return nil }

func (d *ctc) start(next stage) stage {
	last := ""
	return &tokenStage{
		each: func(token string, i int) {
			if i > 0 && token == last {
				return
			}
			last = token
			token = strings.ReplaceAll(token, d.Pad, "")
			if d.Cleanup {
				token = strings.ReplaceAll(cleanUp(token), d.Delimiter, " ")
			}
			if token != "" {
				next.put(token, true)
			}
		},
		done: next.flush,
	}
}

// spaced is what decodes where a file has no decoder: tokens with spaces between them.
type spaced struct{}

func (spaced) prepare(string) error { return nil }

func (spaced) start(next stage) stage {
	return eachToken(next, func(token string, i int) string {
		if i > 0 {
			token = " " + token
		}
		return token
	})
}
