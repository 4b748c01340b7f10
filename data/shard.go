package data

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/plinth-ml/plinth/tokenizer"
)

// shardWriter writes the shards of one split.
type shardWriter struct {
	dir, name string
	limit     uint64
	info      SplitInfo
	ends      []uint64 // of each document, counted over all shards
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

// add appends a document of n tokens, raw as they stand in the file, that has text bytes.
func (s *shardWriter) add(raw []byte, n, text int) (err error) {
	if s.f == nil {
		s.info.Shards = append(s.info.Shards, ShardInfo{})
		if s.f, err = os.Create(s.path("bin")); err != nil {
			return err
		}
		s.w, s.idx = bufio.NewWriterSize(s.f, 1<<20), make([]byte, 8)
	}
	if _, err := s.w.Write(raw); err != nil {
		return err
	}
	shard := &s.info.Shards[len(s.info.Shards)-1]
	shard.Documents++
	shard.Tokens += uint64(n)
	shard.Bytes += uint64(text)
	s.info.Documents++
	s.info.Tokens += uint64(n)
	s.info.Bytes += uint64(text)
	s.idx = binary.LittleEndian.AppendUint64(s.idx, shard.Tokens)
	s.ends = append(s.ends, s.info.Tokens)
	if shard.Tokens >= s.limit {
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

// writer takes documents through three stages: the caller reads, Threads workers tokenise, and one goroutine writes in the order read.
type writer struct {
	tok        *tokenizer.Tokenizer
	eos        int32
	width      int
	atWork     int64 // bytes of text in all stages together, or one document
	o          PrepareOptions
	train, val shardWriter
	corpus     hash.Hash
}

const chunkBytes = 512 << 10 // of text that a worker takes at once

// chunk is some documents and what becomes of them.
type chunk struct {
	docs []Document
	size int // bytes of text

	err  error
	ids  []int32
	raw  []byte              // tokens of all documents, as in the shard
	n    []int               // tokens of each
	sums [][sha256.Size]byte // of the texts
	val  []bool              // belongs to the validation split
	done chan struct{}
}

func (w *writer) run(ctx context.Context, docs iter.Seq2[Document, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.corpus = sha256.New()
	work, order := make(chan *chunk), make(chan *chunk, 64)
	room := semaphore.NewWeighted(w.atWork)
	pool := sync.Pool{New: func() any { return new(chunk) }}

	var stages sync.WaitGroup
	for range w.o.Threads {
		stages.Go(func() {
			e := w.tok.NewEncoder()
			for c := range work {
				if ctx.Err() == nil {
					w.encode(e, c)
				}
				close(c.done)
			}
		})
	}
	stages.Go(func() {
		for c := range order {
			<-c.done
			err := c.err
			if err == nil && ctx.Err() == nil {
				err = w.write(c)
			}
			if err != nil {
				cancel(err)
			}
			room.Release(min(int64(c.size), w.atWork))
			pool.Put(c)
		}
	})

	fresh := func() *chunk {
		c := pool.Get().(*chunk)
		clear(c.docs)
		c.docs, c.size, c.err, c.done = c.docs[:0], 0, nil, make(chan struct{})
		return c
	}
	c := fresh()
	send := func() bool {
		if room.Acquire(ctx, min(int64(c.size), w.atWork)) != nil {
			return false
		}
		order <- c
		work <- c
		c = fresh()
		return true
	}
	for d, err := range docs {
		if err != nil {
			cancel(err)
			break
		}
		c.docs = append(c.docs, d)
		if c.size += len(d.Text); (c.size >= chunkBytes || len(c.docs) == 4096) && !send() {
			break
		}
	}
	send()
	close(work)
	close(order)
	stages.Wait()
	return context.Cause(ctx)
}

// encode is the work of the second stage.
func (w *writer) encode(e *tokenizer.Encoder, c *chunk) {
	c.raw, c.n, c.sums, c.val = c.raw[:0], c.n[:0], c.sums[:0], c.val[:0]
	kind := w.tok.Kind() // WordPiece and Unigram give no text back: they drop spaces, and change characters to a common form
	checked := w.tok.HasAllBytes() || kind == tokenizer.WordPiece || kind == tokenizer.Unigram
	for _, d := range c.docs {
		c.ids = e.AppendEncode(c.ids[:0], d.Text)
		if err := e.Err(); err != nil {
			c.err = fmt.Errorf("%s: %w", d.Name, err)
			return
		}
		if !checked && !bytes.Equal(w.tok.AppendDecode(nil, c.ids), d.Text) {
			c.err = fmt.Errorf("%s: the tokenizer lacks bytes of the text", d.Name)
			return
		}
		c.ids = append(c.ids, w.eos)
		for _, id := range c.ids {
			if w.width == 2 {
				c.raw = binary.LittleEndian.AppendUint16(c.raw, uint16(id))
			} else {
				c.raw = binary.LittleEndian.AppendUint32(c.raw, uint32(id))
			}
		}
		sum := sha256.Sum256(d.Text)
		c.n, c.sums, c.val = append(c.n, len(c.ids)), append(c.sums, sum), append(c.val, validation(d, sum, w.o))
	}
}

// validation says on which side a document falls: by its text or group only.
func validation(d Document, sum [sha256.Size]byte, o PrepareOptions) bool {
	if o.ByGroup {
		sum = sha256.Sum256([]byte(d.Group))
	}
	return float64(binary.LittleEndian.Uint64(sum[:])>>11)/(1<<53) < o.Validation
}

// write is the work of the third stage.
func (w *writer) write(c *chunk) error {
	raw := c.raw
	for i, d := range c.docs {
		s := &w.train
		if c.val[i] {
			s = &w.val
		}
		size := c.n[i] * w.width
		if err := s.add(raw[:size], c.n[i], len(d.Text)); err != nil {
			return err
		}
		raw = raw[size:]
		w.corpus.Write(c.sums[i][:])
	}
	return nil
}
