package tokenizer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/tokenizer/tidy"
)

// clipName begins the name of OpenAI's file, bpe_simple_vocab_16e6.txt.gz, also when it is unpacked.
const clipName = "bpe_simple_vocab_16e6.txt"

// ErrContext is in the chain of an error about a text of more tokens than a model reads.
var ErrContext = errors.New("longer than the model reads")

// CleanCLIP is what OpenAI's CLIP makes of a text before it splits it: ftfy's repairs, entities of HTML resolved twice, one space for
// each run of white space, and lower case.
func CleanCLIP(text string) string {
	text = tidy.Unescape(tidy.Unescape(tidy.Fix(text)))
	text = strings.Join(strings.FieldsFunc(text, isPythonSpace), " ")
	return pythonLower(text)
}

// pythonLower is Python's str.lower: by character, but for the sigma that ends a word and the dotted capital I.
func pythonLower(text string) string {
	const sigma = 'Σ'
	low := strings.ToLower(strings.ReplaceAll(text, "İ", "i\u0307"))
	if !strings.ContainsRune(text, sigma) {
		return low
	}
	var out strings.Builder
	for i, r := range text {
		switch {
		case r == 'İ':
			out.WriteString("i\u0307")
		case r == sigma && besideCased(strings.TrimRightFunc(text[:i], caseIgnorable), utf8.DecodeLastRuneInString) &&
			!besideCased(strings.TrimLeftFunc(text[i+utf8.RuneLen(sigma):], caseIgnorable), utf8.DecodeRuneInString):
			out.WriteRune('ς')
		default:
			out.WriteRune(unicode.ToLower(r))
		}
	}
	return out.String()
}

// besideCased says whether the character at one end of s has cases.
func besideCased(s string, end func(string) (rune, int)) bool {
	r, _ := end(s)
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// caseIgnorable says whether a character does not part a word for the rule of the last sigma (The Unicode Standard, 3.13, D136).
func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:\u00b7\u0387\u055f\u05f4‘’\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a", r)
}

// isPythonSpace is Python's str.isspace of one character: four separators of ASCII are white space there.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// EncodeCLIP returns the ids that OpenAI's CLIP reads for a text: start, the text as CleanCLIP leaves it, end; without padding. The
// normalizer of tokenizer.json, which does less, is passed over, and special tokens that the text spells out are text like any
// other. Only ſ behind an apostrophe, which OpenAI's pattern takes for an s, is split otherwise. More than context ids are an error that
// wraps ErrContext and says how many, or where truncate is set, lose what comes before the end.
func (t *Tokenizer) EncodeCLIP(text string, context int, truncate bool) ([]int32, error) {
	start, ok := t.SpecialID(CLIPStart)
	end, too := t.SpecialID(CLIPEnd)
	if !ok || !too || context < 2 {
		return nil, fmt.Errorf("tokenizer: a context of %d tokens, which begins with %s and ends with %s: the vocabulary has them %v, %v", context, CLIPStart, CLIPEnd, ok, too)
	}
	e := t.encoders.Get().(*Encoder)
	defer t.encoders.Put(e)
	e.err, e.clean = nil, true
	// U+0345, a mark whose capital is a letter, is matched by nothing in OpenAI's pattern, which ignores case.
	clean := strings.ReplaceAll(CleanCLIP(text), "\u0345", " ")
	ids := e.pipeline([]int32{start}, []byte(clean), false)
	e.clean = false
	if e.err != nil {
		return nil, e.err
	}
	if ids = append(ids, end); len(ids) <= context {
		return ids, nil
	}
	if !truncate {
		return nil, fmt.Errorf("tokenizer: a text of %d tokens, more than %d: %w: %.60q", len(ids), context, ErrContext, text)
	}
	ids = ids[:context]
	ids[context-1] = end
	return ids, nil
}

// clipMerges is how many lines of OpenAI's file count, behind the first.
const clipMerges = 49152 - 256 - 2

// LoadCLIP reads bpe_simple_vocab_16e6.txt, OpenAI's merges, unpacked or packed by gzip. The tokenizer is that of Hugging Face's
// tokenizer.json for CLIP; EncodeCLIP is OpenAI's way of using it.
func LoadCLIP(data []byte) (*Tokenizer, error) {
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("tokenizer: CLIP's merges: %w", err)
		}
		if data, err = io.ReadAll(io.LimitReader(z, maxFile)); err != nil {
			return nil, fmt.Errorf("tokenizer: CLIP's merges: %w", err)
		}
	}
	vocab := make(map[string]int, 512+clipMerges)
	enter := func(token string) { vocab[token] = len(vocab) }
	for _, ending := range []string{"", "</w>"} {
		for _, b := range alphabet() {
			enter(string(byteRune[b]) + ending)
		}
	}
	var merges [][2]string
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 2*maxToken)
	for n := 1; lines.Scan() && len(merges) < clipMerges; n++ {
		if n == 1 { // its version
			continue
		}
		a, b, ok := strings.Cut(lines.Text(), " ")
		_, twice := vocab[a+b]
		if !ok || a == "" || b == "" || strings.Contains(b, " ") || twice {
			return nil, fmt.Errorf("tokenizer: CLIP's merges, line %d: %.60q is not two tokens that make a new one", n, lines.Text())
		}
		merges = append(merges, [2]string{a, b})
		enter(a + b)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("tokenizer: CLIP's merges: %w", err)
	}
	if len(merges) < clipMerges {
		return nil, fmt.Errorf("tokenizer: CLIP's merges: %d, want %d", len(merges), clipMerges)
	}
	enter(CLIPStart)
	enter(CLIPEnd)
	tokens, err := json.Marshal(vocab)
	if err != nil {
		return nil, err
	}
	pairs, err := json.Marshal(merges)
	if err != nil {
		return nil, err
	}
	return Load(fmt.Appendf(nil, clipFile, vocab[CLIPStart], vocab[CLIPEnd], tokens, pairs))
}
