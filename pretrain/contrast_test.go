package pretrain

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/tensor"
)

// Five pictures, and the captions of each: text 0 is true of pictures 0, 1 and 4, and text 2 of picture 2 alone, which has text 3 too.
var (
	saysOf   = []int{7, 8, 9, 5, 7}
	truthsOf = [][]int{{7, 6}, {8, 7}, {5, 9}, {5}, {7, 9}}
)

// plainLoss is the loss in float64 by its equations: UniCL's bidirectional one (Yang et al. 2022, equations 1 to 3), or SigLIP's with a plus for all that is true.
func plainLoss(images, texts [][]float64, scale, bias float64, says []int, truths [][]int, sigmoid bool) float64 {
	B := len(images)
	unit := func(x []float64) []float64 {
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		u := make([]float64, len(x))
		for i, v := range x {
			u[i] = v / math.Sqrt(sum)
		}
		return u
	}
	z := func(i, j int) (sum float64) {
		u, v := unit(images[i]), unit(texts[j])
		for e := range u {
			sum += u[e] * v[e]
		}
		return scale*sum + bias
	}
	right := func(i, j int) bool { return slices.Contains(truths[i], says[j]) }
	loss := 0.0
	for i := range B {
		var row, column, rowRight, columnRight, ofRow, ofColumn float64
		for j := range B {
			if sigmoid {
				sign := map[bool]float64{true: 1, false: -1}[right(i, j)]
				loss += math.Log(1+math.Exp(-sign*z(i, j))) / float64(B)
				continue
			}
			row, column = row+math.Exp(z(i, j)), column+math.Exp(z(j, i))
			if right(i, j) {
				rowRight, ofRow = rowRight+z(i, j), ofRow+1
			}
			if right(j, i) {
				columnRight, ofColumn = columnRight+z(j, i), ofColumn+1
			}
		}
		if !sigmoid {
			loss += (math.Log(row) - rowRight/ofRow + math.Log(column) - columnRight/ofColumn) / float64(2*B)
		}
	}
	return loss
}

// Where texts are true of several pictures, the loss is that of the equations and the gradients are its slopes in float64.
func TestSeveralRight(t *testing.T) {
	const B, E, step = 5, 4, 1e-5
	for _, sigmoid := range []bool{false, true} {
		images, texts, scale, bias := rows(1, B, E), rows(2, B, E), 3.0, -1.0
		if !sigmoid {
			bias = 0
		}
		c := &contrast{k: ref.New(), sigmoid: sigmoid}
		c.pair(saysOf, truthsOf, false)
		c.compute(images, texts, E, scale, bias)
		wide := func(x []float32) (list [][]float64) {
			for row := range slices.Chunk(x, E) {
				list = append(list, nil)
				for _, v := range row {
					list[len(list)-1] = append(list[len(list)-1], float64(v))
				}
			}
			return list
		}
		u, v := wide(images), wide(texts)
		loss := func() float64 { return plainLoss(u, v, scale, bias, saysOf, truthsOf, sigmoid) }
		if want := loss(); math.Abs(c.mean()-want) > 1e-6 {
			t.Errorf("sigmoid %v: loss %v, want %v", sigmoid, c.mean(), want)
		}
		slope := func(name string, got float64, move func(by float64)) {
			move(step)
			up := loss()
			move(-2 * step)
			down := loss()
			move(step)
			if want := (up - down) / (2 * step); math.Abs(got-want) > 1e-6 {
				t.Errorf("sigmoid %v: gradient by %s is %v, the slope %v", sigmoid, name, got, want)
			}
		}
		for i := range images {
			slope(fmt.Sprint("picture ", i), float64(c.dimages[i]), func(by float64) { u[i/E][i%E] += by })
			slope(fmt.Sprint("text ", i), float64(c.dtext[i]), func(by float64) { v[i/E][i%E] += by })
		}
		slope("scale", c.dscale, func(by float64) { scale *= math.Exp(by) })
		if sigmoid {
			slope("bias", c.dbias, func(by float64) { bias += by })
		}
	}
}

