package tokenizer

import (
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/tokenizer/split"
	"github.com/plinth-ml/plinth/tokenizer/unigram"
	"github.com/plinth-ml/plinth/tokenizer/wordpiece"
)

// setPath finds out whether the pipeline is exactly byte-level BPE, which has a fast path, and what else depends on its parts.
func (t *Tokenizer) setPath() {
	t.tracked, t.spelled = t.asksForOrigin(), t.spellsBytes()
	dec, _ := t.decoder.(*byteLevel)
	if t.kind != BPE || t.normalizer != nil || dec == nil || t.bpe.ByteFallback || deref(t.bpe.Prefix) != "" || deref(t.bpe.Suffix) != "" {
		return
	}
	if t.bpe.Unk != nil { // matters where a byte has no token
		for _, r := range byteRune {
			if _, ok := t.vocab[string(r)]; !ok {
				return
			}
		}
	}
	pres := preParts(t.pre)
	var stages []*split.Pattern
	for i, p := range pres {
		switch p := p.(type) {
		case *splitter:
			if i == len(pres)-1 || p.Pattern.compiled == nil || p.Behavior != isolated || p.Invert {
				return
			}
			stages = append(stages, p.Pattern.compiled)
		case *byteLevel:
			if i < len(pres)-1 || p.PrefixSpace && i > 0 {
				return
			}
			if p.UseRegex {
				stages = append(stages, split.GPT2)
			}
			t.prefixSpace, t.stages, t.byteWise = p.PrefixSpace, stages, true
		default:
			return
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// preParts returns the pre-tokenizers one after the other.
func preParts(p preTokenizer) []preTokenizer {
	if s, ok := p.(*preTokenizerSequence); ok {
		var all []preTokenizer
		for _, p := range s.Parts {
			all = append(all, preParts(p)...)
		}
		return all
	}
	if p == nil {
		return nil
	}
	return []preTokenizer{p}
}

// normalParts returns the normalizers one after the other.
func normalParts(n normalizer) []normalizer {
	if s, ok := n.(*normalizerSequence); ok {
		var all []normalizer
		for _, n := range s.Parts {
			all = append(all, normalParts(n)...)
		}
		return all
	}
	if n == nil {
		return nil
	}
	return []normalizer{n}
}

// spellsBytes reports whether the vocabulary spells bytes as characters.
func (t *Tokenizer) spellsBytes() bool {
	for _, p := range preParts(t.pre) {
		if _, ok := p.(*byteLevel); ok {
			return true
		}
	}
	for _, n := range normalParts(t.normalizer) {
		if _, ok := n.(*byteNormalizer); ok {
			return true
		}
	}
	return false
}

// asksForOrigin reports whether the pieces depend on where characters come from: a Metaspace may ask whether a text is the start of
// all, which a normalizer may have removed; and what is put where nothing was is not seen by later steps.
func (t *Tokenizer) asksForOrigin() bool {
	first := false
	for _, p := range preParts(t.pre) {
		m, ok := p.(*metaspace)
		first = first || ok && *m.Prepend == prependFirst
	}
	for _, n := range normalParts(t.normalizer) {
		switch n := n.(type) {
		case *replace:
			if first && (n.Pattern.loose() || n.Content == "") || n.Pattern.compiled != nil && n.Pattern.compiled.MatchesEmpty() {
				return true
			}
		case *prepend, *lowercase, *byteNormalizer:
		case *normalForm:
		default:
			if first {
				return true
			}
		}
	}
	return false
}

// setEngine makes the model that cuts words into tokens.
func (t *Tokenizer) setEngine() error {
	switch t.kind {
	case BPE:
		return t.setMerges()
	case WordPiece:
		s := t.wordPiece
		if s.MaxChars < 0 {
			return fmt.Errorf("tokenizer: model.max_input_chars_per_word: %d is negative", s.MaxChars)
		}
		m, err := wordpiece.New(t.vocab, wordpiece.Options{Unk: s.Unk, Prefix: s.Prefix, NoPrefix: s.Prefix == "", MaxChars: s.MaxChars})
		if err != nil {
			return fmt.Errorf("tokenizer: model: %w", err)
		}
		t.engine = wordPieces{m}
	case WordLevel:
		ids := make(map[string]int32, len(t.vocab))
		for name, id := range t.vocab {
			if !t.IsSpecial(id) || name == t.wordLevelUnk {
				ids[name] = id
			}
		}
		t.engine = &wordLevel{ids, t.wordLevelUnk}
	case Unigram:
		tokens := make([]unigram.Token, len(t.scored))
		for id, s := range t.scored {
			tokens[id] = unigram.Token{Text: s.text, Score: s.score}
			if t.tokenKinds != nil {
				tokens[id].Kind = t.tokenKinds[id]
			}
			if t.IsSpecial(int32(id)) {
				tokens[id] = unigram.Token{Score: s.score, Kind: unigram.Reserved} // without a text it is found in none: only EncodeSpecial makes it
			}
		}
		o := unigram.Options{Unk: t.unigramUnk, ByteFallback: t.byteFallback}
		m, err := unigram.New(tokens, o)
		if err != nil {
			return fmt.Errorf("tokenizer: model: %w", err)
		}
		t.engine = unigrams{m}
	}
	return nil
}

func (t *Tokenizer) setMerges() error {
	m := &bpe{
		ids: t.vocab, whole: t.bpe.IgnoreMerges, isSpecial: t.IsSpecial, prefix: deref(t.bpe.Prefix), suffix: deref(t.bpe.Suffix),
		unk: deref(t.bpe.Unk), fuse: t.bpe.FuseUnk, fallback: t.bpe.ByteFallback, pairs: newPairTable(len(t.merges)),
	}
	m.setBytes()
	t.engine, t.pairs = m, m.pairs
	t.ranked = make([][2]int32, len(t.merges))
	for i, p := range t.merges {
		if len(p[1]) < len(m.prefix) {
			return fmt.Errorf("tokenizer: model.merges[%d]: %q lacks the prefix %q", i, p[1], m.prefix)
		}
		joined := p[0] + p[1][len(m.prefix):]
		var id [3]int32
		for k, name := range [3]string{p[0], p[1], joined} {
			var ok bool
			if id[k], ok = t.vocab[name]; !ok {
				return fmt.Errorf("tokenizer: model.merges[%d]: %q is not in model.vocab", i, name)
			}
		}
		rank := int32(i)
		if t.ranks != nil {
			rank = t.ranks[i]
		}
		t.ranked[i] = [2]int32{id[0], id[1]}
		t.pairs.put(id[0], id[1], rank, id[2])
	}
	t.spaceCut = t.cutsAtSpace()
	return nil
}

// metaSpace is how SentencePiece writes a space.
const metaSpace = "▁"

// cutsAtSpace reports whether no merge can join something with a ▁ behind it, so that words can be merged one by one.
func (t *Tokenizer) cutsAtSpace() bool {
	if _, ok := t.vocab[metaSpace]; !ok || t.bpe.IgnoreMerges || deref(t.bpe.Prefix) != "" || deref(t.bpe.Suffix) != "" {
		return false
	}
	for _, p := range t.ranked {
		left, right := t.names[p[0]], t.names[p[1]]
		if strings.HasPrefix(right, metaSpace) && !strings.HasSuffix(left, metaSpace) {
			return false
		}
	}
	return true
}
