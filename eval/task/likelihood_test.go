package task

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/testkit"
)

func TestLAMBADA(t *testing.T) {
	r, err := LAMBADA("He said no to Shane")
	if err != nil || r != (Request{"He said no to", " Shane"}) {
		t.Errorf("%v %v", r, err)
	}
	for _, bad := range []string{"", "word", " word", "word "} {
		if _, err := LAMBADA(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	s, err := ScoreLAMBADA([]Likelihood{{-1, true}, {-3, false}})
	if err != nil || s.Accuracy != 0.5 || math.Abs(s.Perplexity-math.Exp(2)) > 1e-12 {
		t.Errorf("%v %v", s, err)
	}
}

func TestChoices(t *testing.T) {
	q := Choice{"q", []string{"no", "certainly"}, 1}
	if got := q.Requests(); !reflect.DeepEqual(got, []Request{{"q", " no"}, {"q", " certainly"}}) {
		t.Errorf("%v", got)
	}
	s, err := ScoreChoices([]Choice{q, q}, []Likelihood{{-2, false}, {-3, false}, {-3, false}, {-2, false}})
	if err != nil || s != (ChoiceScores{0.5, 1}) {
		t.Errorf("%v %v", s, err)
	}
	if _, err := ScoreChoices([]Choice{q}, []Likelihood{{}}); err == nil {
		t.Error("a missing answer is accepted")
	}
}

func TestPrompt(t *testing.T) {
	for size, want := range map[int]string{20: "h|a|b|q", 6: "h|a|q", 4: "h|q"} {
		got, used, err := Prompt("h|", []string{"a|", "b|"}, "q", func(s string) bool { return len(s) <= size })
		if err != nil || got != want || used != strings.Count(got, "|")-1 {
			t.Errorf("%d: %q %d %v", size, got, used, err)
		}
	}
	if _, _, err := Prompt("h|", nil, "q", func(string) bool { return false }); err == nil {
		t.Error("a question that does not fit is accepted")
	}
	labels := []int{0, 0, 0, 0, 0, 1, 1, 2}
	drawn, err := Demonstrations(labels, 3, 6, 1)
	count := [3]int{}
	seen := map[int]bool{}
	for _, i := range drawn {
		count[labels[i]]++
		seen[i] = true
	}
	if err != nil || count != [3]int{3, 2, 1} || len(seen) != 6 {
		t.Errorf("%v %v %v", drawn, count, err)
	}
	if again, _ := Demonstrations(labels, 3, 6, 1); !reflect.DeepEqual(drawn, again) {
		t.Error("the same seed draws others")
	}
	if _, err := Demonstrations(labels, 3, 9, 1); err == nil {
		t.Error("more than there are")
	}
}

func open(t *testing.T, name string) io.Reader {
	t.Helper()
	f, err := os.Open(testkit.Data(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRealMMLU(t *testing.T) {
	test, err := ReadMMLU(open(t, "tasks/mmlu/test/astronomy_test.csv"))
	if err != nil || len(test) != 152 {
		t.Fatalf("%d questions %v", len(test), err)
	}
	z, err := gzip.NewReader(open(t, "tasks/mmlu/mmlu_dev_val.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	subjects := 0
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		subject, dev := strings.CutSuffix(filepath.Base(h.Name), "_dev.csv")
		if !dev {
			continue
		}
		subjects++
		shots, err := ReadMMLU(in)
		if err != nil || len(shots) != 5 {
			t.Fatalf("%s: %d %v", h.Name, len(shots), err)
		}
		c, used, err := MMLUChoice(subject, shots, test[0], func(string) bool { return true })
		if err != nil || used != 5 || !strings.HasPrefix(c.Context, "The following are multiple choice questions (with answers) about "+strings.ReplaceAll(subject, "_", " ")+".\n\n"+shots[0].Question+"\nA. ") ||
			!strings.HasSuffix(c.Context, "\nD. This type produces high amounts of X-rays.\nAnswer:") || c.Gold != 0 {
			t.Fatalf("%s: %q", subject, c.Context)
		}
	}
	if subjects != 57 {
		t.Errorf("%d subjects", subjects)
	}
	if _, err := ReadMMLU(strings.NewReader("q,a,b,c,d,E\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("an answer E: %v", err)
	}
}

func TestRealSQuAD(t *testing.T) {
	for _, language := range []string{"en", "es", "zh"} {
		questions, err := ReadSQuAD(open(t, "tasks/xquad/xquad."+language+".json"))
		if err != nil || len(questions) != 1190 {
			t.Fatalf("%s: %d %v", language, len(questions), err)
		}
		var right []Answered
		for _, q := range questions {
			right = append(right, Answered{Answers: []string{q.Answers[0].Text}, Predicted: q.Context[q.Answers[0].Span.Start:q.Answers[0].Span.End]})
		}
		if s, err := QA1(right); err != nil || s.Exact < 99.9 {
			t.Errorf("%s: gold answers score %v %v", language, s, err)
		}
	}
}

func TestRealCoNLL(t *testing.T) {
	for name, want := range map[string]int{"wnut17train.conll": 62730, "emerging.dev.conll": 15733, "emerging.test.annotated": 23394} { // as the set's README says
		sentences, err := ReadCoNLL(open(t, "tasks/wnut17/"+name))
		if err != nil {
			t.Fatal(err)
		}
		words := 0
		var tags [][]string
		for _, s := range sentences {
			words += len(s.Words)
			tags = append(tags, s.Tags)
		}
		s, err := Tags(tags, tags, "IOB2")
		if err != nil || words != want || s.Averages.Micro.F1 != 1 || len(s.Types) != 6 {
			t.Errorf("%s: %d words, %v %v", name, words, s, err)
		}
	}
	for text, want := range map[string]string{"a O\nb\n": "line 2", "a\nb O\n": "line 2", "a\tO\n\nb\t\n": "line 3"} {
		if _, err := ReadCoNLL(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error of %s", text, err, want)
		}
	}
	s, err := ReadCoNLL(strings.NewReader("a\n\n\nb\nc\n"))
	if err != nil || len(s) != 2 || s[0].Tags != nil || s[1].Line != 4 || len(s[1].Words) != 2 {
		t.Errorf("words alone: %v %v", s, err)
	}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		tags   string
		scheme bool
		want   string
	}{
		{"B-A I-A O I-B B-B", true, "[{A 0 2} {B 3 4} {B 4 5}]"}, {"B-A L-A U-A O", true, "[{A 0 2} {A 2 3}]"}, {"S-A B-A E-A", true, "[{A 0 1} {A 1 3}]"},
		{"N N V O N", false, "[{N 0 2} {V 2 3} {N 4 5}]"}, {"O", true, "[]"},
	} {
		if got := fmt.Sprint(Groups(strings.Fields(c.tags), c.scheme)); got != c.want {
			t.Errorf("%s: %s, want %s", c.tags, got, c.want)
		}
	}
	for labels, want := range map[string]bool{"O B-A I-A": true, "O": false, "O B-A NOUN": false, "S-x U-y": true, "B-": false, "LABEL_0 LABEL_1": false} {
		if got := HasScheme(strings.Fields(labels)); got != want {
			t.Errorf("%s: scheme %v", labels, got)
		}
	}
	for tags, want := range map[string]int{"O B-A I-A B-A O": -1, "O I-A": 1, "B-A I-B": 1, "B-A E-A": 1, "X": 0, "B-": 0, "B-A O I-A": 2} {
		if got, err := CheckIOB2(strings.Fields(tags)); got != want || (err != nil) != (want >= 0) {
			t.Errorf("%s: %d %v, want %d", tags, got, err, want)
		}
	}
}

// TestRealTables reads published sets by their columns.
func TestRealTables(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       data.TableOptions
		columns []string
		rows    int
	}{
		{"sst2/dev.tsv", data.TableOptions{NoHeader: true}, []string{"1", "2"}, 872},
		{"agnews/test.csv", data.TableOptions{NoHeader: true}, []string{"3", "1"}, 7600},
		{"agnews/train10k.tsv", data.TableOptions{NoHeader: true}, []string{"1", "2"}, 10001},
		{"cola/in_domain_dev.tsv", data.TableOptions{NoHeader: true}, []string{"4", "2"}, 527},
		{"rte/dev.tsv", data.TableOptions{}, []string{"sentence1", "sentence2", "label"}, 139},
		{"wnli/dev.tsv", data.TableOptions{}, []string{"sentence1", "sentence2", "label"}, 70},
		{"dialogsum/dialogsum.dev.jsonl", data.TableOptions{}, []string{"dialogue", "summary"}, 500},
		{"dialogsum/dialogsum.test.jsonl", data.TableOptions{}, []string{"dialogue", "summary1", "summary3"}, 500},
		{"lambada/lambada_test.jsonl", data.TableOptions{}, []string{"text"}, 5153},
	} {
		x, err := data.OpenTable(testkit.Data(t, "tasks/"+c.name), c.o)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		var columns []data.Column
		for _, n := range c.columns {
			columns = append(columns, data.Column{Name: n})
		}
		rows, err := x.Select(t.Context(), columns...)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for row, err := range rows {
			if err != nil {
				t.Fatal(err)
			}
			if n++; row.Fields[0] == "" || row.Fields[1%len(row.Fields)] == "" {
				t.Errorf("%s: %q", row.Name, row.Fields)
			}
			if strings.HasPrefix(c.name, "lambada") {
				if _, err := LAMBADA(row.Fields[0]); err != nil {
					t.Errorf("%s: %v", row.Name, err)
				}
			}
		}
		if n != c.rows {
			t.Errorf("%s: %d rows, want %d", c.name, n, c.rows)
		}
	}
}

// FuzzReaders reads any bytes as each format: what is read has spans and tags in order.
func FuzzReaders(f *testing.F) {
	f.Add([]byte("a O\nb\tB-X\n\n-DOCSTART- -X- O\n"))
	f.Add([]byte(`{"data":[{"paragraphs":[{"context":"é b","qas":[{"id":"1","question":"q","answers":[{"text":"b","answer_start":2}]}]}]}]}`))
	f.Add([]byte("q,a,b,c,d,A\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if questions, err := ReadSQuAD(strings.NewReader(string(b))); err == nil {
			for _, q := range questions {
				for _, a := range q.Answers {
					if q.Context[a.Span.Start:a.Span.End] != a.Text {
						t.Fatalf("%q at %v of %q", a.Text, a.Span, q.Context)
					}
				}
			}
		}
		if sentences, err := ReadCoNLL(strings.NewReader(string(b))); err == nil {
			for _, s := range sentences {
				if n := len(IOB2(Entities(s.Tags), len(s.Tags))); len(s.Words) == 0 || n != len(s.Words) && n != 0 {
					t.Fatalf("%d words, %d tags", len(s.Words), n)
				}
				for _, name := range Schemes {
					StrictEntities(s.Tags, name)
				}
			}
		}
		ReadMMLU(strings.NewReader(string(b)))
	})
}

// FuzzScores scores any text against any other: all scores are fractions, and those of a text with itself are 1 or, without words, 0.
func FuzzScores(f *testing.F) {
	f.Add("The cats sat.\nDogs ran!", "a cat sits\n\nthe dog 12", true)
	f.Add("\xff\u0130", "skies dying", false)
	f.Fuzz(func(t *testing.T, a, b string, stem bool) {
		if once := NormalizeAnswer(a); len(once) > 3*len(a) {
			t.Fatalf("%q becomes %q", a, once)
		}
		for i, r := range []Rouge{ScoreSummary([]string{a}, b, stem), ScoreSummary([]string{a}, a, stem)} {
			for _, s := range []PRF{r.R1, r.R2, r.L, r.LSum} {
				if !(0 <= s.F1 && s.F1 <= 1 && 0 <= s.Precision && s.Precision <= 1 && 0 <= s.Recall && s.Recall <= 1) || i == 1 && s.F1 != 0 && s.F1 != 1 {
					t.Fatalf("%q, %q: %+v", a, b, r)
				}
			}
		}
	})
}
