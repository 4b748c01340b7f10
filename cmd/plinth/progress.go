package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/plinth-ml/plinth/train"
)

// progress tells on stderr how training goes: one line that is rewritten on a terminal, a line every few seconds elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	every    time.Duration
	last     time.Time
	start    time.Time
	from     int // step at the start
	onLine   bool
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, every: 5 * time.Second}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		p.terminal, p.every = true, 100*time.Millisecond
	}
	return p
}

// isTerminal tells whether somebody may sit before f.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// event shows what the loop says.
func (p *progress) event(e train.Event) {
	now := time.Now()
	if p.start.IsZero() {
		p.start, p.from = now, e.Step-1
	}
	switch e.Kind {
	case "resume", "damaged", "rewind", "note", "alarm":
		p.line(fmt.Sprintf("%s: step %d %s", e.Kind, e.Step, e.Message))
		return
	case "save":
		return
	}
	important := e.ValLoss != 0 || e.Sample != "" || e.Step == e.Steps || e.Step == 1
	if important || now.Sub(p.last) >= p.every {
		p.last = now
		text := fmt.Sprintf("step %d/%d", e.Step, e.Steps)
		if e.Kind == "" {
			text += fmt.Sprintf("  loss %.4f  lr %.2e  grad %.2f  %s tokens/s", e.Loss, e.LR, e.GradNorm, count(e.TokensPerSecond))
			if e.PeakShare > 0 {
				text += fmt.Sprintf("  %.0f%% of peak", 100*e.PeakShare)
			}
			if left := e.Steps - e.Step; left > 0 && e.Step > p.from {
				per := now.Sub(p.start) / time.Duration(e.Step-p.from)
				text += fmt.Sprintf("  %v left", (per * time.Duration(left)).Round(time.Second))
			}
		}
		if e.ValLoss != 0 {
			text += fmt.Sprintf("  validation %.4f", e.ValLoss)
			if e.ValBitsPerByte != 0 { // masked tokens have none
				text += fmt.Sprintf(", %.4f bits per byte", e.ValBitsPerByte)
			}
		}
		if important {
			p.line(text)
		} else {
			p.status(text)
		}
	}
	if e.Sample != "" {
		p.line("  | " + strings.ReplaceAll(strings.TrimSpace(e.Sample), "\n", "\n  | "))
	}
}

// status writes text that the next status replaces on a terminal.
func (p *progress) status(text string) {
	if !p.terminal {
		p.line(text)
		return
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", text)
	p.onLine = true
}

// line writes text below whatever stands there.
func (p *progress) line(text string) {
	p.clear()
	fmt.Fprintln(p.w, text)
}

// clear wipes a status away.
func (p *progress) clear() {
	if p.onLine {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.onLine = false
	}
}
