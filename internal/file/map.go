package file

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
)

// Mapping is a file's content, memory-mapped where the system can. Its size is fixed when it is opened. A file cut short by
// another process while mapped makes a plain read of Bytes fault, which ends the program; CopyFrom gives an error instead. Either way
// the rest of the page in which the file then ends reads as zeros, and a file changed in place reads as changed. Any number of
// goroutines may read at once; none may when Close is called.
type Mapping struct {
	path   string
	data   []byte
	unmap  func() error
	mapped bool
}

// Map maps path read-only. An empty file, or one on a file system without maps, is read into memory.
func Map(path string) (*Mapping, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return MapFile(f)
}

// MapFile is Map of an open file. The caller may close f afterwards.
func MapFile(f *os.File) (*Mapping, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("file: %s is not a regular file", f.Name())
	}
	if info.Size() > math.MaxInt {
		return nil, fmt.Errorf("file: %s is too large for this machine: %d bytes", f.Name(), info.Size())
	}
	n := int(info.Size())
	if n > 0 {
		if data, unmap, err := mmap(f, n); err == nil {
			return &Mapping{f.Name(), data, unmap, true}, nil
		}
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(n)), data); err != nil {
		return nil, fmt.Errorf("file: read %s: %w", f.Name(), err)
	}
	return &Mapping{f.Name(), data, nil, false}, nil
}

// Bytes returns the content, read-only and valid until Close.
func (m *Mapping) Bytes() []byte { return m.data }

// Len returns the size in bytes at opening.
func (m *Mapping) Len() int { return len(m.data) }

// CopyFrom fills dst from offset off. It returns an error, never a fault, where the file was cut short underneath.
func (m *Mapping) CopyFrom(dst []byte, off int64) error {
	if off < 0 || off > int64(len(m.data)) || int64(len(dst)) > int64(len(m.data))-off {
		return fmt.Errorf("file: %s: bytes %d to %d of %d", m.path, off, off+int64(len(dst)), len(m.data))
	}
	return m.Guard(func(data []byte) error {
		copy(dst, data[off:])
		return nil
	})
}

// Guard calls use with the content, which it must not keep. Where the file was cut short underneath and use, on its own goroutine, reads what is gone,
// Guard returns an error instead of a fault, and use ends there.
func (m *Mapping) Guard(use func(data []byte) error) (err error) {
	if !m.mapped {
		return use(m.data)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if _, fault := r.(interface{ Addr() uintptr }); !fault {
			panic(r)
		}
		err = fmt.Errorf("file: %s was cut short while mapped: %w", m.path, io.ErrUnexpectedEOF)
	}()
	return use(m.data)
}

// Close unmaps. Bytes must not be used afterwards. A second Close does nothing.
func (m *Mapping) Close() error {
	unmap := m.unmap
	m.data, m.unmap, m.mapped = nil, nil, false
	if unmap == nil {
		return nil
	}
	return unmap()
}
