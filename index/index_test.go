package index

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/vec"
)

// cloud is n vectors around 50 centres, with some that are equal, some zero and lengths that differ.
func cloud(n, dim int, seed uint64) [][]float32 {
	key := random.NewKey(seed)
	vs := make([][]float32, n)
	for i := range vs {
		v := make([]float32, dim)
		centre := random.NewKey(9).At(uint64(i % 50))
		for j := range v {
			v[j] = float32((centre.Normal(uint64(j)) + 0.7*key.At(uint64(1e6)+uint64(i)).Normal(uint64(j))) * (1 + 0.1*float64(i%7)))
		}
		switch {
		case i%11 == 5:
			v = slices.Clone(vs[i-3])
		case i%97 == 3:
			clear(v)
		}
		vs[i] = v
	}
	return vs
}

func entries(vs [][]float32) []Entry {
	put := make([]Entry, len(vs))
	for i, v := range vs {
		put[i] = Entry{Key: fmt.Sprint("row ", i), Note: strings.Repeat("n", i%4), Vector: v}
	}
	return put
}

// saved is a new index of vectors, closed with the test.
func saved(t testing.TB, vs [][]float32, lists int) *Index {
	t.Helper()
	x, err := New(len(vs[0]), false)
	if err != nil {
		t.Fatal(err)
	}
	x.Lists = lists
	t.Cleanup(func() { x.Close() })
	if err := x.Save(filepath.Join(t.TempDir(), "x.index"), Change{Put: entries(vs)}); err != nil {
		t.Fatal(err)
	}
	return x
}

