package media

import (
	"bytes"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// changes are the golden file's changes of colour.
var changes = map[string]func(*Image, float64) *Image{
	"brightness": Brightness, "contrast": Contrast, "saturation": Saturation, "hue": Hue,
	"grey": func(m *Image, _ float64) *Image { return Grey(m) },
}

func TestColors(t *testing.T) {
	for _, c := range readGolden(t).Colors {
		before := bytes.Clone(c.From.RGB)
		if most, mean := difference(t, changes[c.Name](c.From.image(), c.Factor), c.To.image()); most > 0 {
			t.Errorf("%s by %v differs from torchvision by up to %d, %.4f in the mean", c.Name, c.Factor, most, mean)
		}
		if !bytes.Equal(before, c.From.RGB) {
			t.Errorf("%s changed its argument", c.Name)
		}
	}
}

// TestHues turns every colour.
func TestHues(t *testing.T) {
	turns := []float64{0, 0.3, -0.47}
	var want []string
	testkit.Ask(t, script(), []string{"torchvision", "numpy"}, map[string]any{"turns": turns}, &want)
	m := NewImage(4096, 4096)
	for i := range 1 << 24 {
		m.Pix[3*i], m.Pix[3*i+1], m.Pix[3*i+2] = uint8(i>>16), uint8(i>>8), uint8(i)
	}
	for i, turn := range turns {
		if got := digest(Hue(m, turn).Pix); got != want[i] {
			t.Errorf("turned by %v: other colours than torchvision's", turn)
		}
	}
}

func TestBoxes(t *testing.T) {
	for _, b := range readGolden(t).Boxes {
		used := 0
		x, y, w, h := RandomResizedCrop{Scale: b.Scale, Ratio: b.Ratio}.box(b.W, b.H, func() float64 {
			used++
			return b.Draws[used-1]
		})
		if got := [4]int{x, y, w, h}; got != b.Box || used != len(b.Draws) {
			t.Errorf("%d x %d, scale %v, ratio %v: %v of %d numbers, want %v of %d", b.W, b.H, b.Scale, b.Ratio, got, used, b.Box, len(b.Draws))
		}
	}
}

// TestAugment: a key gives one picture, keys give many, and the zero value only crops.
func TestAugment(t *testing.T) {
	m := readGolden(t).Resize[0].From.image()
	crop := RandomResizedCrop{Size: 12, Scale: [2]float64{0.2, 1}}
	all := Augment{Crop: crop, Flip: 0.5, Jitter: ColorJitter{0.4, 0.4, 0.4, 0.1}, Jitters: 0.8, Grey: 0.2}
	seen := map[string]bool{}
	for i := range uint64(40) {
		key := random.NewKey(3, i)
		a, b := all.Apply(m, key), all.Apply(m, key)
		if a.W != 12 || a.H != 12 || !bytes.Equal(a.Pix, b.Pix) {
			t.Fatalf("key %d: %d x %d pixels, equal %v", i, a.W, a.H, bytes.Equal(a.Pix, b.Pix))
		}
		seen[string(a.Pix)] = true
		plain := Augment{Crop: crop}.Apply(m, key)
		if want := crop.Apply(m, key.Named("crop")); !bytes.Equal(plain.Pix, want.Pix) {
			t.Fatalf("key %d: the zero value does more than crop", i)
		}
	}
	if len(seen) < 39 {
		t.Errorf("%d pictures of 40 keys", len(seen))
	}
}

// TestColorJitterOrder: all orders are drawn, each about as often as the others, and every change is made once.
func TestColorJitterOrder(t *testing.T) {
	m := letters(200, 31)
	m.Pix[1], m.Pix[4] = 90, 250
	jitter := ColorJitter{0.5, 0.5, 0.5, 0.3}
	const n = 2400
	counts := map[[4]int]int{}
	for i := range uint64(n) {
		key := random.NewKey(5, i)
		got := jitter.Apply(m, key)
		// the four changes in the order and by the factors that the key's numbers say
		u := draws(key)
		left, order := []int{0, 1, 2, 3}, [4]int{}
		want := m
		for k := range order {
			place := int(u() * float64(len(left)))
			order[k] = left[place]
			left[place] = left[len(left)-1]
			left = left[:len(left)-1]
			f := u()
			want = []func() *Image{
				func() *Image { return Brightness(want, 0.5+f) }, func() *Image { return Contrast(want, 0.5+f) },
				func() *Image { return Saturation(want, 0.5+f) }, func() *Image { return Hue(want, 0.6*f-0.3) },
			}[order[k]]()
		}
		if most, _ := difference(t, got, want); most > 1 { // factors may differ in their last bit
			t.Fatalf("key %d: differs by %d from the changes in order %v", i, most, order)
		}
		counts[order]++
	}
	for order, c := range counts {
		if c < n/24/2 || c > n/24*2 {
			t.Errorf("order %v drawn %d times of %d", order, c, n)
		}
	}
	if len(counts) != 24 {
		t.Errorf("%d orders", len(counts))
	}
}

func TestColorJitterRefuses(t *testing.T) {
	for _, c := range []ColorJitter{{Hue: 0.6}, {Contrast: -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is taken", c)
				}
			}()
			c.Apply(letters(1), random.NewKey(1))
		}()
	}
}

func TestCrop(t *testing.T) {
	if got := reds(Crop(letters(1, 2, 3, 4), 1, 0, 2, 1)); !slices.Equal(got, []uint8{2, 3}) {
		t.Errorf("cropped: %v", got)
	}
}
