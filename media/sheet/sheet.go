// Package sheet draws contact sheets: pictures in rows, each with its name, a note and bars for what was said of it.
package sheet

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/plinth-ml/plinth/media"
)

// Sheet is cells in rows under a title.
type Sheet struct {
	Title string
	Cells []Cell // the first MaxCells are drawn
}

// Cell is a picture with what is written below it.
type Cell struct {
	Open func() (*media.Image, error) // called once; on an error the cell says that the picture was not read
	Name string
	Note string // at the right of the name
	Bars []Bar  // the first MaxBars are drawn
}

// Bar is a share, 0 to 1, with its name.
type Bar struct {
	Name   string
	Share  float64
	Strong bool // in the accent's colour
}

// The most that is drawn.
const (
	MaxCells = 240
	MaxBars  = 3
)

// Paper is the colour of the ground, over which transparent pictures look best.
var Paper = [3]uint8{0xfa, 0xfa, 0xf8}

// Sizes of a sheet in pixels.
const (
	side       = 224
	gap        = 16
	line       = 20 // of text and of a bar
	top        = 44 // of the title
	maxColumns = 6
)

var (
	ink   = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	pale  = color.NRGBA{0x70, 0x70, 0x70, 0xff}
	track = color.NRGBA{0xe6, 0xe6, 0xe2, 0xff}
	blue  = color.NRGBA{0x9c, 0xc2, 0xe8, 0xff}
	grey  = color.NRGBA{0xcd, 0xcd, 0xc8, 0xff}
)

// mark is a chunk of text behind the header of a sheet's PNG file, by which Is knows it.
const (
	mark      = "\x00\x00\x00\x1dtEXtSoftware\x00plinth contact sheet\xef\x67\x3c\xf9"
	headBytes = 8 + 25 // the signature and IHDR
)

// Is says whether what r begins with is a sheet that PNG wrote.
func Is(r io.Reader) bool {
	b := make([]byte, headBytes+len(mark))
	_, err := io.ReadFull(r, b)
	return err == nil && string(b[headBytes:]) == mark
}

// PNG writes the sheet as a PNG file, which says that it is one: who reads a folder's pictures can leave it out.
func (s *Sheet) PNG(w io.Writer) error {
	p, err := s.paint(s.Cells[:min(len(s.Cells), MaxCells)])
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		return err
	}
	_, err = io.Copy(w, io.MultiReader(bytes.NewReader(b.Next(headBytes)), strings.NewReader(mark), &b))
	return err
}

func (s *Sheet) paint(cells []Cell) (*image.RGBA, error) {
	bars := 0
	for _, c := range cells {
		bars = max(bars, min(MaxBars, len(c.Bars)))
	}
	columns := max(2, min(maxColumns, len(cells)))
	rows := (len(cells) + columns - 1) / columns
	high := side + (1+bars)*line + gap
	p, err := newPainter(columns*(side+gap)+gap, top+rows*high+gap/2)
	if err != nil {
		return nil, err
	}
	p.text(p.bold, s.Title, gap, 28, p.img.Bounds().Dx()-2*gap, ink)
	for i, c := range cells {
		p.cell(c, gap+i%columns*(side+gap), top+i/columns*high)
	}
	return p.img, nil
}

// painter draws into a picture.
type painter struct {
	img         *image.RGBA
	plain, bold font.Face
}

func newPainter(w, h int) (*painter, error) {
	p := &painter{img: image.NewRGBA(image.Rect(0, 0, w, h))}
	draw.Draw(p.img, p.img.Bounds(), image.NewUniform(color.NRGBA{Paper[0], Paper[1], Paper[2], 0xff}), image.Point{}, draw.Src)
	for face, of := range map[*font.Face]struct {
		ttf  []byte
		size float64
	}{&p.plain: {goregular.TTF, 13}, &p.bold: {gobold.TTF, 15}} {
		f, err := opentype.Parse(of.ttf)
		if err != nil {
			return nil, err
		}
		if *face, err = opentype.NewFace(f, &opentype.FaceOptions{Size: of.size, DPI: 72, Hinting: font.HintingFull}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// cell draws a cell whose corner is at x, y.
func (p *painter) cell(c Cell, x, y int) {
	if m, err := c.Open(); err == nil {
		p.picture(m, x, y)
	} else {
		p.box(x, y, side, side, track)
		p.text(p.plain, "not read", x+8, y+side/2, side-16, pale)
	}
	y += side
	note := font.MeasureString(p.plain, c.Note).Ceil()
	p.text(p.plain, c.Note, x+side-note, y+15, note, pale)
	p.text(p.plain, c.Name, x, y+15, side-note-6, pale)
	for _, b := range c.Bars[:min(MaxBars, len(c.Bars))] {
		y += line
		fill := grey
		if b.Strong {
			fill = blue
		}
		p.box(x, y+1, side, line-3, track)
		p.box(x, y+1, int(b.Share*side+0.5), line-3, fill)
		share := fmt.Sprintf("%.1f %%", 100*b.Share)
		w := font.MeasureString(p.plain, share).Ceil()
		p.text(p.plain, share, x+side-w-5, y+14, w, ink)
		p.text(p.plain, b.Name, x+5, y+14, side-w-16, ink)
	}
}

// picture draws m into the middle of a square, as large as fits, never larger than it is by more than a factor of 3.
func (p *painter) picture(m *media.Image, x, y int) {
	w, h := side, side
	if m.W > m.H {
		h = max(1, (side*m.H+m.W/2)/m.W)
	} else {
		w = max(1, (side*m.W+m.H/2)/m.H)
	}
	w, h = min(w, 3*m.W), min(h, 3*m.H)
	m = media.Resize(m, w, h, media.Bicubic)
	p.box(x, y, side, side, track)
	x, y = x+(side-w)/2, y+(side-h)/2
	for row := range h {
		for col := range w {
			s, d := m.Pix[3*(row*w+col):], p.img.Pix[p.img.PixOffset(x+col, y+row):]
			d[0], d[1], d[2], d[3] = s[0], s[1], s[2], 0xff
		}
	}
}

func (p *painter) box(x, y, w, h int, c color.Color) {
	draw.Draw(p.img, image.Rect(x, y, x+w, y+h), image.NewUniform(c), image.Point{}, draw.Over)
}

// text writes on the base line y, cut where it is wider than w.
func (p *painter) text(face font.Face, s string, x, y, w int, c color.Color) {
	r := []rune(strings.Join(strings.Fields(s), " "))
	for cut := r; font.MeasureString(face, string(r)).Ceil() > w && len(cut) > 0; {
		cut = cut[:len(cut)-1]
		r = append(append([]rune{}, cut...), '…')
	}
	d := font.Drawer{Dst: p.img, Src: image.NewUniform(c), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(string(r))
}
