package train

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// savedState is the name of a checkpoint: steps done, and rewinds before it.
type savedState struct{ step, rewinds int }

// name is step-00000100, after two rewinds step-00000100-r02.
func (c savedState) name() string {
	if c.rewinds == 0 {
		return fmt.Sprintf("step-%08d", c.step)
	}
	return fmt.Sprintf("step-%08d-r%02d", c.step, c.rewinds)
}

func (c savedState) path(runDir string) string { return filepath.Join(runDir, StateDir, c.name()) }

var stateName = regexp.MustCompile(`^step-(\d{8,10})(?:-r(\d{2,4}))?$`)

// listStates returns the checkpoints of a run, the newest last: what followed a rewind is newer than what went before it.
func listStates(runDir string) ([]savedState, error) {
	dir, err := os.ReadDir(filepath.Join(runDir, StateDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("train: %w", err)
	}
	var list []savedState
	for _, d := range dir {
		if m := stateName.FindStringSubmatch(d.Name()); m != nil && d.IsDir() {
			var c savedState
			c.step, _ = strconv.Atoi(m[1]) // digits, by the pattern
			c.rewinds, _ = strconv.Atoi(m[2])
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b savedState) int {
		return cmp.Or(cmp.Compare(a.rewinds, b.rewinds), cmp.Compare(a.step, b.step))
	})
	return list, nil
}

// grid is the distance of the checkpoints that a run may rewind to: the saves that are RewindSteps apart or just over.
func (o Options) grid() int {
	every := max(1, o.SaveEvery)
	return every * max(1, (o.RewindSteps+every-1)/every)
}

// anchor is the step that a spike after so many steps goes back to: at least RewindSteps, but not beyond base, to which the run has
// rewound before. It depends on nothing else, so that a run which was killed takes the same way.
func (o Options) anchor(step, base int) int {
	if o.SaveEvery < 0 || step < o.RewindSteps {
		return base
	}
	return max(base, (step-o.RewindSteps)/o.grid()*o.grid())
}

// prune removes the checkpoints that are not to be kept; the newest is whole.
func (l *Loop) prune() error {
	list, err := listStates(l.o.RunDir)
	if err != nil {
		return err
	}
	for _, c := range superfluous(list, l.o, l.pos.Base) {
		if err := os.RemoveAll(c.path(l.o.RunDir)); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// superfluous chooses from list, the newest last, what to remove. It keeps the newest ones, and those that a later spike may go back to.
func superfluous(list []savedState, o Options, base int) []savedState {
	now := list[len(list)-1]
	var alive, gone []savedState
	for _, c := range list {
		if c.step > now.step || c.step == now.step && c != now { // given up by a rewind
			gone = append(gone, c)
		} else {
			alive = append(alive, c)
		}
	}
	slices.SortStableFunc(alive, func(a, b savedState) int { return cmp.Compare(a.step, b.step) })
	anchor := o.anchor(now.step, base)
	for _, c := range alive[:max(0, len(alive)-o.Keep)] {
		if o.OnSpike != "rewind" || c.step != anchor && (c.step < anchor || c.step%o.grid() != 0) {
			gone = append(gone, c)
		}
	}
	return gone
}
