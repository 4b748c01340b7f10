package scaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Valley is the parabola through the runs of one budget: loss = Floor + Curvature·(ln N - ln N0)², with N0 the optimum's N.
type Valley struct {
	Optimum
	Curvature float64 `json:"curvature"`
	Runs      []Run   `json:"-"`
}

// At is the parabola's loss at N.
func (v Valley) At(N float64) float64 {
	x := math.Log(N / v.N)
	return v.Loss + v.Curvature*x*x
}

// IsoFLOP is approach 2 of Hoffmann et al. 2022 with the valleys that it rests on.
type IsoFLOP struct {
	Frontier
	Valleys []Valley // by C
	Dropped []string // budgets whose parabola says nothing, and why
}

const (
	budgetWidth = 1.15 // runs within so many times each other's compute are of one budget
	valleySizes = 4    // least number of sizes of a valley: three fit any parabola
)

// FitIsoFLOP is approach 2 of Hoffmann et al. 2022 (section 3.2): a parabola of loss in ln N for every budget at which at least four sizes
// were trained, and power laws through the minima. A valley whose minimum lies outside its sizes, or which has none, is dropped.
func FitIsoFLOP(runs []Run, o FitOptions) (*IsoFLOP, error) {
	runs, err := usable(runs, 2*valleySizes, "two isoFLOP valleys")
	if err != nil {
		return nil, err
	}
	f, err := fitIsoFLOP(runs)
	if err != nil {
		return nil, err
	}
	f.withDraws(runs, o, func(sample []Run) (*Frontier, error) {
		d, err := fitIsoFLOP(sample)
		if err != nil {
			return nil, err
		}
		return &d.Frontier, nil
	})
	return f, nil
}

func fitIsoFLOP(runs []Run) (*IsoFLOP, error) {
	f := &IsoFLOP{}
	var optima []Optimum
	budgets := budgetsOf(runs)
	for _, group := range budgets {
		v, err := fitValley(group)
		if err != nil {
			f.Dropped = append(f.Dropped, err.Error())
			continue
		}
		f.Valleys = append(f.Valleys, v)
		optima = append(optima, v.Optimum)
	}
	line, err := frontier(optima)
	if err != nil {
		return nil, fmt.Errorf("scaling: isoflop: %w; %d budgets have runs of %d sizes or more%s", err, len(budgets), valleySizes, listed(f.Dropped))
	}
	f.Frontier = *line
	return f, nil
}

func listed(reasons []string) string {
	out := ""
	for _, r := range reasons {
		out += "; " + r
	}
	return out
}

// budgetsOf finds the budgets of runs: again and again the window of compute, budgetWidth wide, with the most sizes, while there are
// valleySizes of them. They come out by C; runs of no budget are left out.
func budgetsOf(runs []Run) [][]Run {
	left := slices.Clone(runs)
	slices.SortStableFunc(left, func(a, b Run) int { return cmp.Compare(a.C, b.C) })
	var out [][]Run
	for {
		from, to, most := 0, 0, 0
		for i := range left {
			j := i
			for j < len(left) && left[j].C <= budgetWidth*left[i].C {
				j++
			}
			if n := sizes(left[i:j]); n > most {
				from, to, most = i, j, n
			}
		}
		if most < valleySizes {
			break
		}
		out = append(out, slices.Clone(left[from:to]))
		left = slices.Delete(left, from, to)
	}
	slices.SortFunc(out, func(a, b []Run) int { return cmp.Compare(a[0].C, b[0].C) })
	return out
}

// sizes counts the values of N.
func sizes(runs []Run) int {
	n := column(runs, params)
	slices.Sort(n)
	return len(slices.Compact(n))
}

// fitValley is the least-squares parabola of the loss in ln N. The budget is the geometric mean of the runs' C, and D what C leaves for N at the
// FLOPs per parameter and token of the runs (6, or what they say).
func fitValley(runs []Run) (Valley, error) {
	x, y := logs(column(runs, params)), column(runs, loss)
	n := float64(len(runs))
	var logC, perND, mean float64
	for i, r := range runs {
		logC += math.Log(r.C) / n
		perND += math.Log(r.C/r.N/r.D) / n
		mean += x[i] / n
	}
	v := Valley{Runs: runs}
	v.C = math.Exp(logC)
	// Normal equations of y = p0 + p1·x + p2·x² with x centred.
	var s [5]float64 // sums of x^k
	var r [3]float64 // sums of y·x^k
	for i := range x {
		p := 1.0
		for k := range s {
			s[k] += p
			if k < 3 {
				r[k] += p * y[i]
			}
			p *= x[i] - mean
		}
	}
	m := [3][3]float64{{s[0], s[1], s[2]}, {s[1], s[2], s[3]}, {s[2], s[3], s[4]}}
	p, ok := solve3(m, r)
	switch at := -p[1] / (2 * p[2]); {
	case !ok:
		return v, fmt.Errorf("budget %.3g: too few sizes for a parabola", v.C)
	case p[2] <= 0:
		return v, fmt.Errorf("budget %.3g: the parabola has no minimum", v.C)
	case at < slices.Min(x)-mean || at > slices.Max(x)-mean:
		return v, fmt.Errorf("budget %.3g: the minimum, N %.3g, lies outside the sizes tried", v.C, math.Exp(at+mean))
	default:
		v.N, v.Curvature, v.Loss = math.Exp(at+mean), p[2], p[0]+p[1]*at/2
		v.D = v.C / v.N / math.Exp(perND)
		return v, nil
	}
}

// solve3 solves m·p = r by Cramer's rule; ok is false where m is singular to rounding.
func solve3(m [3][3]float64, r [3]float64) (p [3]float64, ok bool) {
	det := func(a [3][3]float64) float64 {
		return a[0][0]*(a[1][1]*a[2][2]-a[1][2]*a[2][1]) - a[0][1]*(a[1][0]*a[2][2]-a[1][2]*a[2][0]) + a[0][2]*(a[1][0]*a[2][1]-a[1][1]*a[2][0])
	}
	d := det(m)
	for k := range p {
		c := m
		for i := range c {
			c[i][k] = r[i]
		}
		p[k] = det(c) / d
	}
	return p, math.Abs(d) > 1e-10*m[0][0]*m[1][1]*m[2][2]
}
