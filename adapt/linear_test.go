package adapt

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// features are n vectors in classes that overlap.
func features(n, dim, classes int, seed uint64) (x [][]float32, labels []int) {
	key := random.NewKey(seed)
	for i := range n {
		v := make([]float32, dim)
		c := i % classes
		for j := range v {
			v[j] = float32(key.Normal(uint64(i*dim+j)) + 1.2*random.NewKey(99, uint64(c)).Normal(uint64(j)))
		}
		x, labels = append(x, v), append(labels, c)
	}
	return x, labels
}

// FitOne is scikit-learn's LogisticRegression: weights, biases and probabilities.
func TestFitOneIsSklearns(t *testing.T) {
	x, labels := features(240, 12, 4, 1)
	held, _ := features(40, 12, 4, 2)
	for _, c := range []float64{1e-3, 0.316, 100} {
		var want struct {
			Weight        [][]float64
			Bias          []float64
			Probabilities [][]float64
		}
		testkit.Ask(t, "testdata/logistic.py", []string{"sklearn"}, map[string]any{"x": x, "labels": labels, "held": held, "c": c}, &want)
		l, err := FitOne(x, labels, 4, c)
		if err != nil {
			t.Fatal(err)
		}
		p := &Linear{Logistic: l, Labels: make([]string, 4)}
		mean := 0.0 // a constant in all biases changes nothing
		for k := range l.Bias {
			mean += (l.Bias[k] - want.Bias[k]) / 4
		}
		// The fit ends where the gradient is below 1e-7, which with a penalty of 1/(C n) leaves weights a little apart: at C = 100 3e-4 of the largest.
		top := 0.0
		for _, row := range append(want.Weight, want.Bias) {
			for _, v := range row {
				top = max(top, math.Abs(v))
			}
		}
		for k, row := range l.Weight {
			for j, w := range row {
				if math.Abs(w-want.Weight[k][j]) > 3e-4*top {
					t.Errorf("C %v: weight [%d, %d] is %v, want %v", c, k, j, w, want.Weight[k][j])
				}
			}
			if math.Abs(l.Bias[k]-mean-want.Bias[k]) > 3e-4*top {
				t.Errorf("C %v: bias %d is %v, want %v", c, k, l.Bias[k]-mean, want.Bias[k])
			}
		}
		for i, v := range held {
			for k, q := range p.Probabilities(v) {
				if math.Abs(q-want.Probabilities[i][k]) > 3e-4 {
					t.Errorf("C %v: row %d: class %d has %v, want %v", c, i, k, q, want.Probabilities[i][k])
				}
			}
		}
	}
}

// The best C is the one whose accuracy on the held rows is the highest, of equal ones that of the lowest loss; the sweep is what single fits are.
func TestSweepC(t *testing.T) {
	x, labels := features(60, 8, 3, 3)
	held, heldLabels := features(30, 8, 3, 4)
	cs := []float64{1e-4, 1e-2, 1, 1e4}
	best, trials, err := SweepC(x, labels, held, heldLabels, 3, cs)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cs {
		l, err := FitOne(x, labels, 3, c)
		if err != nil {
			t.Fatal(err)
		}
		right := 0.0
		for j, class := range l.predict(wide(held)) {
			if class == heldLabels[j] {
				right++
			}
		}
		if tr := trials[i]; tr.C != c || tr.Accuracy != right/30 || math.Abs(tr.Loss-l.loss(wide(held), heldLabels)) > 1e-9 || tr.Better(best) {
			t.Errorf("%+v of %v, the best is %+v", tr, c, best)
		}
	}
	for _, bad := range [][]float64{{0}, {-1}, {math.NaN()}, {math.Inf(1)}} {
		if _, _, err := SweepC(x, labels, held, heldLabels, 3, bad); err == nil {
			t.Errorf("C %v was fitted", bad)
		}
	}
	if _, _, err := SweepC(x, labels, held, []int{5}, 3, cs); err == nil {
		t.Error("a label that there is not was held")
	}
}

// A probe that is written reads as it was, and a damaged one is an error that names the file.
func TestLinearFolder(t *testing.T) {
	x, labels := features(40, 5, 3, 5)
	l, err := FitOne(x, labels, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &Linear{Model: "/models/clip", Mark: "mark", Labels: []string{"a", "b", "c"}, C: 1, Logistic: l}
	if IsLinear(dir) {
		t.Error("an empty folder is a probe's")
	}
	if err := p.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := OpenLinear(dir)
	if err != nil || !reflect.DeepEqual(got, p) || !IsLinear(dir) {
		t.Fatalf("%+v, %v; want %+v", got, err, p)
	}
	weights, err := os.ReadFile(filepath.Join(dir, probeWeights))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, text, want string
	}{
		{probeFile, "{", probeFile}, {probeFile, `{"labels":["a","b"]}`, "2 labels"}, {probeWeights, "junk", probeWeights},
		{probeWeights, strings.Replace(string(weights), `"bias"`, `"bais"`, 1), "bias"},
	} {
		path := filepath.Join(dir, c.file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLinear(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %.20q: %v", c.file, c.text, err)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
