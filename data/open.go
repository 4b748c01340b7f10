package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/internal/file"
)

// Set is an open folder of Prepare. It is safe for concurrent use until Close.
type Set struct {
	Info       Info
	id         string // SHA-256 of meta.json and of the checksums of all files
	train, val *Split
	maps       []*file.Mapping
}

const (
	maxVocab = 1 << 24
	maxSeq   = 1 << 24
	maxCount = 1 << 40 // of tokens, documents, sequences and pieces
	maxJSON  = 1 << 28 // bytes of a JSON file

	// verifyBelow is the size of the sets whose checksums Open always compares.
	verifyBelow = 64 << 20
)

// Open maps a folder of Prepare and checks that all files are there and as long as they should be. With verify, and always when the folder has
// at most 64 MiB, it also compares every file with its SHA-256 in the manifest and checks all document boundaries and the plan. Otherwise the
// time to open does not depend on the size of the set, and each boundary and piece is checked when it is used. Errors name the file.
func Open(dir string, verify bool) (opened *Set, err error) {
	s := &Set{}
	defer func() {
		if err != nil {
			opened, err = nil, fmt.Errorf("data: %w", errors.Join(err, s.Close()))
		}
	}()
	size, err := folderSize(dir)
	if err != nil {
		return nil, err
	}
	err = s.open(dir)
	if !verify && size > verifyBelow {
		return s, err
	}
	var damage *file.DamageError
	if sums := file.VerifyDir(dir); err == nil || errors.As(sums, &damage) && damage.File == "meta.json" {
		err = sums // a changed meta.json lays its faults on other files
	}
	if err == nil {
		err = errors.Join(s.train.check(), s.val.check())
	}
	return s, err
}

func folderSize(dir string) (n int64, err error) {
	list, err := os.ReadDir(dir)
	for _, d := range list {
		if st, err := d.Info(); err == nil {
			n += st.Size()
		}
	}
	return n, err
}

// open maps all files and checks their sizes.
func (s *Set) open(dir string) error {
	meta, err := s.mapFile(dir, "meta.json", -1)
	if err != nil {
		return err
	}
	if s.Info, err = decodeMeta(meta); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "meta.json"), err)
	}
	tok, err := s.mapFile(dir, "tokenizer.json", -1)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(tok); hex.EncodeToString(sum[:]) != s.Info.Tokenizer {
		return fmt.Errorf("%s is not the tokenizer of the shards", filepath.Join(dir, "tokenizer.json"))
	}
	sizes, err := s.mapFile(dir, "bytes.bin", int64(s.Info.Vocab)*4)
	if err != nil {
		return err
	}
	manifest, err := s.mapFile(dir, file.ManifestName, -1)
	if err != nil {
		return err
	}
	h := sha256.New()
	h.Write(meta)
	h.Write(manifest)
	s.id = hex.EncodeToString(h.Sum(nil))
	if s.train, err = s.split(dir, "train", s.Info.Train, sizes); err != nil {
		return err
	}
	if s.val, err = s.split(dir, "val", s.Info.Val, sizes); err != nil {
		return err
	}
	plan, err := s.mapFile(dir, "train.plan", planSize(s.Info.Train))
	if err != nil {
		return err
	}
	return s.train.setPlan(filepath.Join(dir, "train.plan"), plan)
}

// mapFile maps one file, which must have want bytes or, with want negative, at most maxJSON.
func (s *Set) mapFile(dir, name string, want int64) ([]byte, error) {
	path := filepath.Join(dir, name)
	m, err := file.Map(path)
	if err != nil {
		return nil, err
	}
	s.maps = append(s.maps, m)
	have := int64(m.Len())
	switch {
	case want < 0 && have > maxJSON:
		return nil, fmt.Errorf("%s has %d bytes, more than %d", path, have, maxJSON)
	case want >= 0 && have < want:
		return nil, fmt.Errorf("%s is cut at offset %d: it should have %d bytes", path, have, want)
	case want >= 0 && have > want:
		return nil, fmt.Errorf("%s has %d bytes, %d too many", path, have, have-want)
	}
	return m.Bytes(), nil
}

func (s *Set) split(dir, name string, in SplitInfo, sizes []byte) (*Split, error) {
	p := newSplit(in, s.Info.Seq, s.Info.Vocab, s.Info.Width, sizes, s.id+name)
	for i, n := range in.Shards {
		bin, idx := shardName(name, i, "bin"), shardName(name, i, "idx")
		ids, err := s.mapFile(dir, bin, int64(n.Tokens)*int64(s.Info.Width))
		if err != nil {
			return nil, err
		}
		index, err := s.mapFile(dir, idx, 8*int64(n.Documents+1))
		if err != nil {
			return nil, err
		}
		if err := p.addShard(filepath.Join(dir, bin), filepath.Join(dir, idx), n, ids, index); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// decodeMeta reads meta.json and checks that its values are in range and agree with each other.
func decodeMeta(b []byte) (in Info, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, err
	}
	if _, err := d.Token(); err != io.EOF {
		return in, fmt.Errorf("offset %d: there is something behind the object", d.InputOffset())
	}
	bad := func(field string, value any) error { return fmt.Errorf("%s %v is out of range", field, value) }
	switch {
	case in.Format != format:
		return in, fmt.Errorf("format %d, but this program reads %d", in.Format, format)
	case in.Vocab < 1 || in.Vocab > maxVocab:
		return in, bad("vocab", in.Vocab)
	case in.Width != 2 && in.Width != 4 || in.Width == 2 && in.Vocab > 1<<16:
		return in, bad("width", in.Width)
	case in.EOS < 0 || int(in.EOS) >= in.Vocab:
		return in, bad("eos", in.EOS)
	case in.Seq < 1 || in.Seq > maxSeq:
		return in, bad("seq", in.Seq)
	case in.Pack != Concat && in.Pack != BestFit:
		return in, bad("pack", in.Pack)
	}
	for name, s := range map[string]SplitInfo{"train": in.Train, "val": in.Val} {
		var sum ShardInfo
		for i, n := range s.Shards {
			if n.Documents > n.Tokens || n.Tokens > maxCount || n.Tokens == 0 || n.Documents == 0 {
				return in, bad(fmt.Sprintf("%s.shards[%d]", name, i), n)
			}
			sum.Documents, sum.Tokens, sum.Bytes = sum.Documents+n.Documents, sum.Tokens+n.Tokens, sum.Bytes+n.Bytes
		}
		if sum != (ShardInfo{s.Documents, s.Tokens, s.Bytes}) || s.Tokens > maxCount {
			return in, fmt.Errorf("%s has %d documents, %d tokens, %d bytes, its shards %v", name, s.Documents, s.Tokens, s.Bytes, sum)
		}
	}
	s := in.Train
	used := s.Sequences * uint64(in.Seq)
	if s.Sequences < 1 || s.Sequences > s.Tokens/uint64(in.Seq) || s.Cropped > s.Tokens-used || s.Pieces < s.Sequences || s.Pieces > used {
		return in, fmt.Errorf("train: a plan of %d sequences, %d pieces, %d tokens cropped of %d", s.Sequences, s.Pieces, s.Cropped, s.Tokens)
	}
	if s := in.Val; s.Sequences != 0 || s.Pieces != 0 || s.Cropped != 0 {
		return in, errors.New("val has a plan")
	}
	return in, nil
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
