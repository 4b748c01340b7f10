package train

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/internal/testkit"
)

const childDir = "PLINTH_TRAIN_CHILD" // the run directory of a child process of TestKilled

func TestMain(m *testing.M) {
	testkit.OneProcessor()
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killRun is a run with a rewind in it that saves at every step, with its source.
func killRun(dir string) (words, Options) {
	src := tiny.source()
	src.poison = func(step int) bool { return step >= 57 && step < 60 }
	return src, Options{Steps: 120, Batch: 4, LR: 1e-2, SaveEvery: 1, RunDir: dir, Resume: true, SpikeWindow: 16, RewindSteps: 5, SkipBatches: 12}
}

// child trains, and says each step.
func child(dir string) error {
	src, o := killRun(dir)
	m, err := tiny.build()
	if err != nil {
		return err
	}
	l, err := New(m, kernels(), src, o, Hooks{Progress: func(e Event) { fmt.Println(e.Step, e.Kind) }})
	if err != nil {
		return err
	}
	_, err = l.Run(context.Background())
	return err
}

// A run that is killed again and again, at any moment, ends with the bits of one that was not.
func TestKilled(t *testing.T) {
	src, o := killRun(tempDir(t))
	rewound := false
	whole := loop(t, src, o, Hooks{Progress: func(e Event) { rewound = rewound || e.Kind == "rewind" }})
	if _, err := whole.Run(t.Context()); err != nil || !rewound {
		t.Fatal(rewound, err)
	}
	check := func(dir string) {
		o.RunDir = dir
		last := loop(t, src, o, Hooks{})
		if _, err := last.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if digest(last) != digest(whole) || last.pos.Step != whole.pos.Step || last.pos.DataOffset != whole.pos.DataOffset {
			t.Errorf("killed, the run ends with other bits")
		}
		if left, _ := filepath.Glob(filepath.Join(dir, StateDir, "*.tmp-*")); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
		a, b := metricsOf(t, dir), metricsOf(t, whole.o.RunDir)
		if a != b {
			t.Errorf("metrics differ:\n%s\nwant\n%s", a, b)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	rng := rand.New(rand.NewPCG(1, 2))
	inSave, done := 0, 0
	for done < kills {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		steps := 1 + rng.IntN(max(3, 600/kills))
		for range steps {
			lines.Scan()
		}
		time.Sleep(time.Duration(rng.IntN(400)) * time.Microsecond)
		cmd.Process.Kill()
		for lines.Scan() { // what it said before it died
		}
		if err := cmd.Wait(); err == nil {
			check(dir) // finished before the kill: begin anew, with the next random moments
			dir = tempDir(t)
			continue
		} else if cmd.ProcessState.Exited() {
			t.Fatalf("the child failed by itself after %d kills: %v", done, err)
		}
		done++
		left, _ := filepath.Glob(filepath.Join(dir, StateDir, "*.tmp-*"))
		inSave += len(left)
	}
	check(dir)
	t.Logf("%d kills, %d of them inside a save", kills, inSave)
}

// metricsOf is metrics.jsonl without what depends on time.
func metricsOf(t *testing.T, dir string) string {
	t.Helper()
	_, lines, err := readMetrics(filepath.Join(dir, MetricsFile), 1<<30, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range lines {
		e.TokensPerSecond, e.FLOPsPerSecond = 0, 0
		fmt.Fprintf(&b, "%+v\n", e)
	}
	return b.String()
}
