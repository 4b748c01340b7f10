package task

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// golden reads what tools/golden/tasks.py wrote.
func golden[T any](t *testing.T, name string) (x T) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err == nil {
		err = json.Unmarshal(b, &x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// near reports a score that is not equal within 1e-9: sums are taken in another order.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func nearPRF(t *testing.T, what string, got PRF, want []float64) {
	t.Helper()
	near(t, what+" precision", got.Precision, want[0])
	near(t, what+" recall", got.Recall, want[1])
	near(t, what+" f1", got.F1, want[2])
	if len(want) > 3 {
		near(t, what+" support", float64(got.Support), want[3])
	}
}

// nearAll compares with lists of precision, recall, F1 and support over the classes, and with averages.
func nearAll(t *testing.T, what string, classes []Counts, each [][]float64, a Averages, averages map[string][]float64) {
	t.Helper()
	if len(classes) != len(each[0]) {
		t.Fatalf("%s: %d classes, want %d", what, len(classes), len(each[0]))
	}
	for c, n := range classes {
		nearPRF(t, what, n.PRF(), []float64{each[0][c], each[1][c], each[2][c], each[3][c]})
	}
	nearPRF(t, what+" micro", a.Micro, averages["micro"])
	nearPRF(t, what+" macro", a.Macro, averages["macro"])
	nearPRF(t, what+" weighted", a.Weighted, averages["weighted"])
}

func TestClassification(t *testing.T) {
	for i, c := range golden[[]struct {
		Gold, Predicted    []int
		Probabilities      [][]float64
		Classes            int
		Accuracy, Matthews float64
		Each               [][]float64
		Averages           map[string][]float64
		Confusion          Confusion
		LogLoss            float64 `json:"log_loss"`
		Brier, ECE         float64
		AUC                *float64
	}](t, "classification") {
		what := "case " + strconv.Itoa(i)
		m, err := NewConfusion(c.Gold, c.Predicted, c.Classes)
		if err != nil || !reflect.DeepEqual(m, c.Confusion) {
			t.Fatalf("%s: %v %v, want %v", what, m, err, c.Confusion)
		}
		near(t, what+" accuracy", m.Accuracy(), c.Accuracy)
		near(t, what+" matthews", m.Matthews(), c.Matthews)
		nearAll(t, what, m.Classes(), c.Each, m.Average(), c.Averages)
		p, err := Probabilities(c.Gold, c.Probabilities)
		if err != nil {
			t.Fatal(err)
		}
		near(t, what+" log loss", p.LogLoss, c.LogLoss)
		near(t, what+" brier", p.Brier, c.Brier)
		near(t, what+" ece", p.ECE, c.ECE)
		if c.AUC == nil != math.IsNaN(p.AUC) {
			t.Errorf("%s: auc %v", what, p.AUC)
		} else if c.AUC != nil {
			near(t, what+" auc", p.AUC, *c.AUC)
		}
	}
	for _, bad := range [][2][]int{{{0}, {}}, {{}, {}}, {{2}, {0}}, {{0}, {-1}}} {
		if _, err := NewConfusion(bad[0], bad[1], 2); err == nil {
			t.Errorf("classes %v and %v are accepted", bad[0], bad[1])
		}
	}
	for _, p := range [][][]float64{{{0.5, math.NaN()}}, {{0.5, 1.5}}, {{1}, {1}}, {{1}}} {
		if _, err := Probabilities([]int{1}, p); err == nil {
			t.Errorf("probabilities %v are accepted", p)
		}
	}
}

func TestMultiLabel(t *testing.T) {
	for _, c := range golden[[]struct {
		Gold, Predicted [][]bool
		Each            [][]float64
		Averages        map[string][]float64
		Exact, Hamming  float64
	}](t, "multilabel") {
		s, err := MultiLabel(c.Gold, c.Predicted)
		if err != nil {
			t.Fatal(err)
		}
		nearAll(t, "labels", s.Classes, c.Each, s.Averages, c.Averages)
		nearPRF(t, "samples", s.Samples, c.Averages["samples"])
		near(t, "exact", s.Exact, c.Exact)
		near(t, "hamming", s.Hamming, c.Hamming)
	}
	if _, err := MultiLabel([][]bool{{true}}, [][]bool{{true, false}}); err == nil {
		t.Error("rows of different lengths are accepted")
	}
}

func TestSimilarity(t *testing.T) {
	for _, c := range golden[[]struct {
		Gold, Predicted                 []float64
		Pearson, Spearman, MSE, MAE, R2 float64
	}](t, "similarity") {
		s, err := Similarity(c.Gold, c.Predicted)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "pearson", s.Pearson, c.Pearson)
		near(t, "spearman", s.Spearman, c.Spearman)
		near(t, "mse", s.MSE, c.MSE)
		near(t, "mae", s.MAE, c.MAE)
		near(t, "r2", s.R2, c.R2)
	}
	if s, _ := Similarity([]float64{1, 1}, []float64{1, 2}); !math.IsNaN(s.Pearson) {
		t.Errorf("correlation with a constant is %v", s.Pearson)
	}
}

