package constrain

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// plain are the characters that a JSON string holds as they are.
var plain = others([]span{{0, ' ' - 1}, {'"', '"'}, {'\\', '\\'}})

// anyCharacter is one character of a string, escaped or not. Halves of surrogate pairs stand together only.
var anyCharacter = func() *expr {
	hex := func(lo, hi rune) []span { // digits from lo to hi, letters in both cases
		spans := []span{{lo, hi}}
		if lo >= 'a' {
			spans = append(spans, span{lo - 32, hi - 32})
		}
		return spans
	}
	digit := class(append(hex('a', 'f'), span{'0', '9'})...)
	d := class(hex('d', 'd')...)
	low := class(span{'0', '7'})
	surrogate := func(second ...span) *expr { return seq(text(`u`), d, class(second...), repeat(digit, 2, 2)) }
	return alt(class(plain...), seq(text(`\`), alt(
		class([]span{{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}}...),
		seq(text(`u`), alt(seq(class(append(append(hex('a', 'c'), hex('e', 'f')...), span{'0', '9'})...), repeat(digit, 3, 3)), seq(d, low, repeat(digit, 2, 2)))),
		seq(surrogate(append(hex('a', 'b'), span{'8', '9'})...), text(`\`), surrogate(hex('c', 'f')...)))))
}()

// formats are regular expressions for the formats of strings. Dates end with the 28th of February.
var formats = map[string]string{
	"date":      datePattern,
	"time":      timePattern,
	"date-time": datePattern + `T` + timePattern,
	"duration":  `P([0-9]{1,4}W|[0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?|[0-9]{1,4}D|([0-9]{1,4}D)?T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))`,
	"email":     `[A-Za-z0-9_+-]{1,32}(\.[A-Za-z0-9_+-]{1,32}){0,3}@` + hostPattern,
	"hostname":  hostPattern,
	"ipv4":      bytePattern + `(\.` + bytePattern + `){3}`,
	"ipv6":      `[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}`,
	"uuid":      `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`,
	"uri":       `[a-z][a-z0-9+.-]{1,15}://` + hostPattern + `(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*(\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?(#[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?`,
}

// otherFormats are those of JSON Schema that are not supported.
var otherFormats = []string{"idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer", "relative-json-pointer", "regex"}

const (
	datePattern = `[1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))`
	timePattern = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`
	bytePattern = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
	hostPattern = `[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?){0,4}`
)

// string is a JSON string.
func (s *schema) string(v *value, path string) *expr {
	pattern, format := v.get("pattern"), v.get("format")
	sized := v.get("minLength") != nil || v.get("maxLength") != nil
	for _, k := range []string{"pattern", "format"} {
		if t := v.get(k); t != nil && t.kind != '"' {
			return s.fail(path+"/"+k, "it is no text")
		}
	}
	shape, key, around := "", "", empty
	switch {
	case pattern != nil && format != nil:
		return s.fail(path+"/format", "beside pattern it is not supported")
	case pattern != nil:
		shape, key, around = pattern.text, "pattern", repeat(class(span{0, utf8.MaxRune}), 0, -1)
	case format != nil:
		if formats[format.text] == "" {
			return s.fail(path+"/format", "%.40q is not supported", format.text)
		}
		key = "format"
	case !sized:
		return s.shared("string", func() *expr { return seq(text(`"`), repeat(anyCharacter, 0, -1), text(`"`)) })
	default:
		least, most := s.count(v, "minLength", path, 0), s.count(v, "maxLength", path, -1)
		if most >= 0 && most < least {
			return never
		}
		return seq(text(`"`), repeat(anyCharacter, least, most), text(`"`))
	}
	if sized {
		return s.fail(path+"/"+key, "beside minLength or maxLength it is not supported")
	}
	if key == "format" {
		return s.shared("format "+format.text, func() *expr { return s.matching(formats[format.text], empty, &patterns{}, path+"/format") })
	}
	return s.matching(shape, around, &s.patterns, path+"/pattern")
}

// matching is a string by a regular expression.
func (s *schema) matching(pattern string, around *expr, p *patterns, path string) *expr {
	e, err := p.read(pattern, around)
	if err != nil {
		return s.fail(path, "%v", err)
	}
	return seq(text(`"`), quoted(e), text(`"`))
}

// quoted is a language of texts as the insides of JSON strings.
func quoted(e *expr) *expr {
	var subs []*expr
	for _, sub := range e.subs {
		subs = append(subs, quoted(sub))
	}
	switch e.op {
	case opText:
		return text(strings.TrimSuffix(strings.TrimPrefix(quote(e.text), `"`), `"`))
	case opClass:
		ways := []*expr{class(common(e.set, plain)...)}
		for _, s := range common(e.set, others(plain)) {
			for r := s.lo; r <= s.hi; r++ {
				ways = append(ways, text(escaped(r)))
			}
		}
		return alt(ways...)
	case opSeq:
		return seq(subs...)
	case opAlt:
		return alt(subs...)
	case opRepeat:
		return repeat(subs[0], e.min, e.max)
	}
	return e
}

// Digits of numbers without bounds.
const maxDigits = 16

var (
	digit    = class(span{'0', '9'})
	fraction = seq(text("."), repeat(digit, 1, maxDigits))
	zeros    = seq(text("."), repeat(text("0"), 1, maxDigits))
	positive = seq(text("."), repeat(text("0"), 0, maxDigits-1), class(span{'1', '9'}), repeat(digit, 0, maxDigits)) // fractions above 0
)

// number is a number or an integer, within bounds.
func (s *schema) number(t string, v *value, path string) *expr {
	whole := t == "integer"
	lo, hi := math.Inf(-1), math.Inf(1)
	var above, below bool // lo and hi are excluded
	for _, key := range typed["number"] {
		b := v.get(key)
		if b == nil {
			continue
		}
		f, err := strconv.ParseFloat(b.text, 64)
		if b.kind != '0' || err != nil {
			return s.fail(path+"/"+key, "it is no number")
		}
		if !s.spend(8*len(b.text), path) {
			return never
		}
		if math.Abs(f) >= 1e15 || !whole && f != math.Trunc(f) {
			return s.fail(path+"/"+key, "a bound of %v is not supported: of numbers only whole ones are, of integers those below 1e15", f)
		}
		exclusive := strings.HasPrefix(key, "exclusive")
		if strings.HasSuffix(strings.ToLower(key), "minimum") {
			if whole && exclusive {
				f, exclusive = math.Floor(f)+1, false
			}
			if f = math.Ceil(f); f > lo || f == lo && exclusive {
				lo, above = f, exclusive
			}
			continue
		}
		if whole && exclusive {
			f, exclusive = math.Ceil(f)-1, false
		}
		if f = math.Floor(f); f < hi || f == hi && exclusive {
			hi, below = f, exclusive
		}
	}
	if lo > hi || lo == hi && (above || below) {
		return never
	}
	if math.IsInf(lo, -1) && math.IsInf(hi, 1) {
		return s.shared(t, func() *expr {
			e := seq(optional(text("-")), alt(text("0"), seq(class(span{'1', '9'}), repeat(digit, 0, maxDigits-1))))
			if whole {
				return e
			}
			return seq(e, optional(fraction), optional(seq(class(span{'e', 'e'}, span{'E', 'E'}), optional(class(span{'+', '+'}, span{'-', '-'})), repeat(digit, 1, 2))))
		})
	}
	var ways []*expr
	if whole {
		if lo < 0 {
			ways = append(ways, seq(text("-"), integers(max(1, -hi), -lo)))
		}
		if hi >= 0 {
			ways = append(ways, integers(max(0, lo), hi))
		}
		return alt(ways...)
	}
	if lo < 0 {
		ways = append(ways, seq(text("-"), reals(max(0, -hi), below && hi <= 0, -lo, above)))
	}
	if hi >= 0 {
		ways = append(ways, reals(max(0, lo), above && lo >= 0, hi, below))
	}
	return alt(ways...)
}

// reals are the numbers from lo >= 0 to hi, both whole, without exponents; above and below say that lo and hi themselves are none of them.
func reals(lo float64, above bool, hi float64, below bool) *expr {
	var ways []*expr
	from := lo
	if above {
		if lo < hi {
			ways = append(ways, seq(integers(lo, lo), positive))
		}
		from++
	}
	if from <= hi-1 {
		ways = append(ways, seq(integers(from, hi-1), optional(fraction)))
	}
	if !below && hi >= lo && !math.IsInf(hi, 1) && (hi > lo || !above) {
		ways = append(ways, seq(integers(hi, hi), optional(zeros)))
	}
	return alt(ways...)
}

// integers are the whole numbers from lo >= 0 to hi, which may be infinite: those of at most maxDigits digits.
func integers(lo, hi float64) *expr {
	if lo > hi {
		return never
	}
	from := strconv.FormatFloat(lo, 'f', 0, 64)
	to := strings.Repeat("9", maxDigits)
	if !math.IsInf(hi, 1) {
		to = strconv.FormatFloat(hi, 'f', 0, 64)
	}
	var ways []*expr
	for n := len(from); n <= len(to); n++ {
		least, most := "1"+strings.Repeat("0", n-1), strings.Repeat("9", n)
		if n == len(from) {
			least = from
		}
		if n == len(to) {
			most = to
		}
		ways = append(ways, digits(least, most))
	}
	return alt(ways...)
}

// digits are the numbers from lo to hi, which have the same number of digits.
func digits(lo, hi string) *expr {
	n := len(lo)
	if n == 0 {
		return empty
	}
	if lo == strings.Repeat("0", n) && hi == strings.Repeat("9", n) {
		return repeat(digit, n, n)
	}
	if lo[0] == hi[0] {
		return seq(text(lo[:1]), digits(lo[1:], hi[1:]))
	}
	from, to := rune(lo[0]), rune(hi[0])
	var ways []*expr
	zero, nine := strings.Repeat("0", n-1), strings.Repeat("9", n-1)
	if lo[1:] != zero {
		ways = append(ways, seq(text(lo[:1]), digits(lo[1:], nine)))
		from++
	}
	if hi[1:] != nine {
		ways = append(ways, seq(text(hi[:1]), digits(zero, hi[1:])))
		to--
	}
	if from <= to {
		ways = append(ways, seq(class(span{from, to}), repeat(digit, n-1, n-1)))
	}
	return alt(ways...)
}
