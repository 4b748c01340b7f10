package nn

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/tensor"
)

// Param is a trainable tensor and how it starts: constant, or normal when Std is above zero.
type Param struct {
	tensor   *tensor.Tensor
	Std      float64 // standard deviation of the first values
	Constant float64 // the first value when Std is 0

	// Statistic marks what a model's forward pass keeps, such as a running mean: it stands in files like a parameter, but has no gradient.
	Statistic bool
}

// NewParam returns a parameter that starts as N(0, std²). It has no memory yet.
func NewParam(std float64, shape ...int) *Param {
	return &Param{tensor: tensor.New(shape...), Std: std}
}

// NewConstant returns a parameter that starts at value everywhere. It has no memory yet.
func NewConstant(value float64, shape ...int) *Param {
	return &Param{tensor: tensor.New(shape...), Constant: value}
}

// NewStatistic returns a statistic that starts at value everywhere. It has no memory yet.
func NewStatistic(value float64, shape ...int) *Param {
	return &Param{tensor: tensor.New(shape...), Constant: value, Statistic: true}
}

// T is the tensor; nil for a nil (absent) parameter.
func (p *Param) T() *tensor.Tensor {
	if p == nil {
		return nil
	}
	return p.tensor
}

// Decays reports whether weight decay applies: to matrices, not to biases and norm weights.
func (p *Param) Decays() bool { return p.tensor.Rank() >= 2 }

// Named is a parameter with its path.
type Named struct {
	Name string
	*Param
	Rate float64 // factor of the learning rate for it; 0 means 1
}

// Params lists the parameters of a model, a pointer to a struct, in the order of its fields. A field tagged `name:"x"` adds x
// to the path; a field tagged `name:""` adds nothing; an untagged field is not looked at. Slices add the index. A nil
// *Param or layer is absent. A parameter that is reached twice (tied weights) is listed once, under its first path.
func Params(model any) []Named {
	var list []Named
	seen := map[*Param]bool{}
	walk(reflect.ValueOf(model), "", func(path string, v any) {
		if p, ok := v.(*Param); ok && !seen[p] {
			seen[p] = true
			list = append(list, Named{Name: path, Param: p})
		}
	})
	return list
}

// NamedLinear is a linear layer with its path.
type NamedLinear struct {
	Name string
	*Linear
}

// Linears lists the linear layers of a model as Params lists its parameters.
func Linears(model any) []NamedLinear {
	var list []NamedLinear
	walk(reflect.ValueOf(model), "", func(path string, v any) {
		if l, ok := v.(*Linear); ok {
			list = append(list, NamedLinear{path, l})
		}
	})
	return list
}

// Embeddings lists the tables of rows of a model as Params lists its parameters.
func Embeddings(model any) []*Embedding {
	var list []*Embedding
	walk(reflect.ValueOf(model), "", func(_ string, v any) {
		if e, ok := v.(*Embedding); ok {
			list = append(list, e)
		}
	})
	return list
}

// walk visits the pointers that are reached through tagged fields, each before what it points to.
func walk(v reflect.Value, path string, visit func(string, any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		visit(path, v.Interface())
		if _, leaf := v.Interface().(*Param); !leaf {
			walk(v.Elem(), path, visit)
		}
	case reflect.Interface:
		walk(v.Elem(), path, visit)
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), join(path, strconv.Itoa(i)), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if tag, ok := v.Type().Field(i).Tag.Lookup("name"); ok {
				walk(v.Field(i), join(path, tag), visit)
			}
		}
	default:
		panic(fmt.Sprintf("nn: a field of type %v at %q is tagged as a parameter", v.Type(), path))
	}
}

func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// Count is the number of elements of all parameters. Statistics are none.
func Count(params []Named) int64 {
	n := int64(0)
	for _, p := range params {
		if !p.Statistic {
			n += int64(p.tensor.Len())
		}
	}
	return n
}

// Init gives every parameter float32 memory (with a gradient when train is true and it is no statistic) and its first values, a pure function of
// seed, path and index.
func Init(params []Named, seed uint64, train bool) {
	for _, p := range params {
		p.tensor.Alloc(tensor.F32, train && !p.Statistic)
		key := random.NewKey(seed).Named(p.Name)
		data := p.tensor.F32()
		for i := range data {
			if p.Std > 0 {
				data[i] = float32(p.Std * key.Normal(uint64(i)))
			} else {
				data[i] = float32(p.Constant)
			}
		}
		p.tensor.Changed()
	}
}

// Alloc gives every parameter zeroed float32 memory, for a loader to fill.
func Alloc(params []Named, train bool) {
	for _, p := range params {
		p.tensor.Alloc(tensor.F32, train && !p.Statistic)
	}
}
