package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
)

// Tensor is one to be written.
type Tensor = checkpoint.Deferred

// bytesOf is the size of a tensor's data; an error where its shape does not fit its type.
func bytesOf(t checkpoint.Info) (int, error) {
	elements, size := t.DType.Block()
	if elements == 0 || !slices.Contains(types, t.DType) {
		return 0, fmt.Errorf("tensor %q: type %q cannot be stored in a GGUF", t.Name, string(t.DType))
	}
	r := &reader{}
	s := span{Info: t}
	if n := len(s.Shape); n > 0 && s.Shape[n-1]%elements != 0 {
		return 0, fmt.Errorf("tensor %q: rows of %d are not whole blocks of %s", t.Name, s.Shape[n-1], t.DType)
	}
	n := r.product(&s, uint64(size), uint64(elements))
	return n, r.err
}

// Write replaces path by a GGUF of version 3 with the tensors in their order, in one step. Where too little space is free nothing is written and the
// error wraps file.ErrDiskFull.
func Write(path string, meta Metadata, tensors []Tensor) error {
	head, sizes, alignment, err := encode(meta, tensors)
	if err != nil {
		return fmt.Errorf("gguf: %s: %w", path, err)
	}
	total := uint64(len(head))
	for _, n := range sizes {
		total += uint64(pad(n, alignment))
	}
	if err := file.NeedSpace(path, total); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	padding := make([]byte, alignment)
	return file.WriteAtomic(path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		for i, t := range tensors {
			data, err := t.Data()
			if err != nil {
				return err
			}
			if len(data) != sizes[i] {
				return fmt.Errorf("tensor %q: %d bytes, %s %v needs %d", t.Name, len(data), t.DType, t.Shape, sizes[i])
			}
			if _, err := w.Write(data); err != nil {
				return err
			}
			if _, err := w.Write(padding[:pad(len(data), alignment)-len(data)]); err != nil {
				return err
			}
		}
		return nil
	})
}

// encode returns all that comes before the data, and the sizes of the tensors.
func encode(meta Metadata, tensors []Tensor) (head []byte, sizes []int, alignment int, err error) {
	if alignment, err = meta.alignment(); err != nil {
		return nil, nil, 0, err
	}
	out := binary.LittleEndian.AppendUint32([]byte(magic), version)
	out = binary.LittleEndian.AppendUint64(out, uint64(len(tensors)))
	out = binary.LittleEndian.AppendUint64(out, uint64(len(meta)))
	for _, p := range meta {
		if out, err = appendPair(out, p); err != nil {
			return nil, nil, 0, err
		}
	}
	at := 0
	for _, t := range tensors {
		n, err := bytesOf(t.Info)
		if err != nil {
			return nil, nil, 0, err
		}
		sizes = append(sizes, n)
		out = appendString(out, t.Name)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(t.Shape)))
		for i := len(t.Shape) - 1; i >= 0; i-- {
			out = binary.LittleEndian.AppendUint64(out, uint64(t.Shape[i]))
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(slices.Index(types, t.DType)))
		out = binary.LittleEndian.AppendUint64(out, uint64(at))
		at += pad(n, alignment)
	}
	out = append(out, make([]byte, pad(len(out), alignment)-len(out))...)
	if _, err := parse(out, len(out)+at); err != nil { // what we write, we must be able to read
		return nil, nil, 0, err
	}
	return out, sizes, alignment, nil
}
