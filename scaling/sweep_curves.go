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
		path := filepath.Join(dir, runsDir, o.Name, train.MetricsFile)
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || o.Diverged {
			continue
		}
		if err != nil {
			return nil, err
		}
		var curve []Run
		var losses, logD, n, upTo float64
		line := 0
		for text := range bytes.Lines(b) {
			line++
			var e train.Event
			if err := json.Unmarshal(text, &e); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", path, line, err)
			}
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
