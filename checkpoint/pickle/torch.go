package pickle

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/plinth-ml/plinth/checkpoint"
)

const (
	maxTensors = 1 << 18
	maxRank    = 64
	maxDepth   = 32      // of containers around a tensor
	maxWalk    = 1 << 20 // values that are looked at for tensors
)

// storageTypes are the classes of torch's typed storages.
var storageTypes = map[string]checkpoint.DType{
	"DoubleStorage": checkpoint.F64, "FloatStorage": checkpoint.F32, "HalfStorage": checkpoint.F16, "BFloat16Storage": checkpoint.BF16, "LongStorage": checkpoint.I64,
	"IntStorage": checkpoint.I32, "ShortStorage": checkpoint.I16, "CharStorage": checkpoint.I8, "ByteStorage": checkpoint.U8, "BoolStorage": checkpoint.Bool,
}

// elementTypes are torch's dtypes.
var elementTypes = map[string]checkpoint.DType{
	"float64": checkpoint.F64, "float32": checkpoint.F32, "float16": checkpoint.F16, "bfloat16": checkpoint.BF16, "int64": checkpoint.I64, "int32": checkpoint.I32,
	"int16": checkpoint.I16, "int8": checkpoint.I8, "uint8": checkpoint.U8, "uint16": checkpoint.U16, "uint32": checkpoint.U32, "uint64": checkpoint.U64,
	"bool": checkpoint.Bool, "float8_e4m3fn": checkpoint.F8E4M3, "float8_e5m2": checkpoint.F8E5M2,
}

// untyped says whether g is the class of bytes without a type.
func untyped(g global) bool {
	return g.name == "UntypedStorage" && (g.module == "torch" || g.module == "torch.storage")
}

// functions are what a pickle may call.
var functions = map[global]func(t *torch, args []any) (any, error){
	{"collections", "OrderedDict"}:         orderedDict,
	{"torch", "Size"}:                      size,
	{"torch._utils", "_rebuild_tensor"}:    rebuild,
	{"torch._utils", "_rebuild_tensor_v2"}: rebuild,
	{"torch._utils", "_rebuild_tensor_v3"}: rebuildTyped,
	{"torch._utils", "_rebuild_parameter"}: parameter,
	{"torch.nn.parameter", "Parameter"}:    parameter,
	{"torch.nn.parameter", "Buffer"}:       parameter,
}

// torch builds tensors over the storages that a pickle names.
type torch struct {
	storages map[string]*storage
	order    []*storage // as the pickle first names them
}

// storage is a piece of the file.
type storage struct {
	key         string
	dtype       checkpoint.DType // empty for bytes
	numel       int
	start, size int // in the file, set once known
}

// view is a typed storage, or a part of one.
type view struct {
	*storage
	offset, numel int // in elements
}

// tensor is an array over a view.
type tensor struct {
	dtype          checkpoint.DType
	storage        *storage
	offset         int // of the first element, in elements of dtype
	shape, strides []int
}

func (t *torch) known(g global) bool {
	if functions[g] != nil || untyped(g) {
		return true
	}
	_, isStorage := storageTypes[g.name]
	_, isElement := elementTypes[g.name]
	return g.module == "torch" && (isStorage || isElement)
}

func (t *torch) call(g global, args []any) (any, error) {
	f := functions[g]
	if f == nil {
		return nil, fmt.Errorf("%q is no function that a pickle may call", g)
	}
	v, err := f(t, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g, err)
	}
	return v, nil
}

var errArguments = errors.New("unexpected arguments")

// load returns the storage of a persistent id: ("storage", class, key, device, elements), and of the older format a view (key, offset, elements) or None.
func (t *torch) load(id any) (any, error) {
	p, ok := id.(*list)
	if !ok || len(p.items) < 5 || len(p.items) > 6 || p.items[0] != "storage" {
		return nil, errors.New("a persistent id that is no storage")
	}
	class, ok1 := p.items[1].(global)
	key, ok2 := keyText(p.items[2])
	numel, ok3 := p.items[4].(int64)
	if !ok1 || !ok2 || !ok3 || numel < 0 {
		return nil, errors.New("a storage with unexpected fields")
	}
	d, typed := storageTypes[class.name]
	if !typed && !untyped(class) {
		return nil, fmt.Errorf("a storage of class %q", class)
	}
	s := &storage{key: key, dtype: d, numel: int(numel)}
	hi, lo := bits.Mul64(uint64(numel), uint64(max(1, d.Size())))
	if s.size = int(lo); hi != 0 || s.size < 0 {
		return nil, fmt.Errorf("storage %q: %d elements of %s overflow", key, numel, d)
	}
	if old := t.storages[key]; old == nil {
		if len(t.order) == maxTensors {
			return nil, fmt.Errorf("more than %d storages", maxTensors)
		}
		t.storages[key] = s
		t.order = append(t.order, s)
	} else if old.dtype != s.dtype || old.numel != s.numel {
		return nil, fmt.Errorf("storage %q is %d of %q and %d of %q", key, old.numel, old.dtype, s.numel, s.dtype)
	} else {
		s = old
	}
	v := view{s, 0, s.numel}
	if len(p.items) == 6 && p.items[5] != nil {
		part, ok := p.items[5].(*list)
		if !ok || len(part.items) != 3 {
			return nil, fmt.Errorf("storage %q: a view with unexpected fields", key)
		}
		offset, ok1 := part.items[1].(int64)
		n, ok2 := part.items[2].(int64)
		if !ok1 || !ok2 || offset < 0 || n < 0 || offset > numel || n > numel-offset {
			return nil, fmt.Errorf("storage %q: a view outside its %d elements", key, numel)
		}
		v.offset, v.numel = int(offset), int(n)
	}
	return v, nil
}

