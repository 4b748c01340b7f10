package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxHeader   = 100_000_000
	maxTensors  = 1 << 18
	maxMetadata = 1 << 16
	maxRank     = 64
)

type span struct {
	name       string
	dtype      DType
	shape      []int
	start, end int // in the data of its file
	shard      int // which file
}

type pair struct{ key, value string }

// parseHeader checks the head of a file of size bytes: eight bytes of length and as many of JSON. It returns the tensors by name,
// the metadata by key, and where the data starts.
func parseHeader(file []byte, size int) (spans []span, meta []pair, base int, err error) {
	if len(file) < 8 {
		return nil, nil, 0, fmt.Errorf("%d bytes, too short for a header", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader {
		return nil, nil, 0, fmt.Errorf("header of %d bytes, at most %d allowed", n, maxHeader)
	}
	if n > uint64(len(file)-8) {
		return nil, nil, 0, fmt.Errorf("header of %d bytes in a file of %d", n, size)
	}
	base = 8 + int(n)
	if !utf8.Valid(file[8:base]) {
		return nil, nil, 0, errors.New("header is not UTF-8")
	}
	s := &scanner{text: string(file[8:base])}
	if !strings.HasPrefix(s.text, "{") {
		return nil, nil, 0, errors.New("header does not start with {")
	}
	sawMeta := false
	s.object(func(key string) {
		if key == "__metadata__" {
			if sawMeta {
				s.fail("duplicate key %q", key)
			}
			sawMeta = true
			s.object(func(k string) {
				meta = append(meta, pair{k, s.str()})
				if len(meta) > maxMetadata {
					s.fail("more than %d metadata keys", maxMetadata)
				}
			})
			return
		}
		spans = append(spans, s.tensor(key))
		if len(spans) > maxTensors {
			s.fail("more than %d tensors", maxTensors)
		}
	})
	if s.end(); s.err != nil {
		return nil, nil, 0, s.err
	}
	slices.SortFunc(meta, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	for i := range max(len(meta)-1, 0) {
		if meta[i].key == meta[i+1].key {
			return nil, nil, 0, fmt.Errorf("duplicate metadata key %q", meta[i].key)
		}
	}
	if err := checkSpans(spans, size-base); err != nil {
		return nil, nil, 0, err
	}
	return spans, meta, base, nil
}

// checkSpans checks that spans cover size bytes without hole or overlap, and leaves them sorted by name.
func checkSpans(spans []span, size int) error {
	slices.SortFunc(spans, func(a, b span) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return a.end - b.end
	})
	at := 0
	for _, p := range spans {
		want := uint64(p.dtype.Size())
		if !slices.Contains(order, p.dtype) {
			return fmt.Errorf("tensor %q: unknown dtype %q", p.name, string(p.dtype))
		}
		for _, d := range p.shape {
			hi, lo := bits.Mul64(want, uint64(d))
			if hi != 0 || lo > math.MaxInt {
				return fmt.Errorf("tensor %q: shape %v overflows", p.name, p.shape)
			}
			want = lo
		}
		if p.start != at || p.end < p.start {
			return fmt.Errorf("tensor %q: data_offsets [%d, %d] leave a hole or overlap, want a start of %d", p.name, p.start, p.end, at)
		}
		if uint64(p.end-p.start) != want {
			return fmt.Errorf("tensor %q: data_offsets hold %d bytes, %s %v needs %d", p.name, p.end-p.start, p.dtype, p.shape, want)
		}
		at = p.end
	}
	if at != size {
		return fmt.Errorf("tensors hold %d bytes, the file has %d after its header", at, size)
	}
	slices.SortFunc(spans, func(a, b span) int { return strings.Compare(a.name, b.name) })
	for i := range max(len(spans)-1, 0) {
		if spans[i].name == spans[i+1].name {
			return fmt.Errorf("duplicate tensor %q", spans[i].name)
		}
	}
	return nil
}

// scanner reads the few forms of JSON that a header may hold. After the first error it stands still.
type scanner struct {
	text string
	pos  int
	keys int // read by skip
	err  error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("byte %d: "+format, append([]any{s.pos}, args...)...)
	}
}

// end wants nothing but space.
func (s *scanner) end() {
	if s.space(); s.err == nil && s.pos != len(s.text) {
		s.fail("text after the object")
	}
}

func (s *scanner) space() {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) >= 0 {
		s.pos++
	}
}

