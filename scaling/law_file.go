package scaling

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/plinth-ml/plinth/internal/file"
)

// lawFormat is LawFile.Format.
const lawFormat = "plinth-law/1"

// LawFile is a fitted law with what a plan needs of the fit, as JSON.
type LawFile struct {
	Format     string   `json:"format"`
	Law        Law      `json:"law"`
	Convention string   `json:"convention"` // of N: AllParams or NonEmbedding
	Runs       int      `json:"runs"`       // fitted
	Source     []string `json:"source"`     // where they came from
	N          Span     `json:"n"`          // what they cover: outside of it the law is a guess
	D          Span     `json:"d"`
	C          Span     `json:"c"`
	Objective  float64  `json:"objective"`
	Fit        Goodness `json:"fit"`
	Draws      []Law    `json:"draws,omitempty"` // of the bootstrap
}

// Span is the range of a number.
type Span struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

func spanOf(runs []Run, of func(Run) float64) Span {
	s := Span{math.Inf(1), math.Inf(-1)}
	for _, r := range runs {
		s.Min, s.Max = min(s.Min, of(r)), max(s.Max, of(r))
	}
	return s
}

// File is the fit as a LawFile. runs are those that were fitted.
func (f *Fitted) File(runs []Run, convention string, source []string) *LawFile {
	runs = Converged(runs)
	return &LawFile{Format: lawFormat, Law: f.Law, Convention: convention, Runs: f.Runs, Source: source, N: spanOf(runs, params), D: spanOf(runs, tokens),
		C: spanOf(runs, compute), Objective: f.Objective, Fit: f.Fit, Draws: f.Draws}
}

// Loss predicts the loss of N parameters after D tokens.
func (f *LawFile) Loss(N, D float64) float64 { return f.Law.Loss(N, D) }

// Optimum is what C FLOPs are best spent on.
func (f *LawFile) Optimum(C float64) (N, D float64) { return f.Law.Optimum(C) }

// LossInterval is the bootstrap interval of the predicted loss; without draws its numbers are NaN.
func (f *LawFile) LossInterval(N, D float64) Interval {
	return Over(f.Draws, func(l Law) float64 { return l.Loss(N, D) })
}

// OptimumInterval are the bootstrap intervals of the optimal N and D of a budget.
func (f *LawFile) OptimumInterval(C float64) (N, D Interval) {
	return Over(f.Draws, func(l Law) float64 { n, _ := l.Optimum(C); return n }), Over(f.Draws, func(l Law) float64 { _, d := l.Optimum(C); return d })
}

// Write writes the file, whole or not at all.
func (f *LawFile) Write(path string) error {
	return file.WriteAtomic(path, 0o644, func(w io.Writer) error { return json.NewEncoder(w).Encode(f) })
}

// ReadLaw reads a file that Write wrote.
func ReadLaw(path string) (*LawFile, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := decodeLaw(r)
	if err != nil {
		return nil, fmt.Errorf("%s is no law file: %w", path, err)
	}
	return f, nil
}

func decodeLaw(r io.Reader) (*LawFile, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var f LawFile
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	if f.Format != lawFormat {
		return nil, fmt.Errorf("format %q, want %q", f.Format, lawFormat)
	}
	if f.Convention != AllParams && f.Convention != NonEmbedding {
		return nil, fmt.Errorf("convention %q, want %q or %q", f.Convention, AllParams, NonEmbedding)
	}
	for i, l := range append([]Law{f.Law}, f.Draws...) {
		if !l.falls() || l.E < 0 {
			return nil, fmt.Errorf("law %d (0 is the fit, the others are draws), %v: the loss must fall with N and D, and E be at least 0", i, l)
		}
	}
	return &f, nil
}
