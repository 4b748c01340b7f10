package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/tokenizer/split"
)

// uncached is Encode by the definition: pieces by Next, each merged from its bytes.
func uncached(t *Tokenizer, text []byte) (ids []int32) {
	e := &Encoder{t: t}
	for at := 0; at < len(text); {
		end := t.stages[0].Next(text, at)
		ids = e.merge(ids, text[at:end])
		at = end
	}
	return ids
}

// TestCachedIDs compares encoders that keep what they have seen with the definition, on text that fills and empties every cache.
func TestCachedIDs(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 0))
	for _, p := range split.Known {
		tok := trained(t, TrainOptions{Pattern: p})
		e := tok.NewEncoder()
		for _, text := range randomTexts(peerTexts/10, 9) {
			b := []byte(text)
			for range rng.IntN(4) {
				b = append(b, b[rng.IntN(len(b)+1):]...)
			}
			for _, ids := range [][]int32{nil, make([]int32, 3, 1000)} {
				had := len(ids)
				if have, want := e.AppendEncode(ids, b)[had:], uncached(tok, b); !slices.Equal(have, want) {
					t.Fatalf("%s: %q:\nhave %v\nwant %v", p.Name, b, have, want)
				}
			}
		}
	}
}

// TestCacheOverflow encodes more different pieces than the caches hold, twice.
func TestCacheOverflow(t *testing.T) {
	tok := trained(t, TrainOptions{})
	rng := rand.New(rand.NewPCG(12, 0))
	var text []byte
	for range 4 * bookPages {
		text = append(text, ' ')
		for range 1 + rng.IntN(30) {
			text = append(text, 'a'+byte(rng.IntN(26)))
		}
	}
	e := tok.NewEncoder()
	want := uncached(tok, text)
	for range 2 {
		if !slices.Equal(e.AppendEncode(nil, text), want) {
			t.Fatal("ids differ from those without a cache")
		}
	}
	if len(e.book.pages) > bookPages || len(e.book.ids) > bookIDs || len(e.book.text) > bookPages*bookKey {
		t.Errorf("book of %d pages, %d ids, %d bytes", len(e.book.pages), len(e.book.ids), len(e.book.text))
	}
}

// TestBareStart: an encoder that begins without the vocabulary's pieces gives the same ids before, when and after it takes them up.
func TestBareStart(t *testing.T) {
	tok := trained(t, TrainOptions{})
	e := tok.encoders.New().(*Encoder)
	text := []byte(strings.Repeat("the theme of the internationalization's 1234567 ():\n\n\t\tx", bareText/200))
	want := uncached(tok, text)
	for i := range 6 {
		if e.bare == 0 != (i*len(text) >= bareText) {
			t.Fatalf("after %d bytes %d are left", i*len(text), e.bare)
		}
		if !slices.Equal(e.AppendEncode(nil, text), want) {
			t.Fatalf("text %d: ids differ from those without a cache", i)
		}
	}
}

func FuzzCachedIDs(f *testing.F) {
	toks := []*Tokenizer{trained(f, TrainOptions{}), trained(f, TrainOptions{Pattern: split.O200K})}
	var encoders []*Encoder
	for _, tok := range toks {
		encoders = append(encoders, tok.NewEncoder())
	}
	f.Add([]byte("the theme of the internationalization's 1234567 ():\n\n\t\tx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for i, tok := range toks {
			if have, want := encoders[i].AppendEncode(nil, text), uncached(tok, text); !slices.Equal(have, want) {
				t.Fatalf("%q: have %v, want %v", text, have, want)
			}
		}
	})
}
