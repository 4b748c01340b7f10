package adapt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Validation measures a model while it is fine-tuned, keeps the weights that did best, and ends the run when they get no better.
type Validation struct {
	// Measure returns the loss, and a score of which more is better, on examples that are not trained on. t does not record.
	Measure  func(ctx context.Context, t *tensor.Tape) (loss, score float64, err error)
	Patience int // measurements without a new best after which the run ends; 0: it goes on to its last step

	k      *kernel.Set
	params []nn.Named
	dir    string     // where the best weights are kept too, so that an interrupted run goes on with them; "": nowhere
	list   []Measured // so far
	best   [][]float32
}

// Measured is what a validation found.
type Measured struct {
	Step  int     `json:"step"`
	Loss  float64 `json:"loss"`
	Score float64 `json:"score"`
}

// Files of a run directory that a Validation writes.
const (
	ValidationsFile = "validations.json"
	BestFile        = "best.safetensors"
)

// List is what was measured so far.
func (v *Validation) List() []Measured { return slices.Clone(v.list) }

// Best is the measurement with the highest score, the first of equal ones.
func (v *Validation) Best() Measured {
	var best Measured
	for i, m := range v.list {
		if i == 0 || m.Score > best.Score {
			best = m
		}
	}
	return best
}

func (v *Validation) start(k *kernel.Set, params []nn.Named, dir string) {
	v.k, v.params, v.dir, v.list, v.best = k, params, dir, nil, nil
}

// maxValidations bounds the file of what was measured.
const maxValidations = 64 << 20

// resume takes over what was measured up to a step. Best weights of a later step are in the file then: the run comes to them again.
func (v *Validation) resume(step int) error {
	if v.dir == "" || step == 0 {
		return nil
	}
	path := filepath.Join(v.dir, ValidationsFile)
	b, err := file.Read(path, maxValidations)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("adapt: %w", err)
	}
	if err := json.Unmarshal(b, &v.list); err != nil {
		return fmt.Errorf("adapt: %s: %w", path, err)
	}
	v.list = slices.DeleteFunc(v.list, func(m Measured) bool { return m.Step > step })
	return nil
}

func (v *Validation) validate(ctx context.Context, step int) (loss, bits float64, err error) {
	loss, score, err := v.Measure(ctx, tensor.Evaluation(v.k))
	if err != nil {
		return 0, 0, err
	}
	v.list = append(v.list, Measured{step, loss, score})
	if v.Best().Step == step {
		if err := v.keep(); err != nil {
			return 0, 0, err
		}
	}
	if v.dir == "" {
		return loss, 0, nil
	}
	b, err := json.MarshalIndent(v.list, "", "  ")
	if err != nil {
		return 0, 0, err
	}
	return loss, 0, file.WriteFile(filepath.Join(v.dir, ValidationsFile), append(b, '\n'), 0o644)
}

// stop says that the best is Patience measurements old.
func (v *Validation) stop() bool {
	at := slices.Index(v.list, v.Best())
	return v.Patience > 0 && len(v.list)-1-at >= v.Patience
}

// keep takes the weights as the best.
func (v *Validation) keep() error {
	if v.dir == "" {
		for i, p := range v.params {
			if i == len(v.best) {
				v.best = append(v.best, nil)
			}
			v.best[i] = append(v.best[i][:0], p.T().F32()...)
		}
		return nil
	}
	var list []checkpoint.Tensor
	for _, p := range v.params {
		list = append(list, checkpoint.FromFloat32(p.Name, p.T().Shape(), p.T().F32()))
	}
	return checkpoint.Write(filepath.Join(v.dir, BestFile), list, map[string]string{"format": "plinth"})
}

// restore gives the parameters their best values.
func (v *Validation) restore() (err error) {
	if len(v.list) == 0 || v.Best() == v.list[len(v.list)-1] {
		return nil
	}
	if v.dir == "" {
		for i, p := range v.params {
			copy(p.T().F32(), v.best[i])
		}
	} else {
		var list []checkpoint.Binding
		for _, p := range v.params {
			list = append(list, checkpoint.Binding{Name: p.Name, Shape: p.T().Shape(), Data: p.T().F32()})
		}
		f, err := checkpoint.Open(filepath.Join(v.dir, BestFile))
		if err != nil {
			return fmt.Errorf("adapt: %w", err)
		}
		if err := errors.Join(checkpoint.LoadStrict(f, list, nil), f.Close()); err != nil {
			return fmt.Errorf("adapt: %s: %w", filepath.Join(v.dir, BestFile), err)
		}
	}
	for _, p := range v.params {
		p.T().Changed()
	}
	return nil
}
