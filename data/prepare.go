package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/tokenizer"
)

// PrepareOptions are the settings of Prepare.
type PrepareOptions struct {
	Seq         int     // tokens of a sequence; 0: 1024
	Pack        string  // Concat or BestFit; "": Concat
	Validation  float64 // fraction of the documents, by hash; 0: none
	ByGroup     bool    // the hash is of Document.Group, so that a group stays on one side
	Seed        uint64  // of the order in which documents are packed
	Threads     int     // 0: all processors. The result does not depend on it.
	ShardTokens int     // a shard ends with the document that reaches it; 0: 2^28
}

// ShardInfo counts one shard.
type ShardInfo struct {
	Documents uint64 `json:"documents"`
	Tokens    uint64 `json:"tokens"`
	Bytes     uint64 `json:"bytes"` // of text
}

// SplitInfo counts one split. Sequences x seq of its tokens are in the packing plan; of the others, Cropped were cut off, and the rest is
// what was left over behind the last whole sequence.
type SplitInfo struct {
	Documents uint64      `json:"documents"`
	Tokens    uint64      `json:"tokens"`
	Bytes     uint64      `json:"bytes"` // of text
	Sequences uint64      `json:"sequences"`
	Pieces    uint64      `json:"pieces"`
	Cropped   uint64      `json:"cropped"` // tokens; 0 unless packed by BestFit
	Shards    []ShardInfo `json:"shards"`
}

// Info is meta.json. Checksums and lengths of the files are in manifest.json.
type Info struct {
	Format       int       `json:"format"`
	Vocab        int       `json:"vocab"`
	Width        int       `json:"width"` // bytes of a token: 2 or 4, little endian
	EOS          int32     `json:"eos"`
	Tokenizer    string    `json:"tokenizer_sha256"` // of tokenizer.json
	CorpusSHA256 string    `json:"corpus_sha256"`    // of the SHA-256 sums of the documents' texts, in the order read
	Seq          int       `json:"seq"`
	Pack         string    `json:"pack"`
	Seed         uint64    `json:"seed"`
	Validation   float64   `json:"validation"`
	ByGroup      bool      `json:"by_group"`
	Train        SplitInfo `json:"train"`
	Val          SplitInfo `json:"val"`
}

const format = 1

// Prepare tokenises docs, ends each with EOS and writes shards, document boundaries, packing plan, tokenizer and meta.json
// as the folder out, which must not exist and appears whole or not at all. Memory is bounded by the texts at work (32 MiB, or one document)
// with their tokens, 16 bytes per document and 16 per piece of the plan. The bytes written depend on docs, tok and o only, not on threads.
func Prepare(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer, out string, o PrepareOptions) (*Info, error) {
	if o.Seq == 0 {
		o.Seq = 1024
	}
	if o.Pack == "" {
		o.Pack = Concat
	}
	if o.ShardTokens == 0 {
		o.ShardTokens = 1 << 28
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	eos, ok := tok.EOS()
	switch {
	case o.Seq < 1 || o.Seq > maxSeq || o.ShardTokens < 1:
		return nil, fmt.Errorf("data: seq %d or shard tokens %d out of range", o.Seq, o.ShardTokens)
	case o.Pack != Concat && o.Pack != BestFit:
		return nil, fmt.Errorf("data: pack %q is neither %s nor %s", o.Pack, Concat, BestFit)
	case !(o.Validation >= 0 && o.Validation < 1):
		return nil, fmt.Errorf("data: validation fraction %v is not in [0, 1)", o.Validation)
	case !ok:
		return nil, errors.New("data: the tokenizer has no end-of-text token")
	case tok.VocabSize() > maxVocab:
		return nil, fmt.Errorf("data: a vocabulary of %d, more than %d", tok.VocabSize(), maxVocab)
	}
	raw, err := tok.Marshal()
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	sum := sha256.Sum256(raw)
	info := &Info{Format: format, Vocab: tok.VocabSize(), Width: 2, EOS: eos, Tokenizer: hex.EncodeToString(sum[:]), Seq: o.Seq, Pack: o.Pack,
		Seed: o.Seed, Validation: o.Validation, ByGroup: o.ByGroup}
	if info.Vocab > 1<<16 {
		info.Width = 4
	}
	err = file.WriteDirAtomic(out, func(tmp string) error {
		w := &writer{tok: tok, eos: eos, width: info.Width, atWork: 32 << 20, o: o,
			train: shardWriter{dir: tmp, name: "train", limit: uint64(o.ShardTokens)}, val: shardWriter{dir: tmp, name: "val", limit: uint64(o.ShardTokens)}}
		err := w.run(ctx, docs)
		if err := errors.Join(err, w.train.close(), w.val.close()); err != nil {
			return err
		}
		info.CorpusSHA256 = hex.EncodeToString(w.corpus.Sum(nil))
		plan, err := makePlan(w.train.ends, o.Seq, o.Seed, o.Pack, &w.train.info)
		if err != nil {
			return err
		}
		info.Train, info.Val = w.train.info, w.val.info
		if info.Train.Sequences == 0 {
			hint := ""
			if info.Val.Tokens > info.Train.Tokens {
				hint = fmt.Sprintf("; the hash chose %d documents of %d tokens for validation: set --validation to 0", info.Val.Documents, info.Val.Tokens)
			}
			return fmt.Errorf("the training split has %d tokens, fewer than one sequence of %d%s", info.Train.Tokens, o.Seq, hint)
		}
		meta, err := json.MarshalIndent(info, "", "  ")
		if err != nil {
			return err
		}
		for name, b := range map[string][]byte{"train.plan": plan, "bytes.bin": byteTable(tok), "meta.json": meta, "tokenizer.json": raw} {
			if err := os.WriteFile(filepath.Join(tmp, name), b, 0o644); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("data: prepare %s: %w", out, err)
	}
	return info, nil
}

// byteTable is the number of bytes of text that each id stands for, uint32; special tokens stand for none.
func byteTable(tok *tokenizer.Tokenizer) []byte {
	var table []byte
	for id := range int32(tok.VocabSize()) {
		n := 0
		if !tok.IsSpecial(id) {
			n = len(tok.Token(id))
		}
		table = binary.LittleEndian.AppendUint32(table, uint32(n))
	}
	return table
}
