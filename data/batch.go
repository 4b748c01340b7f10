package data

// Batch is the tokens of one step, or of one micro-batch of it: pieces of documents, one after the other.
type Batch struct {
	IDs     []int32 // [N]
	Targets []int32 // [N], the token that follows in the same document; -1 where there is none or it does not count
	Lengths []int   // rows of each piece; attention stays inside a piece. Their sum is N
	Bytes   int     // bytes of text that the counted targets stand for
}

// Counted is the number of targets that count.
func (b *Batch) Counted() int {
	n := 0
	for _, t := range b.Targets {
		if t >= 0 {
			n++
		}
	}
	return n
}

// Source gives training batches.
type Source interface {
	// Fill sets b to sequences [from, to) of the batch of the given step: a pure function of its arguments and of the source's seed.
	Fill(b *Batch, step, from, to int) error
	// Fingerprint names the content: two sources with one fingerprint give the same batches. A resumed run checks it.
	Fingerprint() string
}
