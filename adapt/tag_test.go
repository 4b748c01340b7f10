package adapt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/tokenizer"
)

// texts encodes with bertLike.
func texts(t *testing.T, limit int) *adapt.Texts {
	t.Helper()
	tok, err := tokenizer.Load([]byte(bertLike))
	if err != nil {
		t.Fatal(err)
	}
	return &adapt.Texts{Tokenizer: tok, Limit: limit}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		words string
		want  string // words that tokens begin, by window
	}{
		{"abb c", "[[-1 0 -1 -1 1 -1]]"}, {"a-b c", "[[-1 0 -1 -1 1 -1]]"}, {"xyz a", "[[-1 0 1 -1]]"},
		{"a \u200b c", "[[-1 0 1 2 -1]]"},
		{"abb abb abb", "[[-1 0 -1 -1 1 -1 -1] [-1 -1 -1 -1 2 -1 -1] [-1 -1 -1 -1 -1]]"},
		{"a b c a b c a", "[[-1 0 1 2 3 -1 -1] [-1 -1 4 5 6 -1]]"}, // of five tokens two are shared, each decided where it has more around it
	} {
		w, err := texts(t, 7).Words(strings.Split(c.words, " "), 2)
		if err != nil || fmt.Sprint(w.Begins) != c.want || w.Text != c.words {
			t.Errorf("%q: %+v, %v, want %s", c.words, w, err, c.want)
		}
	}
	for _, c := range []struct {
		text  string
		words []string
	}{
		{"abb  c", []string{"abb", "c"}}, {"a-b ", []string{"a", "-", "b"}}, {"", nil}, {" xyz abb", []string{"xyz", "abb"}},
	} {
		w, err := texts(t, 7).Plain(c.text, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range w.Spans {
			got = append(got, c.text[s.Start:s.End])
		}
		if fmt.Sprint(got) != fmt.Sprint(c.words) {
			t.Errorf("%q: words %q, want %q", c.text, got, c.words)
		}
	}
	if _, err := texts(t, 7).Plain("a b", 5); err == nil || !strings.Contains(err.Error(), "cannot share 5") {
		t.Errorf("a stride as wide as the window: %v", err)
	}
	if _, err := texts(t, 2).Plain("a b", 0); err == nil {
		t.Error("a window without room is accepted")
	}
}

// Whatever the lengths, each word is decided once, and by a token of its own.
func TestWordsOnce(t *testing.T) {
	x := texts(t, 0)
	for n := range 40 {
		words := strings.Fields(strings.Repeat("abb c ", n))
		for _, limit := range []int{5, 6, 9, 17} {
			for stride := range limit - 2 {
				x.Limit = limit
				w, err := x.Words(words, stride)
				if err != nil {
					t.Fatal(err)
				}
				seen := make([]int, len(words))
				for i, begins := range w.Begins {
					if len(begins) > limit || len(begins) != len(w.Windows[i].IDs) {
						t.Fatalf("a window of %d tokens", len(begins))
					}
					for j, word := range begins {
						if word < 0 {
							continue
						}
						if seen[word]++; w.Windows[i].IDs[j] != map[string]int32{"abb": 3, "c": 6}[words[word]] {
							t.Errorf("word %d is decided by id %d", word, w.Windows[i].IDs[j])
						}
					}
				}
				for word, times := range seen {
					if times != 1 {
						t.Errorf("%d words, windows of %d sharing %d: word %d is decided %d times", len(words), limit, stride, word, times)
					}
				}
			}
		}
	}
}

func TestAsk(t *testing.T) {
	x := texts(t, 9)
	a, err := x.Ask("a b", "c abb - c a", 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, w := range a.Windows {
		got += fmt.Sprint(w.IDs) + fmt.Sprint(w.Segments) + fmt.Sprint(w.Spans)
	}
	want := "[0 3 4 1 6 3 5 5 1][0 0 0 0 1 1 1 1 1][{0 1} {2 3} {3 4} {4 5}]" + "[0 3 4 1 5 5 7 6 1][0 0 0 0 1 1 1 1 1][{3 4} {4 5} {6 7} {8 9}]" + "[0 3 4 1 7 6 3 1][0 0 0 0 1 1 1 1][{6 7} {8 9} {10 11}]"
	if got != want {
		t.Errorf("windows %s\nwant    %s", got, want)
	}
	labels := ""
	for _, e := range a.Examples(a.Windows[1].Spans[2]) {
		labels += fmt.Sprint(e.Start, e.End, " ")
	}
	if labels != "0 0 6 6 4 4 " {
		t.Errorf("the answer is labelled %s", labels)
	}
	// Virtual tokens stand in front of the same windows, and their rows are counted in labels.
	x = texts(t, 11)
	x.Virtual = []int32{90, 91}
	if a, err = x.Ask("a b", "c abb - c a", 0, 2); err != nil {
		t.Fatal(err)
	}
	var virtual string
	labels = ""
	for _, e := range a.Examples(a.Windows[1].Spans[2]) {
		virtual += fmt.Sprint(e.IDs, e.Segments)
		labels += fmt.Sprint(e.Start, e.End, " ")
	}
	if want := "[90 91 0 3 4 1 6 3 5 5 1] [0 0 0 0 0 0 1 1 1 1 1]"; !strings.HasPrefix(virtual, want) || labels != "2 2 8 8 6 6 " {
		t.Errorf("behind virtual tokens %s, labels %s", virtual, labels)
	}
	x = texts(t, 9) // a question that leaves room for two tokens: windows share one
	if a, err = x.Ask("a b c a", "c a b", 0, 2); err != nil || len(a.Windows) != 2 || a.Windows[1].Spans[0].Start != 2 {
		t.Errorf("a long question: %v, %v", a, err)
	}
	for _, c := range [][3]string{{"a b", "", "without a token"}, {"a b c a b c", "a", "no room"}} {
		if _, err := x.Ask(c[0], c[1], 0, 2); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%q on %q: %v", c[0], c[1], err)
		}
	}
}
