package nn

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tensor"
)

var kvSpec = tensor.Attention{Heads: 4, KVHeads: 2, HeadDim: 8}

// story is a sequence of tokens, each a seed of its query, key and value.
type story []uint64

func (s story) add(seed uint64, n int) story {
	s = slices.Clone(s)
	for i := range n {
		s = append(s, seed<<32+uint64(len(s)+i))
	}
	return s
}

// qkv returns the rows of tokens [from, len(s)).
func (s story) qkv(from int) *tensor.Tensor {
	const width = 4*8 + 2*2*8
	x := make([]float32, 0, (len(s)-from)*width)
	for _, seed := range s[from:] {
		key := random.NewKey(seed)
		for i := range uint64(width) {
			x = append(x, float32(key.Float64(i))*4-2)
		}
	}
	return tensor.FromF32(x, len(s)-from, width)
}

// extend brings slots up to their stories in one batch, and compares what the new tokens attend to with attention without a cache.
func extend(t *testing.T, kv *KV, slots []int, stories ...story) {
	t.Helper()
	tape := tensor.Evaluation(cpu.New(cpu.Options{Threads: 2}))
	var counts, from []int
	for i, s := range slots {
		from = append(from, kv.Len(s))
		counts = append(counts, len(stories[i])-kv.Len(s))
	}
	positions, err := kv.Begin(slots, counts, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range slots {
		part := tensor.Evaluation(tape.Kernels())
		spec := kvSpec
		seqs := NewSeqs(counts[i])
		spec.Queries = seqs.Spans
		q, k, v := tensor.QKV(stories[i].qkv(from[i]), spec)
		if i == 0 && positions[0] != int32(from[0]) {
			t.Errorf("slot %d: first position %d, want %d", s, positions[0], from[0])
		}
		one := *kv // the batch of this slot alone
		one.keys, one.cache.Tables = kv.keys[i:i+1], kv.cache.Tables[i:i+1]
		got := Attend(part, q, k, v, spec, &one, 1).F32()
		spec.Queries, spec.Causal = NewSeqs(len(stories[i])).Spans, true
		q, k, v = tensor.QKV(stories[i].qkv(0), spec)
		want := tape.Attention(q, k, v, spec).F32()
		if !slices.Equal(got, want[len(want)-len(got):]) {
			t.Errorf("slot %d at %d: attention differs from that without a cache", s, from[i])
		}
	}
	kv.End()
	for i, s := range slots {
		if kv.Len(s) != len(stories[i]) {
			t.Errorf("slot %d has %d positions, want %d", s, kv.Len(s), len(stories[i]))
		}
	}
}

// Sequences that share pages, grow apart, are cut and released see their own keys and values, whatever the pages.
func TestKV(t *testing.T) {
	for _, page := range []int{0, 129, 1000} {
		t.Run(fmt.Sprint(page), func(t *testing.T) {
			kv := NewKV(2, 2, 8, KVOptions{Page: page})
			a, b := kv.Slot(), kv.Slot()
			first := story{}.add(1, 130)
			extend(t, kv, []int{a}, first)
			kv.Share(b, a, 100)
			second := first[:100].add(2, 60)
			extend(t, kv, []int{b}, second)
			first, second = first.add(3, 150), second.add(4, 1)
			extend(t, kv, []int{b, a}, second, first)
			c := kv.Slot()
			kv.Share(c, a, 256) // whole pages
			third := first[:256].add(5, 3)
			extend(t, kv, []int{c}, third)
			kv.Truncate(a, 50)
			first = first[:50].add(6, 300)
			extend(t, kv, []int{a, c}, first, third.add(7, 1))
			bytes := kv.Bytes()
			kv.Release(a)
			kv.Release(c)
			if d := kv.Slot(); d != c && d != a {
				t.Errorf("slot %d is new, %d and %d were free", d, a, c)
			} else {
				extend(t, kv, []int{d}, story{}.add(8, 300))
			}
			extend(t, kv, []int{b}, second.add(9, 2))
			if kv.Bytes() != bytes {
				t.Errorf("%d bytes, before the release %d", kv.Bytes(), bytes)
			}
		})
	}
}

// A bounded cache refuses a batch as a whole, and takes it when pages are free.
func TestKVFull(t *testing.T) {
	kv := NewKV(2, 2, 8, KVOptions{Max: 257})
	if kv.Max() != 384 {
		t.Errorf("a bound of %d positions, want three pages", kv.Max())
	}
	a, b := kv.Slot(), kv.Slot()
	first := story{}.add(1, 200)
	extend(t, kv, []int{a}, first)
	if _, err := kv.Begin([]int{b, a}, []int{100, 60}, nil); !errors.Is(err, ErrFull) {
		t.Errorf("four pages of three: error %v", err)
	}
	extend(t, kv, []int{b}, story{}.add(2, 128))
	kv.Share(kv.Slot(), a, 200)
	if _, err := kv.Begin([]int{a}, []int{1}, nil); !errors.Is(err, ErrFull) {
		t.Errorf("a shared page without one to copy to: error %v", err)
	}
	kv.Release(b)
	extend(t, kv, []int{a}, first.add(3, 1))
}

func TestKVTypes(t *testing.T) {
	for _, c := range []struct {
		d    tensor.DType
		want int
	}{{tensor.F32, 4 * 24}, {tensor.F16, 2 * 24}, {tensor.Q8_0, 34}} {
		kv := NewKV(3, 5, 24, KVOptions{Type: c.d})
		if _, err := kv.Begin([]int{kv.Slot()}, []int{129}, nil); err != nil {
			t.Fatal(err)
		}
		if want := 256 * 3 * 2 * 5 * c.want; kv.Bytes() != want {
			t.Errorf("%s: two pages have %d bytes, want %d", c.d, kv.Bytes(), want)
		}
	}
}
