package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Files of one checkpoint below state/.
const (
	weightsFile = "weights.safetensors"
	momentsFile = "moments.safetensors"
	stateFile   = "state.json"
)

// position is everything but weights and moments that a run goes on from. Random numbers are counter-based: they need no state.
type position struct {
	Step           int       `json:"step"`
	DataOffset     int       `json:"data_offset"` // batches left out so far
	Rewinds        int       `json:"rewinds"`
	Stopped        bool      `json:"stopped,omitempty"` // early, by Hooks.Stop
	Base           int       `json:"base"`              // step that the last rewind went to
	Tokens         int64     `json:"tokens"`
	Loss           float64   `json:"loss"`
	ValLoss        float64   `json:"val_loss"`
	ValBitsPerByte float64   `json:"val_bits_per_byte"`
	Losses         []float64 `json:"losses"`          // the last ones, for the spike detector
	Ill            int       `json:"ill,omitempty"`   // steps up to now of which the objective saw that nothing is learnt
	Alarm          string    `json:"alarm,omitempty"` // the last one, where all steps since then were such
}

// saved is state.json.
type saved struct {
	position
	Source  string          `json:"source"`  // fingerprint
	Kernels string          `json:"kernels"` // name of the set: another one rounds in another way
	Options json.RawMessage `json:"options"`
	Params  []shaped        `json:"parameters"`
}

type shaped struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

// kept are the tensors of a checkpoint's weights: the parameters, and what a Stateful objective has beside them.
func (l *Loop) kept() []nn.Named {
	s, ok := l.obj.(Stateful)
	if !ok {
		return l.params
	}
	return slices.Concat(l.params, s.State())
}

func (l *Loop) shapes() []shaped {
	var list []shaped
	for _, p := range l.params {
		list = append(list, shaped{p.Name, p.T().Shape()})
	}
	return list
}

// openState prepares the run directory, and loads the newest whole checkpoint when the run is to be resumed.
func (l *Loop) openState() error {
	parent := filepath.Join(l.o.RunDir, StateDir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	list, err := listStates(l.o.RunDir)
	if err != nil {
		return err
	}
	if len(list) > 0 && !l.o.Resume {
		return fmt.Errorf("train: %s holds a run (%s): resume it, or choose another directory", l.o.RunDir, list[len(list)-1].name())
	}
	if err := file.CleanTemps(parent); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if len(list) == 0 {
		return nil
	}
	c, err := l.loadNewest(list)
	if err != nil {
		return err
	}
	l.loaded = true
	l.tell(Event{Kind: "resume", Step: c.step, Message: "from " + c.name()})
	return nil
}

// save writes the state as it is now, unless it is there already, and removes what need not be kept.
func (l *Loop) save() error {
	if l.o.RunDir == "" {
		return nil
	}
	c := savedState{step: l.pos.Step, rewinds: l.pos.Rewinds}
	dir := c.path(l.o.RunDir)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := file.WriteDirAtomic(dir, l.writeState); err != nil {
		err = fmt.Errorf("train: checkpoint after step %d: %w", l.pos.Step, err)
		if list, lerr := listStates(l.o.RunDir); lerr == nil && len(list) > 0 {
			err = fmt.Errorf("%w; the run can be resumed from %s", err, list[len(list)-1].name())
		}
		return err
	}
	if err := file.VerifyDir(dir); err != nil {
		return fmt.Errorf("train: checkpoint after step %d: %w", l.pos.Step, err)
	}
	l.tell(Event{Kind: "save", Step: c.step, Message: c.name()})
	return l.prune()
}

func (l *Loop) writeState(dir string) error {
	var weights, moments []checkpoint.Tensor
	need := uint64(1 << 20)
	for _, p := range l.kept() {
		weights = append(weights, checkpoint.FromFloat32(p.Name, p.T().Shape(), p.T().F32()))
		need += 4 * uint64(p.T().Len())
	}
	for _, s := range l.opt.states() {
		moments = append(moments, s.tensor())
		need += uint64(len(s.data.Bytes()))
	}
	if err := file.NeedSpace(dir, need); err != nil {
		return err
	}
	options, err := json.Marshal(l.o)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(saved{l.pos, l.obj.Fingerprint(), l.k.Name, options, l.shapes()}, "", " ")
	if err != nil {
		return err
	}
	meta := map[string]string{"format": "plinth"}
	if err := checkpoint.Write(filepath.Join(dir, weightsFile), weights, meta); err != nil {
		return err
	}
	if err := checkpoint.Write(filepath.Join(dir, momentsFile), moments, meta); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, stateFile), append(b, '\n'), 0o644) // WriteDirAtomic flushes it
}

var errNoState = errors.New("no whole checkpoint")

