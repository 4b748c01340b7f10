package quickstart

import (
	"bytes"
	"compress/gzip"
	"fmt"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tokenizer"
)

// The sequences of pre-training. Each is the token before (at the beginning of a file <|endoftext|>), a run of a file's body, and for Go source <|header|> and the beginning of the
// file's package clause and imports: the order of fill-in-the-middle training (Bavarian et al. 2022), so that the model learns to tell
// from code where it belongs. A snippet is given to the classifier in the same form, up to "package".
const (
	contextTokens = 128
	bodyTokens    = 96
	headerToken   = "<|header|>"
)

// windows is a data.Source of sequences in memory.
type windows struct {
	rows  [][]int32 // each up to contextTokens+1 ids: inputs and the target of the last
	seed  uint64
	batch int
	name  string
}

// Fill gives each sequence once per epoch, in an order computed from seed and epoch.
func (w *windows) Fill(b *data.Batch, step, from, to int) error {
	b.IDs, b.Targets, b.Lengths, b.Bytes = b.IDs[:0], b.Targets[:0], b.Lengths[:0], 0
	N := uint64(len(w.rows))
	for i := from; i < to; i++ {
		n := uint64(step)*uint64(w.batch) + uint64(i)
		row := w.rows[random.NewPerm(N, random.NewKey(w.seed, n/N).Named("order")).At(n%N)]
		b.IDs = append(b.IDs, row[:len(row)-1]...)
		b.Targets = append(b.Targets, row[1:]...)
		b.Lengths = append(b.Lengths, len(row)-1)
	}
	return nil
}

// Fingerprint names corpus, tokenizer and order.
func (w *windows) Fingerprint() string { return w.name }

// held is a train.Split of the held-out files' bodies, cut as the sequences of pre-training are, without header.
type held struct {
	rows  [][]int32
	bytes []int // of text in each row
}

func (h *held) Sequences() int { return len(h.rows) }

func (h *held) FillAt(b *data.Batch, from, to int) error {
	b.IDs, b.Targets, b.Lengths, b.Bytes = b.IDs[:0], b.Targets[:0], b.Lengths[:0], 0
	for i, row := range h.rows[from:to] {
		b.IDs = append(b.IDs, row[:len(row)-1]...)
		b.Targets = append(b.Targets, row[1:]...)
		b.Lengths = append(b.Lengths, len(row)-1)
		b.Bytes += h.bytes[from+i]
	}
	return nil
}

// validationBytes bounds the text that bits per byte are measured on.
const validationBytes = 150_000

// encode cuts the corpus into sequences for training and, of whole held-out files, for validation; files are the latter's bodies.
func (c *Corpus) encode(tok *tokenizer.Tokenizer, batch int, seed uint64) (w *windows, h *held, files [][]byte, err error) {
	eos, ok := tok.EOS()
	sep, ok2 := tok.SpecialID(headerToken)
	if !ok || !ok2 {
		return nil, nil, nil, fmt.Errorf("quickstart: the tokenizer lacks a special token")
	}
	w, h = &windows{seed: seed, batch: batch, name: fmt.Sprintf("quickstart %s seed %d batch %d", c.SHA256, seed, batch)}, &held{}
	e := tok.NewEncoder()
	var heldDocs []document
	for _, d := range c.docs {
		if d.held {
			heldDocs = append(heldDocs, d)
			continue
		}
		ids := e.AppendEncode(nil, d.body)
		var head []int32
		before, size := eos, contextTokens // the token before the window, and room for the body
		if len(d.head) > 0 {
			head, size = e.AppendEncode([]int32{sep}, d.head), bodyTokens
		}
		for len(ids) > 0 {
			n := min(len(ids), size)
			row := append(append([]int32{before}, ids[:n]...), head...)
			before = ids[n-1]
			if ids = ids[n:]; len(head) == 0 && len(ids) == 0 {
				row = append(row, eos)
			}
			w.rows = append(w.rows, row[:min(len(row), contextTokens+1)])
		}
	}
	order := random.NewPerm(uint64(len(heldDocs)), random.NewKey(seed).Named("validation"))
	total := 0
	for i := range order.N {
		d := heldDocs[order.At(i)]
		if len(files) > 0 && total+len(d.body) > validationBytes || len(d.body) == 0 {
			continue
		}
		total += len(d.body)
		files = append(files, d.body)
		before := eos
		for ids := e.AppendEncode(nil, d.body); len(ids) > 0; {
			n := min(len(ids), bodyTokens)
			row, size := []int32{before}, 0
			for _, id := range ids[:n] {
				row = append(row, id)
				size += len(tok.Token(id))
			}
			before, ids = ids[n-1], ids[n:]
			h.rows, h.bytes = append(h.rows, row), append(h.bytes, size)
		}
	}
	if len(w.rows) == 0 || len(h.rows) == 0 {
		return nil, nil, nil, fmt.Errorf("quickstart: %s: nothing to learn from", c.Name)
	}
	return w, h, files, nil
}

// gzipBits is bits per byte of gzip -9 on whole files, each by itself.
func gzipBits(files [][]byte) (float64, error) {
	packed, total := 0, 0
	for _, f := range files {
		var out bytes.Buffer
		z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
		if err != nil {
			return 0, err
		}
		if _, err := z.Write(f); err != nil {
			return 0, err
		}
		if err := z.Close(); err != nil {
			return 0, err
		}
		packed += out.Len()
		total += len(f)
	}
	return 8 * float64(packed) / float64(total), nil
}
