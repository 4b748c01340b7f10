package pickle

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
)

// The names that Hugging Face gives the files of a directory.
const (
	WeightsFile = "pytorch_model.bin"
	IndexFile   = "pytorch_model.bin.index.json"
)

// maxPickle bounds the pickle in an archive, which holds names and shapes only.
const maxPickle = 64 << 20

// File is an open PyTorch file or the shards of an index, memory-mapped. It is a checkpoint.Source.
type File struct {
	path    string
	parts   []*file.Mapping
	tensors []placed // of all parts, by name
	infos   []checkpoint.Info
}

// placed is a tensor in a part.
type placed struct {
	name string
	*tensor
	part  int
	dense bool // contiguous
}

var _ checkpoint.Source = (*File)(nil)

// Open maps the file at path, runs its pickle and checks all of it but the values. A path ending in .index.json is an index of shards, which must lie in
// its directory, links followed, and each end in .bin. Errors name the file, and what in it was refused.
func Open(path string) (*File, error) {
	f := &File{path: path}
	var err error
	if strings.HasSuffix(path, ".index.json") {
		err = f.openIndex()
	} else {
		var m *file.Mapping
		if m, err = file.Map(path); err == nil {
			_, err = f.add(m)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("pickle: %s: %w", path, err)
	}
	slices.SortFunc(f.tensors, func(a, b placed) int { return strings.Compare(a.name, b.name) })
	for _, t := range f.tensors {
		f.infos = append(f.infos, checkpoint.Info{Name: t.name, DType: t.dtype, Shape: t.shape})
	}
	return f, nil
}

func (f *File) openIndex() error {
	dir := file.Folder(filepath.Dir(f.path))
	return checkpoint.OpenShards(dir, filepath.Base(f.path), ".bin", func(shard string) ([]string, error) {
		m, err := dir.Map(shard)
		if err != nil {
			return nil, err
		}
		return f.add(m)
	})
}

// add takes over m as the next part and returns the names of its tensors.
func (f *File) add(m *file.Mapping) ([]string, error) {
	f.parts = append(f.parts, m)
	var found map[string]*tensor
	err := m.Guard(func(data []byte) (err error) {
		found, err = parse(data)
		return err
	})
	var names []string
	for name, t := range found {
		names = append(names, name)
		f.tensors = append(f.tensors, placed{name, t, len(f.parts) - 1, t.contiguous()})
	}
	return names, err
}

// parse returns the tensors of a file by name.
func parse(data []byte) (map[string]*tensor, error) {
	t := &torch{storages: map[string]*storage{}}
	m := &machine{data: data, budget: 4*len(data) + 8<<20, calls: t}
	value, err := any(nil), error(nil)
	switch {
	case strings.HasPrefix(string(data[:min(4, len(data))]), "PK\x03\x04"):
		value, err = archive(data, m, t)
	default:
		value, err = legacy(m, t)
	}
	if err != nil {
		return nil, err
	}
	c := collector{found: map[string]*tensor{}, budget: m.budget}
	if err := c.walk("", unwrap(value), 0); err != nil {
		return nil, err
	}
	return bare(c.found), nil
}

// bytesAt reads a mapped file.
type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// archive reads a zip: NAME/data.pkl and NAME/data/KEY for each storage.
func archive(data []byte, m *machine, t *torch) (any, error) {
	z, err := zip.NewReader(bytesAt(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	prefix := ""
	members := make(map[string]*zip.File, len(z.File))
	for _, e := range z.File {
		if members[e.Name] != nil {
			return nil, fmt.Errorf("two members called %q", e.Name)
		}
		members[e.Name] = e
		if name, ok := strings.CutSuffix(e.Name, "data.pkl"); ok && (name == "" || strings.HasSuffix(name, "/")) {
			if members[prefix+"data.pkl"] != nil && prefix != name {
				return nil, fmt.Errorf("two pickles, %q and %q", prefix+"data.pkl", e.Name)
			}
			prefix = name
		}
	}
	main := members[prefix+"data.pkl"]
	if main == nil {
		return nil, errors.New("is a zip archive without data.pkl, so no PyTorch file")
	}
	if order := members[prefix+"byteorder"]; order != nil {
		start, size, err := stored(order, len(data))
		if err != nil {
			return nil, err
		}
		if s := string(data[start : start+min(size, 16)]); s != "little" {
			return nil, fmt.Errorf("byte order %q is not supported", s)
		}
	}
	start, size, err := stored(main, len(data))
	if err != nil {
		return nil, err
	}
	if size > maxPickle {
		return nil, fmt.Errorf("a pickle of %d bytes, at most %d allowed", size, maxPickle)
	}
	m.data = data[start : start+size]
	value, err := m.run()
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	for _, s := range t.order {
		name := prefix + "data/" + s.key
		e := members[name]
		if e == nil {
			return nil, fmt.Errorf("the pickle names storage %q, the archive has no %q", s.key, name)
		}
		if s.start, size, err = stored(e, len(data)); err != nil {
			return nil, err
		}
		if size != s.size {
			return nil, fmt.Errorf("member %q has %d bytes, its storage %d", name, size, s.size)
		}
	}
	return value, nil
}

// stored returns where a member's bytes lie in a file of n bytes.
func stored(e *zip.File, n int) (start, size int, err error) {
	if e.Method != zip.Store || e.CompressedSize64 != e.UncompressedSize64 {
		return 0, 0, fmt.Errorf("member %q is compressed, which PyTorch never does", e.Name)
	}
	at, err := e.DataOffset()
	if err != nil {
		return 0, 0, fmt.Errorf("member %q: %w", e.Name, err)
	}
	if at < 0 || at > int64(n) || e.UncompressedSize64 > uint64(int64(n)-at) {
		return 0, 0, fmt.Errorf("member %q of %d bytes from byte %d on ends outside the file", e.Name, e.UncompressedSize64, at)
	}
	return int(at), int(e.UncompressedSize64), nil
}

// The start of a file of the older format, as protocols 2 and up, and 1 and below, give it.
const (
	magicBytes   = big("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
	magicDecimal = big("119547037146038801333356")
)

// legacy reads the format before zip: pickles of a magic number, a version, facts about the machine, the value, and the keys of the storages, then for each
// of these the number of elements and the elements.
func legacy(m *machine, t *torch) (any, error) {
	notTorch := errors.New("is neither a zip archive nor an older PyTorch file")
	if v, err := m.run(); err != nil || v != magicBytes && v != magicDecimal {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", notTorch, err)
		}
		return nil, notTorch
	}
	if v, err := m.run(); err != nil || v != int64(1001) {
		return nil, errors.Join(fmt.Errorf("version %v, only 1001 is known", v), err)
	}
	facts, err := m.run()
	if err != nil {
		return nil, err
	}
	if d, ok := facts.(*dict); ok {
		if i := slices.Index(d.keys, any("little_endian")); i >= 0 && d.values[i] != true {
			return nil, errors.New("a big-endian file is not supported")
		}
	}
	value, err := m.run()
	if err != nil {
		return nil, err
	}
	keys, err := m.run()
	if err != nil {
		return nil, err
	}
	l, ok := keys.(*list)
	if !ok {
		return nil, errors.New("the storages have no list of keys")
	}
	seen := map[*storage]bool{}
	for _, k := range l.items {
		key, _ := keyText(k)
		s := t.storages[key]
		if s == nil || seen[s] {
			return nil, fmt.Errorf("storage %q stands in the list of keys twice, or no tensor has it", key)
		}
		seen[s] = true
		if len(m.data)-m.at < 8 {
			return nil, fmt.Errorf("the file ends before storage %q", key)
		}
		if n := m.number(8); n > math.MaxInt || int(n) != s.numel {
			return nil, fmt.Errorf("storage %q has %d elements, the pickle says %d", key, n, s.numel)
		}
		if s.start = m.at; s.size > len(m.data)-m.at {
			return nil, fmt.Errorf("storage %q of %d bytes ends outside the file", key, s.size)
		}
		m.at += s.size
	}
	if len(seen) != len(t.order) {
		return nil, fmt.Errorf("%d storages in the file, the pickle names %d", len(seen), len(t.order))
	}
	return value, nil
}

// Path is the file's name in messages.
func (f *File) Path() string { return f.path }

// Infos lists the tensors, sorted by name.
func (f *File) Infos() []checkpoint.Info { return f.infos }

// Read fills dst with the bytes of tensor i from off on, whole elements, rows first whatever the strides in the file.
func (f *File) Read(i int, dst []byte, off int) error {
	t := f.tensors[i]
	size := t.dtype.Size()
	total := f.infos[i].Elements() * size
	if off < 0 || off > total || len(dst) > total-off || off%size != 0 || len(dst)%size != 0 {
		return fmt.Errorf("pickle: %s: tensor %q: bytes %d to %d of %d", f.path, t.name, off, off+len(dst), total)
	}
	m := f.parts[t.part]
	if m.Len() < t.storage.start+t.storage.size {
		return fmt.Errorf("pickle: %s is closed", f.path)
	}
	err := m.Guard(func(data []byte) error {
		base := data[t.storage.start : t.storage.start+t.storage.size]
		if t.dense {
			copy(dst, base[t.offset*size+off:])
			return nil
		}
		t.gather(dst, base, off/size, size)
		return nil
	})
	if err != nil {
		return fmt.Errorf("pickle: %s: tensor %q: %w", f.path, t.name, err)
	}
	return nil
}

// gather copies elements of size bytes, from the n-th on, out of the storage base.
func (x *tensor) gather(dst, base []byte, n, size int) {
	index, at := make([]int, len(x.shape)), x.offset
	for i := len(index) - 1; i >= 0; i-- {
		index[i], n = n%x.shape[i], n/x.shape[i]
		at += index[i] * x.strides[i]
	}
	for ; len(dst) > 0; dst = dst[size:] {
		copy(dst[:size], base[at*size:])
		for i := len(index) - 1; i >= 0; i-- {
			index[i]++
			if at += x.strides[i]; index[i] < x.shape[i] {
				break
			}
			at -= index[i] * x.strides[i]
			index[i] = 0
		}
	}
}

// Mapped returns the memory of tensor i, valid until Close; nil after it and where its elements do not lie in order.
func (f *File) Mapped(i int) []byte {
	t := f.tensors[i]
	m := f.parts[t.part]
	if !t.dense || m.Len() < t.storage.start+t.storage.size {
		return nil
	}
	start, size := t.storage.start+t.offset*t.dtype.Size(), f.infos[i].Elements()*t.dtype.Size()
	return m.Bytes()[start : start+size : start+size]
}

// Close unmaps the file.
func (f *File) Close() error {
	var err error
	for _, m := range f.parts {
		err = errors.Join(err, m.Close())
	}
	return err
}