// Of equal features the loss is that of chance, and of those that say all that the captions do the floor; a picture that finds any of its texts is a hit.
func TestFloorOfSeveralRight(t *testing.T) {
	const B, E = 6, 3
	says := []int{0, 1, 2, 0, 1, 2}
	truths := [][]int{{0}, {1}, {2}, {0}, {1}, {2}}
	perfect := slices.Repeat([]float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, 2)
	same := slices.Repeat([]float32{1, 2, 3}, B)
	for _, sigmoid := range []bool{false, true} {
		c := &contrast{k: ref.New(), sigmoid: sigmoid}
		c.pair(says, truths, false)
		c.compute(same, same, E, 1, math.Log(1./2)-1) // the best bias: a third of the pairs is right
		if got, want := c.mean(), c.chance(); math.Abs(got-want) > 1e-6 {
			t.Errorf("sigmoid %v: loss %v, chance %v", sigmoid, got, want)
		}
		scale, bias := 80.0, 0.0
		if sigmoid {
			bias = -40
		}
		c.compute(perfect, perfect, E, scale, bias)
		if got, want := c.mean(), c.floor(); math.Abs(got-want) > 1e-6 || !sigmoid && math.Abs(want-math.Log(2)) > 1e-12 {
			t.Errorf("sigmoid %v: loss %v, floor %v", sigmoid, got, want)
		}
		if c.hits != [2]int{B, B} {
			t.Errorf("sigmoid %v: hits %v", sigmoid, c.hits)
		}
	}
	one := &contrast{k: ref.New(), sigmoid: true}
	one.pair(make([]int, B), slices.Repeat([][]int{{0}}, B), false)
	if got := one.chance(); got != 0 {
		t.Errorf("where all is right, chance is %v", got)
	}
}

// Captions that several pictures have count for all of them unless they shall not; runs of the two kinds are told apart, and those without such captions are one kind.
func TestOwnOnly(t *testing.T) {
	loss := func(names int, only bool) (*CLIP, float64) {
		o := &CLIP{Model: tinyClip(t, false), Pairs: coloursOf(t, 8, 16, names), OwnOnly: only}
		return o, step(t, o, 8)
	}
	a, all := loss(8, false)
	b, own := loss(8, true)
	if all != own || a.Fingerprint() != b.Fingerprint() || a.Measures()["floor"] != 0 {
		t.Errorf("without shared captions: losses %v and %v, floor %v", all, own, a.Measures()["floor"])
	}
	a, all = loss(2, false)
	b, own = loss(2, true)
	if all == own || a.Fingerprint() == b.Fingerprint() {
		t.Errorf("with shared captions: losses %v and %v", all, own)
	}
	if got := a.Measures()["floor"]; math.Abs(got-math.Log(4)) > 1e-12 || b.Measures()["floor"] != 0 {
		t.Errorf("floor %v, want ln 4", got)
	}
	a.loss.likeness = 0
	for of, alarm := range map[float64]bool{math.Log(8) - 0.01: true, math.Log(8) - 0.04: false} { // 3 % of what lies between chance and floor is 0.02
		if got := a.Symptom(of); (got != "") != alarm || alarm && !strings.Contains(got, "a guess among 8") {
			t.Errorf("loss %v: %q", of, got)
		}
	}
	// of the model's own batches, and of held-out pairs, the loss is of the same kind
	a.Evaluate(t.Context(), tensor.Evaluation(ref.New()), coloursOf(t, 8, 16, 2), 0, 8)
	if got := a.loss.floor(); math.Abs(got-math.Log(4)) > 1e-12 {
		t.Errorf("held-out pairs have floor %v", got)
	}
}

// Where each picture has one caption, equal captions have equal features, and the softmax then has the gradients of the published loss: what is right changes the loss
// by what the floor is, and nothing else. With sigmoids it changes the gradients too.
func TestEqualCaptions(t *testing.T) {
	const B, E = 6, 4
	says := []int{0, 1, 0, 2, 1, 0}
	truths := make([][]int, B)
	images, of, texts := rows(3, B, E), rows(4, 3, E), []float32(nil)
	for i, caption := range says {
		truths[i] = []int{caption}
		texts = append(texts, of[caption*E:(caption+1)*E]...)
	}
	for _, sigmoid := range []bool{false, true} {
		var all [2]*contrast
		var byCaption [2][]float64
		for i, only := range []bool{false, true} {
			c := &contrast{k: ref.New(), sigmoid: sigmoid}
			c.pair(says, truths, only)
			c.compute(images, texts, E, 3, 0)
			all[i], byCaption[i] = c, make([]float64, 3*E)
			for at, d := range c.dtext {
				byCaption[i][says[at/E]*E+at%E] += float64(d)
			}
		}
		apart := 0.0
		for i := range all[0].dimages {
			apart = max(apart, math.Abs(float64(all[0].dimages[i]-all[1].dimages[i])))
		}
		for i := range byCaption[0] {
			apart = max(apart, math.Abs(byCaption[0][i]-byCaption[1][i]))
		}
		if sigmoid != (apart > 1e-2) || !sigmoid && apart > 1e-6 {
			t.Errorf("sigmoid %v: the gradients are up to %v apart", sigmoid, apart)
		}
	}
}
