package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/plinth-ml/plinth/internal/file"
)

// Set is an open folder of Prepare. It is safe for concurrent use until Close.
type Set struct {
	Info       Info
	id         string // SHA-256 of meta.json and of the checksums of all files
	train, val *Split
	maps       []*file.Mapping
}

// Split is the training or the validation part of a set.
type Split struct {
	Info   SplitInfo
	id     string
	seq    int // that the plan was made for
	vocab  int
	width  int
	shards []shard
	plan   []byte // see concatPlan; nil where there is none
	sizes  []byte // bytes that each id stands for, uint32
}

type shard struct {
	path  string
	base  uint64 // tokens before it
	n     uint64
	ids   []byte
	docs  uint64
	index []byte // document boundaries, uint64, from 0
}

// Open maps a folder of Prepare. All sizes, document boundaries and the plan are checked; with verify every file is also compared with its SHA-256
// in the manifest. Errors name the file.
func Open(dir string, verify bool) (_ *Set, err error) {
	if verify {
		if err := file.VerifyDir(dir); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
	}
	s := &Set{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	meta, err := s.open(dir, "meta.json", -1)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(meta))
	d.DisallowUnknownFields()
	if err := d.Decode(&s.Info); err != nil {
		return nil, fmt.Errorf("data: %s: %w", filepath.Join(dir, "meta.json"), err)
	}
	in := &s.Info
	if in.Format != format || in.Pack != "concat" || in.Vocab < 1 || in.Vocab > 1<<24 || in.Width != 2 && in.Width != 4 || in.Width == 2 && in.Vocab > 1<<16 ||
		in.EOS < 0 || int(in.EOS) >= in.Vocab || in.Seq < 1 || in.Seq > 1<<24 {
		return nil, fmt.Errorf("data: %s: format %d, pack %q, vocab %d, width %d, eos %d, seq %d: a value is out of range", filepath.Join(dir, "meta.json"),
			in.Format, in.Pack, in.Vocab, in.Width, in.EOS, in.Seq)
	}
	tok, err := s.open(dir, "tokenizer.json", -1)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(tok); hex.EncodeToString(sum[:]) != in.Tokenizer {
		return nil, fmt.Errorf("data: %s is not the tokenizer of the shards", filepath.Join(dir, "tokenizer.json"))
	}
	sizes, err := s.open(dir, "bytes.bin", int64(in.Vocab)*4)
	if err != nil {
		return nil, err
	}
	manifest, err := s.open(dir, file.ManifestName, -1)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(bytes.Clone(meta), manifest...))
	s.id = hex.EncodeToString(sum[:])
	if s.train, err = s.split(dir, "train", in.Train, sizes); err != nil {
		return nil, err
	}
	if s.val, err = s.split(dir, "val", in.Val, sizes); err != nil {
		return nil, err
	}
	p := in.Train
	if p.Sequences > 1<<40 || p.Pieces > 1<<40 {
		return nil, fmt.Errorf("data: %s: plan of %d sequences and %d pieces", filepath.Join(dir, "meta.json"), p.Sequences, p.Pieces)
	}
	if s.train.plan, err = s.open(dir, "train.plan", int64(8*(p.Sequences+1)+pieceSize*p.Pieces)); err != nil {
		return nil, err
	}
	if err := s.train.checkPlan(); err != nil {
		return nil, fmt.Errorf("data: %s: %w", filepath.Join(dir, "train.plan"), err)
	}
	return s, nil
}