// next takes c if it comes next.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.err == nil && s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) want(c byte) {
	if !s.next(c) {
		s.fail("want %q", c)
	}
}

func (s *scanner) object(member func(key string)) {
	s.want('{')
	s.list('}', func() {
		key := s.str()
		s.want(':')
		if s.err == nil {
			member(key)
		}
	})
}

func (s *scanner) list(end byte, item func()) {
	if s.err != nil || s.next(end) {
		return
	}
	for s.err == nil {
		item()
		if s.next(end) {
			return
		}
		s.want(',')
	}
}

func (s *scanner) str() string {
	s.want('"')
	if s.err != nil {
		return ""
	}
	start, escaped := s.pos, false
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			raw := s.text[start:s.pos]
			s.pos++
			if !escaped {
				return raw
			}
			var v string
			if err := json.Unmarshal([]byte(s.text[start-1:s.pos]), &v); err != nil {
				s.fail("string: %v", err)
				return ""
			}
			if halfSurrogate(raw) {
				s.fail("string with half a surrogate pair")
			}
			return v
		case c == '\\':
			escaped = true
			s.pos++
		case c < ' ':
			s.fail("control character in a string")
			return ""
		}
	}
	s.fail("string without end")
	return ""
}

// halfSurrogate says whether the escapes of the valid JSON string raw name a surrogate without its other half.
func halfSurrogate(raw string) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i++; raw[i] != 'u' {
			continue
		}
		r := escape(raw[i-1:])
		if i += 4; !utf16.IsSurrogate(r) {
			continue
		}
		if utf16.DecodeRune(r, escape(raw[i+1:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// escape returns the code unit that s starts with as \uXXXX, 0 where it does not.
func escape(s string) rune {
	if len(s) < 6 || s[:2] != `\u` {
		return 0
	}
	v, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return 0
	}
	return rune(v)
}

func (s *scanner) number() int {
	s.space()
	start, v := s.pos, uint64(0)
	for ; s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9'; s.pos++ {
		d := uint64(s.text[s.pos] - '0')
		if v > (math.MaxInt-d)/10 {
			s.fail("number too large")
			return 0
		}
		v = 10*v + d
	}
	if s.pos == start || s.text[start] == '0' && s.pos > start+1 {
		s.fail("want a whole number")
	}
	return int(v)
}

func (s *scanner) tensor(name string) span {
	p := span{name: name}
	var seen [3]bool
	mark := func(i int, key string) {
		if seen[i] {
			s.fail("tensor %q: duplicate key %q", name, key)
		}
		seen[i] = true
	}
	s.object(func(key string) {
		switch key {
		case "dtype":
			mark(0, key)
			p.dtype = DType(s.str())
		case "shape":
			mark(1, key)
			p.shape = s.numbers(name, key)
		case "data_offsets":
			mark(2, key)
			if v := s.numbers(name, key); len(v) == 2 {
				p.start, p.end = v[0], v[1]
			} else {
				s.fail("tensor %q: data_offsets has %d numbers, want 2", name, len(v))
			}
		default:
			s.fail("tensor %q: unknown key %q", name, key)
		}
	})
	if s.err == nil && seen != [3]bool{true, true, true} {
		s.fail("tensor %q: needs dtype, shape and data_offsets", name)
	}
	return p
}

func (s *scanner) numbers(name, key string) []int {
	var v [maxRank]int
	n := 0
	s.want('[')
	s.list(']', func() {
		if n == maxRank {
			s.fail("tensor %q: %s has more than %d numbers", name, key, maxRank)
			return
		}
		v[n] = s.number()
		n++
	})
	return slices.Clone(v[:n])
}
