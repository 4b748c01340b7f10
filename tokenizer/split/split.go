package split

import "unsafe"

// Pattern is one way to cut text into pieces. Pieces follow each other and cover the text. Safe for concurrent use.
type Pattern struct {
	Name  string // of the first published tokenizer that has it; "regex" for an expression without a scanner
	Regex string // its usual spelling, or the one given to ByRegex

	scan    func(text []byte, at int) int
	family  family   // of the rules that agree with scan on ASCII
	digits  int      // most digits of a piece, in families other than spaceWords
	foreign *foreign // where scan is nil
	same    []string // other spellings that cut the same pieces
}

// The known patterns.
var (
	GPT2 = &Pattern{
		Name:  "gpt2",
		Regex: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
		scan:  gpt2, family: spaceWords,
		same: []string{
			`'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
			`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
			`'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`,
		},
	}
	CL100K = &Pattern{
		Name:  "cl100k",
		Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		scan:  cl100k, family: anyWords, digits: 3,
		same: []string{
			`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
			`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
		},
	}
	// CL100KTiktoken is cl100k as tiktoken 0.7 and later spells it: white space at the end of the text is one piece, where
	// CL100K cuts it behind its last line break. ($ is the end of the text and {1,3}+ is possessive, as in tiktoken's engine.)
	CL100KTiktoken = &Pattern{
		Name:  "cl100k-tiktoken",
		Regex: `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
		scan:  cl100kEnd, family: anyWords, digits: 3,
	}
	O200K = &Pattern{
		Name: "o200k",
		Regex: `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?` +
			`|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?` +
			`|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		scan: o200k, family: casedWords, digits: 3,
	}
	// Llama3 cuts as CL100K does.
	Llama3 = &Pattern{Name: "llama3", Regex: CL100K.Regex, scan: cl100k, family: anyWords, digits: 3}
	Qwen2  = &Pattern{
		Name:  "qwen2",
		Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		scan:  qwen2, family: anyWords, digits: 1,
	}
)

// Known lists the patterns that have a scanner.
var Known = []*Pattern{GPT2, CL100K, CL100KTiktoken, O200K, Llama3, Qwen2}

// ByRegex returns the known pattern that expr spells, or else a pattern that runs expr on a backtracking engine with .NET's
// syntax and package unicode's tables. Text between two matches is a piece too. An expression that does not compile, or that takes too long on a short
// text made of its own characters, is an error.
func ByRegex(expr string) (*Pattern, error) {
	for _, p := range Known {
		if p.Regex == expr {
			return p, nil
		}
		for _, s := range p.same {
			if s == expr {
				return p, nil
			}
		}
	}
	f, err := newForeign(expr)
	if err != nil {
		return nil, err
	}
	return &Pattern{Name: "regex", Regex: expr, foreign: f}, nil
}

// Scanned reports whether p has a scanner. If not, only Ends is linear in the text.
func (p *Pattern) Scanned() bool { return p.scan != nil }

// Next returns the end of the piece that starts at text[at], at < len(text). at must be 0 or a former result on the same
// text. Without a scanner it costs time proportional to the text, and is -1 where the time limit is hit; see Ends.
func (p *Pattern) Next(text []byte, at int) int {
	if p.scan != nil {
		return p.scan(text, at)
	}
	return p.foreign.endOf(text, at)
}

// NextString is Next on a string.
func (p *Pattern) NextString(text string, at int) int {
	return p.Next(unsafe.Slice(unsafe.StringData(text), len(text)), at)
}

// Ends appends the end of each piece of text to dst. It fails only without a scanner: where a match takes more than two seconds
// or much backtracking memory, or the text more than 20 microseconds a byte.
func (p *Pattern) Ends(dst []int, text []byte) ([]int, error) {
	if p.scan == nil {
		return p.foreign.ends(dst, text)
	}
	for at := 0; at < len(text); {
		at = p.scan(text, at)
		dst = append(dst, at)
	}
	return dst, nil
}

// Matches calls match for each match in text, from left to right; empty ones too. It fails where Ends does.
func (p *Pattern) Matches(text []byte, match func(start, end int)) error {
	if p.scan == nil {
		return p.foreign.each(text, match)
	}
	for at := 0; at < len(text); { // the known patterns match everywhere
		end := p.scan(text, at)
		match(at, end)
		at = end
	}
	return nil
}

// MatchesEmpty reports whether the pattern can match between two characters.
func (p *Pattern) MatchesEmpty() bool {
	empty := false
	for _, text := range []string{"", "a", " ", "1."} {
		_ = p.Matches([]byte(text), func(start, end int) { empty = empty || start == end })
	}
	return empty
}