// brute is the answer by definition.
func brute(x *Index, q []float32, k int) []Hit {
	hits := make([]Hit, x.Len())
	for i := range hits {
		hits[i] = Hit{Row: i, Key: x.Key(i), Score: vec.Dot(q, x.Vector(i))}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	return hits[:min(k, len(hits))]
}

// An exact search gives the rows and the bits of the pass over all vectors, for every variant, length, count and k, ties included.
func TestSearchIsExact(t *testing.T) {
	for _, c := range []struct{ n, dim int }{{1, 1}, {7, 3}, {300, 64}, {1000, 65}, {5000, 40}, {9000, 512}} {
		vs := cloud(c.n, c.dim, uint64(c.n))
		x := saved(t, vs, -1)
		queries := append(cloud(12, c.dim, 77), vs[0], vs[c.n/2], make([]float32, c.dim))
		for _, k := range []int{1, 10, 100, c.n + 5} {
			for _, kernel := range quant.Variants() {
				if x.kernel = kernel; kernel.Name() == "go" && c.n > 1000 && k > 10 {
					continue
				}
				got, err := x.Search(queries, k)
				if err != nil {
					t.Fatal(err)
				}
				for i, q := range queries {
					if want := brute(x, q, k); !slices.Equal(got[i], want) {
						t.Fatalf("%s: %d x %d: query %d: the best %d are %v, want %v", kernel.Name(), c.n, c.dim, i, k, got[i][:min(5, k, c.n)], want[:min(5, k, c.n)])
					}
				}
				alone, err := x.Search(queries[2:3], k)
				if err != nil || !slices.Equal(alone[0], got[2]) {
					t.Fatalf("a query alone gives %v (%v), want %v", alone, err, got[2])
				}
			}
		}
	}
}

// The score by codes is never further from the float32 score than the bound says, and the bound is not idle: it is within a factor of the worst case met.
func TestBounds(t *testing.T) {
	for _, dim := range []int{1, 8, 512, 3000} {
		vs := cloud(200, dim, uint64(dim))
		x := saved(t, vs, -1)
		worst := 0.0
		for _, v := range append(cloud(20, dim, 5), vs[:20]...) {
			n, err := norm(v, dim)
			if err != nil {
				t.Fatal(err)
			}
			var q quant.ScanQuery
			q.Set(v)
			sums := make([]float32, x.Len())
			x.kernel.Scan(sums, x.codes, &q)
			for i, sum := range sums {
				off := math.Abs(float64(sum*q.Scale*x.scales[i]) - float64(vec.Dot(v, x.Vector(i))))
				bound := n * float64(x.bounds[i])
				if off > bound {
					t.Errorf("dim %d: row %d is off by %v, the bound is %v", dim, i, off, bound)
				}
				if bound > 0 {
					worst = max(worst, off/bound)
				}
			}
		}
		if dim > 1 && worst < 1/(10*math.Sqrt(float64(dim))) {
			t.Errorf("dim %d: the largest error is %v of its bound", dim, worst)
		}
	}
}

// Rows are added, replaced and deleted, and what is not touched stays; the file read again says the same.
func TestSave(t *testing.T) {
	vs := cloud(500, 20, 3)
	for _, lists := range []int{-1, 9} {
		path := filepath.Join(t.TempDir(), "x.index")
		x, err := New(20, false)
		if err != nil {
			t.Fatal(err)
		}
		x.Lists, x.Note = lists, "made by a test"
		want := map[string]Entry{}
		save := func(c Change) {
			t.Helper()
			if err := x.Save(path, c); err != nil {
				t.Fatal(err)
			}
			for _, key := range c.Delete {
				delete(want, key)
			}
			for _, e := range c.Put {
				want[e.Key] = e
			}
			y, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer y.Close()
			for _, z := range []*Index{x, y} {
				if z.Len() != len(want) || z.Note != "made by a test" {
					t.Fatalf("%d rows, note %q; want %d", z.Len(), z.Note, len(want))
				}
				for i := range z.Len() {
					if e, ok := want[z.Key(i)]; !ok || e.Note != z.NoteOf(i) || !slices.Equal(e.Vector, z.Vector(i)) {
						t.Fatalf("row %d: %q, %q, %v; want %v", i, z.Key(i), z.NoteOf(i), z.Vector(i), e)
					}
				}
				got, err := z.Near([][]float32{vs[1]}, 10, 1000)
				if err != nil {
					t.Fatal(err)
				}
				if want := brute(z, vs[1], 10); !slices.Equal(got[0], want) {
					t.Fatalf("the best are %v, want %v", got[0], want)
				}
			}
		}
		save(Change{})
		save(Change{Put: entries(vs[:100])})
		save(Change{Put: entries(vs[:100])[40:45], Delete: []string{"row 7", "row 99", "row 41"}})
		save(Change{Put: []Entry{{Key: "row 8", Note: "other", Vector: vs[300]}, {Key: "new", Vector: vs[301]}, {Key: "new", Vector: vs[302]}}})
		save(Change{Put: entries(vs)})
		if lists > 0 {
			if n, probe := x.ListCount(); n != lists || probe < 1 || probe > lists {
				t.Errorf("%d lists, %d searched", n, probe)
			}
		}
		var all []string
		for key := range want {
			all = append(all, key)
		}
		save(Change{Delete: all})
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A change that cannot be made leaves the file and the index alone, and the error names the key.
func TestSaveErrors(t *testing.T) {
	vs := cloud(20, 4, 1)
	x := saved(t, vs, -1)
	path := x.path
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inf := float32(math.Inf(1))
	for want, c := range map[string]Change{
		`no key "x"`:             {Delete: []string{"x"}},
		`"row 3"`:                {Delete: []string{"row 3", "row 3"}},
		`key "bad": 3 numbers`:   {Put: []Entry{{Key: "bad", Vector: make([]float32, 3)}}},
		`key "bad": its length`:  {Put: []Entry{{Key: "bad", Vector: []float32{1, inf, 0, 0}}}},
		`key "tiny": its length`: {Put: []Entry{{Key: "tiny", Vector: []float32{1e-20, 0, 0, 0}}}},
	} {
		if err := x.Save(path, c); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v: error %v, want %s", c, err, want)
		}
	}
	if err := x.Save(filepath.Join(path, "below", "a file"), Change{}); err == nil {
		t.Error("a file was saved below a file")
	}
	after, err := os.ReadFile(path)
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the file changed (%v)", err)
	}
	if got, err := x.Search(vs[:1], 1); err != nil || len(got[0]) != 1 {
		t.Errorf("after the errors a search gives %v, %v", got, err)
	}
	for _, q := range [][]float32{{1}, {inf, 0, 0, 0}, {float32(math.NaN()), 0, 0, 0}} {
		if _, err := x.Search([][]float32{vs[0], q}, 1); err == nil || !strings.Contains(err.Error(), "query 1") {
			t.Errorf("query %v: error %v", q, err)
		}
	}
	if _, err := x.Search(vs[:1], 0); err == nil {
		t.Error("0 hits were searched")
	}
}

// With cosine the lengths of vectors and queries do not matter, and a vector of none is refused.
func TestCosine(t *testing.T) {
	x, err := New(3, true)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	path := filepath.Join(t.TempDir(), "x.index")
	if err := x.Save(path, Change{Put: []Entry{{Key: "a", Vector: []float32{100, 100, 0}}, {Key: "b", Vector: []float32{0, 0.1, 0}}}}); err != nil {
		t.Fatal(err)
	}
	got, err := x.Search([][]float32{{0, 7, 0}}, 2)
	if err != nil || got[0][0].Key != "b" || got[0][0].Score != 1 || math.Abs(float64(got[0][1].Score)-math.Sqrt2/2) > 1e-6 {
		t.Errorf("%v, %v", got, err)
	}
	if err := x.Save(path, Change{Put: []Entry{{Key: "none", Vector: make([]float32, 3)}}}); err == nil || !strings.Contains(err.Error(), `"none"`) {
		t.Errorf("a zero vector gives %v", err)
	}
}

// Lists keep what they were calibrated for on new queries, going through few of the rows; all lists together are an exact search.
func TestNear(t *testing.T) {
	vs := cloud(22000, 32, 8)
	stored, queries := vs[:20000], vs[20000:20200]
	x := saved(t, stored, 100)
	lists, probe := x.ListCount()
	if lists != 100 || probe > 20 {
		t.Fatalf("%d of %d lists are searched", probe, lists)
	}
	near, err := x.Near(queries, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	exact, err := x.Search(queries, 10)
	if err != nil {
		t.Fatal(err)
	}
	found, wanted := 0, 0
	for i := range queries {
		for _, h := range exact[i] {
			wanted++
			if slices.Contains(near[i], h) {
				found++
			}
		}
	}
	if recall := float64(found) / float64(wanted); recall < 0.95 {
		t.Errorf("recall %.3f with %d of %d lists", recall, probe, lists)
	}
	all, err := x.Near(queries, 10, lists)
	if err != nil {
		t.Fatal(err)
	}
	most, err := x.Near(queries[:10], len(stored), lists-1)
	if err != nil {
		t.Fatal(err)
	}
	for i, hits := range most {
		if len(hits) >= len(stored) {
			t.Errorf("query %d: all rows are in %d of %d lists", i, lists-1, lists)
		}
	}
	for i := range all {
		if !slices.Equal(all[i], exact[i]) {
			t.Fatalf("query %d: all lists give %v, want %v", i, all[i], exact[i])
		}
	}
}

// The file is the same whatever the threads, and so is the answer.
func TestThreads(t *testing.T) {
	vs := cloud(3000, 24, 2)
	var files [][]byte
	for _, threads := range []int{1, 3} {
		x, err := New(24, false)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		x.Threads, x.Lists = threads, 20
		path := filepath.Join(t.TempDir(), "x.index")
		if err := x.Save(path, Change{Put: entries(vs)}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !slices.Equal(files[0], files[1]) {
		t.Error("files of one and three threads differ")
	}
}
