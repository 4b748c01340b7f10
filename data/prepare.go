package data

import (
	"bufio"
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
	"sync"
	"sync/atomic"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tokenizer"
)

// PrepareOptions are the settings of Prepare.
type PrepareOptions struct {
	Seq         int     // tokens of a sequence; 0: 1024
	Validation  float64 // fraction of the documents, by hash; 0: none
	ByGroup     bool    // the hash is of Document.Group, so that a group stays on one side
	Seed        uint64  // of the order in which documents are packed
	Threads     int     // 0: all processors. The result does not depend on it.
	ShardTokens int     // a shard ends with the document that reaches it; 0: 2^28
}

// SplitInfo counts one split.
type SplitInfo struct {
	Documents, Tokens, Bytes uint64
	Shards                   []uint64 // tokens of each shard
	Sequences                uint64   // of the packing plan; the tokens left over after the last are not used
	Pieces                   uint64
}

// Info is meta.json.
type Info struct {
	Format     int
	Vocab      int
	Width      int // bytes of a token: 2 or 4, little endian
	EOS        int32
	Tokenizer  string // SHA-256 of tokenizer.json
	Seq        int
	Pack       string // "concat"
	Seed       uint64
	Validation float64
	ByGroup    bool
	Train, Val SplitInfo
}

const format = 1

// shardWriter writes the shards of one split.
type shardWriter struct {
	dir, name string
	width     int
	limit     int
	info      SplitInfo
	ends      []uint64 // global end of each document
	f         *os.File
	w         *bufio.Writer
	idx       []byte
}

func (s *shardWriter) path(ext string) string {
	return filepath.Join(s.dir, shardName(s.name, len(s.info.Shards)-1, ext))
}

func shardName(split string, i int, ext string) string {
	return fmt.Sprintf("%s-%05d.%s", split, i, ext)
}

func (s *shardWriter) add(ids []int32, text int) (err error) {
	if s.f == nil {
		s.info.Shards = append(s.info.Shards, 0)
		if s.f, err = os.Create(s.path("bin")); err != nil {
			return err
		}
		s.w, s.idx = bufio.NewWriterSize(s.f, 1<<20), make([]byte, 8)
	}
	var buf [4]byte
	for _, id := range ids {
		binary.LittleEndian.PutUint32(buf[:], uint32(id))
		if _, err := s.w.Write(buf[:s.width]); err != nil {
			return err
		}
	}
	n := &s.info.Shards[len(s.info.Shards)-1]
	*n += uint64(len(ids))
	s.idx = binary.LittleEndian.AppendUint64(s.idx, *n)
	s.info.Documents++
	s.info.Tokens += uint64(len(ids))
	s.info.Bytes += uint64(text)
	s.ends = append(s.ends, s.info.Tokens)
	if *n >= uint64(s.limit) {
		return s.close()
	}
	return nil
}

func (s *shardWriter) close() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	if err := errors.Join(s.w.Flush(), f.Close()); err != nil {
		return err
	}
	return os.WriteFile(s.path("idx"), s.idx, 0o644)
}

