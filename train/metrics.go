package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/plinth-ml/plinth/internal/file"
)

// Event is a line of metrics.jsonl and what Progress is told. Times and speeds stand only here, never in a checkpoint.
type Event struct {
	// Kind is empty for a step, "validation" for the one after the last step, "rewind" after a spike (Step is then where the run goes on,
	// From where it came from), "alarm" where an objective saw for long that nothing is learnt. "resume", "save", "damaged" and "note" are told to Progress only.
	Kind            string             `json:"event,omitempty"`
	Step            int                `json:"step"` // optimiser steps done
	Steps           int                `json:"-"`    // of the whole run
	Rewinds         int                `json:"rewinds,omitempty"`
	Loss            float64            `json:"loss,omitempty"`
	Terms           map[string]float64 `json:"terms,omitempty"`    // of the loss, where it has several
	Measures        map[string]float64 `json:"measures,omitempty"` // of the objective, and what else a validation found
	LR              float64            `json:"lr,omitempty"`
	GradNorm        float64            `json:"grad_norm,omitempty"` // before clipping
	Tokens          int64              `json:"tokens,omitempty"`    // since the beginning of the run
	TokensPerSecond float64            `json:"tokens_per_second,omitempty"`
	FLOPsPerSecond  float64            `json:"flops_per_second,omitempty"`
	PeakShare       float64            `json:"peak_share,omitempty"` // of Options.PeakFLOPs
	ValLoss         float64            `json:"val_loss,omitempty"`
	ValBitsPerByte  float64            `json:"val_bits_per_byte,omitempty"`
	Sample          string             `json:"sample,omitempty"`
	From            int                `json:"from,omitempty"`
	Skipped         int                `json:"skipped,omitempty"` // batches left out
	Message         string             `json:"message,omitempty"`
}

// event describes a step that was taken.
func (l *Loop) event(s stepResult) Event {
	e := Event{Step: l.pos.Step, Loss: s.loss, LR: s.lr, GradNorm: s.norm, Tokens: l.pos.Tokens, TokensPerSecond: float64(s.tokens) / s.seconds}
	for i, name := range l.names {
		if e.Terms == nil {
			e.Terms = map[string]float64{}
		}
		e.Terms[name] = s.terms[i]
	}
	if m, ok := l.obj.(Measured); ok {
		e.Measures = m.Measures()
	}
	e.FLOPsPerSecond = e.TokensPerSecond * l.flops
	if l.o.PeakFLOPs > 0 {
		e.PeakShare = e.FLOPsPerSecond / l.o.PeakFLOPs
	}
	return e
}

// found adds what a validation found.
func (e *Event) found(measures map[string]float64) {
	if len(measures) == 0 {
		return
	}
	all := maps.Clone(measures)
	maps.Copy(all, e.Measures)
	e.Measures = all
}

// metrics writes metrics.jsonl and its copy for TensorBoard.
type metrics struct {
	dir    string
	f      *os.File
	buf    bytes.Buffer
	events *eventFile
}

// openMetrics goes on with the files of a run directory after dropping what came after the given position.
func openMetrics(dir string, step, rewinds int) (*metrics, error) {
	m := &metrics{dir: dir}
	path := filepath.Join(dir, MetricsFile)
	kept, lines, err := readMetrics(path, step, rewinds)
	if err != nil {
		return nil, err
	}
	if err := file.WriteFile(path, kept, 0o644); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if m.f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if m.events, err = createEvents(filepath.Join(dir, EventsFile), lines); err != nil {
		return nil, errors.Join(err, m.f.Close())
	}
	return m, nil
}

// readMetrics returns the lines up to a position, as they are and parsed. A last line that was cut short is dropped.
func readMetrics(path string, step, rewinds int) (kept []byte, lines []Event, err error) {
	all, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("train: %w", err)
	}
	for line := range bytes.Lines(all) {
		var e Event
		if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &e) != nil {
			break
		}
		if e.Rewinds < rewinds || e.Rewinds == rewinds && e.Step <= step && e.Kind != "validation" {
			kept = append(kept, line...)
			lines = append(lines, e)
		}
	}
	return kept, lines, nil
}

func (m *metrics) write(e Event) error {
	m.buf.Reset()
	if err := json.NewEncoder(&m.buf).Encode(e); err != nil {
		return fmt.Errorf("train: %s: %w", MetricsFile, err)
	}
	if _, err := m.f.Write(m.buf.Bytes()); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if e.Kind == "rewind" { // what came after the step is no more
		_, lines, err := readMetrics(m.f.Name(), e.Step, e.Rewinds)
		if err != nil {
			return err
		}
		if err := m.events.close(); err != nil {
			return err
		}
		m.events, err = createEvents(filepath.Join(m.dir, EventsFile), lines)
		return err
	}
	return m.events.write(e)
}

func (m *metrics) close() error {
	return errors.Join(m.f.Close(), m.events.close())
}
