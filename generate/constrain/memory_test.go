package constrain

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestMemory: many constraints keep no more than their memory has room for, whoever uses them at once, and write what they write without it.
func TestMemory(t *testing.T) {
	var words []string
	for i := range 3000 {
		words = append(words, fmt.Sprintf("%x", i*i))
	}
	write := func(v *Vocabulary, i int, each func()) (text string) {
		g, err := ParseSchema(fmt.Sprintf(`{"properties": {"k%d": {"type": "string", "maxLength": 40}, "n": {"type": "number"}}, "required": ["k%d", "n"]}`, i, i))
		m := compile(t, g, err, v).Start()
		for n := 0; n < 60 && !m.Ended(); n++ {
			mask, err := m.Mask(nil)
			if err != nil {
				t.Error(err)
				break
			}
			id := int32((n*31 + i*7) % (v.Len() - 2))
			for !mask.Has(id) {
				id = (id + 1) % int32(v.Len())
			}
			text += string(v.tokens[id])
			if err := m.Advance(id); err != nil {
				t.Error(err)
				break
			}
			each()
		}
		return text
	}
	free, bound := byteVocabulary(t, words...), byteVocabulary(t, words...)
	const most, constraints = 256 << 10, 16
	free.Memory, bound.Memory = NewMemory(1<<40), NewMemory(most)
	var want [constraints]string
	for i := range want {
		want[i] = write(free, i, func() {})
	}
	if used := free.Memory.Used(); used < 2*most {
		t.Fatalf("%d bytes without a bound: there is nothing to forget", used)
	}
	for i := range want { // one after the other: nobody is in the way
		if got := write(bound, i, func() {}); got != want[i] || bound.Memory.Used() > most {
			t.Errorf("%d bytes are kept, at most %d: %q, want %q", bound.Memory.Used(), most, got, want[i])
		}
	}
	var wg sync.WaitGroup
	for i := range want {
		wg.Go(func() {
			if got := write(bound, i, func() {}); got != want[i] {
				t.Errorf("%q, without a bound %q", got, want[i])
			}
		})
	}
	wg.Wait()
	if used := bound.Memory.Used(); used > most+constraints*most/4 { // those that were locked by a step when others looked for room
		t.Errorf("%d bytes are kept in the end, at most %d", used, most)
	}
	g, err := ParseRegexp(strings.Repeat("[a-f]", 9))
	c := compile(t, g, err, bound)
	if _, err := c.Start().Mask(nil); err != nil {
		t.Fatal(err)
	}
	c.Forget()
	if c.shared.cache != nil || bound.Memory.users[c] != 0 {
		t.Error("what is forgotten is still there")
	}
}
