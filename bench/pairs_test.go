package bench

import (
	"os/exec"
	"strings"
	"testing"
)

func TestRatioOfPairs(t *testing.T) {
	var p Pairs
	for _, s := range [][2]float64{{1, 2}, {2, 6}, {1, 1}, {1, 4}, {2, 10}} { // ratios 2 3 1 4 5
		p.Add(s[0], s[1])
	}
	if low, median, high := p.Ratio(); low != 2 || median != 3 || high != 4 {
		t.Fatalf("quartiles %v %v %v, want 2 3 4", low, median, high)
	}
	if q := Quantile([]float64{4, 1}, 0.5); q != 2.5 {
		t.Fatalf("median of 4 and 1 is %v", q)
	}
}

func TestStealSince(t *testing.T) {
	if got := (Steal{Stolen: 30, Total: 200}).Since(Steal{Stolen: 10, Total: 100}); got != 0.2 {
		t.Fatalf("share %v, want 0.2", got)
	}
	if got := (Steal{}).Since(Steal{}); got != 0 {
		t.Fatalf("share %v of no time", got)
	}
}

func TestPeerAnswers(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err) // Windows
	}
	var hello struct{ Y int }
	p, err := Start(&hello, sh, "-c", `echo '{"ready":true,"y":5}'; while read a b; do echo "{\"x\":$b}"; done; echo '{"x":9}'`)
	if err != nil || hello.Y != 5 {
		t.Fatalf("first line %d, %v", hello.Y, err)
	}
	var got struct{ X int }
	if err := p.Ask("go 7", &got); err != nil || got.X != 7 {
		t.Fatalf("answer %d, %v", got.X, err)
	}
	if err := p.Close(&got); err != nil || got.X != 9 {
		t.Fatalf("last line %d, %v", got.X, err)
	}
	for first, want := range map[string]string{`{"ready":false}`: "ready", "hello": "invalid character", `{"ready":true,"y":"z"}`: "cannot unmarshal"} {
		if _, err := Start(&hello, sh, "-c", "echo '"+first+"'"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("first line %s: error %v, want %q", first, err, want)
		}
	}
}

func TestLosses(t *testing.T) {
	if got := Losses([][]float32{{1, 0}, {0, 2}, {3, 4}}, [][]float32{{2, 0}, {1, 0}, {3, 4}}); got != "3.3e-01 on average, at most 1.0e+00" {
		t.Error(got)
	}
}
