package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// pointBreaker ends a context when the n-th point of a curve is told, and keeps what is written.
type pointBreaker struct {
	strings.Builder
	n    int
	stop context.CancelCauseFunc
}

func (s *pointBreaker) Write(b []byte) (int, error) {
	if s.n -= strings.Count(string(b), "labels per class,"); s.n == 0 {
		s.stop(interrupted{os.Interrupt})
	}
	return s.Builder.Write(b)
}

// A curve that Ctrl-C ended goes on with the points that were finished, and is that of a run without interruption; other settings begin again.
func TestAdaptCurveResumed(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 60, "good", "bad")
	run := func(out string) []string {
		return args("adapt --task classify --model base --data train.csv --validation 0.2 --steps 2 --curve 2,4 --curve-draws 2 --curve-steps 3 --curve-rates 1e-3,5e-3 --curve-of bag,full,probe --out " + out)
	}
	whole := object(t, run("whole")...)
	ctx, stop := context.WithCancelCause(t.Context())
	var c cli
	errs, out := &pointBreaker{n: 2, stop: stop}, &strings.Builder{}
	c.out, c.err = out, errs
	if code := c.run(ctx, run("parts")); code != exitInterrupted+2 || !strings.Contains(errs.String(), "2 finished points of the learning curve; go on with the same command and --resume") {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	// A point that is told from the others shows that it is not trained again.
	var kept keptCurve
	if err := json.Unmarshal([]byte(read(t, "parts/curve.json")), &kept); err != nil || len(kept.Points) != 2 {
		t.Fatalf("%v, %v", kept, err)
	}
	kept.Points[1].Spread = 0.125
	edited, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "parts/curve.json", string(edited))
	code, text, told := plinth(append(run("parts"), "--resume", "--json")...)
	if code != 0 || !strings.Contains(told, "2 points of the learning curve are there already") || strings.Count(told, "labels per class,") != 4 {
		t.Fatalf("%d: %s", code, told)
	}
	var parts map[string]any
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		t.Fatal(err)
	}
	a, b := whole["curve"].(map[string]any)["points"].([]any), parts["curve"].(map[string]any)["points"].([]any)
	if spread := b[1].(map[string]any)["spread"]; spread != 0.125 {
		t.Errorf("spread %v is not that of the file", spread)
	}
	b[1].(map[string]any)["spread"] = a[1].(map[string]any)["spread"]
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("%v, without interruption %v", b, a)
	}
	if _, _, told := plinth(append(run("parts"), "--resume", "--curve-steps", "4")...); strings.Contains(told, "there already") || strings.Count(told, "labels per class,") != 6 {
		t.Errorf("other steps: %s", told)
	}
}
