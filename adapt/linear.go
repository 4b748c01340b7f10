package adapt

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
)

// Linear is a linear classifier of the vectors that a model makes of pictures, kept in a folder beside which the model stays where it is.
type Linear struct {
	Model    string    `json:"model"`            // path of the model
	Mark     string    `json:"mark"`             // by which its reader tells that the model is the one
	Ground   *[3]uint8 `json:"ground,omitempty"` // what transparent pictures were laid over; nil: their alpha was dropped, or the probe is older than this field
	Labels   []string  `json:"labels"`
	C        float64   `json:"c"` // of FitOne
	Logistic *Logistic `json:"-"`
}

// The files of its folder.
const (
	probeFile    = "probe.json"
	probeWeights = "probe.safetensors" // weight [labels, numbers of a vector] and bias [labels], F64
)

// IsLinear says whether a folder is that of a Linear.
func IsLinear(dir string) bool { return file.Folder(dir).Has(probeFile) }

// Save writes the two files into dir.
func (p *Linear) Save(dir string) error {
	classes, dim := len(p.Logistic.Weight), len(p.Logistic.Weight[0])
	var flat []float64
	for _, row := range p.Logistic.Weight {
		flat = append(flat, row...)
	}
	tensors := []checkpoint.Tensor{{Name: "weight", DType: checkpoint.F64, Shape: []int{classes, dim}, Data: bytesOf(flat)},
		{Name: "bias", DType: checkpoint.F64, Shape: []int{classes}, Data: bytesOf(p.Logistic.Bias)}}
	if err := checkpoint.Write(filepath.Join(dir, probeWeights), tensors, nil); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, probeFile), append(b, '\n'), 0o644)
}

// OpenLinear reads a folder of Save. Errors name it.
func OpenLinear(dir string) (*Linear, error) {
	b, err := file.Folder(dir).Read(probeFile, 64<<20)
	if err != nil {
		return nil, err
	}
	p := &Linear{Logistic: &Logistic{}}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, probeFile), err)
	}
	path := filepath.Join(dir, probeWeights)
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	weight, err := f.Tensor("weight")
	if err != nil {
		return nil, err
	}
	bias, err := f.Tensor("bias")
	if err != nil {
		return nil, err
	}
	classes := len(p.Labels)
	if weight.DType != checkpoint.F64 || bias.DType != checkpoint.F64 || len(weight.Shape) != 2 || len(bias.Shape) != 1 || weight.Shape[0] != classes || bias.Shape[0] != classes || classes < 2 {
		return nil, fmt.Errorf("%s: weight %s %v and bias %s %v for the %d labels of %s", path, weight.DType, weight.Shape, bias.DType, bias.Shape, classes, probeFile)
	}
	flat, dim := floatsOf(weight.Data), weight.Shape[1]
	for c := range classes {
		p.Logistic.Weight = append(p.Logistic.Weight, flat[c*dim:(c+1)*dim])
	}
	p.Logistic.Bias = floatsOf(bias.Data)
	return p, nil
}

func bytesOf(x []float64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 8*len(x))
}

func floatsOf(b []byte) []float64 {
	x := make([]float64, len(b)/8)
	copy(bytesOf(x), b)
	return x
}

// CTrial is how one value of C does on the validation.
type CTrial struct {
	C        float64 `json:"c"`
	Accuracy float64 `json:"accuracy"`
	Loss     float64 `json:"loss"` // mean log-loss
}

// FitOne is Fit in sklearn's terms: C times the sum of the log-losses plus half the weights' squares is minimised, so that l2 is 1/(C n).
func FitOne(x [][]float32, labels []int, classes int, c float64) (*Logistic, error) {
	return Fit(wide(x), labels, classes, 1/(c*float64(len(x))))
}

// Better says whether a trial is better than another: its accuracy is higher, or equal and its loss lower.
func (t CTrial) Better(than CTrial) bool {
	return t.Accuracy > than.Accuracy || t.Accuracy == than.Accuracy && t.Loss < than.Loss
}

// SweepC tries FitOne with each of cs on held rows. It returns the best, of equal ones the first, and all in cs's order.
func SweepC(x [][]float32, labels []int, held [][]float32, heldLabels []int, classes int, cs []float64) (best CTrial, trials []CTrial, err error) {
	rows, val := wide(x), wide(held)
	if err := checkLabels(len(rows), labels, classes); err != nil {
		return best, nil, err
	}
	if err := checkLabels(len(val), heldLabels, classes); err != nil {
		return best, nil, fmt.Errorf("the validation: %w", err)
	}
	for _, c := range cs {
		if !(c > 0) || math.IsInf(c, 0) {
			return best, nil, fmt.Errorf("adapt: C %v is not positive", c)
		}
	}
	basis := span(rows)
	z := coordinates(rows, basis)
	trials = make([]CTrial, len(cs))
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(len(cs), runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := range next {
				l := fit(z, labels, classes, 1/(cs[i]*float64(len(z)))).expand(basis, len(rows[0]))
				right := 0
				for j, class := range l.predict(val) {
					if class == heldLabels[j] {
						right++
					}
				}
				trials[i] = CTrial{cs[i], float64(right) / float64(len(val)), l.loss(val, heldLabels)}
			}
		})
	}
	for i := range cs {
		next <- i
	}
	close(next)
	wait.Wait()
	for i, t := range trials {
		if i == 0 || t.Better(best) {
			best = t
		}
	}
	return best, trials, nil
}

// Probabilities are those of the labels for a vector.
func (p *Linear) Probabilities(v []float32) []float64 {
	out := logSoftmax(p.Logistic.scores(wide([][]float32{v})[0]))
	for i, x := range out {
		out[i] = math.Exp(x)
	}
	return out
}
