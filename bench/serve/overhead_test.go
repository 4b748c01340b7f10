package main

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestHistogram: counts of all models together, read from a page of metrics, and the parts that quantiles lie in.
func TestHistogram(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `# TYPE x histogram
x_bucket{model="a",le="0.001"} 5
x_bucket{model="a",le="0.002"} 9
x_bucket{model="a",le="+Inf"} 10
x_bucket{model="b",le="0.001"} 85
x_bucket{model="b",le="0.002"} 89
x_bucket{model="b",le="+Inf"} 90
x_sum{model="a"} 3
other_bucket{model="a",le="0.001"} 7
`)
	}))
	defer h.Close()
	counts, err := (&server{url: h.URL, client: h.Client()}).histogram("x")
	if err != nil || len(counts) != 3 || counts[0.001] != 90 || counts[0.002] != 98 || counts[math.Inf(1)] != 100 {
		t.Fatalf("%v %v", counts, err)
	}
	for q, want := range map[float64]float64{0.5: 0.001, 0.9: 0.001, 0.91: 0.002, 0.98: 0.002, 0.99: math.Inf(1)} {
		if got := within(counts, q); got != want {
			t.Errorf("quantile %v lies below %v, want %v", q, got, want)
		}
	}
}