// open maps one file, which must have want bytes unless want is negative.
func (s *Set) open(dir, name string, want int64) ([]byte, error) {
	path := filepath.Join(dir, name)
	st, err := os.Stat(path)
	if err == nil && want >= 0 && st.Size() != want {
		err = fmt.Errorf("%s has %d bytes, not %d", path, st.Size(), want)
	}
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	m, err := file.Map(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	s.maps = append(s.maps, m)
	if want >= 0 && int64(m.Len()) != want {
		return nil, fmt.Errorf("data: %s has %d bytes, not %d", path, m.Len(), want)
	}
	return m.Bytes(), nil
}

func (s *Set) split(dir, name string, in SplitInfo, sizes []byte) (*Split, error) {
	p := &Split{Info: in, id: s.id + name, seq: s.Info.Seq, vocab: s.Info.Vocab, width: s.Info.Width, sizes: sizes}
	var tokens, docs uint64
	for i, n := range in.Shards {
		if n > 1<<40 {
			return nil, fmt.Errorf("data: %s: %s shard %d has %d tokens", filepath.Join(dir, "meta.json"), name, i, n)
		}
		ids, err := s.open(dir, shardName(name, i, "bin"), int64(n)*int64(p.width))
		if err != nil {
			return nil, err
		}
		idx := shardName(name, i, "idx")
		index, err := s.open(dir, idx, -1)
		if err != nil {
			return nil, err
		}
		if len(index) < 8 || len(index)%8 != 0 || u64(index, 0) != 0 || u64(index, uint64(len(index)/8-1)) != n {
			return nil, fmt.Errorf("data: %s: %d bytes do not bound the documents of %d tokens", filepath.Join(dir, idx), len(index), n)
		}
		for k := uint64(1); k < uint64(len(index)/8); k++ {
			if u64(index, k) <= u64(index, k-1) {
				return nil, fmt.Errorf("data: %s: offset %d: boundary does not ascend", filepath.Join(dir, idx), 8*k)
			}
		}
		p.shards = append(p.shards, shard{filepath.Join(dir, shardName(name, i, "bin")), tokens, n, ids, uint64(len(index)/8 - 1), index})
		tokens, docs = tokens+n, docs+uint64(len(index)/8-1)
	}
	if tokens != in.Tokens || docs != in.Documents {
		return nil, fmt.Errorf("data: %s: %s has %d tokens in %d documents, its shards %d in %d", filepath.Join(dir, "meta.json"), name, in.Tokens, in.Documents, tokens, docs)
	}
	return p, nil
}

func u64(b []byte, i uint64) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }

// checkPlan checks that each sequence is seq tokens of pieces that lie inside one document each.
func (p *Split) checkPlan() error {
	n := p.Info.Sequences
	if u64(p.plan, 0) != 0 || u64(p.plan, n) != p.Info.Pieces {
		return errors.New("offset 0: the sequences do not hold all pieces")
	}
	for i := range n {
		from, to := u64(p.plan, i), u64(p.plan, i+1)
		if from > to || to > p.Info.Pieces {
			return fmt.Errorf("offset %d: sequence %d is pieces %d to %d", 8*i, i, from, to)
		}
		sum := uint64(0)
		for k := from; k < to; k++ {
			start, length, last := p.piece(k)
			if start >= p.Info.Tokens || length == 0 || length > p.Info.Tokens-start {
				return fmt.Errorf("piece %d: %d tokens from %d lie outside the split", k, length, start)
			}
			if end := p.docEnd(start); start+length > end || last != (start+length == end) {
				return fmt.Errorf("piece %d: %d tokens from %d do not fit their document, which ends at %d", k, length, start, end)
			}
			sum += length
		}
		if sum != uint64(p.seq) {
			return fmt.Errorf("sequence %d has %d tokens, not %d", i, sum, p.seq)
		}
	}
	return nil
}

func (p *Split) piece(k uint64) (start, length uint64, last bool) {
	b := p.plan[8*(p.Info.Sequences+1)+pieceSize*k:]
	return binary.LittleEndian.Uint64(b), uint64(binary.LittleEndian.Uint32(b[8:])), binary.LittleEndian.Uint32(b[12:]) == 1
}

// shard returns the shard of a token.
func (p *Split) shard(at uint64) *shard {
	return &p.shards[sort.Search(len(p.shards), func(i int) bool { return p.shards[i].base > at })-1]
}

// docEnd returns the end of the document that holds token at.
func (p *Split) docEnd(at uint64) uint64 {
	s := p.shard(at)
	k := sort.Search(int(s.docs), func(i int) bool { return u64(s.index, uint64(i+1)) > at-s.base })
	return s.base + u64(s.index, uint64(k+1))
}

// Split returns "train" or "val".
func (s *Set) Split(name string) (*Split, error) {
	switch name {
	case "train":
		return s.train, nil
	case "val":
		return s.val, nil
	}
	return nil, fmt.Errorf("data: split %q is neither train nor val", name)
}

// Close unmaps the files. Nothing of the set may be used afterwards.
func (s *Set) Close() error {
	var errs []error
	for _, m := range s.maps {
		errs = append(errs, m.Close())
	}
	s.maps = nil
	return errors.Join(errs...)
}
