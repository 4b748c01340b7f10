package split

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

const (
	matchLimit = 2 * time.Second        // for one match
	probeLimit = 500 * time.Millisecond // for one match on a probe, where the expression is refused
	byteLimit  = 20 * time.Microsecond  // for each byte of a text, on top of one match's
	stackLimit = 1 << 26                // entries of the engine's backtracking stack
)

// foreign runs an expression that has no scanner.
type foreign struct {
	expr string
	re   *regexp2.Regexp
}

func newForeign(expr string) (*foreign, error) {
	// As in tokenizer.json, whose engine is Ruby's: ^ and $ are at every line.
	re, err := regexp2.Compile(lineStarts(expr), regexp2.Multiline, regexp2.OptionMaxBacktrackingStackSize(stackLimit))
	if err != nil {
		return nil, fmt.Errorf("split: pattern %q: %w", expr, err)
	}
	f := &foreign{expr, re}
	re.MatchTimeout = probeLimit
	for _, text := range probes(expr) {
		if _, err := f.ends(nil, text); err != nil {
			return nil, err
		}
	}
	re.MatchTimeout = matchLimit
	return f, nil
}

// lineStarts spells each ^ so that, as in Ruby, it is not behind a line break that ends the text.
func lineStarts(expr string) string {
	var b strings.Builder
	class := -1 // where the characters of a class begin
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\' && i+1 < len(expr):
			b.WriteByte(c)
			i++
		case class < 0 && c == '[':
			if class = i + 1; class < len(expr) && expr[class] == '^' {
				class++
			}
		case c == ']' && i > class:
			class = -1
		case c == '^' && class < 0:
			b.WriteString(`(?:\A|^(?!\z))`)
			continue
		}
		b.WriteByte(expr[i])
	}
	return b.String()
}

// probes returns short texts that make an expression with exponential backtracking run out of time: each of its characters
// many times, and then one that ends the match.
func probes(expr string) [][]byte {
	var all [][]byte
	seen := map[rune]bool{}
	for _, r := range expr + "a 1\n" {
		if len(seen) == 64 {
			break
		}
		if !seen[r] {
			seen[r] = true
			all = append(all, []byte(strings.Repeat(string(r), 48)+"\x00"))
		}
	}
	return all
}

// standIns are for characters whose class package unicode, and so the engine, does not know yet, by that class. All such numbers are
// decimal digits (Unicode 16 has 80), so a digit stands for them.
var standIns = map[class]rune{upper: 'Ɐ', lower: 'ⱥ', caseless: '\U00013000', mark: '\u1DC4', number: '\U0001E950'}

// newer returns the stand-ins of all such characters.
var newer = sync.OnceValue(func() map[rune]rune {
	known := map[class][]*unicode.RangeTable{
		upper: {unicode.Lu, unicode.Lt}, lower: {unicode.Ll}, caseless: {unicode.Lm, unicode.Lo}, mark: {unicode.M}, number: {unicode.N},
	}
	m := map[rune]rune{}
	for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
		if c := runeClass(r); known[c] != nil && !unicode.In(r, known[c]...) {
			m[r] = standIns[c]
		}
	}
	return m
})

// decode returns the characters of text[from:] or what stands for them, U+FFFD for each invalid byte, and the offset of each plus
// len(text).
func decode(text []byte, from int) (runes []rune, offset []int) {
	n := utf8.RuneCount(text[from:])
	runes, offset = make([]rune, 0, n), make([]int, 0, n+1)
	for i := from; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r >= 0x300 {
			if in, ok := newer()[r]; ok {
				r = in
			}
		}
		runes, offset = append(runes, r), append(offset, i)
		i += size
	}
	return runes, append(offset, len(text))
}

// ends appends the ends of the matches and of what lies between them. An empty match cuts too.
func (f *foreign) ends(dst []int, text []byte) ([]int, error) {
	at := 0
	err := f.each(text, func(start, end int) {
		for _, end := range [2]int{start, end} {
			if end > at {
				dst = append(dst, end)
				at = end
			}
		}
	})
	if err == nil && at < len(text) {
		dst = append(dst, len(text))
	}
	return dst, err
}

// each calls match for every match, empty ones that do not touch the one before included.
func (f *foreign) each(text []byte, match func(start, end int)) error {
	runes, offset := decode(text, 0)
	whole := begin(f.re.MatchTimeout + time.Duration(len(text))*byteLimit)
	last := -1
	m, err := f.next(runes, nil)
	for ; m != nil && err == nil; m, err = f.next(runes, m) {
		if m.RuneLength > 0 || m.RuneIndex != last {
			last = m.RuneIndex + m.RuneLength
			match(offset[m.RuneIndex], offset[last])
		}
		if whole.over() && !whole.idle() {
			return fmt.Errorf("split: pattern %q: %d of %d bytes after %v", f.expr, offset[m.RuneIndex], len(text), whole.limit)
		}
	}
	if err != nil {
		return fmt.Errorf("split: pattern %q: %w", f.expr, err)
	}
	return nil
}

// next finds the match behind m, or the first. The engine measures its limit by the clock: a match that ran out of it while the process was
// stopped, or waited for a processor, is tried again.
func (f *foreign) next(runes []rune, m *regexp2.Match) (next *regexp2.Match, err error) {
	for spent := begin(f.re.MatchTimeout); ; {
		if m == nil {
			next, err = f.re.FindRunesMatch(runes)
		} else {
			next, err = f.re.FindNextMatch(m)
		}
		if err == nil || !spent.over() || !spent.idle() {
			return next, err
		}
	}
}

// budget is a limit on the time that something takes.
type budget struct {
	start time.Time
	cpu   time.Duration
	limit time.Duration
}

// cpuTime is what the process has had of the processors, where the system does not tell the time since it was loaded; tests replace it.
var cpuTime = processTime

var loaded = time.Now()

func begin(limit time.Duration) budget { return budget{time.Now(), cpuTime(), limit} }

// over says that the limit is past by the clock.
func (b *budget) over() bool { return time.Since(b.start) > b.limit }

// idle says that the process had less than half of the limit of the processors' time.
func (b *budget) idle() bool { return cpuTime()-b.cpu < b.limit/2 }

// endOf returns the end of the piece at text[at], or -1 on the time limit.
func (f *foreign) endOf(text []byte, at int) int {
	ends, err := f.ends(nil, text)
	if err != nil {
		return -1
	}
	for _, end := range ends {
		if end > at {
			return end
		}
	}
	return len(text)
}
