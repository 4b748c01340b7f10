package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
)

// File is an open safetensors file, memory-mapped.
type File struct {
	path  string
	m     *file.Mapping
	base  int
	spans []span
	meta  []pair
}

// Open maps the safetensors file at path and checks it whole. Errors name the file and the tensor.
func Open(path string) (*File, error) {
	m, err := file.Map(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	// The header is copied first, so that a file cut short meanwhile gives an error and no fault.
	head := make([]byte, min(8, m.Len()))
	err = m.CopyFrom(head, 0)
	if err == nil && len(head) == 8 {
		if n := binary.LittleEndian.Uint64(head); n <= maxHeader && n <= uint64(m.Len()-8) {
			head = make([]byte, 8+n)
			err = m.CopyFrom(head, 0)
		}
	}
	f := &File{path: path, m: m}
	if err == nil {
		f.spans, f.meta, f.base, err = parseHeader(head, m.Len())
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return f, nil
}

// Names returns the names of the tensors, sorted.
func (f *File) Names() []string {
	names := make([]string, len(f.spans))
	for i, p := range f.spans {
		names[i] = p.name
	}
	return names
}

// Tensor returns a copy of the tensor called name; an error where there is none, or where the file was cut short since Open.
func (f *File) Tensor(name string) (Tensor, error) {
	i, ok := slices.BinarySearchFunc(f.spans, name, func(p span, name string) int { return strings.Compare(p.name, name) })
	if !ok {
		return Tensor{}, fmt.Errorf("checkpoint: %s: no tensor %q", f.path, name)
	}
	p := f.spans[i]
	if f.m.Len() < f.base+p.end {
		return Tensor{}, fmt.Errorf("checkpoint: %s is closed", f.path)
	}
	t := Tensor{p.name, p.dtype, slices.Clone(p.shape), make([]byte, p.end-p.start)}
	if err := f.m.CopyFrom(t.Data, int64(f.base+p.start)); err != nil {
		return Tensor{}, fmt.Errorf("checkpoint: tensor %q: %w", name, err)
	}
	return t, nil
}

// Metadata returns the free text of the header.
func (f *File) Metadata() map[string]string {
	m := make(map[string]string, len(f.meta))
	for _, p := range f.meta {
		m[p.key] = p.value
	}
	return m
}

// Close unmaps the file. Tensors taken from it stay valid.
func (f *File) Close() error { return f.m.Close() }

// Write replaces path by a safetensors file of tensors, in one step: widest types first, then by name, as Hugging Face lays them
// out. Nil metadata means {"format": "pt"}. Equal arguments give equal bytes.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	if metadata == nil {
		metadata = map[string]string{"format": "pt"}
	}
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		if d := slices.Index(order, b.DType) - slices.Index(order, a.DType); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	head, err := header(sorted, metadata)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return file.WriteAtomic(path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		for _, t := range sorted {
			if _, err := w.Write(t.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	out, at := make([]byte, 8, 4096), 0
	meta, err := json.Marshal(metadata)
	if err != nil {
		return nil, err
	}
	out = append(append(out, `{"__metadata__":`...), meta...)
	for _, t := range tensors {
		if t.Name == "__metadata__" {
			return nil, errors.New("a tensor must not be called __metadata__")
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		shape, err := json.Marshal(append([]int{}, t.Shape...))
		if err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, `,%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, string(t.DType), shape, at, at+len(t.Data))
		at += len(t.Data)
	}
	out = append(out, '}')
	for len(out)%8 != 0 {
		out = append(out, ' ')
	}
	binary.LittleEndian.PutUint64(out, uint64(len(out)-8))
	if _, _, _, err := parseHeader(out, len(out)+at); err != nil { // what we write, we must be able to read
		return nil, err
	}
	return out, nil
}
