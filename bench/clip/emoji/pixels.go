package main

import (
	"fmt"
	"io"
	"math"

	"github.com/plinth-ml/plinth/media"
)

// pixels measures the baseline without a model: each picture of the unseen style is taken for the concept of the nearest picture of training, by the distance of
// their pixels at side x side.
func pixels(w io.Writer, dataDir, prepared string) error {
	all, err := readConcepts(dataDir)
	if err != nil {
		return err
	}
	present(all, prepared)
	s := splitOf(all, false)
	for _, side := range []int{8, 16, 32} {
		if err := nearest(w, s, prepared, side); err != nil {
			return err
		}
	}
	return nil
}

// nearest is pixels at one size.
func nearest(w io.Writer, s split, prepared string, side int) error {
	read := func(c *concept, style int) ([]float64, error) {
		m, err := open(prepared, c, style)
		if err != nil {
			return nil, err
		}
		m = media.Resize(m, side, side, media.Bicubic)
		x := make([]float64, len(m.Pix))
		for i, v := range m.Pix {
			x[i] = float64(v)
		}
		return x, nil
	}
	var known [][]float64
	var of []*concept
	for _, c := range s.test { // of all others it could only be wrong
		for style := range unseen {
			x, err := read(c, style)
			if err != nil {
				return err
			}
			known, of = append(known, x), append(of, c)
		}
	}
	find := func(x []float64) *concept {
		best, at := math.Inf(1), 0
		for i, k := range known {
			d := 0.0
			for j, v := range k {
				d += (v - x[j]) * (v - x[j])
			}
			if d < best {
				best, at = d, i
			}
		}
		return of[at]
	}
	for _, part := range []struct {
		name string
		list []*concept
	}{{"seen concepts", s.test}, {"unseen concepts", s.held}} {
		concepts, groups := 0, 0
		for _, c := range part.list {
			x, err := read(c, unseen)
			if err != nil {
				return err
			}
			got := find(x)
			if got == c {
				concepts++
			}
			if got.group == c.group {
				groups++
			}
		}
		fmt.Fprintf(w, "nearest of %d pictures by %d x %d pixels, %s in the unseen style: concept %s %%, group %s %%\n", len(known), side, side, part.name,
			share(concepts, len(part.list)), share(groups, len(part.list)))
	}
	return nil
}
