package adapt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/tokenizer"
)

// bertLike knows a, b, ##b and c; [CLS] and [SEP] go around texts.
const bertLike = `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "BertPreTokenizer"},
"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 0]}, "decoder": null,
"model": {"type": "WordPiece", "vocab": {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "a": 3, "b": 4, "##b": 5, "c": 6, "-": 7}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}}`

func TestTexts(t *testing.T) {
	tok, err := tokenizer.Load([]byte(bertLike))
	if err != nil {
		t.Fatal(err)
	}
	x := adapt.Texts{Tokenizer: tok, Limit: 7}
	for _, c := range []struct {
		texts []string
		want  string
	}{
		{[]string{"abb c"}, "{[0 3 5 5 6 1] []"}, {[]string{""}, "{[0 1] []"}, {[]string{"a b c a b c"}, "{[0 3 4 6 3 4 1] []"},
		{[]string{"a", "b c a b c"}, "{[0 3 1 4 6 3 1] [0 0 0 1 1 1 1]"},
	} {
		e, err := x.Example(c.texts...)
		if got := fmt.Sprint(e); err != nil || !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %v, %v", c.texts, got, err)
		}
	}
	if x.Cut != 2 {
		t.Errorf("%d texts cut, want 2", x.Cut)
	}
}
