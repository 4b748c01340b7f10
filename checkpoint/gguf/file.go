package gguf

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
)

// File is an open GGUF, memory-mapped: one file or all parts of a split one. It is a checkpoint.Source.
type File struct {
	Meta  Metadata // of the first part
	path  string
	parts []part
	spans []span // of all parts, by name
	infos []checkpoint.Info
}

type part struct {
	m    *file.Mapping
	base int // where its data starts
}

var _ checkpoint.Source = (*File)(nil)

// Metadata of split files.
const (
	splitNo      = "split.no"
	splitCount   = "split.count"
	splitTensors = "split.tensors.count"
)

const maxParts = 1 << 12

// partName is how llama-gguf-split names parts.
var partName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// Open maps the file at path and checks all of it but the values. A split file is opened by its first part, "-00001-of-0000N.gguf"; the others must
// lie in the same directory, links followed. Errors name the file and the field.
func Open(path string) (*File, error) {
	f := &File{path: path}
	m, err := file.Map(path)
	if err == nil {
		err = f.add(m)
	}
	if err == nil {
		err = f.openParts()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	slices.SortFunc(f.spans, func(a, b span) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range f.spans {
		f.infos = append(f.infos, s.Info)
	}
	return f, nil
}

// add takes over m as the next part and checks it.
func (f *File) add(m *file.Mapping) error {
	f.parts = append(f.parts, part{m: m})
	var p parsed
	err := m.Guard(func(data []byte) (err error) {
		p, err = parse(data, len(data))
		return err
	})
	if err != nil {
		return err
	}
	n := len(f.parts)
	f.parts[n-1].base = p.base
	no, _, err := Lookup[int](p.meta, splitNo)
	if err != nil {
		return err
	}
	count, _, err := Lookup[int](p.meta, splitCount)
	if err != nil {
		return err
	}
	if n == 1 {
		f.Meta = p.meta
		if no != 0 {
			return fmt.Errorf("is part %d of %d: open the first", no+1, count)
		}
	} else if want, _, _ := Lookup[int](f.Meta, splitCount); no != n-1 || count != want {
		return fmt.Errorf("%s, %s are %d, %d, want %d, %d", splitNo, splitCount, no, count, n-1, want)
	}
	for _, s := range p.spans {
		s.part = n - 1
		f.spans = append(f.spans, s)
	}
	return nil
}

// openParts opens the parts after the first.
func (f *File) openParts() error {
	count, _, err := Lookup[int](f.Meta, splitCount)
	if err != nil || count <= 1 {
		return err
	}
	if count > maxParts {
		return fmt.Errorf("%s is %d, at most %d allowed", splitCount, count, maxParts)
	}
	name := partName.FindStringSubmatch(filepath.Base(f.path))
	if name == nil || name[2] != "00001" || name[3] != fmt.Sprintf("%05d", count) {
		return fmt.Errorf("has %d parts, so it must be called NAME-00001-of-%05d.gguf", count, count)
	}
	dir := file.Folder(filepath.Dir(f.path))
	for i := 2; i <= count; i++ {
		part := fmt.Sprintf("%s-%05d-of-%s.gguf", name[1], i, name[3])
		m, err := dir.Map(part)
		if err == nil {
			err = f.add(m)
		}
		if err != nil {
			return fmt.Errorf("part %s: %w", strconv.Quote(part), err)
		}
		if len(f.spans) > maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
	}
	if n, ok, err := Lookup[int](f.Meta, splitTensors); err != nil || ok && n != len(f.spans) {
		return errors.Join(err, fmt.Errorf("%s is %d, the parts hold %d", splitTensors, n, len(f.spans)))
	}
	if name, twice := duplicate(len(f.spans), func(i int) string { return f.spans[i].Name }); twice {
		return fmt.Errorf("two parts hold tensor %q", name)
	}
	return nil
}

// Path is the file's name in messages.
func (f *File) Path() string { return f.path }

// Infos lists the tensors, sorted by name. Shapes are outermost first, the reverse of the file's.
func (f *File) Infos() []checkpoint.Info { return f.infos }

// Read fills dst with the bytes of tensor i from off on.
func (f *File) Read(i int, dst []byte, off int) error {
	s := f.spans[i]
	p := f.parts[s.part]
	if p.m.Len() < p.base+s.end {
		return fmt.Errorf("gguf: %s is closed", f.path)
	}
	if off < 0 || off > s.end-s.start || len(dst) > s.end-s.start-off {
		return fmt.Errorf("gguf: %s: tensor %q: bytes %d to %d of %d", f.path, s.Name, off, off+len(dst), s.end-s.start)
	}
	if err := p.m.CopyFrom(dst, int64(p.base+s.start+off)); err != nil {
		return fmt.Errorf("gguf: tensor %q: %w", s.Name, err)
	}
	return nil
}

// Mapped returns the memory of tensor i, valid until Close; nil after it.
func (f *File) Mapped(i int) []byte {
	s := f.spans[i]
	p := f.parts[s.part]
	if p.m.Len() < p.base+s.end {
		return nil
	}
	return p.m.Bytes()[p.base+s.start : p.base+s.end : p.base+s.end]
}

// Close unmaps the file.
func (f *File) Close() error {
	var err error
	for _, p := range f.parts {
		err = errors.Join(err, p.m.Close())
	}
	return err
}
