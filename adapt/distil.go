package adapt

import (
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/tensor"
)

// Distillation is the loss of a student that learns from a teacher's scores as well as from labels (Hinton et al. 2015, section 2):
//
//	Hard·CE(labels, softmax(z)) + (1-Hard)·T²·CE(softmax(v/T), softmax(z/T))
//
// for scores z of the student and v of the teacher. The factor T² keeps the sizes of the two gradients' ratio as T changes.
type Distillation struct {
	Temperature float64 // T; 2
	Hard        float64 // within 0 and 1
}

func (d *Distillation) check() error {
	set(&d.Temperature, 2)
	if !(d.Temperature > 0) || !(d.Hard >= 0 && d.Hard <= 1) {
		return fmt.Errorf("adapt: distillation with temperature %v and a share of %v for labels", d.Temperature, d.Hard)
	}
	return nil
}

// Loss records the loss of scores z [N, K] given the teacher's, [N, K] row-major, and labels [N], of which negative ones leave a row to the teacher alone. It
// leaves the gradient of the sum over rows times scale, and returns the sum.
func (d Distillation) Loss(t *tensor.Tape, z *tensor.Tensor, teacher []float32, labels []int32, scale float64) (float64, error) {
	N, K := z.Dims2()
	if err := d.check(); err != nil {
		return 0, err
	}
	if len(teacher) != N*K || len(labels) != N {
		return 0, fmt.Errorf("adapt: distillation of scores [%d, %d] by %d of a teacher and %d labels", N, K, len(teacher), len(labels))
	}
	for i, label := range labels {
		if int(label) >= K {
			return 0, fmt.Errorf("adapt: distillation: row %d has label %d of %d classes", i, label, K)
		}
	}
	sum, T := 0.0, d.Temperature
	p, q, soft := make([]float64, K), make([]float64, K), make([]float64, K)
	t.Loss(z, func(z, dz []float32) {
		for i, label := range labels {
			row := z[i*K : (i+1)*K]
			logProbabilities(q, row, T)
			logProbabilities(soft, teacher[i*K:(i+1)*K], T)
			logProbabilities(p, row, 1)
			for k := range K {
				v := math.Exp(soft[k])
				sum -= (1 - d.Hard) * T * T * v * q[k]
				g := (1 - d.Hard) * T * (math.Exp(q[k]) - v)
				if label >= 0 {
					g += d.Hard * math.Exp(p[k])
					if int(label) == k {
						g -= d.Hard
						sum -= d.Hard * p[k]
					}
				}
				if dz != nil {
					dz[i*K+k] = float32(scale * g)
				}
			}
		}
	})
	return sum, nil
}

// logProbabilities is y = log softmax(x/T).
func logProbabilities(y []float64, x []float32, T float64) {
	for i, v := range x {
		y[i] = float64(v) / T
	}
	logSoftmax(y)
}