func TestRetrieval(t *testing.T) {
	for _, c := range golden[[]struct {
		Gains, Scores []float64
		MRR, MAP      float64
		Recall, NDCG  map[int]float64
	}](t, "retrieval") {
		var ranked []float64
		for _, d := range Rank(c.Scores) {
			ranked = append(ranked, c.Gains[d])
		}
		for k, recall := range c.Recall {
			s, err := Retrieval([][]float64{ranked, ranked}, k)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "mrr", s.MRR, c.MRR)
			near(t, "map", s.MAP, c.MAP)
			near(t, "recall", s.Recall, recall)
			near(t, "ndcg", s.NDCG, c.NDCG[k])
		}
	}
	if _, err := Retrieval([][]float64{{0, 0}}, 1); err == nil {
		t.Error("a query without a relevant document is accepted")
	}
	near(t, "cosine", Cosine([]float32{1, 2}, []float32{2, 4}), 1)
	near(t, "cosine", Cosine([]float32{1, 0}, []float32{0, 4}), 0)
}

func TestTags(t *testing.T) {
	for i, c := range golden[[]struct {
		Scheme          string
		Gold, Predicted [][]string
		Types           []string
		Each            [][]float64
		Averages        map[string][]float64
		Accuracy        float64
	}](t, "tagging") {
		what := "case " + strconv.Itoa(i) + " " + c.Scheme
		s, err := Tags(c.Gold, c.Predicted, c.Scheme)
		if err != nil {
			t.Fatal(what, err)
		}
		if !reflect.DeepEqual(s.Types, c.Types) {
			t.Fatalf("%s: types %v, want %v", what, s.Types, c.Types)
		}
		nearAll(t, what, s.Counts, c.Each, s.Averages, c.Averages)
		near(t, what+" accuracy", s.Accuracy, c.Accuracy)
	}
	if _, err := Tags([][]string{{"S-A"}}, [][]string{{"O"}}, "IOB2"); err == nil || !strings.Contains(err.Error(), `"S-A"`) {
		t.Errorf("a tag of another scheme: %v", err)
	}
	for _, scheme := range [][]string{{"I-A", "I-A", "B-A", "O"}, {"B-A", "E-A", "S-A", "O"}} {
		if got := IOB2(Entities(scheme), 4); !reflect.DeepEqual(got, []string{"B-A", "I-A", "B-A", "O"}) {
			t.Errorf("%v in IOB2: %v", scheme, got)
		}
	}
}

func TestStem(t *testing.T) {
	for word, want := range golden[map[string]string](t, "stems") {
		if got := Stem(word); got != want {
			t.Errorf("stem of %q: %q, want %q", word, got, want)
		}
	}
}

