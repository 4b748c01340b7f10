package scaling

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/train"
)

// Read reads runs from a CSV file, the folder of a sweep, a run directory of package train, or a folder of run directories. cols and skipBad
// are ReadCSV's.
func Read(path string, cols Columns, skipBad bool) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return ReadCSVFile(path, cols, skipBad)
	}
	if _, err := os.Stat(filepath.Join(path, ResultsFile)); err == nil {
		return ReadCSVFile(filepath.Join(path, ResultsFile), cols, skipBad)
	}
	dirs := []string{path}
	if _, err := os.Stat(filepath.Join(path, train.OptionsFile)); err != nil {
		found, err := filepath.Glob(filepath.Join(path, "*", train.OptionsFile))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s holds neither %s (a sweep) nor %s (a run), nor folders that do", path, ResultsFile, train.OptionsFile)
		}
		dirs = nil
		for _, f := range found {
			dirs = append(dirs, filepath.Dir(f))
		}
	}
	s := &Set{Convention: AllParams}
	for _, dir := range dirs {
		if err := s.addRun(dir); err != nil {
			return nil, err
		}
	}
	s.Notes = append(s.Notes, fmt.Sprintf("%s: %d run directories; N counts all parameters, C the products of forward and backward, attention included", path, len(dirs)))
	return s, nil
}

// addRun reads a run directory: its validations are a training curve, the one after the last step a finished run. A run that has not ended, or
// that held nothing out, is left out with a note.
func (s *Set) addRun(dir string) error {
	m, err := zoo.Describe(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, train.OptionsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var o train.Options
	if err := json.Unmarshal(b, &o); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if o.Steps < 1 || o.Batch < 1 || o.Seq < 1 {
		return fmt.Errorf("%s: steps %d, batch %d, seq %d: not of a run", path, o.Steps, o.Batch, o.Seq)
	}
	path = filepath.Join(dir, train.MetricsFile)
	b, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // not begun
	}
	if err != nil {
		return err
	}
	cost := m.Cost(o.Seq)
	var curve []Run
	var last *Run
	line := 0
	for text := range bytes.Lines(b) {
		line++
		var e train.Event
		if err := json.Unmarshal(text, &e); err != nil {
			if !bytes.HasSuffix(text, []byte("\n")) {
				break // the run is writing it now, or ended in it
			}
			return fmt.Errorf("%s: line %d: %w", path, line, err)
		}
		if e.Kind == "rewind" { // what came after the step is no more
			for len(curve) > 0 && curve[len(curve)-1].D > float64(e.Step)*float64(o.Batch)*float64(o.Seq) {
				curve = curve[:len(curve)-1]
			}
		}
		if !(e.ValLoss > 0) || e.Step < 1 {
			continue
		}
		D := float64(e.Step) * float64(o.Batch) * float64(o.Seq)
		r := Run{Name: dir, N: float64(cost.Params), D: D, C: cost.Train() * D, Loss: e.ValLoss}
		curve = append(curve, r)
		if e.Kind == "validation" && e.Step == o.Steps {
			last = &r
		}
	}
	s.Curves = append(s.Curves, curve...)
	switch {
	case last != nil:
		s.Runs = append(s.Runs, *last)
	case len(curve) > 0:
		s.Notes = append(s.Notes, fmt.Sprintf("%s: not finished (last validation after %g of %g tokens): only its curve is used", dir, curve[len(curve)-1].D,
			float64(o.Steps)*float64(o.Batch)*float64(o.Seq)))
	default:
		s.Notes = append(s.Notes, fmt.Sprintf("%s: no held-out loss: left out", dir))
	}
	return nil
}
