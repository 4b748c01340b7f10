package scaling

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/train"
)

// Files of a sweep's folder. Only TimesFile depends on the machine.
const (
	SweepFile   = "sweep.json"  // recipe and data
	ResultsFile = "runs.csv"    // a row per run that ended, smallest first
	TimesFile   = "timings.csv" // a row per run and process
	runsDir     = "runs"        // run directories of package train, each with outcomeFile
	outcomeFile = "outcome.json"
)

// kept is outcome.json. JSON has no NaN: the loss of a run that diverged is null.
type kept struct {
	Outcome
	Loss *float64 `json:"loss"`
}

func writeOutcome(dir string, o Outcome) error {
	k := kept{Outcome: o}
	if !math.IsNaN(o.Loss) {
		k.Loss = &o.Loss
	}
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, outcomeFile), append(b, '\n'), 0o644)
}

func readOutcome(dir string) (Outcome, error) {
	path := filepath.Join(dir, outcomeFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return Outcome{}, err
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", path, err)
	}
	k.Outcome.Loss = math.NaN()
	if k.Loss != nil {
		k.Outcome.Loss = *k.Loss
	}
	return k.Outcome, nil
}

// ReadSweep returns the runs that ended in the folder of a sweep, by FLOPs, then parameters.
func ReadSweep(dir string) ([]Outcome, error) {
	paths, err := filepath.Glob(filepath.Join(dir, runsDir, "*", outcomeFile))
	if err != nil {
		return nil, err
	}
	var list []Outcome
	for _, p := range paths {
		o, err := readOutcome(filepath.Dir(p))
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(a.C, b.C), cmp.Compare(a.N, b.N), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// writeResults writes runs.csv.
func (s *sweep) writeResults() error {
	list, err := ReadSweep(s.o.Out)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := WriteOutcomes(&b, list); err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(s.o.Out, ResultsFile), b.Bytes(), 0o644)
}

// Noise estimates, for each run, how far the choice of held-out text moves its loss against those of the other runs, as a standard error in
// nats. All runs are measured on the same text, so that most of StdErr is common to them: what counts is how unevenly a run's logarithmic
// losses on the pieces depart from the runs' mean. 0 where fewer than two runs have a loss.
func Noise(list []Outcome) []float64 {
	noise := make([]float64, len(list))
	var common []float64 // mean log loss of each piece
	runs := 0.0
	for _, o := range list {
		if !o.Diverged {
			runs++
			common = slices.Grow(common, pieces)[:pieces]
			for p, v := range o.Pieces {
				common[p] += math.Log(v)
			}
		}
	}
	for i, o := range list {
		if o.Diverged || runs < 2 {
			continue
		}
		rest := make([]float64, pieces)
		for p, v := range o.Pieces {
			rest[p] = math.Log(v) - common[p]/runs
		}
		_, e := meanError(rest)
		noise[i] = o.Loss * e
	}
	return noise
}

// WriteOutcomes writes a CSV for the fitter: a row per run. c is in FLOPs, loss in nats per token; a run that diverged has no loss.
func WriteOutcomes(out io.Writer, list []Outcome) error {
	w := csv.NewWriter(out)
	rows := [][]string{{"name", "n", "d", "c", "loss", "diverged", "loss_se", "noise", "bits_per_byte", "n_non_embedding", "layers", "width", "heads", "batch", "steps", "lr", "epochs", "reason"}}
	noise := Noise(list)
	f := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for i, o := range list {
		loss := ""
		if !o.Diverged {
			loss = f(o.Loss)
		}
		rows = append(rows, []string{o.Name, fmt.Sprint(o.N), fmt.Sprint(o.D), f(o.C), loss, fmt.Sprint(o.Diverged), f(o.StdErr), f(noise[i]), f(o.BitsPerByte),
			fmt.Sprint(o.NonEmbedding), fmt.Sprint(o.Layers), fmt.Sprint(o.Width), fmt.Sprint(o.Heads), fmt.Sprint(o.Batch), fmt.Sprint(o.Steps), f(o.LR), f(o.Epochs), o.Reason})
	}
	return w.WriteAll(rows)
}

// logTime adds a row to timings.csv, which is for planning: no result depends on it.
func (s *sweep) logTime(b Trial, r train.Result, threads int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times == nil {
		f, err := os.OpenFile(filepath.Join(s.o.Out, TimesFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		s.times = f
		if at, err := f.Seek(0, 2); err != nil {
			return err
		} else if at == 0 {
			if _, err := fmt.Fprintln(f, "name,steps_done,seconds,threads,flops_per_second"); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(s.times, "%s,%d,%.3f,%d,%.4g\n", b.Name, r.Steps, r.Seconds, threads, r.FLOPsPerSecond)
	return err
}
