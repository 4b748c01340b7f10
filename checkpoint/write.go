package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/internal/file"
)

// Write replaces path by a safetensors file of tensors, in one step: widest types first, then by name, as Hugging Face lays them
// out. Nil metadata means {"format": "pt"}. Equal arguments give equal bytes. Names must be UTF-8, differ, and not be __metadata__.
// Where too little space is free nothing is written and the error wraps file.ErrDiskFull.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	list, err := deferred(tensors)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	e, err := encode(path, list, metadata)
	if err != nil {
		return err
	}
	if err := file.NeedSpace(path, e.size); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return e.write()
}

// encoded is a file ready to be written.
type encoded struct {
	path    string
	head    []byte
	tensors []Deferred // as they lie in the file
	size    uint64     // of the file
}

// deferred are tensors whose data is there.
func deferred(tensors []Tensor) ([]Deferred, error) {
	var list []Deferred
	for _, t := range tensors {
		d := Deferred{Info{t.Name, t.DType, t.Shape}, func() ([]byte, error) { return t.Data, nil }}
		if n := d.bytes(); n > 0 && n != len(t.Data) { // header tells what is wrong with other sizes
			return nil, fmt.Errorf("tensor %q: %d bytes, %s %v needs %d", t.Name, len(t.Data), t.DType, t.Shape, d.bytes())
		}
		list = append(list, d)
	}
	return list, nil
}

// bytes is the size of the tensor's data, wrapped around where its shape is beyond all memory, which header notices.
func (d Deferred) bytes() int { return d.Elements() * d.DType.Size() }

