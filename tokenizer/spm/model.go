package spm

// Type is the type of a piece.
type Type int32

const (
	Normal      Type = 1
	Unknown     Type = 2
	Control     Type = 3 // stands for no text: <s>, </s>
	UserDefined Type = 4
	Unused      Type = 5
	Byte        Type = 6 // <0x00> to <0xFF>
)

// Piece is an entry of the vocabulary; its id is its place.
type Piece struct {
	Text  string
	Score float32
	Type  Type
}

// ModelType is the algorithm of a model.
type ModelType int32

const (
	Unigram ModelType = 1
	BPE     ModelType = 2
	Word    ModelType = 3
	Char    ModelType = 4
)

// Trainer is the part of trainer_spec that says how a model works. Rest holds the other fields as they came.
type Trainer struct {
	ModelType               ModelType
	VocabSize               int32
	ByteFallback            bool
	TreatWhitespaceAsSuffix bool
	UnkID, BOSID            int32 // -1: none
	EOSID, PadID            int32
	UnkPiece, BOSPiece      string
	EOSPiece, PadPiece      string
	UnkSurface              string // what an unknown piece decodes to
	Rest                    []byte
}

// Normalizer is normalizer_spec or denormalizer_spec. Rest holds the other fields as they came.
type Normalizer struct {
	Name                   string
	CharsMap               []byte // for package charsmap; empty: no rules
	AddDummyPrefix         bool   // a space before the text (behind it with TreatWhitespaceAsSuffix)
	RemoveExtraWhitespaces bool
	EscapeWhitespaces      bool // space to U+2581
	Rest                   []byte
}

// Model is a model file. Rest holds fields that no version of SentencePiece known here has, and the samples of the self test.
type Model struct {
	Pieces       []Piece
	Trainer      Trainer
	Normalizer   Normalizer
	Denormalizer *Normalizer // nil: none
	Rest         []byte
}

// DefaultTrainer is trainer_spec where a file says nothing.
func DefaultTrainer() Trainer {
	return Trainer{ModelType: Unigram, VocabSize: 8000, UnkID: 0, BOSID: 1, EOSID: 2, PadID: -1,
		UnkPiece: "<unk>", BOSPiece: "<s>", EOSPiece: "</s>", PadPiece: "<pad>", UnkSurface: " \u2047 "}
}

// DefaultNormalizer is normalizer_spec where a file says nothing.
func DefaultNormalizer() Normalizer {
	return Normalizer{AddDummyPrefix: true, RemoveExtraWhitespaces: true, EscapeWhitespaces: true}
}

// Merge says that two pieces make a third.
type Merge struct {
	Left, Right, Piece int32
}
