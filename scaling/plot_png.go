package scaling

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// PNG is the figure in light colours, scale pixels to its unit: 1 to 10.
func (f *Figure) PNG(scale float64) ([]byte, error) {
	if !(scale >= 1 && scale <= 10) {
		return nil, fmt.Errorf("scaling: a picture %v times its size; 1 to 10 are possible", scale)
	}
	p := &painter{scale: scale, img: image.NewRGBA(image.Rect(0, 0, int(figureW*scale), int(figureH*scale))), faces: map[faceKey]font.Face{}}
	draw.Draw(p.img, p.img.Bounds(), image.NewUniform(colourOf(paper, 1)), image.Point{}, draw.Src)
	for _, m := range f.marks {
		if err := p.mark(m); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, p.img)
	return b.Bytes(), err
}

// painter draws marks into an image.
type painter struct {
	scale float64
	img   *image.RGBA
	faces map[faceKey]font.Face
}

type faceKey struct {
	size float64
	bold bool
}

func colourOf(t tone, alpha float64) color.NRGBA {
	var c color.NRGBA
	fmt.Sscanf(light[t], "#%02x%02x%02x", &c.R, &c.G, &c.B)
	c.A = uint8(255*alpha + 0.5)
	return c
}

func (p *painter) mark(m mark) error {
	alpha := m.alpha
	if alpha == 0 {
		alpha = 1
	}
	if m.text != "" {
		return p.text(m)
	}
	pts := m.pts
	if m.radius > 0 {
		pts = circle(m.pts[0], m.radius)
	}
	if m.fill != "" {
		p.fill([][]point{pts}, colourOf(m.fill, alpha))
	}
	if m.stroke != "" {
		if m.radius > 0 || m.area {
			pts = append(pts[:len(pts):len(pts)], pts[0])
		}
		var shapes [][]point
		for _, piece := range dashes(pts, m.dash) {
			shapes = stroke(shapes, piece, m.width)
		}
		p.fill(shapes, colourOf(m.stroke, alpha))
	}
	return nil
}

// fill paints polygons that all turn the same way, so that overlaps add up.
func (p *painter) fill(shapes [][]point, c color.Color) {
	in := image.Rectangle{}
	for _, pts := range shapes {
		for _, q := range pts {
			x, y := int(q.x*p.scale), int(q.y*p.scale)
			in = in.Union(image.Rect(x-1, y-1, x+2, y+2))
		}
	}
	if in = in.Intersect(p.img.Bounds()); in.Empty() {
		return
	}
	r := vector.NewRasterizer(in.Dx(), in.Dy())
	for _, pts := range shapes {
		for i, q := range pts {
			x, y := float32(q.x*p.scale)-float32(in.Min.X), float32(q.y*p.scale)-float32(in.Min.Y)
			if i == 0 {
				r.MoveTo(x, y)
			} else {
				r.LineTo(x, y)
			}
		}
		r.ClosePath()
	}
	r.Draw(p.img, in, image.NewUniform(c), image.Point{})
}

// stroke adds the polygons of a line of a width: a rectangle for each segment and discs at the joints.
func stroke(shapes [][]point, pts []point, width float64) [][]point {
	h := width / 2
	for i := 1; i < len(pts); i++ {
		a, b := pts[i-1], pts[i]
		dx, dy := b.x-a.x, b.y-a.y
		l := math.Hypot(dx, dy)
		if l == 0 {
			continue
		}
		nx, ny := -dy/l*h, dx/l*h
		shapes = append(shapes, []point{{a.x - nx, a.y - ny}, {b.x - nx, b.y - ny}, {b.x + nx, b.y + ny}, {a.x + nx, a.y + ny}})
		if i > 1 && width > 1 {
			shapes = append(shapes, circle(a, h))
		}
	}
	return shapes
}

// circle is a polygon that looks like one at any scale allowed.
func circle(c point, radius float64) []point {
	const n = 64
	pts := make([]point, n)
	for i := range pts {
		s, o := math.Sincos(2 * math.Pi * float64(i) / n)
		pts[i] = point{c.x + radius*o, c.y + radius*s}
	}
	return pts
}

// dashes cuts a line into dashes with gaps as long as they are; 0 leaves it whole.
func dashes(pts []point, dash float64) [][]point {
	if dash <= 0 {
		return [][]point{pts}
	}
	var out [][]point
	piece := []point{pts[0]}
	left, on := dash, true
	for i := 1; i < len(pts); i++ {
		a, b := pts[i-1], pts[i]
		l := math.Hypot(b.x-a.x, b.y-a.y)
		for at := 0.0; at < l; {
			step := min(left, l-at)
			at += step
			q := point{a.x + (b.x-a.x)*at/l, a.y + (b.y-a.y)*at/l}
			piece = append(piece, q)
			if left -= step; left <= 0 {
				if on {
					out = append(out, piece)
				}
				piece, left, on = []point{q}, dash, !on
			}
		}
	}
	if on && len(piece) > 1 {
		out = append(out, piece)
	}
	return out
}

func (p *painter) text(m mark) error {
	face, err := p.face(m.size, m.bold)
	if err != nil {
		return err
	}
	raised, err := p.face(0.75*m.size, m.bold)
	if err != nil {
		return err
	}
	x, y := m.pts[0].x*p.scale, m.pts[0].y*p.scale
	w := float64(font.MeasureString(face, m.text)+font.MeasureString(raised, m.sup)) / 64
	switch m.anchor {
	case "middle":
		x -= w / 2
	case "end":
		x -= w
	}
	put := func(dx, dy float64, c color.Color) {
		d := font.Drawer{Dst: p.img, Src: image.NewUniform(c), Face: face, Dot: fixed.Point26_6{X: fixed.Int26_6((x + dx) * 64), Y: fixed.Int26_6((y + dy) * 64)}}
		d.DrawString(m.text)
		d.Face, d.Dot.Y = raised, d.Dot.Y-fixed.Int26_6(0.4*m.size*p.scale*64)
		d.DrawString(m.sup)
	}
	if m.halo {
		for i := range 16 {
			s, c := math.Sincos(2 * math.Pi * float64(i) / 16)
			put(2*p.scale*c, 2*p.scale*s, colourOf(paper, 1))
		}
	}
	put(0, 0, colourOf(m.fill, 1))
	return nil
}

func (p *painter) face(size float64, bold bool) (font.Face, error) {
	key := faceKey{size, bold}
	if f := p.faces[key]; f != nil {
		return f, nil
	}
	ttf := goregular.TTF
	if bold {
		ttf = gobold.TTF
	}
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		return nil, err
	}
	f, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size * p.scale, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return nil, err
	}
	p.faces[key] = f
	return f, nil
}
