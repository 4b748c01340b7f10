package checkpoint

import "github.com/plinth-ml/plinth/internal/kernel"

// Source is a checked file of tensors: a safetensors File, a GGUF, a PyTorch file.
type Source interface {
	// Path is the file's name in messages.
	Path() string
	// Infos lists the tensors, sorted by name, no two of one name. It must not be changed.
	Infos() []Info
	// Read fills dst with the bytes of tensor i from off on; an error where the file is closed or was cut short.
	Read(i int, dst []byte, off int) error
	// Mapped returns the memory of tensor i, valid until Close, or nil where it is not in memory in one piece. A file cut short by another
	// program makes reading it fault, which ends the program.
	Mapped(i int) []byte
	Close() error
}

// Info is what a file says about a tensor.
type Info struct {
	Name  string
	DType DType
	Shape []int
}

// Elements is the product of the shape.
func (t Info) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Path is the file's name in messages.
func (f *File) Path() string { return f.path }

// Infos lists the tensors, sorted by name.
func (f *File) Infos() []Info {
	list := make([]Info, len(f.spans))
	for i, p := range f.spans {
		list[i] = Info{p.name, p.dtype, p.shape}
	}
	return list
}

// Read fills dst with the bytes of tensor i from off on.
func (f *File) Read(i int, dst []byte, off int) error {
	if err := f.reach(f.spans[i]); err != nil {
		return err
	}
	return f.read(f.spans[i], dst, off)
}

// Mapped returns the memory of tensor i, valid until Close; nil after it.
func (f *File) Mapped(i int) []byte {
	p := f.spans[i]
	if f.reach(p) != nil {
		return nil
	}
	s := f.shards[p.shard]
	return s.m.Bytes()[s.base+p.start : s.base+p.end]
}

// kernelTypes are the types that products take as a file holds them.
var kernelTypes = map[DType]kernel.DType{F32: kernel.F32, F16: kernel.F16, BF16: kernel.BF16,
	NF4: kernel.NF4, FP4: kernel.FP4, Q8_0: kernel.Q8_0, Q4_0: kernel.Q4_0, Q4_K: kernel.Q4_K, Q5_K: kernel.Q5_K, Q6_K: kernel.Q6_K}
