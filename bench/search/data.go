package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/internal/pool"
	"github.com/plinth-ml/plinth/internal/random"
)

// mixture is Gaussian data in clusters: vector i is centre c + spread·z at length 1, c the centre at length 1 and z normal of length about 1, so that
// vectors of one cluster have a cosine of about 1/(1+spread²). Cluster number int(clusters·u²) of a uniform u makes some clusters much larger than
// others. With no clusters, vectors are uniform on the sphere: nothing is near anything.
type mixture struct {
	dim, clusters int
	spread        float64
	seed          uint64
}

// vector writes vector i of a stream, "stored" or "queries".
func (m mixture) vector(dst []float32, stream string, i int) {
	key := random.NewKey(m.seed).Named(stream).At(uint64(i))
	centre := random.NewKey(m.seed).Named("centres")
	spread := 1.0
	if m.clusters > 0 {
		u := key.Named("cluster").Float64(0)
		centre, spread = centre.At(uint64(float64(m.clusters)*u*u)), m.spread
	}
	sum := 0.0
	for j := range dst {
		v := spread * key.Normal(uint64(j))
		if m.clusters > 0 {
			v += centre.Normal(uint64(j)) // both have a length of about √dim
		}
		dst[j], sum = float32(v), sum+v*v
	}
	for j := range dst {
		dst[j] = float32(float64(dst[j]) / math.Sqrt(sum))
	}
}

// write makes a file of n vectors one after the other, float32 little-endian, which numpy maps.
func (m mixture) write(path, stream string, n int) error {
	p := pool.New(0)
	defer p.Close()
	return file.WriteAtomic(path, 0o644, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<20)
		const chunk, step = 16384, 64
		buf := make([]float32, chunk*m.dim)
		for at := 0; at < n; at += chunk {
			rows := min(chunk, n-at)
			p.Run((rows+step-1)/step, func(task, _ int) {
				for r := task * step; r < min(rows, (task+1)*step); r++ {
					m.vector(buf[r*m.dim:(r+1)*m.dim], stream, at+r)
				}
			})
			if _, err := out.Write(unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), 4*rows*m.dim)); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

// make writes the files of the mixture into dir, those that are not there.
func (m mixture) make(dir string, n, queries int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for stream, count := range map[string]int{"stored": n, "queries": queries} {
		path := filepath.Join(dir, stream+".f32")
		info, err := os.Stat(path)
		if err == nil && info.Size() == int64(4*count*m.dim) {
			continue
		}
		if err == nil {
			return fmt.Errorf("search: %s has %d bytes, %d vectors of %d have %d: name another --dir", path, info.Size(), count, m.dim, 4*count*m.dim)
		}
		if err := m.write(path, stream, count); err != nil {
			return err
		}
	}
	return nil
}

// vectors is a file of write, mapped.
func vectors(path string, dim int) ([][]float32, error) {
	m, err := file.Map(path)
	if err != nil {
		return nil, err
	}
	b := m.Bytes()
	all := unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
	vs := make([][]float32, len(all)/dim)
	for i := range vs {
		vs[i] = all[i*dim : (i+1)*dim]
	}
	return vs, nil
}
