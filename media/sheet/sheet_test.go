package sheet_test

import (
	"bytes"
	"errors"
	"image/png"
	"testing"

	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/media/sheet"
)

// A sheet has room for its cells, draws bars as long as their shares, and survives whatever is to be written.
func TestPNG(t *testing.T) {
	red := media.NewImage(50, 20)
	for i := 0; i < len(red.Pix); i += 3 {
		red.Pix[i] = 255
	}
	open := func() (*media.Image, error) { return red, nil }
	s := &sheet.Sheet{Title: "A title that is much too long for a sheet of two cells, and therefore is cut at its end", Cells: []sheet.Cell{
		{Open: open, Name: "red.png", Note: "0.51", Bars: []sheet.Bar{{Name: "red", Share: 0.75, Strong: true}, {Name: "blue\nand a name that is too long for its bar", Share: 0.25}, {Share: 0}, {Name: "never drawn"}}},
		{Open: func() (*media.Image, error) { return nil, errors.New("no") }, Name: "世界 bad.png"},
	}}
	var b bytes.Buffer
	if err := s.PNG(&b); err != nil {
		t.Fatal(err)
	}
	if !sheet.Is(bytes.NewReader(b.Bytes())) {
		t.Error("a sheet is not known as one")
	}
	var plain bytes.Buffer
	m, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&plain, m); err != nil || sheet.Is(&plain) {
		t.Errorf("another picture is taken for a sheet (%v)", err)
	}
	if w, h := m.Bounds().Dx(), m.Bounds().Dy(); w != 496 || h != 372 {
		t.Errorf("%d x %d", w, h)
	}
	at := func(x, y int) [3]uint32 {
		r, g, b, _ := m.At(x, y).RGBA()
		return [3]uint32{r >> 8, g >> 8, b >> 8}
	}
	if got := at(128, 156); got != [3]uint32{255, 0, 0} {
		t.Errorf("the middle of the picture is %v", got)
	}
	const bar = 44 + 224 + 20 + 2 // the first row of the first bar, above its letters
	if strong, track := at(16+166, bar), at(16+170, bar); strong == track || at(16+100, bar) != strong || at(16+220, bar) != track {
		t.Errorf("the bar of 0.75 is %v before and %v behind its end", strong, track)
	}
	for _, cells := range [][]sheet.Cell{nil, make([]sheet.Cell, sheet.MaxCells+5)} {
		for i := range cells {
			cells[i].Open = open
		}
		if err := (&sheet.Sheet{Cells: cells}).PNG(&b); err != nil {
			t.Errorf("%d cells: %v", len(cells), err)
		}
	}
}