// loadNewest loads the last of list that is whole. Damaged ones are told of and removed: they would be in the way of the next save.
func (l *Loop) loadNewest(list []savedState) (savedState, error) {
	var damage error
	for _, c := range slices.Backward(list) {
		dir := c.path(l.o.RunDir)
		err := file.VerifyDir(dir)
		var broken *file.DamageError
		if errors.As(err, &broken) {
			damage = errors.Join(damage, err)
			l.tell(Event{Kind: "damaged", Step: c.step, Message: err.Error() + "; going back to an earlier checkpoint"})
			continue
		}
		if err != nil {
			return c, fmt.Errorf("train: %w", err)
		}
		if err := l.load(dir); err != nil {
			return c, err
		}
		for _, b := range list[slices.Index(list, c)+1:] {
			if err := os.RemoveAll(b.path(l.o.RunDir)); err != nil {
				return c, fmt.Errorf("train: %w", err)
			}
		}
		return c, nil
	}
	if damage != nil {
		return savedState{}, fmt.Errorf("train: %s: %w: %w", l.o.RunDir, errNoState, damage)
	}
	return savedState{}, errNoState
}

// load takes over a whole checkpoint, after comparing what it was made with.
func (l *Loop) load(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("train: %s: %w", filepath.Join(dir, stateFile), err)
	}
	if err := l.compare(s); err != nil {
		return fmt.Errorf("train: %s: %w", dir, err)
	}
	var weights []checkpoint.Binding
	for _, p := range l.kept() {
		weights = append(weights, checkpoint.Binding{Name: p.Name, Shape: p.T().Shape(), Data: p.T().F32()})
	}
	if err := loadFile(filepath.Join(dir, weightsFile), weights, nil); err != nil {
		return err
	}
	if err := loadMoments(filepath.Join(dir, momentsFile), l.opt.states()); err != nil {
		return err
	}
	for _, p := range l.kept() {
		p.T().Changed()
	}
	l.pos = s.position
	if s.Kernels != l.k.Name {
		l.tell(Event{Kind: "note", Step: s.Step, Message: fmt.Sprintf("%s was trained with the kernels %s, now they are %s: the last bits will differ", l.o.RunDir, s.Kernels, l.k.Name)})
	}
	return nil
}

// loadFile fills b, and the bfloat16 moments half, which are copied as they stand in the file.
func loadFile(path string, b []checkpoint.Binding, half []state) error {
	f, err := checkpoint.Open(path)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	err = checkpoint.LoadStrict(f, b, func(name string) bool { return slices.ContainsFunc(half, func(s state) bool { return s.name == name }) })
	for i := 0; i < len(half) && err == nil; i++ {
		err = half[i].read(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	return nil
}

func loadMoments(path string, list []state) error {
	var moments []checkpoint.Binding
	var half []state
	for _, s := range list {
		if s.data.DType() == tensor.BF16 {
			half = append(half, s)
		} else {
			moments = append(moments, checkpoint.Binding{Name: s.name, Shape: s.shape, Data: s.data.F32()})
		}
	}
	return loadFile(path, moments, half)
}

// compare names the first thing in which the saved run differs from this one.
func (l *Loop) compare(s saved) error {
	now := l.shapes()
	for i := range max(len(now), len(s.Params)) {
		switch {
		case i >= len(now):
			return fmt.Errorf("%w: it has parameter %s %v, the model has not", ErrMismatch, s.Params[i].Name, s.Params[i].Shape)
		case i >= len(s.Params):
			return fmt.Errorf("%w: the model has parameter %s %v, it has not", ErrMismatch, now[i].Name, now[i].Shape)
		case now[i].Name != s.Params[i].Name || !slices.Equal(now[i].Shape, s.Params[i].Shape):
			return fmt.Errorf("%w: its parameter %s %v is %s %v in the model", ErrMismatch, s.Params[i].Name, s.Params[i].Shape, now[i].Name, now[i].Shape)
		}
	}
	options, err := json.Marshal(l.o)
	if err != nil {
		return err
	}
	var mine, theirs map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(options, &mine), json.Unmarshal(s.Options, &theirs)); err != nil {
		return err
	}
	for _, options := range []map[string]json.RawMessage{mine, theirs} {
		for _, name := range []string{"moments", "activations"} { // lean has the bits of f32, and there was a time when all was f32
			if v := string(options[name]); v == "" || v == `"lean"` {
				options[name] = json.RawMessage(`"f32"`)
			}
		}
	}
	was := Options{}
	if err := json.Unmarshal(s.Options, &was); err != nil {
		return err
	}
	sameRates := true
	for step := 0; step < s.Step && sameRates; step++ {
		sameRates = was.Rate(step) == l.o.Rate(step)
	}
	for _, name := range maths {
		if sameRates && slices.Contains(ofRate, name) {
			continue
		}
		if a, b := bytes.TrimSpace(theirs[name]), mine[name]; !bytes.Equal(a, b) {
			return fmt.Errorf("%w: its option %s is %s, now it is %s", ErrMismatch, name, a, b)
		}
	}
	if got := l.obj.Fingerprint(); s.Source != got {
		return fmt.Errorf("%w: its data have the fingerprint %s, now it is %s", ErrMismatch, s.Source, got)
	}
	if s.Step > l.o.Steps {
		return fmt.Errorf("%w: it has done %d steps, now steps is %d", ErrMismatch, s.Step, l.o.Steps)
	}
	return nil
}