func encode(path string, tensors []Deferred, metadata map[string]string) (encoded, error) {
	if metadata == nil {
		metadata = map[string]string{"format": "pt"}
	}
	e := encoded{path: path, tensors: slices.Clone(tensors)}
	slices.SortFunc(e.tensors, func(a, b Deferred) int {
		if d := slices.Index(order, b.DType) - slices.Index(order, a.DType); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	var err error
	if e.head, err = header(e.tensors, metadata); err != nil {
		return e, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	e.size = uint64(len(e.head))
	for _, t := range tensors {
		e.size += uint64(t.bytes())
	}
	return e, nil
}

func (e encoded) write() error {
	return file.WriteAtomic(e.path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(e.head); err != nil {
			return err
		}
		for _, t := range e.tensors {
			data, err := t.Data()
			if err != nil {
				return err
			}
			if len(data) != t.bytes() {
				return fmt.Errorf("tensor %q: %d bytes, %s %v needs %d", t.Name, len(data), t.DType, t.Shape, t.bytes())
			}
			if _, err := w.Write(data); err != nil {
				return err
			}
		}
		return nil
	})
}

func header(tensors []Deferred, metadata map[string]string) ([]byte, error) {
	out, at := append(make([]byte, 8, 4096), '{'), 0
	if len(metadata) > 0 {
		keys := make([]string, 0, len(metadata))
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("metadata %q: %q is not UTF-8", k, v)
			}
			keys = append(keys, k)
		}
		slices.Sort(keys)
		out = append(out, `"__metadata__":{`...)
		for i, k := range keys {
			if i > 0 {
				out = append(out, ',')
			}
			out = quote(append(quote(out, k), ':'), metadata[k])
		}
		out = append(out, '}')
	}
	for _, t := range tensors {
		if t.Name == "__metadata__" {
			return nil, errors.New("a tensor must not be called __metadata__")
		}
		if !utf8.ValidString(t.Name) {
			return nil, fmt.Errorf("tensor %q: the name is not UTF-8", t.Name)
		}
		if !slices.Contains(order, t.DType) {
			return nil, fmt.Errorf("tensor %q: unknown dtype %q", t.Name, string(t.DType))
		}
		shape, err := json.Marshal(append([]int{}, t.Shape...))
		if err != nil {
			return nil, err
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = fmt.Appendf(quote(out, t.Name), `:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, t.DType, shape, at, at+t.bytes())
		at += t.bytes()
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

// quote appends s as a JSON string with the fewest escapes, which are Hugging Face's.
func quote(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= ' ':
			out = append(out, c)
		case strings.IndexByte("\b\t\n\f\r", c) >= 0:
			out = append(out, '\\', "btn_fr"[c-'\b'])
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
	}
	return append(out, '"')
}

// DefaultShardBytes is the size that WriteSharded takes for 0.
const DefaultShardBytes = 5_000_000_000

var shardName = regexp.MustCompile(`^model-\d{5}-of-\d{5}\.safetensors$`)

// WriteSharded writes tensors into dir, which it makes where needed, under Hugging Face's names: shards of at most maxShardBytes
// of values and IndexFile, or WeightsFile alone where one shard is enough. A tensor larger than that gets a shard to itself. Tensors fill
// the shards in their order; within a shard they lie as Write puts them. An earlier save in dir is removed once the new one is
// in place. Where both use equal shard names the earlier index goes first, so that a crash leaves no loadable mixture but may leave
// no loadable save: write into a new directory, with file.WriteDirAtomic, what must survive.
func WriteSharded(dir string, tensors []Tensor, maxShardBytes int64, metadata map[string]string) error {
	list, err := deferred(tensors)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	return WriteDeferred(dir, list, maxShardBytes, metadata)
}

// WriteDeferred is WriteSharded of tensors whose data is made when its turn comes.
func WriteDeferred(dir string, tensors []Deferred, maxShardBytes int64, metadata map[string]string) error {
	if maxShardBytes == 0 {
		maxShardBytes = DefaultShardBytes
	}
	if maxShardBytes < 0 {
		return fmt.Errorf("checkpoint: %s: shards of %d bytes", dir, maxShardBytes)
	}
	files, index, err := plan(dir, tensors, maxShardBytes, metadata)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	need, fresh := uint64(len(index)), map[string]bool{}
	for _, e := range files {
		need += e.size
		fresh[filepath.Base(e.path)] = true
	}
	if err := file.NeedSpace(filepath.Join(dir, IndexFile), need); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	old, err := saved(dir)
	if err != nil {
		return err
	}
	if index != nil && slices.ContainsFunc(old, func(name string) bool { return fresh[name] }) && slices.Contains(old, IndexFile) {
		if err := file.Remove(filepath.Join(dir, IndexFile)); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	for _, e := range files {
		if err := e.write(); err != nil {
			return err
		}
	}
	if index != nil {
		if err := file.WriteFile(filepath.Join(dir, IndexFile), index, 0o644); err != nil {
			return err
		}
		fresh[IndexFile] = true
	}
	for _, name := range old {
		if !fresh[name] {
			if err := file.Remove(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("checkpoint: %w", err)
			}
		}
	}
	return nil
}

// saved lists the files of an earlier save in dir, in the order in which they can be removed: what leads to others first.
func saved(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	var lead, shards []string
	for _, d := range list {
		switch name := d.Name(); {
		case d.IsDir():
		case name == WeightsFile || name == IndexFile:
			lead = append(lead, name)
		case shardName.MatchString(name):
			shards = append(shards, name)
		}
	}
	return append(lead, shards...), nil
}

// plan cuts tensors into files and encodes their index, which is nil for one file.
func plan(dir string, tensors []Deferred, limit int64, metadata map[string]string) ([]encoded, []byte, error) {
	var groups [][]Deferred
	var current []Deferred
	size, total, elements := int64(0), int64(0), int64(0)
	seen := map[string]bool{}
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, nil, fmt.Errorf("checkpoint: %s: duplicate tensor %q", dir, t.Name)
		}
		seen[t.Name] = true
		n := int64(t.bytes())
		total += n
		if s := t.DType.Size(); s > 0 {
			elements += n / int64(s)
		}
		if n > limit {
			groups = append(groups, []Deferred{t})
			continue
		}
		if size+n > limit {
			groups = append(groups, current)
			current, size = nil, 0
		}
		current = append(current, t)
		size += n
	}
	if len(current) > 0 || len(groups) == 0 {
		groups = append(groups, current)
	}
	if len(groups) > maxShards {
		return nil, nil, fmt.Errorf("checkpoint: %s: %d shards of %d bytes, at most %d allowed", dir, len(groups), limit, maxShards)
	}
	files, weights := make([]encoded, len(groups)), map[string]string{}
	for i, g := range groups {
		name := WeightsFile
		if len(groups) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(groups))
		}
		var err error
		if files[i], err = encode(filepath.Join(dir, name), g, metadata); err != nil {
			return nil, nil, err
		}
		for _, t := range g {
			weights[t.Name] = name
		}
	}
	if len(groups) == 1 {
		return files, nil, nil
	}
	index := marshalIndex(weights, map[string]int64{"total_parameters": elements, "total_size": total})
	if len(index) > maxIndex {
		return nil, nil, fmt.Errorf("checkpoint: %s: an index of %d bytes, at most %d allowed", dir, len(index), maxIndex)
	}
	return files, index, nil
}

// marshalIndex writes an index with sorted keys.
func marshalIndex(weights map[string]string, counts map[string]int64) []byte {
	out := []byte("{\n  \"metadata\": {")
	for i, k := range sortedKeys(counts) {
		out = fmt.Appendf(quote(sep(out, i), k), ": %d", counts[k])
	}
	out = append(out, "\n  },\n  \"weight_map\": {"...)
	for i, k := range sortedKeys(weights) {
		out = quote(append(quote(sep(out, i), k), ": "...), weights[k])
	}
	return append(out, "\n  }\n}\n"...)
}

func sep(out []byte, i int) []byte {
	if i > 0 {
		out = append(out, ',')
	}
	return append(out, "\n    "...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
