package tokenizer

import (
	"fmt"

	"github.com/plinth-ml/plinth/tokenizer/spm"
	"github.com/plinth-ml/plinth/tokenizer/unigram"
)

// SPMOptions are the settings of LoadSPM, which a model file does not hold.
type SPMOptions struct {
	AddBOS bool // the post-processor puts the begin token before a text
	AddEOS bool // and the end token behind it
}

// LoadSPM reads a model file of SentencePiece (tokenizer.model, spiece.model) of type BPE or Unigram, and makes of it what
// Hugging Face's converters do: the normalizer and the handling of spaces become the parts of a tokenizer.json, control symbols
// become special tokens, user-defined symbols become tokens that are found in text.
func LoadSPM(data []byte, o SPMOptions) (*Tokenizer, error) {
	p, err := spm.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return fromSPM(p, o)
}

func fromSPM(p *spm.Model, o SPMOptions) (*Tokenizer, error) {
	m, err := fromPieces(p)
	if err != nil {
		return nil, err
	}
	bos, eos := p.Trainer.BOSID, p.Trainer.EOSID
	if !o.AddBOS {
		bos = -1
	}
	if !o.AddEOS {
		eos = -1
	}
	return build(m.around(bos, eos))
}

// maxPiece bounds the bytes of a piece, as pairs of pieces are looked for at all places of each.
const maxPiece = 1024

// fromPieces makes a model of the pieces and the settings of a SentencePiece model.
func fromPieces(p *spm.Model) (*model, error) {
	m := &model{vocab: map[string]int32{}}
	for id, piece := range p.Pieces {
		if len(piece.Text) > maxPiece {
			return nil, fmt.Errorf("tokenizer: piece %d has %d bytes, more than %d", id, len(piece.Text), maxPiece)
		}
		switch piece.Type {
		case spm.Unknown, spm.Control, spm.UserDefined:
			if piece.Text != "" {
				m.added = append(m.added, AddedToken{ID: int32(id), Content: piece.Text, Special: piece.Type != spm.UserDefined})
			}
		}
		m.vocab[piece.Text] = int32(id)
	}
	if len(m.vocab) < len(p.Pieces) {
		return nil, fmt.Errorf("tokenizer: %d pieces, %d of them different", len(p.Pieces), len(m.vocab))
	}
	switch p.Trainer.ModelType {
	case spm.BPE:
		m.fromBPE(p)
	case spm.Unigram:
		m.fromUnigram(p)
	default:
		return nil, fmt.Errorf("tokenizer: SentencePiece model of type %d, want Unigram or BPE", p.Trainer.ModelType)
	}
	if m.normalizer != nil {
		if err := m.normalizer.prepare("normalizer_spec"); err != nil {
			return nil, err
		}
	}
	return m, m.decoder.prepare("decoder")
}

// spaces returns the normalizers that the rules and the removal of spaces are.
func (m *model) spaces(n spm.Normalizer, left bool, double string) []normalizer {
	var parts []normalizer
	if len(n.CharsMap) > 0 {
		parts = append(parts, &precompiled{Type: "Precompiled", Map: n.CharsMap})
	}
	if n.RemoveExtraWhitespaces {
		runs := " {2,}"
		parts = append(parts, &strip{"Strip", left, true}, &replace{"Replace", pattern{Regex: &runs}, double})
	}
	return parts
}

func (m *model) fromBPE(p *spm.Model) {
	m.kind = BPE
	m.bpe = bpeSettings{Type: BPE, FuseUnk: true, ByteFallback: true}
	if u := p.Trainer.UnkID; u >= 0 && int(u) < len(p.Pieces) {
		m.bpe.Unk = &p.Pieces[u].Text
	}
	ranks := p.Ranks()
	for _, merge := range p.MergesByScore() {
		m.merges = append(m.merges, [2]string{p.Pieces[merge.Left].Text, p.Pieces[merge.Right].Text})
		m.ranks = append(m.ranks, ranks[merge.Piece])
	}
	space, meta := " ", metaSpace
	parts := m.spaces(p.Normalizer, true, " ")
	decode := []decoder{
		&replace{"Replace", pattern{String: &meta}, " "}, &byteFallback{simple{"ByteFallback"}}, &fuse{simple{"Fuse"}},
	}
	if p.Normalizer.AddDummyPrefix {
		parts = append(parts, &prepend{"Prepend", metaSpace})
		decode = append(decode, &stripDecoder{"Strip", ' ', 1, 0})
	}
	parts = append(parts, &replace{"Replace", pattern{String: &space}, metaSpace})
	m.normalizer = &normalizerSequence{"Sequence", parts}
	m.decoder = &decoderSequence{"Sequence", decode}
}

func (m *model) fromUnigram(p *spm.Model) {
	m.kind, m.unigramUnk, m.byteFallback = Unigram, p.Trainer.UnkID, p.Trainer.ByteFallback
	m.tokenKinds = make([]unigram.Kind, len(p.Pieces))
	for id, piece := range p.Pieces {
		m.scored = append(m.scored, jsonScore{piece.Text, float64(piece.Score)})
		switch piece.Type {
		case spm.Unknown, spm.Control, spm.Byte:
			m.tokenKinds[id] = unigram.Reserved
		case spm.Unused:
			m.tokenKinds[id] = unigram.Unused
		}
	}
	if parts := m.spaces(p.Normalizer, false, metaSpace); len(parts) > 0 {
		m.normalizer = &normalizerSequence{"Sequence", parts}
	}
	scheme, split := prependNever, true
	if p.Normalizer.AddDummyPrefix {
		scheme = prependAlways
	}
	meta := &metaspace{Type: "Metaspace", Replacement: '▁', Prepend: &scheme, Split: &split}
	m.pre, m.decoder = meta, meta
	if m.byteFallback {
		m.decoder = &decoderSequence{"Sequence", []decoder{&byteFallback{simple{"ByteFallback"}}, meta}}
	}
}

// around sets the post-processor that puts a token before and one behind each text; -1: none.
func (m *model) around(bos, eos int32) *model {
	if bos < 0 && eos < 0 {
		return m
	}
	names := map[int32]string{}
	for name, id := range m.vocab {
		if id == bos || id == eos {
			names[id] = name
		}
	}
	t := &template{Type: "TemplateProcessing", Tokens: map[string]templateToken{}}
	token := func(id int32, typeID int) []piece {
		if id < 0 {
			return nil
		}
		name := names[id]
		t.Tokens[name] = templateToken{name, []int32{id}, []string{name}}
		return []piece{{SpecialToken: &pieceID{name, typeID}}}
	}
	one := func(name string, typeID int) []piece {
		return append(append(token(bos, typeID), piece{Sequence: &pieceID{name, typeID}}), token(eos, typeID)...)
	}
	t.Single = one("A", 0)
	t.Pair = append(one("A", 0), one("B", 1)...)
	m.post = t
	return m
}