// Prepare tokenises docs, ends each with EOS and writes shards, document boundaries, packing plan, tokenizer and meta.json
// as the folder out, which must not exist and appears whole or not at all. Memory is bounded by one batch of texts (8 MiB or one document)
// 8 bytes per document and 16 per piece of the plan. The bytes written depend on docs, tok and o only, not on threads.
func Prepare(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer, out string, o PrepareOptions) (*Info, error) {
	if o.Seq == 0 {
		o.Seq = 1024
	}
	if o.ShardTokens == 0 {
		o.ShardTokens = 1 << 28
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	eos, ok := tok.EOS()
	switch {
	case o.Seq < 1 || o.Seq > 1<<24 || o.ShardTokens < 1:
		return nil, fmt.Errorf("data: seq %d or shard tokens %d out of range", o.Seq, o.ShardTokens)
	case !(o.Validation >= 0 && o.Validation < 1):
		return nil, fmt.Errorf("data: validation fraction %v is not in [0, 1)", o.Validation)
	case !ok:
		return nil, errors.New("data: the tokenizer has no end-of-text token")
	}
	raw, err := tok.Marshal()
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	sum := sha256.Sum256(raw)
	info := &Info{Format: format, Vocab: tok.VocabSize(), Width: 2, EOS: eos, Tokenizer: hex.EncodeToString(sum[:]), Seq: o.Seq, Pack: "concat",
		Seed: o.Seed, Validation: o.Validation, ByGroup: o.ByGroup}
	if info.Vocab > 1<<16 {
		info.Width = 4
	}
	err = file.WriteDirAtomic(out, func(tmp string) error {
		train := &shardWriter{dir: tmp, name: "train", width: info.Width, limit: o.ShardTokens}
		val := &shardWriter{dir: tmp, name: "val", width: info.Width, limit: o.ShardTokens}
		err := tokenise(ctx, docs, tok, eos, o, train, val)
		if err := errors.Join(err, train.close(), val.close()); err != nil {
			return err
		}
		plan, n, pieces := concatPlan(train.ends, o.Seq, o.Seed)
		train.info.Sequences, train.info.Pieces = n, pieces
		info.Train, info.Val = train.info, val.info
		if n == 0 {
			return fmt.Errorf("the training split has %d tokens, fewer than one sequence of %d", train.info.Tokens, o.Seq)
		}
		var lens []byte
		for id := range int32(info.Vocab) {
			n := 0
			if !tok.IsSpecial(id) {
				n = len(tok.Token(id))
			}
			lens = binary.LittleEndian.AppendUint32(lens, uint32(n))
		}
		meta, err := json.MarshalIndent(info, "", "  ")
		if err != nil {
			return err
		}
		for name, b := range map[string][]byte{"train.plan": plan, "bytes.bin": lens, "meta.json": meta, "tokenizer.json": raw} {
			if err := os.WriteFile(filepath.Join(tmp, name), b, 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("data: prepare %s: %w", out, err)
	}
	return info, nil
}

// validation says on which side a document falls: by its text or group only.
func validation(d Document, o PrepareOptions) bool {
	key := d.Text
	if o.ByGroup {
		key = []byte(d.Group)
	}
	h := sha256.Sum256(key)
	return float64(binary.LittleEndian.Uint64(h[:])>>11)/(1<<53) < o.Validation
}

func tokenise(ctx context.Context, docs iter.Seq2[Document, error], tok *tokenizer.Tokenizer, eos int32, o PrepareOptions, train, val *shardWriter) error {
	encoders := make([]*tokenizer.Encoder, o.Threads)
	for i := range encoders {
		encoders[i] = tok.NewEncoder()
	}
	var batch []Document
	var ids [][]int32
	size := 0
	flush := func() error {
		for len(ids) < len(batch) {
			ids = append(ids, nil)
		}
		errs := make([]error, len(encoders))
		var next atomic.Int64
		var wg sync.WaitGroup
		for w, e := range encoders {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < len(batch) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
					ids[i] = append(e.AppendEncode(ids[i][:0], batch[i].Text), eos)
				}
				errs[w] = e.Err()
			})
		}
		wg.Wait()
		if err := errors.Join(append(errs, ctx.Err())...); err != nil {
			return err
		}
		for i, d := range batch {
			s := train
			if validation(d, o) {
				s = val
			}
			if err := s.add(ids[i], len(d.Text)); err != nil {
				return err
			}
		}
		clear(batch)
		batch, ids, size = batch[:0], ids[:0], 0
		return nil
	}
	for d, err := range docs {
		if err != nil {
			return err
		}
		batch = append(batch, d)
		if size += len(d.Text); size >= 8<<20 || len(batch) == 1<<14 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// pieceSize is the bytes of a piece in a plan: start uint64, length uint32, 1 if it ends its document uint32.
const pieceSize = 16

// concatPlan lays the documents end to end in shuffled order and cuts every seq tokens. The plan is the first piece of each sequence
// and the count of all pieces (uint64 each), then the pieces. What is left over after the last whole sequence is dropped.
func concatPlan(ends []uint64, seq int, seed uint64) (plan []byte, sequences, pieces uint64) {
	order := random.NewPerm(uint64(len(ends)), random.NewKey(seed).Named("pack"))
	first := make([]byte, 8)
	var list []byte
	room, whole := uint64(seq), 0
	for i := range uint64(len(ends)) {
		doc := order.At(i)
		start := uint64(0)
		if doc > 0 {
			start = ends[doc-1]
		}
		for start < ends[doc] {
			n := min(room, ends[doc]-start)
			list = binary.LittleEndian.AppendUint64(list, start)
			list = binary.LittleEndian.AppendUint32(list, uint32(n))
			last := uint32(0)
			if start += n; start == ends[doc] {
				last = 1
			}
			list = binary.LittleEndian.AppendUint32(list, last)
			if room -= n; room == 0 {
				room, whole = uint64(seq), len(list)
				first = binary.LittleEndian.AppendUint64(first, uint64(whole/pieceSize))
			}
		}
	}
	return append(first, list[:whole]...), uint64(len(first)/8 - 1), uint64(whole / pieceSize)
}
