package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// decode reads a whole file in memory.
func decode(data []byte) ([]Tensor, map[string]string, error) {
	head := data
	if len(data) >= 8 {
		head = data[:8+min(binary.LittleEndian.Uint64(data), uint64(len(data)-8))]
	}
	spans, meta, base, err := parseHeader(head, len(data))
	if err != nil {
		return nil, nil, err
	}
	var list []Tensor
	for _, p := range spans {
		list = append(list, Tensor{p.name, p.dtype, p.shape, data[base+p.start : base+p.end]})
	}
	m := map[string]string{}
	for _, p := range meta {
		m[p.key] = p.value
	}
	return list, m, nil
}

// invariants checks what an accepted file must hold and that it re-encodes to equal tensors, in bytes that do not change again.
func invariants(data []byte) error {
	list, meta, err := decode(data)
	if err != nil {
		return nil
	}
	total, seen := 0, map[string]bool{}
	for _, v := range list {
		n := v.DType.Size()
		for _, d := range v.Shape {
			n *= d
		}
		if n != len(v.Data) || v.DType.Size() == 0 || seen[v.Name] {
			return fmt.Errorf("tensor %q: %s %v with %d bytes, seen %t", v.Name, v.DType, v.Shape, len(v.Data), seen[v.Name])
		}
		seen[v.Name] = true
		total += n
	}
	if head := binary.LittleEndian.Uint64(data); uint64(total)+head+8 != uint64(len(data)) {
		return fmt.Errorf("header of %d and tensors of %d bytes in a file of %d", head, total, len(data))
	}
	once, err := canonical(list, meta)
	if err != nil {
		return err
	}
	again, meta2, err := decode(once)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(list, again, func(a, b Tensor) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
	})
	if !same || !maps.Equal(meta, meta2) {
		return fmt.Errorf("re-encoded: %v %v, was %v %v", again, meta2, list, meta)
	}
	twice, err := canonical(again, meta2)
	if err != nil || !bytes.Equal(once, twice) {
		return fmt.Errorf("encoded twice: %q and %q, %v", once, twice, err)
	}
	return nil
}

func canonical(list []Tensor, meta map[string]string) ([]byte, error) {
	later, err := deferred(list)
	if err != nil {
		return nil, err
	}
	e, err := encode("", later, meta)
	if err != nil {
		return nil, err
	}
	out := e.head
	for _, v := range e.tensors {
		data, err := v.Data()
		if err != nil {
			return nil, err
		}
		out = append(out, data...)
	}
	return out, nil
}

// small are files of every dtype and several shapes.
func small(t testing.TB) [][]byte {
	t.Helper()
	var files [][]byte
	fill := func(name string, d DType, shape ...int) Tensor {
		n := d.Size()
		for _, v := range shape {
			n *= v
		}
		return Tensor{name, d, shape, bytes.Repeat([]byte{0x3c, 7}, n)[:n]}
	}
	for i := range order {
		list := []Tensor{fill("w", order[i], 3), fill("blocks.0.é", order[(i+5)%15], 1, 2), fill("s", order[(i+9)%15]), fill("z", order[(i+1)%15], 0, 4)}
		data, err := canonical(list[:1+i%4], []map[string]string{nil, {}, {"format": "pt", "a\n": "\""}}[i%3])
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	return files
}

// TestCutsAndFlips cuts small files at every byte and flips every bit. A cut is refused. A flip of the length is refused; one in the
// header is refused or gives a file that holds all invariants; one in the data changes that byte of one tensor and nothing else.
func TestCutsAndFlips(t *testing.T) {
	refused, accepted := 0, 0
	for n, whole := range small(t) {
		before, meta, err := decode(whole)
		if err != nil {
			t.Fatal(err)
		}
		base := 8 + int(binary.LittleEndian.Uint64(whole))
		for i := range whole {
			if _, _, err := decode(whole[:i]); err == nil {
				t.Errorf("file %d cut at %d is accepted", n, i)
			}
			for bit := range 8 {
				bad := bytes.Clone(whole)
				bad[i] ^= 1 << bit
				after, meta2, err := decode(bad)
				switch {
				case i < 8 && err == nil:
					t.Errorf("file %d: flip in length byte %d is accepted", n, i)
				case i < base && err != nil:
					refused++
				case i < base:
					accepted++
					if err := invariants(bad); err != nil {
						t.Errorf("file %d, byte %d, bit %d: %v", n, i, bit, err)
					}
					if len(after) != len(before) {
						t.Errorf("file %d, byte %d, bit %d: %d tensors of %d", n, i, bit, len(after), len(before))
					}
				case err != nil:
					t.Errorf("file %d: flip in the data: %v", n, err)
				default:
					differ := 0
					for k := range before {
						for b := range before[k].Data {
							if before[k].Data[b] != after[k].Data[b] {
								differ++
							}
						}
					}
					if differ != 1 || !maps.Equal(meta, meta2) {
						t.Errorf("file %d: a flip in the data changed %d bytes", n, differ)
					}
				}
			}
		}
	}
	if refused < 10*accepted/2 || accepted == 0 {
		t.Errorf("%d header flips refused, %d accepted", refused, accepted)
	}
}

func FuzzParse(f *testing.F) {
	for _, data := range small(f) {
		f.Add(data)
	}
	f.Add(raw(`{"a":{`+one+`},"\ud83d\ude00\u0000":{"dtype":"U8","shape":[9,0],"data_offsets":[0,0]},"__metadata__":{"\/":"\b"}}  `, 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := invariants(data); err != nil {
			t.Error(err)
		}
	})
}

// FuzzOpen puts an index beside two shards, and a shard that must not be reached above them.
func FuzzOpen(f *testing.F) {
	top := f.TempDir()
	dir := filepath.Join(top, "dir")
	put(f, filepath.Join(top, "c.safetensors"), u8(f, 9, "x"))
	put(f, filepath.Join(dir, "a.safetensors"), u8(f, 1, "x", "y"))
	put(f, filepath.Join(dir, "b.safetensors"), u8(f, 1, "z"))
	for _, s := range []string{
		`{"metadata":{"total_size":3,"a":[1.5e-3,true,null,"é"]},"weight_map":{"x":"a.safetensors","y":"a.safetensors","z":"b.safetensors"}}`,
		`{"weight_map":{"\u007a":"b.safetensors"}}`,
		`{"weight_map":{"x":"../c.safetensors"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		weights, err := parseIndex(data)
		if err != nil {
			return
		}
		again, err := parseIndex(marshalIndex(weights, nil))
		if err != nil || !maps.Equal(weights, again) {
			t.Errorf("re-encoded: %v, %v; was %v", again, err, weights)
		}
		index := filepath.Join(dir, fmt.Sprintf("%d.index.json", os.Getpid()))
		put(t, index, data)
		file, err := Open(index)
		if err != nil {
			return
		}
		defer file.Close()
		if !slices.Equal(file.Names(), sortedKeys(weights)) {
			t.Errorf("%v, the index names %v", file.Names(), weights)
		}
		for name := range weights {
			if v, err := file.Tensor(name); err != nil || v.Data[0] != 1 {
				t.Errorf("%v, %v", v, err)
			}
		}
	})
}