func TestRouge(t *testing.T) {
	for _, c := range golden[[]struct {
		References  []string
		Prediction  string
		Plain, Stem map[string][]float64
	}](t, "summarization") {
		for stem, want := range map[bool]map[string][]float64{false: c.Plain, true: c.Stem} {
			s := ScoreSummary(c.References, c.Prediction, stem)
			for kind, got := range map[string]PRF{"rouge1": s.R1, "rouge2": s.R2, "rougeL": s.L, "rougeLsum": s.LSum} {
				nearPRF(t, strconv.Quote(c.Prediction)+" "+kind, got, want[kind])
			}
		}
	}
	i, err := Bootstrap([]float64{0, 1, 0, 1, 1, 0, 0, 1}, 1)
	if err != nil || i.Mean != 0.5 || i.Low < 0.05 || i.Low >= 0.3 || i.High > 0.95 || i.High <= 0.7 {
		t.Errorf("interval %v %v", i, err)
	}
}

func TestAnswers(t *testing.T) {
	c := golden[struct {
		Answers     [][]string
		Predictions []string
		V1          struct {
			Exact, F1  []float64
			ExactMatch float64 `json:"exact_match"`
			F1Score    float64 `json:"f1_score"`
		}
		V2 struct {
			Answers     [][]string
			Predictions []string
			NoAnswer    []float64 `json:"no_answer"`
			Limit       float64
			Exact, F1   []float64
			PlainExact  []float64 `json:"plain_exact"`
			PlainF1     []float64 `json:"plain_f1"`
			BestExact   float64   `json:"best_exact"`
			BestExactAt float64   `json:"best_exact_at"`
			BestF1      float64   `json:"best_f1"`
			BestF1At    float64   `json:"best_f1_at"`
		}
		Normal map[string]string
	}](t, "question_answering")
	for s, want := range c.Normal {
		if got := NormalizeAnswer(s); got != want {
			t.Errorf("normal form of %q: %q, want %q", s, got, want)
		}
	}
	var one, two []Answered
	for i, p := range c.Predictions {
		q := Answered{Answers: c.Answers[i], Predicted: p}
		s, _ := QA1([]Answered{q})
		near(t, "exact "+p, s.Exact, 100*c.V1.Exact[i])
		near(t, "f1 "+p, s.F1, 100*c.V1.F1[i])
		one = append(one, q)
		two = append(two, Answered{c.V2.Answers[i], c.V2.Predictions[i], c.V2.NoAnswer[i]})
	}
	s, err := QA1(one)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "exact", s.Exact, c.V1.ExactMatch)
	near(t, "f1", s.F1, c.V1.F1Score)
	for limit, want := range map[float64][2][]float64{c.V2.Limit: {c.V2.Exact, c.V2.F1}, math.Inf(1): {c.V2.PlainExact, c.V2.PlainF1}} {
		s, err := QA2(two, limit)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range []AnswerScores{s.AnswerScores, s.Has, s.HasNot} {
			near(t, "exact of part "+strconv.Itoa(i), part.Exact, want[0][i])
			near(t, "f1 of part "+strconv.Itoa(i), part.F1, want[1][i])
		}
		near(t, "best exact", s.BestExact.Score, c.V2.BestExact)
		near(t, "at", s.BestExact.At, c.V2.BestExactAt)
		near(t, "best f1", s.BestF1.Score, c.V2.BestF1)
		near(t, "at", s.BestF1.At, c.V2.BestF1At)
	}
}

