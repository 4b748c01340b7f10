package train

import (
	"errors"
	"fmt"
	"slices"
)

// spike says why a step must not be taken, or "". fatal: the loss or the gradient is no number.
// A finite loss is a spike when it is above SpikeFactor times the median of the last SpikeWindow losses and also further from it than
// eight times their median distance from it, so that noise around a small loss is none.
func (l *Loop) spike(s stepResult) (reason string, fatal bool) {
	if !finite(s.loss) || !finite(s.norm) {
		return fmt.Sprintf("loss %v, gradient norm %v at step %d", s.loss, s.norm, l.pos.Step+1), true
	}
	if 2*len(l.pos.Losses) < l.o.SpikeWindow {
		return "", false
	}
	mid := l.median(func(x float64) float64 { return x })
	spread := l.median(func(x float64) float64 { return max(x-mid, mid-x) })
	if limit := mid + max((l.o.SpikeFactor-1)*mid, 8*spread); s.loss > limit {
		return fmt.Sprintf("loss %.4g at step %d, median of the last %d is %.4g", s.loss, l.pos.Step+1, len(l.pos.Losses), mid), false
	}
	return "", false
}

// median is that of f over the window.
func (l *Loop) median(f func(float64) float64) float64 {
	l.sorted = l.sorted[:0]
	for _, x := range l.pos.Losses {
		l.sorted = append(l.sorted, f(x))
	}
	slices.Sort(l.sorted)
	return l.sorted[len(l.sorted)/2]
}

// rewind goes back to a checkpoint at least RewindSteps old and leaves out the batches from there past the spike (Chowdhery et al. 2022,
// PaLM, section 5.1). What it decided is saved at once, so that a killed run goes on the same way.
func (l *Loop) rewind(reason string) error {
	l.dropGradients()
	if l.o.OnSpike != "rewind" {
		return fmt.Errorf("train: %w: %s; on-spike is %s", ErrSpike, reason, l.o.OnSpike)
	}
	if l.o.RunDir == "" {
		return fmt.Errorf("train: %w: %s; a run without a directory has nothing to rewind to", ErrSpike, reason)
	}
	if l.pos.Rewinds >= l.o.MaxRewinds {
		return fmt.Errorf("train: %w: %s; it has rewound %d times already: lower the learning rate, or look at the data", ErrSpike, reason, l.pos.Rewinds)
	}
	was := l.pos
	list, err := listStates(l.o.RunDir)
	if err != nil {
		return err
	}
	target := l.o.anchor(was.Step, was.Base)
	back := slices.DeleteFunc(slices.Clone(list), func(c savedState) bool { return c.step != target })
	from, err := l.loadNewest(back)
	if errors.Is(err, errNoState) { // damaged, or not made: the run had other options then
		slices.SortFunc(list, func(a, b savedState) int { return b.step - a.step })
		from, err = l.loadNewest(list)
	}
	if errors.Is(err, errNoState) {
		return fmt.Errorf("train: %w: %s; no checkpoint is whole", ErrSpike, reason)
	}
	if err != nil {
		return err
	}
	skip := max(l.o.SkipBatches, was.Step-from.step+1)
	l.pos.DataOffset, l.pos.Rewinds, l.pos.Base = was.DataOffset+skip, was.Rewinds+1, from.step
	// The line first: a run killed between the two resumes before the rewind, and cuts it off.
	if err := l.report(Event{Kind: "rewind", Step: l.pos.Step, From: was.Step, Skipped: skip, Message: reason}); err != nil {
		return err
	}
	return l.save()
}
