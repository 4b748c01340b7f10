package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/tokenizer"
)

// encoding is the state of one side of encode: an encoder and what it wrote, for each thread.
type encoding struct {
	encoders []*tokenizer.Encoder
	ids      [][]int32
}

// encode encodes all documents, a share of them on each thread, with new encoders unless e has them.
func (b *runner) encode(e *encoding, threads int) (seconds float64) {
	start := time.Now()
	var g sync.WaitGroup
	if e.encoders == nil {
		e.encoders = make([]*tokenizer.Encoder, threads)
	}
	if e.ids == nil {
		e.ids = make([][]int32, threads)
	}
	for i := range threads {
		g.Go(func() {
			if e.encoders[i] == nil {
				e.encoders[i] = b.tok.NewEncoder()
			}
			ids := e.ids[i][:0]
			for _, d := range b.docs[len(b.docs)*i/threads : len(b.docs)*(i+1)/threads] {
				ids = e.encoders[i].AppendEncode(ids, d)
			}
			e.ids[i] = ids
		})
	}
	g.Wait()
	return time.Since(start).Seconds()
}

// encodePairs measures encode, cold and warm, beside each engine.
func (b *runner) encodePairs(threads int) error {
	b.tok.NewEncoder() // loading, which is not timed, ends with the tables that encoders start from
	engines := []string{""}
	if b.peer != nil {
		engines = strings.Split(b.engines, ",")
		if err := b.tok.Save(b.file("tokenizer.json")); err != nil {
			return err
		}
	}
	for _, engine := range engines {
		job := map[string]any{"do": "encode", "engine": engine, "file": b.file("tokenizer.json"), "docs": b.file("docs.json"), "warm": false, "out": ""}
		if engine == "sentencepiece" {
			job["file"] = b.model
		}
		if engine != "" {
			if err := b.sameIDs(job); err != nil {
				return fmt.Errorf("%s: %w", engine, err)
			}
		}
		for _, warm := range []bool{false, true} {
			job["warm"] = warm
			e := new(encoding)
			b.encode(e, threads)
			var p bench.Pairs
			for range b.pairs {
				if !warm {
					e.encoders = nil // the memory for ids is the caller's in any case
				}
				ours := b.encode(e, threads)
				var answer struct{ Seconds float64 }
				if engine != "" {
					if err := b.ask(job, &answer); err != nil {
						return err
					}
				}
				p.Add(ours, answer.Seconds)
			}
			mode := map[bool]string{false: "cold", true: "warm"}[warm]
			b.report(fmt.Sprintf("%d threads, %s, %s", threads, engine, mode), &p, engine != "")
		}
	}
	return nil
}

// sameIDs compares the ids of all documents.
func (b *runner) sameIDs(job map[string]any) error {
	job["out"] = b.file("ids")
	defer func() { job["out"] = "" }()
	if err := b.ask(job, new(struct{})); err != nil {
		return err
	}
	theirs, err := os.ReadFile(b.file("ids"))
	if err != nil {
		return err
	}
	e := b.tok.NewEncoder()
	var ids []int32
	for i, d := range b.docs {
		ids = e.AppendEncode(ids[:0], d)
		want := make([]int32, 1+len(ids))
		n, err := binary.Decode(theirs, binary.LittleEndian, want)
		if err != nil || want[0] != int32(len(ids)) || !slices.Equal(want[1:], ids) {
			return fmt.Errorf("other ids for document %d: unequal work", i)
		}
		theirs = theirs[n:]
	}
	if len(theirs) > 0 {
		return errors.New("more documents than ours: unequal work")
	}
	return nil
}

// trainPairs measures training beside Hugging Face's trainer; the first pair must write the same file.
func (b *runner) trainPairs(threads, vocab int) error {
	var p bench.Pairs
	for i := range b.pairs {
		start := time.Now()
		tok, err := tokenizer.Train(context.Background(), slices.Values(b.docs), tokenizer.TrainOptions{VocabSize: vocab, Threads: threads})
		ours := time.Since(start).Seconds()
		if err != nil {
			return err
		}
		var answer struct{ Seconds float64 }
		if b.peer != nil {
			job := map[string]any{"do": "train", "docs": b.file("docs.json"), "vocab": vocab, "out": ""}
			if i == 0 {
				job["out"] = b.file("trained.json")
			}
			if err := b.ask(job, &answer); err != nil {
				return err
			}
			if i == 0 {
				have, err := tok.Marshal()
				if err != nil {
					return err
				}
				want, err := os.ReadFile(b.file("trained.json"))
				if err != nil {
					return err
				}
				if !bytes.Equal(have, want) {
					return fmt.Errorf("%d ids: the peer trains another vocabulary: unequal work", vocab)
				}
			}
		}
		p.Add(ours, answer.Seconds)
	}
	b.report(fmt.Sprintf("%d threads, train %d", threads, vocab), &p, b.peer != nil)
	return nil
}

// worstCases measures inputs without the usual words, beside the text as the typical one.
func (b *runner) worstCases() error {
	const size = 10_000_000
	rng := rand.New(rand.NewPCG(1, 0))
	random := make([]byte, size)
	for i := range random {
		random[i] = 'a' + byte(rng.IntN(26))
	}
	once := func(b *runner) float64 { // seconds a byte, cold, into memory that is there
		e := new(encoding)
		b.encode(e, 1)
		e.encoders = nil
		return b.encode(e, 1) / float64(b.size)
	}
	typical := once(b)
	fmt.Printf("%-32s %8.1f MB/s\n", "the text", 1e-6/typical)
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"one word of one letter", bytes.Repeat([]byte("a"), size)},
		{"one word of random letters", random},
		{"spaces", bytes.Repeat([]byte(" "), size)},
		{"line breaks", bytes.Repeat([]byte("\n"), size)},
		{"one word of Chinese", bytes.Repeat([]byte("天地玄黃宇宙洪荒"), size/24)},
	} {
		w := &runner{tok: b.tok, docs: [][]byte{c.text}, size: len(c.text)}
		seconds := once(w)
		fmt.Printf("%-32s %8.1f MB/s, %.1f times slower\n", c.name, 1e-6/seconds, seconds/typical)
	}
	return nil
}
