package scaling

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/train"
)

// curvePoints bounds the points of a training curve.
const curvePoints = 30

// TrainingCurves returns the training losses of the runs that ended in the folder of a sweep, each averaged over about 30 stretches that are equally
// long in log D, for figures. They are of training text under a learning rate that has not decayed yet: no fit should take them.
func TrainingCurves(dir string) ([][]Run, error) {
	list, err := ReadSweep(dir)
	if err != nil {
		return nil, err
	}
	var curves [][]Run
	for _, o := range list {
		events, err := readEvents(filepath.Join(dir, runsDir, o.Name, train.MetricsFile))
		if errors.Is(err, fs.ErrNotExist) || o.Diverged {
			continue
		}
		if err != nil {
			return nil, err
		}
		var curve []Run
		var losses, logD, n, upTo float64
		for _, e := range events {
			if e.Kind != "" || e.Tokens == 0 || e.Step < o.Steps/100 {
				continue
			}
			d := float64(e.Tokens)
			losses, logD, n = losses+e.Loss, logD+math.Log(d), n+1
			if d < upTo && e.Step < o.Steps {
				continue
			}
			d = math.Exp(logD / n)
			curve = append(curve, Run{Name: o.Name, N: float64(o.N), D: d, C: o.C / float64(o.D) * d, Loss: losses / n})
			losses, logD, n = 0, 0, 0
			upTo = float64(e.Tokens) * math.Pow(100, 1.0/curvePoints)
		}
		curves = append(curves, curve)
	}
	return curves, nil
}

// readEvents reads the metrics of a run that ended.
func readEvents(path string) ([]train.Event, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []train.Event
	for text := range bytes.Lines(b) {
		var e train.Event
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(list)+1, err)
		}
		list = append(list, e)
	}
	return list, nil
}

// worstLoss is the largest training loss that a run logged, whatever interruptions it had.
func worstLoss(dir string) (float64, error) {
	events, err := readEvents(filepath.Join(dir, train.MetricsFile))
	worst := 0.0
	for _, e := range events {
		worst = max(worst, e.Loss)
	}
	return worst, err
}
