package scaling

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestReadCSV(t *testing.T) {
	for _, c := range []struct {
		name, text string
		cols       Columns
		want       Run // the second
		note       string
	}{
		{"all", "name,n,d,c,loss\na,1,2,12,5\nb,2,3,40,4\n", Columns{}, Run{Name: "b", N: 2, D: 3, C: 40, Loss: 4}, `C is column "c"`},
		{"no C", "N,D,Loss\n1,2,5\n2,3,4\n", Columns{}, Run{N: 2, D: 3, C: 36, Loss: 4}, "C is 6ND"},
		{"no D", "x,Model Size,Training FLOP,loss\n0,1,12,5\n0,2,36,4\n", Columns{}, Run{N: 2, D: 3, C: 36, Loss: 4}, "D is C/6N"},
		{"no N", "tokens;flops;val_loss\n2;12;5\n3;36;4\n", Columns{}, Run{N: 2, D: 3, C: 36, Loss: 4}, "N is C/6D"},
		{"given", "\ufeffsize\tseen\tppl\tnats\n1\t2\t0\t5\n2\t3\t0\t4\n", Columns{N: "size", D: "Seen", Loss: "nats"}, Run{N: 2, D: 3, C: 36, Loss: 4}, `loss is column "nats"`},
		{"quoted", "n,d,loss\n1,2,5\n\"2\", 3 ,4e0\n", Columns{}, Run{N: 2, D: 3, C: 36, Loss: 4}, ""},
	} {
		s, err := ReadCSV(strings.NewReader(c.text), "x.csv", c.cols, false)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(s.Runs) != 2 || s.Runs[1] != c.want || !strings.Contains(strings.Join(s.Notes, "\n"), c.note) || s.Convention != AllParams {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	s, err := ReadCSV(strings.NewReader("N_no_emb,d,loss,diverged\n1,2,NaN,true\n1,3,,1\n1,2,3,false\n"), "x.csv", Columns{}, false)
	if err != nil || len(s.Runs) != 3 || !s.Runs[1].Diverged || s.Runs[2].Diverged || s.Convention != NonEmbedding || len(Converged(s.Runs)) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestReadCSVErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "x.csv: empty"},
		{"n,d\n1,2\n", "no column of loss"},
		{"n,loss\n1,2\n", "d and none of c"},
		{"loss\n1\n", "n and none of d"},
		{"n,d,loss\n", "x.csv: no run"},
		{"n,d,loss\n1,2,3\n1,two,3\n", `x.csv: line 3: column d: "two" is no number`},
		{"n,d,loss\n1,2,NaN\n", "line 2: column loss: NaN is not positive and finite"},
		{"n,d,loss\n1,2,+Inf\n", "line 2: column loss: +Inf is not positive and finite"},
		{"n,d,loss\n1,2,1e999\n", "line 2: column loss: 1e999 is not positive"},
		{"n,c,loss\n\n1,0,3\n", "line 3: column c: 0 is not positive"},
		{"n,d,loss\n-1,2,3\n", "column n: -1 is not positive"},
		{"n,d,loss\n1,,3\n", "column d is empty"},
		{"n,d,loss\n1,2\n", "line 2"},
		{"n,d,loss\n1,\"2,3\n", "line 2"},
		{"n,d,loss,diverged\n1,2,3,maybe\n", `column diverged: "maybe"`},
		{"n,c,loss\n1e300,1e-300,3\n", "do not fit C = 6ND"},
	} {
		if _, err := ReadCSV(strings.NewReader(c.text), "x.csv", Columns{}, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := ReadCSV(strings.NewReader("n,d,loss\n1,2,3\n"), "x.csv", Columns{Loss: "ppl"}, false); err == nil || !strings.Contains(err.Error(), `no column "ppl" for loss; the columns are: "n", "d", "loss"`) {
		t.Errorf("%v", err)
	}
	s, err := ReadCSV(strings.NewReader("n,d,loss\n1,2,nan\n1,2,3\n1,x,3\n"), "x.csv", Columns{}, true)
	if err != nil || len(s.Runs) != 1 || !strings.Contains(s.Notes[1], "2 bad rows left out, the first: x.csv: line 2") {
		t.Errorf("%v, %+v", err, s)
	}
	if _, err := ReadCSV(strings.NewReader("n,d,loss\n1,2,nan\n"), "x.csv", Columns{}, true); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("only bad rows: %v", err)
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("n,d,c,loss,name,diverged\n1,2,12,5,a,no\n1,2,12,,b,yes\n", true)
	f.Add("\ufeffModel Size;Training FLOP;loss\n1;12;3\n", false)
	f.Fuzz(func(t *testing.T, text string, skipBad bool) {
		s, err := ReadCSV(strings.NewReader(text), "x.csv", Columns{}, skipBad)
		if err != nil {
			return
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		w.Write([]string{"name", "n", "d", "c", "loss", "diverged"})
		for _, r := range s.Runs {
			if !(r.N > 0 && r.D > 0 && r.C > 0) || !r.Diverged && !(r.Loss > 0) {
				t.Fatalf("%q gives %+v", text, r)
			}
			f := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
			w.Write([]string{r.Name, f(r.N), f(r.D), f(r.C), f(r.Loss), fmt.Sprint(r.Diverged)})
		}
		w.Flush()
		again, err := ReadCSV(strings.NewReader(b.String()), "x.csv", Columns{}, false)
		if err != nil {
			t.Fatalf("%q, written as %q: %v", text, b.String(), err)
		}
		same := slices.EqualFunc(s.Runs, again.Runs, func(a, b Run) bool {
			if math.IsNaN(a.Loss) && math.IsNaN(b.Loss) {
				a.Loss, b.Loss = 0, 0
			}
			return a == b
		})
		if !same {
			t.Fatalf("%v comes back as %v", s.Runs, again.Runs)
		}
	})
}

// A run directory as train writes it, with a rewind and a line that was cut short.
func TestReadRunDirectory(t *testing.T) {
	dir := t.TempDir()
	put := func(run, name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, run), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, run, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const config = `{"model_type":"gpt2","vocab_size":100,"n_positions":16,"n_embd":8,"n_layer":2,"n_head":2}`
	const options = `{"steps":10,"batch":2,"seq":16}`
	for _, run := range []string{"done", "part", "blind"} {
		put(run, "config.json", config)
		put(run, "train.json", options)
	}
	put("done", "metrics.jsonl", `{"step":1,"loss":5}
{"step":4,"val_loss":4.5}
{"step":6,"val_loss":9}
{"event":"rewind","step":5,"from":7,"rewinds":1}
{"step":8,"val_loss":4.25,"rewinds":1}
{"event":"validation","step":10,"val_loss":4,"rewinds":1}
`)
	put("part", "metrics.jsonl", `{"step":4,"val_loss":4.5}`+"\n"+`{"step":5,"val_`)
	put("blind", "metrics.jsonl", `{"step":10,"loss":4}`+"\n")
	s, err := Read(dir, Columns{}, false)
	if err != nil {
		t.Fatal(err)
	}
	// 2 blocks of 12 C² + 13 C, embeddings of 100 + 16 rows, the final norm.
	const n = 2*(12*64+13*8) + 116*8 + 16
	if len(s.Runs) != 1 || s.Runs[0].N != n || s.Runs[0].D != 320 || s.Runs[0].Loss != 4 || !(s.Runs[0].C > 6*(n-116*8)*320) || s.Convention != AllParams {
		t.Errorf("runs %+v", s.Runs)
	}
	if l := column(s.Curves, loss); !slices.Equal(l, []float64{4.5, 4.25, 4, 4.5}) {
		t.Errorf("curves %v", l)
	}
	notes := strings.Join(s.Notes, "\n")
	for _, want := range []string{"part: not finished (last validation after 128 of 320 tokens)", "blind: no held-out loss", "3 run directories"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q lack %q", notes, want)
		}
	}
	put("done", "metrics.jsonl", "{\n")
	if _, err := Read(filepath.Join(dir, "done"), Columns{}, false); err == nil || !strings.Contains(err.Error(), "metrics.jsonl: line 1") {
		t.Errorf("broken metrics: %v", err)
	}
	put("done", "train.json", `{}`)
	if _, err := Read(filepath.Join(dir, "done"), Columns{}, false); err == nil || !strings.Contains(err.Error(), "train.json") {
		t.Errorf("no steps: %v", err)
	}
	put("sweep", "runs.csv", "n,d,loss\n1,2,3\n")
	if s, err := Read(filepath.Join(dir, "sweep"), Columns{}, false); err != nil || len(s.Runs) != 1 {
		t.Errorf("sweep: %v", err)
	}
	if _, err := Read(t.TempDir(), Columns{}, false); err == nil || !strings.Contains(err.Error(), "holds neither") {
		t.Errorf("empty folder: %v", err)
	}
}

func TestDropHighest(t *testing.T) {
	runs := []Run{{Loss: 1}, {Loss: 5}, {Loss: math.NaN(), Diverged: true}, {Loss: 3}, {Loss: 4}}
	if l := column(DropHighest(runs, 2), loss); !slices.Equal(l, []float64{1, 3}) {
		t.Errorf("%v", l)
	}
	if got := DropHighest(runs, 9); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestSetAdd(t *testing.T) {
	var s Set
	if err := s.Add(&Set{Runs: make([]Run, 2), Convention: NonEmbedding, Notes: []string{"x"}}); err != nil || len(s.Runs) != 2 || s.Convention != NonEmbedding {
		t.Errorf("%v, %+v", err, s)
	}
	if err := s.Add(&Set{Runs: make([]Run, 2), Convention: AllParams}); err == nil {
		t.Error("two conventions mix")
	}
}
