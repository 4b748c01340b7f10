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

// prune removes the checkpoints that are not to be kept; the newest is whole.
func (l *Loop) prune() error {
	list, err := listStates(l.o.RunDir)
	if err != nil {
		return err
	}
	back := 0
	if l.o.OnSpike == "rewind" {
		back = l.o.RewindSteps
	}
	for _, c := range superfluous(list, l.o.Keep, back) {
		if err := os.RemoveAll(c.path(l.o.RunDir)); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// superfluous chooses from list, the newest last, what to remove. It keeps the newest keep; and, to go back to from a spike, the newest
// that is at least back steps old, and the oldest after it that is at least back steps further, which will take its place.
func superfluous(list []savedState, keep, back int) []savedState {
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
	anchor, next := -1, -1
	for i, c := range alive {
		if back > 0 && c.step <= now.step-back {
			anchor = i
		}
	}
	for i := anchor + 1; anchor >= 0 && i < len(alive) && next < 0; i++ {
		if alive[i].step >= alive[anchor].step+back {
			next = i
		}
	}
	if anchor < 0 && back > 0 {
		anchor = 0
	}
	for i, c := range alive[:max(0, len(alive)-keep)] {
		if i != anchor && i != next {
			gone = append(gone, c)
		}
	}
	return gone
}
