package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/file"
)

// adaptReport is what adapt found; its JSON is OUT/report.json.
type adaptReport struct {
	Task      string           `json:"task"`
	Method    string           `json:"method"`
	Model     string           `json:"model"`
	Teacher   string           `json:"teacher,omitempty"`
	Labels    []string         `json:"labels,omitempty"`
	Examples  int              `json:"examples"`
	Windows   int              `json:"windows,omitempty"` // that the examples are trained in, where that is another number
	Cut       int              `json:"cut"`               // texts that lost their ends
	Params    int64            `json:"params"`
	Trained   int64            `json:"trained_params"`
	Steps     int              `json:"steps"`
	Seconds   float64          `json:"seconds"`
	LR        float64          `json:"lr"`
	Validated []adapt.Measured `json:"validated,omitempty"`
	Results   []taskScores     `json:"results"`
	Shift     []shift          `json:"shift,omitempty"`
	Curve     *curveReport     `json:"curve,omitempty"`
	Out       string           `json:"out"`
}

// String is the report as text.
func (r *adaptReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s: %d examples", r.Task, r.Method, r.Examples)
	if r.Windows > 0 {
		fmt.Fprintf(&b, " in %d windows", r.Windows)
	}
	if r.Labels != nil {
		fmt.Fprintf(&b, ", %d labels", len(r.Labels))
	}
	fmt.Fprintf(&b, ", %s of %s parameters trained, %d steps at learning rate %.2g in %.1f s\n", count(r.Trained), count(r.Params), r.Steps, r.LR, r.Seconds)
	b.WriteString(scoresText(r.Results))
	if r.Curve != nil {
		r.Curve.text(&b)
	}
	fmt.Fprintf(&b, "\nModel, report.json and predictions: %s\n", r.Out)
	return b.String()
}

// write writes report.json and the text.
func (r *adaptReport) write(dir, text string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := file.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, "report.txt"), []byte(text), 0o644)
}

// writeCSV writes a table, its head first.
func writeCSV(path string, rows [][]string) error {
	var b strings.Builder
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		return err
	}
	return file.WriteFile(path, []byte(b.String()), 0o644)
}
