package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/file"
)

// curveFile is where the finished points of a learning curve stand, in OUT.
const curveFile = "curve.json"

// keptCurve is the finished points of a curve, for a run that goes on.
type keptCurve struct {
	Settings string       `json:"settings"` // what all points depend on
	Points   []curvePoint `json:"points"`
	path     string
}

// openCurve reads the points of an interrupted run where there are some of the same settings and resume says that they are wanted.
func openCurve(path, settings string, resume bool) (*keptCurve, error) {
	fresh := &keptCurve{Settings: settings, path: path}
	if !resume {
		return fresh, nil
	}
	b, err := file.Read(path, maxText)
	if errors.Is(err, os.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return nil, err
	}
	k := &keptCurve{path: path}
	if err := json.Unmarshal(b, k); err != nil {
		return nil, fmt.Errorf("%s: %w: delete it, and the curve begins again", path, err)
	}
	if k.Settings != settings {
		return fresh, nil
	}
	return k, nil
}

// find returns the point of a method and a number of labels.
func (k *keptCurve) find(method string, labels int) (curvePoint, bool) {
	at := slices.IndexFunc(k.Points, func(p curvePoint) bool { return p.Method == method && p.Labels == labels })
	if at < 0 {
		return curvePoint{}, false
	}
	return k.Points[at], true
}

// add keeps a point.
func (k *keptCurve) add(p curvePoint) error {
	k.Points = append(k.Points, p)
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return file.WriteFile(k.path, append(b, '\n'), 0o644)
}

// settings are a digest of all that a point depends on beside its method and number of labels: flags, tokens and labels of the examples. The model is told by
// its path.
func (u *curve) settings() string {
	h := sha256.New()
	fmt.Fprintln(h, u.path, u.c.Seed, u.CurveDraws, u.CurveSteps, u.report.Rates, u.Batch, u.Pool, u.Head, u.LayerDecay, u.Rank, u.Alpha, u.Dropout, u.Targets, u.DoRA, u.RSLoRA, u.labels)
	for _, set := range [][]adapt.Example{u.trainRows, u.validRows, u.tests} {
		fmt.Fprintln(h, len(set))
		for _, e := range set {
			fmt.Fprintln(h, e.IDs, e.Segments, e.Label)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
