package scaling

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// Figure is a drawing, made once and written as SVG or PNG: both come from the same marks, so that they agree. A plotting library would give
// either but neither hover nor a dark theme, and its labels would not know of each other.
type Figure struct {
	Name  string // of its files
	Title string
	Note  string // how to read it, a sentence
	marks []mark
	boxes []box // taken by labels
}

// Size of a figure in its own units, a pixel each in SVG: small enough that its text can still be read at the width of a phone.
const (
	figureW = 560
	figureH = 420
)

type point struct{ x, y float64 }

// mark is a line, an area, a disc or a text.
type mark struct {
	pts    []point // of a line or area; the centre, or the anchor of the text
	area   bool
	radius float64 // of a disc
	text   string
	sup    string  // raised behind the text
	size   float64 // of the text
	bold   bool
	anchor string // start, middle, end
	halo   bool   // of the colour of the paper, where the text crosses lines

	fill, stroke tone
	width        float64 // of the stroke
	dash         float64 // length of dashes and gaps; 0: none
	alpha        float64 // 0: opaque
	tip          string  // shown by hover, a line per value
}

// tone is the name of a colour.
type tone string

// Colours of a theme. Categories are Okabe and Ito's, which differ for all kinds of colour vision; the ramp r0 to r9 is viridis without the end that the
// paper would swallow.
const (
	ink    tone = "ink"
	muted  tone = "muted"
	grid   tone = "grid"
	paper  tone = "paper"
	accent tone = "accent"
	second tone = "second"
)

const ramp = 10

func rampTone(i int) tone { return tone(fmt.Sprintf("r%d", i)) }

var light = map[tone]string{ink: "#1f2328", muted: "#59636e", grid: "#e2e5e9", paper: "#ffffff", accent: "#d55e00", second: "#0072b2",
	"r0": "#440154", "r1": "#482172", "r2": "#423e84", "r3": "#38588b", "r4": "#2e6f8e", "r5": "#25868d", "r6": "#219c88", "r7": "#2fb17c", "r8": "#54c467", "r9": "#87d448"}

var dark = map[tone]string{ink: "#e6e9ed", muted: "#a3adb8", grid: "#30363d", paper: "#15191e", accent: "#ff9142", second: "#56b4e9",
	"r0": "#5a6fb0", "r1": "#4a80b0", "r2": "#25868d", "r3": "#219989", "r4": "#26ab82", "r5": "#40bc72", "r6": "#68cb5b", "r7": "#98d73e", "r8": "#cbe126", "r9": "#fde725"}

func (f *Figure) add(m mark) { f.marks = append(f.marks, m) }

func (f *Figure) line(t tone, width, dash float64, pts ...point) {
	if len(pts) > 1 {
		f.add(mark{pts: pts, stroke: t, width: width, dash: dash})
	}
}

func (f *Figure) disc(at point, r float64, fill, stroke tone, tip string) {
	f.add(mark{pts: []point{at}, radius: r, fill: fill, stroke: stroke, width: 1.5, tip: tip})
}

func (f *Figure) label(at point, anchor string, size float64, t tone, text string) {
	f.add(mark{pts: []point{at}, anchor: anchor, size: size, fill: t, text: text})
}

