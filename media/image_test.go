package media

import (
	"fmt"
	"slices"
	"testing"
)

// letters is a picture of one row whose red values are given.
func letters(red ...uint8) *Image {
	m := NewImage(len(red), 1)
	for x, v := range red {
		m.Pix[3*x] = v
	}
	return m
}

func reds(m *Image) (out []uint8) {
	for i := 0; i < len(m.Pix); i += 3 {
		out = append(out, m.Pix[i])
	}
	return out
}

func TestCenterCrop(t *testing.T) {
	for _, c := range []struct {
		w    int
		want []uint8
	}{
		{5, []uint8{1, 2, 3, 4, 5}},
		{4, []uint8{1, 2, 3, 4}}, // an odd rest: 0.5 is rounded to 0
		{3, []uint8{2, 3, 4}},
		{2, []uint8{3, 4}}, // 1.5 is rounded to 2
		{6, []uint8{1, 2, 3, 4, 5, 0}},
		{8, []uint8{0, 1, 2, 3, 4, 5, 0, 0}},
	} {
		if got := reds(CenterCrop(letters(1, 2, 3, 4, 5), c.w, 1)); !slices.Equal(got, c.want) {
			t.Errorf("width %d: %v, want %v", c.w, got, c.want)
		}
	}
	tall := CenterCrop(letters(7), 1, 4)
	if got := reds(tall); !slices.Equal(got, []uint8{0, 7, 0, 0}) {
		t.Errorf("height 4 of 1: %v", got)
	}
}

func TestFlip(t *testing.T) {
	if got := reds(Flip(letters(1, 2, 3))); !slices.Equal(got, []uint8{3, 2, 1}) {
		t.Errorf("flipped: %v", got)
	}
}

func ExamplePreprocess_Apply() {
	photo := NewImage(640, 480)     // of media.Decode(file, media.Limits{})
	x := make([]float32, 3*224*224) // [3, 224, 224]
	CLIP(224).Apply(x, photo)
	fmt.Printf("%.3f\n", x[0]) // black
	// Output: -1.792
}
