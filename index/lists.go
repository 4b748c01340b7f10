package index

import (
	"cmp"
	"math"
	"slices"

	"github.com/plinth-ml/plinth/internal/quant"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/vec"
)

// Near is Search within the probe lists whose centres have the greatest inner products with a query; 0 means as many as gave the recall of buildRecall
// when the lists were made. Without lists it is Search.
func (x *Index) Near(queries [][]float32, k, probe int) ([][]Hit, error) {
	lists := int(x.Centres)
	if lists == 0 {
		return x.Search(queries, k)
	}
	if probe <= 0 {
		probe = int(x.Probe)
	}
	probe = min(probe, lists)
	qs, err := x.prepare(queries, k)
	if err != nil {
		return nil, err
	}
	chosen, block := make([][]int32, len(qs)), x.block()
	x.workers().Run(len(qs), func(task, _ int) { chosen[task] = x.nearestLists(&qs[task].codes, probe) })
	x.workers().Run(len(qs)*probe, func(task, worker int) {
		q, list := &qs[task/probe], chosen[task/probe][task%probe]
		end := int(x.starts[list+1])
		for at := int(x.starts[list]); at < end; at += block {
			x.sift(q, worker, at, min(end, at+block))
		}
	})
	return x.finish(qs), nil
}

// nearestLists returns the n nearest lists, nearest first.
func (x *Index) nearestLists(q *quant.ScanQuery, n int) []int32 {
	scores := make([]float32, x.Centres)
	x.kernel.Scan(scores, x.centreCodes, q)
	best := make([]int32, 0, n+1)
	for l := range scores {
		scores[l] *= x.centreScales[l]
		if len(best) == n && !(scores[l] > scores[best[n-1]]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, int32(l), func(a, b int32) int { return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b)) })
		best = slices.Insert(best, at, int32(l))
		best = best[:min(n, len(best))]
	}
	return best
}

const (
	autoListRows = 1_000_000 // from so many rows on lists are made unless told otherwise
	listSample   = 64        // rows of each list from which its centre is made
	listPasses   = 10        // of k-means
	listGrowth   = 2         // lists are made anew when the rows are so many times those at their making

	buildQueries = 256 // rows by which the lists to go through are counted
	buildHits    = 10
	buildRecall  = 0.98 // of new vectors a little less is found than of those that the lists were made of
)

// wantedLists is how many lists an index of so many rows is to have.
func (x *Index) wantedLists(rows int) int {
	switch {
	case x.Lists > 0:
		return min(x.Lists, rows)
	case x.Lists < 0 || rows < autoListRows:
		return 0
	}
	return int(2 * math.Sqrt(float64(rows)))
}

// assign returns the nearest of the centres for each of n vectors. The codes decide: what is near the border of two lists may be in either.
func (x *Index) assign(n int, vector func(i int) []float32) []int32 {
	type scratch struct {
		q      quant.ScanQuery
		scores []float32
	}
	lists := make([]int32, n)
	work := make([]scratch, x.workers().Threads())
	for w := range work {
		work[w].scores = make([]float32, len(x.centreScales))
	}
	const step = 64
	x.workers().Run((n+step-1)/step, func(task, worker int) {
		s := &work[worker]
		for i := task * step; i < min(n, (task+1)*step); i++ {
			s.q.Set(vector(i))
			x.kernel.Scan(s.scores, x.centreCodes, &s.q)
			best, top := 0, float32(math.Inf(-1))
			for l, v := range s.scores {
				if v *= x.centreScales[l]; v > top {
					best, top = l, v
				}
			}
			lists[i] = int32(best)
		}
	})
	return lists
}

// makeCentres finds so many centres for n vectors: k-means with inner products on a sample, the centres at length 1 (Dhillon & Modha 2001, spherical
// k-means), so that a row's length does not choose its list.
func (x *Index) makeCentres(lists, n int, vector func(i int) []float32) {
	dim := x.Dim()
	count := min(n, lists*listSample)
	perm := random.NewPerm(uint64(n), random.NewKey(1).Named("index sample"))
	sample := func(i int) []float32 { return vector(int(perm.At(uint64(i)))) }
	x.Centres, x.centres = uint32(lists), make([]float32, lists*dim)
	for l := range lists {
		x.setCentre(l, sample(l))
	}
	x.codeCentres()
	for range listPasses {
		members := group(x.assign(count, sample), lists)
		x.workers().Run(lists, func(l, _ int) {
			if len(members[l]) == 0 {
				return // it stays where it is: nothing sampled is near
			}
			sum := make([]float32, dim)
			for _, i := range members[l] {
				v := sample(int(i))
				vec.Axpy(sum, float32(1/max(minNorm, math.Sqrt(vec.SumSquares(v)))), v)
			}
			x.setCentre(l, sum)
		})
		x.codeCentres()
	}
}

// setCentre makes v at length 1 the centre of a list.
func (x *Index) setCentre(list int, v []float32) {
	dim := x.Dim()
	vec.Scale(x.centres[list*dim:(list+1)*dim], float32(1/max(minNorm, math.Sqrt(vec.SumSquares(v)))), v)
}

// group turns the list of each member into the members of each list, ascending.
func group(lists []int32, n int) [][]int32 {
	members := make([][]int32, n)
	for i, l := range lists {
		members[l] = append(members[l], int32(i))
	}
	return members
}

// calibrate returns the least number of lists in which rows find buildRecall of their buildHits nearest others.
func (x *Index) calibrate(vector func(row int) []float32) (int, error) {
	rows := x.Len()
	perm := random.NewPerm(uint64(rows), random.NewKey(1).Named("index queries"))
	var queries [][]float32
	for i := 0; i < rows && len(queries) < buildQueries; i++ {
		if v := vector(int(perm.At(uint64(i)))); vec.SumSquares(v) > 0 {
			queries = append(queries, v)
		}
	}
	qs, err := x.prepare(queries, buildHits+1)
	if err != nil {
		return 0, err
	}
	x.siftAll(qs)
	needed := make([][]int, len(qs)) // the rank of the list of each hit
	x.workers().Run(len(qs), func(task, _ int) {
		rank := make([]int, x.Centres)
		for r, l := range x.nearestLists(&qs[task].codes, int(x.Centres)) {
			rank[l] = r + 1
		}
		for i, h := range qs[task].best(vector) {
			if i > 0 { // the first is as a rule the row itself
				needed[task] = append(needed[task], rank[x.listOf(h.Row)])
			}
		}
	})
	all := slices.Sorted(slices.Values(slices.Concat(needed...)))
	if len(all) == 0 {
		return 1, nil
	}
	return all[min(len(all)-1, int(buildRecall*float64(len(all))))], nil
}

// listOf returns the list that a row is in: the last that begins at or before it.
func (x *Index) listOf(row int) int32 {
	after, _ := slices.BinarySearch(x.starts, uint64(row)+1)
	return int32(after - 1)
}