// SVG is the figure as a file of its own, in light colours, or as a part of a page, whose style sheet has the colours as variables.
func (f *Figure) SVG(inPage bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s" font-family="system-ui, 'Helvetica Neue', Arial, sans-serif">`,
		figureW, figureH, escape(f.Title+". "+f.Note))
	colour := func(t tone) string {
		switch {
		case t == "":
			return "none"
		case inPage:
			return fmt.Sprintf("var(--%s)", t)
		}
		return light[t]
	}
	if !inPage {
		fmt.Fprintf(&b, "\n<rect width=\"%d\" height=\"%d\" fill=\"%s\"/>", figureW, figureH, light[paper])
	}
	for _, m := range f.marks {
		b.WriteString("\n")
		paint := fmt.Sprintf(`fill="%s"`, colour(m.fill))
		if m.stroke != "" {
			paint += fmt.Sprintf(` stroke="%s" stroke-width="%g" stroke-linejoin="round"`, colour(m.stroke), m.width)
		}
		if m.dash > 0 {
			paint += fmt.Sprintf(` stroke-dasharray="%g"`, m.dash)
		}
		if m.alpha > 0 {
			paint += fmt.Sprintf(` opacity="%g"`, m.alpha)
		}
		end := "/>"
		if m.tip != "" && inPage {
			paint += fmt.Sprintf(` class="tip" data-tip="%s"`, escape(m.tip))
		} else if m.tip != "" {
			end = fmt.Sprintf("><title>%s</title></circle>", escape(m.tip))
		}
		at := m.pts[0]
		switch {
		case m.text != "":
			weight := ""
			if m.bold {
				weight = ` font-weight="600"`
			}
			if m.halo {
				weight += fmt.Sprintf(` paint-order="stroke" stroke="%s" stroke-width="4" stroke-linejoin="round"`, colour(paper))
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%g"%s %s>%s`, at.x, at.y, m.anchor, m.size, weight, paint, escape(m.text))
			if m.sup != "" {
				fmt.Fprintf(&b, `<tspan dy="%.1f" font-size="%.1f">%s</tspan>`, -0.4*m.size, 0.75*m.size, escape(m.sup))
			}
			b.WriteString("</text>")
		case m.radius > 0:
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%g" %s%s`, at.x, at.y, m.radius, paint, end)
		default:
			b.WriteString(`<path d="`)
			for i, p := range m.pts {
				fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], p.x, p.y)
			}
			if m.area {
				b.WriteString("Z")
			}
			fmt.Fprintf(&b, `" %s/>`, paint)
		}
	}
	b.WriteString("\n</svg>\n")
	return b.String()
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}

// box is a rectangle that a label takes.
type box struct{ x0, y0, x1, y1 float64 }

func (a box) meets(b box) bool { return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1 }

// width estimates that of a text in a sans-serif font.
func width(text string, size float64) float64 {
	w := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune(" .,:;'ijlIt()|-·", r):
			w += 0.33
		case r >= 'A' && r <= 'Z' || r == 'm' || r == 'w':
			w += 0.72
		default:
			w += 0.57
		}
	}
	return w * size
}

// taken keeps labels off a disc.
func (f *Figure) taken(at point, r float64) {
	f.boxes = append(f.boxes, box{at.x - r, at.y - r, at.x + r, at.y + r})
}

// place writes a label beside a point, where it meets no other and stays within the frame; it reports whether there was room.
func (f *Figure) place(at point, gap, size float64, t tone, text string, within box) bool {
	w, h := width(text, size), 0.8*size
	for _, c := range []struct {
		anchor string
		dx, dy float64
	}{{"start", gap, h / 2}, {"end", -gap, h / 2}, {"middle", 0, -gap}, {"middle", 0, gap + h}, {"start", 0.7 * gap, -0.7 * gap}, {"start", 0.7 * gap, 0.7*gap + h},
		{"end", -0.7 * gap, -0.7 * gap}, {"end", -0.7 * gap, 0.7*gap + h}} {
		x, y := at.x+c.dx, at.y+c.dy
		b := box{x, y - h, x + w, y + 2}
		switch c.anchor {
		case "middle":
			b.x0, b.x1 = x-w/2, x+w/2
		case "end":
			b.x0, b.x1 = x-w, x
		}
		if b.x0 < within.x0 || b.x1 > within.x1 || b.y0 < within.y0 || b.y1 > within.y1 || f.crowded(b) {
			continue
		}
		f.boxes = append(f.boxes, b)
		f.add(mark{pts: []point{{x, y}}, anchor: c.anchor, size: size, fill: t, text: text, halo: true})
		return true
	}
	return false
}

func (f *Figure) crowded(b box) bool {
	for _, o := range f.boxes {
		if b.meets(o) {
			return true
		}
	}
	return false
}

// si writes a number as the field does: 1.33 M, 175 B.
func si(v float64) string {
	for _, u := range []struct {
		at   float64
		name string
	}{{1e12, " T"}, {1e9, " B"}, {1e6, " M"}, {1e3, " k"}} {
		if v >= u.at*0.9995 {
			return fmt.Sprintf("%.3g%s", v/u.at, u.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

// power splits a number into the parts of 3·10^12; front is "10" where the factor is one.
func power(v float64) (front, exponent string) {
	e := math.Floor(math.Log10(v))
	m := v / math.Pow(10, e)
	if m >= 9.95 { // two digits round it up
		e, m = e+1, m/10
	}
	if m < 1.05 {
		return "10", fmt.Sprintf("%.0f", e)
	}
	return fmt.Sprintf("%.2g·10", m), fmt.Sprintf("%.0f", e)
}