func TestWindows(t *testing.T) {
	frame := Frame{[]int32{0}, []int32{1}, []int32{1}}
	for i, c := range golden[[]struct {
		Question, Context []int32
		Offsets           [][2]int
		Size, Stride      int
		Windows           []struct {
			IDs, Segments []int32
			Offsets       []*[2]int
		}
	}](t, "windows") {
		var spans []Span
		for _, o := range c.Offsets {
			spans = append(spans, Span{o[0], o[1]})
		}
		got, err := Windows(c.Question, c.Context, spans, frame, c.Size, c.Stride)
		if err != nil || len(got) != len(c.Windows) {
			t.Fatalf("case %d: %d windows %v, want %d", i, len(got), err, len(c.Windows))
		}
		for j, w := range got {
			want := c.Windows[j]
			if !reflect.DeepEqual(w.IDs, want.IDs) || !reflect.DeepEqual(w.Segments, want.Segments) {
				t.Errorf("case %d window %d: %v %v, want %v %v", i, j, w.IDs, w.Segments, want.IDs, want.Segments)
			}
			for row, o := range want.Offsets {
				in := row >= w.Context && row < w.Context+len(w.Spans)
				if in != (o != nil) || in && w.Spans[row-w.Context] != (Span{o[0], o[1]}) {
					t.Errorf("case %d window %d row %d: spans %v from %d, want %v", i, j, row, w.Spans, w.Context, o)
				}
			}
			// An answer of any two neighbouring tokens is found where both are, and row 0 stands for it elsewhere.
			for k := range len(spans) - 1 {
				answer := Span{spans[k].Start, spans[k+1].End}
				start, end := w.Label(answer)
				if inside := answer.Start >= w.Spans[0].Start && answer.End <= w.Spans[len(w.Spans)-1].End; !inside && (start != 0 || end != 0) {
					t.Errorf("case %d window %d: %v is outside and labelled %d to %d", i, j, answer, start, end)
				} else if inside && (w.Spans[start-w.Context].Start != answer.Start || w.Spans[end-w.Context].End != answer.End) {
					t.Errorf("case %d window %d: %v is labelled %d to %d", i, j, answer, start, end)
				}
			}
		}
	}
	for _, c := range [][2]int{{5, 0}, {8, 3}, {8, -1}} {
		if _, err := Windows(make([]int32, 3), make([]int32, 20), make([]Span, 20), frame, c[0], c[1]); err == nil {
			t.Errorf("size %d, stride %d is accepted", c[0], c[1])
		}
	}
}

func TestBestSpans(t *testing.T) {
	for i, c := range golden[[]struct {
		V2        bool
		NBest     int `json:"n_best"`
		Longest   int
		Threshold float64
		Context   string
		Features  []struct {
			Offsets    []*[2]int
			Start, End []float64
		}
		Texts         []string
		Probabilities []float64
		Answer        string
		Difference    float64
	}](t, "answers") {
		var windows []Window
		var start, end [][]float64
		for _, f := range c.Features {
			w := Window{IDs: make([]int32, len(f.Offsets))}
			for row, o := range f.Offsets {
				if o != nil {
					w.Spans = append(w.Spans, Span{o[0], o[1]})
					w.Context = row + 1 - len(w.Spans)
				}
			}
			windows, start, end = append(windows, w), append(start, f.Start), append(end, f.End)
		}
		answer, all, difference, err := BestSpans(windows, start, end, SpanOptions{c.NBest, c.Longest, c.V2, c.Threshold})
		if err != nil || len(all) != len(c.Texts) || c.Context[answer.Start:answer.End] != c.Answer {
			t.Fatalf("case %d: %q of %d %v, want %q of %d", i, c.Context[answer.Start:answer.End], len(all), err, c.Answer, len(c.Texts))
		}
		for j, x := range all {
			if got := c.Context[x.Span.Start:x.Span.End]; got != c.Texts[j] {
				t.Errorf("case %d, answer %d: %q, want %q", i, j, got, c.Texts[j])
			}
			near(t, "probability", x.Probability, c.Probabilities[j])
		}
		if c.V2 {
			near(t, "difference", difference, c.Difference)
		}
	}
}

// The lead of a text is its first sentences, which lines end too.
func TestLead(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{" One. Two! Three? Four.", 3, "One. Two! Three?"}, {"3.5 miles. And more", 1, "3.5 miles."}, {"A: hello\n\nB: yes.\nC: no", 2, "A: hello\n\nB: yes."},
		{"no end", 3, "no end"}, {"", 3, ""}, {"Ends here.", 1, "Ends here."},
	} {
		if got := Lead(c.text, c.n); got != c.want {
			t.Errorf("the first %d sentences of %q are %q", c.n, c.text, got)
		}
	}
}