func keyText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

func orderedDict(t *torch, args []any) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*list)
	if !ok || len(args) > 1 {
		return nil, errArguments
	}
	for _, p := range pairs.items {
		pair, ok := p.(*list)
		if !ok || len(pair.items) != 2 {
			return nil, errArguments
		}
		d.keys, d.values = append(d.keys, pair.items[0]), append(d.values, pair.items[1])
	}
	return d, nil
}

func size(t *torch, args []any) (any, error) {
	if len(args) == 1 {
		if l, ok := args[0].(*list); ok {
			return l, nil
		}
	}
	return nil, errArguments
}

func parameter(t *torch, args []any) (any, error) {
	if len(args) > 0 {
		if x, ok := args[0].(*tensor); ok {
			return x, nil
		}
	}
	return nil, errArguments
}

// rebuild takes storage, offset, shape, strides and what does not matter here.
func rebuild(t *torch, args []any) (any, error) {
	if len(args) < 4 {
		return nil, errArguments
	}
	v, ok := args[0].(view)
	if !ok || v.dtype == "" {
		return nil, errArguments
	}
	return build(v, v.dtype, v.numel, args)
}

// rebuildTyped is rebuild of untyped bytes, with the element type as argument 6.
func rebuildTyped(t *torch, args []any) (any, error) {
	if len(args) < 7 {
		return nil, errArguments
	}
	v, ok := args[0].(view)
	g, ok2 := args[6].(global)
	d := elementTypes[g.name]
	if !ok || !ok2 || d == "" || v.dtype != "" || v.offset != 0 {
		return nil, errArguments
	}
	return build(v, d, v.numel/d.Size(), args)
}

// build checks that a tensor of type d lies within the numel elements of v.
func build(v view, d checkpoint.DType, numel int, args []any) (any, error) {
	offset, ok := args[1].(int64)
	x := &tensor{dtype: d, storage: v.storage}
	var err error
	if x.shape, err = ints(args[2]); err == nil {
		x.strides, err = ints(args[3])
	}
	if err != nil {
		return nil, err
	}
	if !ok || offset < 0 || len(x.shape) != len(x.strides) {
		return nil, errArguments
	}
	elements, last := uint64(1), uint64(offset)
	for i, n := range x.shape {
		if n == 0 {
			return &tensor{dtype: d, storage: v.storage, shape: x.shape, strides: x.strides}, nil
		}
		hi, step := bits.Mul64(uint64(n-1), uint64(x.strides[i]))
		hi2, product := bits.Mul64(elements, uint64(n))
		sum, carry := bits.Add64(last, step, 0)
		if hi|hi2|carry != 0 {
			return nil, fmt.Errorf("shape %v with strides %v overflows", x.shape, x.strides)
		}
		elements, last = product, sum
	}
	if last >= uint64(numel) {
		return nil, fmt.Errorf("a tensor %v from element %d with strides %v ends outside storage %q of %d elements", x.shape, offset, x.strides, v.key, numel)
	}
	if elements > uint64(numel) {
		return nil, fmt.Errorf("a tensor %v over the %d elements of storage %q: expanded tensors are not read", x.shape, numel, v.key)
	}
	x.offset = v.offset + int(offset)
	return x, nil
}

// ints reads a tuple of sizes.
func ints(v any) ([]int, error) {
	l, ok := v.(*list)
	if !ok {
		return nil, errArguments
	}
	if len(l.items) > maxRank {
		return nil, fmt.Errorf("%d dimensions, at most %d allowed", len(l.items), maxRank)
	}
	out := make([]int, len(l.items))
	for i, item := range l.items {
		n, ok := item.(int64)
		if !ok || n < 0 {
			return nil, errArguments
		}
		out[i] = int(n)
	}
	return out, nil
}

// contiguous says whether the elements lie in order.
func (x *tensor) contiguous() bool {
	if slices.Contains(x.shape, 0) {
		return true
	}
	want := 1
	for i := len(x.shape) - 1; i >= 0; i-- {
		if x.shape[i] != 1 && x.strides[i] != want {
			return false
		}
		want *= x.shape[i]
	}
	return true
}

// collector gathers the tensors of a value under the path of keys to each.
type collector struct {
	found  map[string]*tensor
	steps  int
	budget int // bytes of paths
}

func (c *collector) walk(path string, v any, depth int) error {
	if c.steps++; c.steps > maxWalk {
		return fmt.Errorf("more than %d values", maxWalk)
	}
	if c.budget -= len(path); c.budget < 0 {
		return errors.New("the names of the tensors take more memory than a file of its length may")
	}
	if depth > maxDepth {
		return fmt.Errorf("%q is nested deeper than %d", path, maxDepth)
	}
	switch v := v.(type) {
	case *tensor:
		if c.found[path] != nil {
			return fmt.Errorf("two tensors called %q", path)
		}
		if len(c.found) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		c.found[path] = v
	case *list:
		for i, item := range v.items {
			if err := c.walk(join(path, strconv.Itoa(i)), item, depth+1); err != nil {
				return err
			}
		}
	case *dict:
		for i, k := range v.keys {
			name, ok := keyText(k)
			if !ok {
				continue
			}
			if err := c.walk(join(path, name), v.values[i], depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
