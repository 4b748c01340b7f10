package spm

import "fmt"

// Parse reads a model file. Errors name the field. The model keeps parts of data.
func Parse(data []byte) (*Model, error) {
	m := &Model{Trainer: DefaultTrainer(), Normalizer: DefaultNormalizer()}
	pieces := 0
	err := fields("model", data, func(f field) error {
		if f.num == 1 {
			pieces++
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("spm: %w", err)
	}
	m.Pieces = make([]Piece, 0, pieces)
	err = fields("model", data, func(f field) error {
		var msg []byte
		switch f.num {
		case 1:
			if err := f.bytes("pieces", &msg); err != nil {
				return err
			}
			return m.piece(msg)
		case 2:
			if err := f.bytes("trainer_spec", &msg); err != nil {
				return err
			}
			return m.Trainer.parse(msg)
		case 3:
			if err := f.bytes("normalizer_spec", &msg); err != nil {
				return err
			}
			return m.Normalizer.parse("normalizer_spec", msg)
		case 5:
			if err := f.bytes("denormalizer_spec", &msg); err != nil {
				return err
			}
			if m.Denormalizer == nil {
				d := DefaultNormalizer()
				m.Denormalizer = &d
			}
			return m.Denormalizer.parse("denormalizer_spec", msg)
		}
		m.Rest = append(m.Rest, f.raw...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("spm: %w", err)
	}
	if len(m.Pieces) == 0 {
		return nil, fmt.Errorf("spm: model has no pieces")
	}
	return m, nil
}

func (m *Model) piece(msg []byte) error {
	p := Piece{Type: Normal}
	err := fields(fmt.Sprintf("pieces[%d]", len(m.Pieces)), msg, func(f field) error {
		switch f.num {
		case 1:
			return f.string("piece", &p.Text)
		case 2:
			return f.float("score", &p.Score)
		case 3:
			var t int32
			if err := f.int("type", &t); err != nil {
				return err
			}
			if p.Type = Type(t); p.Type < Normal || p.Type > Byte {
				return fmt.Errorf("type %d is not in [%d, %d]", t, Normal, Byte)
			}
		}
		return nil // extensions of a piece are not kept: no program is known that writes them
	})
	if err == nil && p.Text == "" {
		err = fmt.Errorf("pieces[%d]: piece is empty", len(m.Pieces))
	}
	m.Pieces = append(m.Pieces, p)
	return err
}

func (t *Trainer) parse(msg []byte) error {
	return fields("trainer_spec", msg, func(f field) error {
		switch f.num {
		case 3:
			var v int32
			if err := f.int("model_type", &v); err != nil {
				return err
			}
			if t.ModelType = ModelType(v); t.ModelType < Unigram || t.ModelType > Char {
				return fmt.Errorf("model_type %d is not in [%d, %d]", v, Unigram, Char)
			}
			return nil
		case 4:
			return f.int("vocab_size", &t.VocabSize)
		case 24:
			return f.bool("treat_whitespace_as_suffix", &t.TreatWhitespaceAsSuffix)
		case 35:
			return f.bool("byte_fallback", &t.ByteFallback)
		case 40:
			return f.int("unk_id", &t.UnkID)
		case 41:
			return f.int("bos_id", &t.BOSID)
		case 42:
			return f.int("eos_id", &t.EOSID)
		case 43:
			return f.int("pad_id", &t.PadID)
		case 44:
			return f.string("unk_surface", &t.UnkSurface)
		case 45:
			return f.string("unk_piece", &t.UnkPiece)
		case 46:
			return f.string("bos_piece", &t.BOSPiece)
		case 47:
			return f.string("eos_piece", &t.EOSPiece)
		case 48:
			return f.string("pad_piece", &t.PadPiece)
		}
		t.Rest = append(t.Rest, f.raw...)
		return nil
	})
}

func (n *Normalizer) parse(name string, msg []byte) error {
	return fields(name, msg, func(f field) error {
		switch f.num {
		case 1:
			return f.string("name", &n.Name)
		case 2:
			return f.bytes("precompiled_charsmap", &n.CharsMap)
		case 3:
			return f.bool("add_dummy_prefix", &n.AddDummyPrefix)
		case 4:
			return f.bool("remove_extra_whitespaces", &n.RemoveExtraWhitespaces)
		case 5:
			return f.bool("escape_whitespaces", &n.EscapeWhitespaces)
		}
		n.Rest = append(n.Rest, f.raw...)
		return nil
	})
}

// Marshal writes a model file: every field of a model that Parse knows, then those that it kept.
func (m *Model) Marshal() []byte {
	var b []byte
	for _, p := range m.Pieces {
		msg := appendFloat(appendBytes(nil, 1, p.Text), 2, p.Score)
		if p.Type != Normal {
			msg = appendInt(msg, 3, int32(p.Type))
		}
		b = appendBytes(b, 1, msg)
	}
	b = appendBytes(b, 2, m.Trainer.marshal())
	b = appendBytes(b, 3, m.Normalizer.marshal())
	if m.Denormalizer != nil {
		b = appendBytes(b, 5, m.Denormalizer.marshal())
	}
	return append(b, m.Rest...)
}

func (t *Trainer) marshal() []byte {
	b := appendInt(nil, 3, int32(t.ModelType))
	b = appendInt(b, 4, t.VocabSize)
	b = appendBool(b, 24, t.TreatWhitespaceAsSuffix)
	b = appendBool(b, 35, t.ByteFallback)
	for i, id := range []int32{t.UnkID, t.BOSID, t.EOSID, t.PadID} {
		b = appendInt(b, 40+i, id)
	}
	for i, s := range []string{t.UnkSurface, t.UnkPiece, t.BOSPiece, t.EOSPiece, t.PadPiece} {
		b = appendBytes(b, 44+i, s)
	}
	return append(b, t.Rest...)
}

func (n *Normalizer) marshal() []byte {
	b := appendBytes(nil, 1, n.Name)
	b = appendBytes(b, 2, n.CharsMap)
	b = appendBool(b, 3, n.AddDummyPrefix)
	b = appendBool(b, 4, n.RemoveExtraWhitespaces)
	b = appendBool(b, 5, n.EscapeWhitespaces)
	return append(b, n.Rest...)
}
