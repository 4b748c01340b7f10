package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
)

// The names that Open looks for in a directory and WriteSharded writes.
const (
	WeightsFile = "model.safetensors"
	IndexFile   = "model.safetensors.index.json"
)

// File is an open checkpoint: one safetensors file or the shards of an index, memory-mapped.
type File struct {
	path   string
	shards []shard
	spans  []span // of all shards, by name
	meta   []pair // of the first shard
}

type shard struct {
	name string // in the directory, empty for a single file
	m    *file.Mapping
	base int // where its data starts
}

// Open maps the checkpoint at path and checks all of it but the values. A path is a safetensors file, an index (*.index.json), or a
// directory with WeightsFile or else IndexFile. What an index names must lie in its directory, links followed. An
// index must name each tensor of each of its shards, and no other. Errors name the file and the tensor.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	f := &File{path: path}
	switch {
	case info.IsDir():
		err = f.openDir()
	case strings.HasSuffix(path, ".index.json"):
		err = f.openIndex(file.Folder(filepath.Dir(path)), filepath.Base(path))
	case slices.Contains(foreign, filepath.Ext(path)):
		err = errForeign
	default:
		var m *file.Mapping
		if m, err = file.Map(path); err == nil {
			err = f.add("", m)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("checkpoint: %s: %w", f.path, err)
	}
	return f, nil
}

// foreign are endings of files that may hold code.
var foreign = []string{".bin", ".pt", ".pth", ".ckpt", ".pkl"}

var errForeign = errors.New("is not a safetensors file: pickled files can hold code; " +
	"package checkpoint/pickle reads the tensors of those that hold nothing else")

func (f *File) openDir() error {
	path := f.path
	dir := file.Folder(path)
	m, err := dir.Map(WeightsFile)
	if err == nil {
		f.path = filepath.Join(path, WeightsFile)
		return f.add("", m)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if dir.Has(IndexFile) {
		f.path = filepath.Join(path, IndexFile)
		return f.openIndex(dir, IndexFile)
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, d := range list {
		if slices.Contains(foreign, filepath.Ext(d.Name())) {
			return fmt.Errorf("neither %s nor %s; %s %w", WeightsFile, IndexFile, d.Name(), errForeign)
		}
	}
	return fmt.Errorf("neither %s nor %s: %w", WeightsFile, IndexFile, fs.ErrNotExist)
}

// add takes over m as the shard called name and checks its header.
func (f *File) add(name string, m *file.Mapping) error {
	f.shards = append(f.shards, shard{name: name, m: m})
	s := &f.shards[len(f.shards)-1]
	// The header is copied first, so that a file cut short meanwhile gives an error and no fault.
	head := make([]byte, min(8, m.Len()))
	if err := m.CopyFrom(head, 0); err != nil {
		return err
	}
	if len(head) == 8 {
		if n := binary.LittleEndian.Uint64(head); n <= maxHeader && n <= uint64(m.Len()-8) {
			head = make([]byte, 8+n)
			if err := m.CopyFrom(head, 0); err != nil {
				return err
			}
		}
	}
	spans, meta, base, err := parseHeader(head, m.Len())
	if err != nil {
		return err
	}
	s.base = base
	for i := range spans {
		spans[i].shard = len(f.shards) - 1
	}
	if len(f.shards) == 1 {
		f.spans, f.meta = spans, meta
	} else {
		f.spans = append(f.spans, spans...)
	}
	return nil
}

func (f *File) openIndex(dir file.Folder, name string) error {
	err := OpenShards(dir, name, ".safetensors", func(shard string) ([]string, error) {
		m, err := dir.Map(shard)
		if err != nil {
			return nil, err
		}
		before := len(f.spans)
		if err := f.add(shard, m); err != nil {
			return nil, err
		}
		var names []string
		for _, p := range f.spans[before:] {
			names = append(names, p.name)
		}
		return names, nil
	})
	slices.SortFunc(f.spans, func(a, b span) int { return strings.Compare(a.name, b.name) })
	return err
}

// OpenShards reads the index called name and calls open for each shard that it names, sorted, whose ending must be ext. What open returns, the tensors
// of the shard, must be what the index puts there.
func OpenShards(dir file.Folder, name, ext string, open func(shard string) ([]string, error)) error {
	data, err := dir.Read(name, maxIndex)
	if err != nil {
		return err
	}
	weights, err := parseIndex(data)
	if err != nil {
		return err
	}
	expected := map[string]map[string]bool{} // tensors by shard, by name whether it was found
	for tensor, v := range weights {
		if expected[v] == nil {
			expected[v] = map[string]bool{}
		}
		expected[v][tensor] = false
	}
	if len(expected) > maxShards {
		return fmt.Errorf("%d shards, at most %d allowed", len(expected), maxShards)
	}
	for _, v := range sortedKeys(expected) {
		switch end := filepath.Ext(v); {
		case end != ext && slices.Contains(foreign, end):
			return fmt.Errorf("shard %q %w", v, errForeign)
		case end != ext:
			return fmt.Errorf("shard %q is not called *%s", v, ext)
		}
		names, err := open(v)
		if err != nil {
			return fmt.Errorf("shard %q: %w", v, err)
		}
		for _, tensor := range names {
			switch at, ok := weights[tensor]; {
			case !ok:
				return fmt.Errorf("shard %q holds tensor %q, which the index does not name", v, tensor)
			case at != v:
				return fmt.Errorf("shard %q holds tensor %q, which the index puts in %q", v, tensor, at)
			}
			expected[v][tensor] = true
		}
		for _, tensor := range sortedKeys(expected[v]) {
			if !expected[v][tensor] {
				return fmt.Errorf("shard %q lacks tensor %q, which the index puts there", v, tensor)
			}
		}
	}
	return nil
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
	if err := f.reach(p); err != nil {
		return Tensor{}, err
	}
	t := Tensor{p.name, p.dtype, slices.Clone(p.shape), make([]byte, p.end-p.start)}
	return t, f.read(p, t.Data, 0)
}

// reach is an error where the file is closed.
func (f *File) reach(p span) error {
	if s := f.shards[p.shard]; s.m.Len() < s.base+p.end {
		return fmt.Errorf("checkpoint: %s is closed", f.path)
	}
	return nil
}

// read fills dst from byte off of the tensor p.
func (f *File) read(p span, dst []byte, off int) error {
	s := f.shards[p.shard]
	if err := s.m.CopyFrom(dst, int64(s.base+p.start+off)); err != nil {
		return fmt.Errorf("checkpoint: tensor %q: %w", p.name, err)
	}
	return nil
}

// Metadata returns the free text in the header, of shards in that of the first by name.
func (f *File) Metadata() map[string]string {
	m := make(map[string]string, len(f.meta))
	for _, p := range f.meta {
		m[p.key] = p.value
	}
	return m
}

// Close unmaps the file. Tensors taken from it stay valid.
func (f *File) Close() error {
	var err error
	for _, s := range f.shards {
		err = errors.Join(err, s.m.Close())
	}
	return err
}
