package scaling

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/random"
)

var hills = Law{E: 1.6, A: 60, B: 900, Alpha: 0.4, Beta: 0.45}

// drawnRuns are three budgets of five sizes each, half a per cent around a law, a larger run, and one that diverged.
func drawnRuns() Plot {
	key := random.NewKey(7)
	p := Plot{Law: hills, Models: Milestones()}
	add := func(name string, C, N float64) {
		D := C / 6.2 / N
		loss := hills.Loss(N, D) * math.Exp(0.005*key.Normal(uint64(len(p.Runs))))
		p.Runs = append(p.Runs, Run{Name: name, N: N, D: D, C: C, Loss: loss})
	}
	for k, C := range []float64{1e12, 4e12, 1.6e13} {
		best, _ := hills.Optimum(6 * C / 6.2)
		for i, f := range []float64{0.3, 0.55, 1, 1.8, 3.3} {
			add(fmt.Sprintf("B%d-%d <&>", k, i), C, best*f)
		}
	}
	add("big", 8e13, 3e5)
	p.HeldOut = p.Runs[len(p.Runs)-1:]
	p.Runs = append(p.Runs, Run{Name: "wild", N: 1e5, D: 1e6, C: 6e11, Loss: math.NaN(), Diverged: true})
	var curve []Run
	for d := 1e5; d < 1e7; d *= 1.3 {
		curve = append(curve, Run{N: 1e5, D: d, C: 6.2e5 * d, Loss: hills.Loss(1e5, d)})
	}
	p.Curves = [][]Run{curve}
	return p
}

func allFigures(t *testing.T) []*Figure {
	t.Helper()
	figures, err := drawnRuns().Figures()
	if err != nil {
		t.Fatal(err)
	}
	return figures
}

func TestFigures(t *testing.T) {
	var names []string
	all := allFigures(t)
	for _, f := range all {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "loss-compute loss-parameters loss-tokens isoflop residuals contour models" {
		t.Errorf("figures: %s", got)
	}
	var many Plot // 20 budgets of 20 sizes
	for i := range 20 {
		for j := range 20 {
			C := 1e18 * math.Pow(1.6, float64(i))
			N, _ := hills.Optimum(C)
			N *= math.Pow(1.2, float64(j-10))
			many.Runs = append(many.Runs, Run{N: N, D: C / 6 / N, C: C, Loss: hills.Loss(N, C/6/N)})
		}
	}
	many.Law, many.HeldOut = hills, many.Runs[399:]
	crowd, err := many.Figures()
	if err != nil || len(crowd) != 6 {
		t.Fatalf("%d figures, %v", len(crowd), err)
	}
	for _, f := range append(all, crowd...) {
		if f.Title == "" || !strings.HasSuffix(f.Note, ".") {
			t.Errorf("%s: title %q, note %q", f.Name, f.Title, f.Note)
		}
		for _, m := range f.marks {
			for _, p := range m.pts {
				w := 0.0
				if m.text != "" {
					w = width(m.text, m.size)
				}
				left, right := p.x, p.x+w
				switch m.anchor {
				case "middle":
					left, right = p.x-w/2, p.x+w/2
				case "end":
					left, right = p.x-w, p.x
				}
				if left < 0 || right > figureW || p.y < 0 || p.y > figureH || math.IsNaN(p.x+p.y) {
					t.Errorf("%s: %q at %v to %v, %v leaves the picture", f.Name, m.text, left, right, p.y)
				}
			}
		}
	}
}

// Labels must not lie on each other, nor on the dots of runs and models.
func TestLabelsApart(t *testing.T) {
	for _, f := range allFigures(t) {
		var labels []box
		for _, m := range f.marks {
			if m.text != "" && m.halo {
				w := width(m.text, m.size)
				b := box{m.pts[0].x, m.pts[0].y - 0.8*m.size, m.pts[0].x + w, m.pts[0].y}
				switch m.anchor {
				case "middle":
					b.x0, b.x1 = b.x0-w/2, b.x1-w/2
				case "end":
					b.x0, b.x1 = b.x0-w, b.x1-w
				}
				labels = append(labels, b)
			}
		}
		for i, b := range labels {
			for _, o := range labels[:i] {
				if b.meets(o) {
					t.Errorf("%s: labels at %v and %v overlap", f.Name, b, o)
				}
			}
			for _, m := range f.marks {
				if at := m.pts[0]; m.radius == 5 && b.meets(box{at.x - 4, at.y - 4, at.x + 4, at.y + 4}) {
					t.Errorf("%s: a label at %v covers the dot at %v", f.Name, b, at)
				}
			}
		}
	}
	named := 0
	f := models(Milestones())
	for _, m := range f.marks {
		if m.halo {
			named++
		}
	}
	if want := len(Milestones()) + 1; named != want || want != 15 { // and the guide
		t.Errorf("%d labels, want %d", named, want)
	}
}

func TestSVG(t *testing.T) {
	p := drawnRuns()
	for _, f := range allFigures(t) {
		for _, inPage := range []bool{false, true} {
			svg := f.SVG(inPage)
			d := xml.NewDecoder(strings.NewReader(svg))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
			}
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "var(--") != inPage {
				t.Errorf("%s: numbers or colours", f.Name)
			}
			if f.Name == "contour" || f.Name == "models" {
				continue
			}
			for _, r := range p.Runs {
				name := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(r.Name, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
				if has := strings.Contains(svg, name); has == r.Diverged && (f.Name != "isoflop" || r.Name != "big") {
					t.Errorf("%s: run %s is shown: %v", f.Name, r.Name, has)
				}
			}
		}
	}
}

// A dot's place, read off the axes, is its run; a contour's places have the loss that its label says.
func TestPlacesMeanValues(t *testing.T) {
	x := axis{from: 1e11, to: 1e14, log: true, label: labelPower}
	y := axis{from: 2, to: 4, label: labelSI}
	c := newChart(&Figure{}, x, y, keyMargin)
	if p := c.point(1e11, 2); p != (point{c.frame.x0, c.frame.y1}) {
		t.Errorf("lower left corner at %v of %v", p, c.frame)
	}
	if p := c.point(1e14, 4); p != (point{c.frame.x1, c.frame.y0}) {
		t.Errorf("upper right corner at %v of %v", p, c.frame)
	}
	if p := c.point(math.Sqrt(1e25), 3); math.Abs(p.x-(c.frame.x0+c.frame.x1)/2) > 1e-9 || math.Abs(p.y-(c.frame.y0+c.frame.y1)/2) > 1e-9 {
		t.Errorf("middle at %v", p)
	}

	p := drawnRuns()
	d := newDrawn(p, Converged(p.Runs))
	f := d.contour()
	cx, cy := d.axis("", func(r Run) float64 { return r.C }, labelPower), d.axis("", func(r Run) float64 { return r.N }, labelSI)
	cx.to, cy.to = 3*cx.to, 1.5*cy.to
	frame := newChart(&Figure{}, cx, cy, 24)
	invert := func(a axis, pos float64) float64 { return a.from * math.Pow(a.to/a.from, (pos-a.at)/(a.end-a.at)) }
	var levels []float64
	for _, m := range f.marks {
		if len(m.pts) < 20 || m.stroke == accent || m.width != 1.5 || m.area || m.radius > 0 {
			continue
		}
		low, high := math.Inf(1), 0.0
		for _, q := range m.pts[1 : len(m.pts)-1] { // the ends are cut at the frame
			N := invert(frame.y, q.y)
			loss := hills.Loss(N, invert(frame.x, q.x)/d.perND/N)
			low, high = min(low, loss), max(high, loss)
		}
		if high-low > 1e-6 {
			t.Errorf("a contour runs from loss %v to %v", low, high)
		}
		levels = append(levels, low)
	}
	if len(levels) < 5 {
		t.Errorf("only the contours %v", levels)
	}
}

func TestTicks(t *testing.T) {
	for _, a := range []axis{{from: 2.4, to: 4.9, log: true}, {from: 3.05, to: 3.2, log: true}, {from: 1e11, to: 3e13, log: true}, {from: 1e5, to: 1e25, log: true},
		{from: 2e4, to: 9e5, log: true}, {from: -2.3, to: 2.3}, {from: 2018, to: 2026}, {from: 9e7, to: 1.4e12, log: true}, {from: 1, to: 9, log: true}} {
		major, _ := a.ticks()
		if len(major) < 2 || len(major) > 10 {
			t.Errorf("%g to %g: labels at %v", a.from, a.to, major)
		}
		for i, v := range major {
			if v < a.from*0.999-1e-9 && a.from > 0 || v > a.to*1.001+1e-9 || i > 0 && v <= major[i-1] {
				t.Errorf("%g to %g: labels at %v", a.from, a.to, major)
			}
		}
	}
	for v, want := range map[float64]string{1: "1", 999: "999", 21740: "21.7 k", 1e6: "1 M", 175e9: "175 B", 1.4e12: "1.4 T", 0.5: "0.5"} {
		if got := si(v); got != want {
			t.Errorf("si(%g) is %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{1e12: "10^12", 3e12: "3·10^12", 4.18e13: "4.2·10^13", 1: "10^0", 9.995e11: "10^12", 1e15: "10^15", 9.4e11: "9.4·10^11"} {
		if f, e := power(v); f+"^"+e != want {
			t.Errorf("power(%g) is %s^%s, want %s", v, f, e, want)
		}
	}
}

func TestClip(t *testing.T) {
	in := box{0, 0, 10, 10}
	for _, c := range []struct {
		a, b, from, to point
		ok             bool
	}{
		{point{1, 1}, point{9, 9}, point{1, 1}, point{9, 9}, true},
		{point{-5, 5}, point{5, 5}, point{0, 5}, point{5, 5}, true},
		{point{5, -5}, point{5, 15}, point{5, 0}, point{5, 10}, true},
		{point{-5, 5}, point{5, -5}, point{0, 0}, point{0, 0}, true},
		{point{-5, 4}, point{4, -5}, point{}, point{}, false},
		{point{1, 12}, point{9, 12}, point{}, point{}, false},
		{point{1, 1}, point{math.Inf(1), 1}, point{}, point{}, false},
	} {
		from, to, ok := clip(c.a, c.b, in)
		if ok != c.ok || ok && (from != c.from || to != c.to) {
			t.Errorf("clip(%v, %v): %v, %v, %v", c.a, c.b, from, to, ok)
		}
	}
}

func TestPNG(t *testing.T) {
	f := &Figure{}
	f.disc(point{100, 100}, 20, second, "", "")
	f.line(accent, 4, 0, point{200, 50}, point{200, 150}, point{300, 150})
	f.line(ink, 2, 10, point{50, 300}, point{450, 300})
	f.label(point{400, 100}, "middle", 20, ink, "MMMM")
	b, err := f.PNG(2)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, 2*figureW, 2*figureH) {
		t.Errorf("bounds %v", img.Bounds())
	}
	is := func(x, y float64, want tone) {
		t.Helper()
		r, g, b, _ := img.At(int(2*x), int(2*y)).RGBA()
		c := colourOf(want, 1)
		if uint8(r>>8) != c.R || uint8(g>>8) != c.G || uint8(b>>8) != c.B {
			t.Errorf("at %v, %v: %x %x %x, want %v", x, y, r>>8, g>>8, b>>8, want)
		}
	}
	is(100, 100, second)
	is(118, 100, second)
	is(100, 82, second)
	is(122, 100, paper)
	is(200, 100, accent)
	is(201, 149, accent) // the joint
	is(250, 150, accent)
	is(250, 153, paper)
	is(55, 300, ink) // dash, gap, dash
	is(65, 300, paper)
	is(75, 300, ink)
	darkPixels := 0
	for x := 700; x < 900; x++ {
		for y := 170; y < 210; y++ {
			if r, _, _, _ := img.At(x, y).RGBA(); r < 0x8000 {
				darkPixels++
			}
		}
	}
	if darkPixels < 200 {
		t.Errorf("the text has %d pixels", darkPixels)
	}
	for _, scale := range []float64{0, 11, math.NaN()} {
		if _, err := f.PNG(scale); err == nil {
			t.Errorf("scale %v is accepted", scale)
		}
	}
	for _, f := range allFigures(t) {
		if _, err := f.PNG(1); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func TestReport(t *testing.T) {
	p := drawnRuns()
	page, err := p.Report("Runs of <a test>")
	if err != nil {
		t.Fatal(err)
	}
	html := string(page)
	for _, r := range p.Runs {
		name := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(r.Name, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
		if !strings.Contains(html, "<td>"+name) {
			t.Errorf("run %s has no row", r.Name)
		}
	}
	for _, want := range []string{"Runs of &lt;a test&gt;", "diverged", "prefers-color-scheme: dark", `data-tip="big`, "The law has not seen <b>big</b>", "17 runs, 16 of which have a loss", "(Hoffmann et al. 2022, equation 2)", "grow as C<sup>0.53</sup>"} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	for _, outside := range []string{" src=", "href=", "@import", "url(", "<link", "https:", "NaN", "ZgotmplZ"} {
		if strings.Contains(html, outside) {
			t.Errorf("%q in the page", outside)
		}
	}
	p.Law = KaplanLossND
	if page, err = p.Report("r"); err != nil || !bytes.Contains(page, []byte("(Kaplan et al. 2020, equation 1.5)")) {
		t.Errorf("Kaplan's law: %v", err)
	}
	if strings.Count(html, "http:") != strings.Count(html, `xmlns="http://www.w3.org/2000/svg"`) {
		t.Error("an address in the page")
	}
}

func TestNothingToDraw(t *testing.T) {
	if _, err := (Plot{Runs: []Run{{Name: "a", N: 1, D: 1, C: 6, Loss: 2}}}).Figures(); err == nil || !strings.Contains(err.Error(), "1 runs with a loss") {
		t.Errorf("one run: %v", err)
	}
	bad := Plot{Runs: []Run{{Name: "a", N: 1, D: 1, C: 6, Loss: 2}, {Name: "b", N: 1, D: 0, C: 6, Loss: 2}}}
	if _, err := bad.Figures(); err == nil || !strings.Contains(err.Error(), "run b has N 1, D 0") {
		t.Errorf("no tokens: %v", err)
	}
	nameless := drawnRuns()
	for i := range nameless.Runs {
		nameless.Runs[i].Name = ""
	}
	nameless.HeldOut = []Run{nameless.Runs[15]}
	page, err := nameless.Report("r")
	if err != nil || strings.Count(string(page), "(held out)") != 1 || !strings.Contains(string(page), `data-tip="parameters`) {
		t.Errorf("runs without names: %v", err)
	}
	two := Plot{Runs: []Run{{Name: "a", N: 1e5, D: 1e6, C: 6e11, Loss: 2}, {Name: "b", N: 1e5, D: 1e6, C: 6e11, Loss: 2}}} // all ranges empty
	figures, err := two.Figures()
	if err != nil || len(figures) != 3 {
		t.Fatalf("%d figures, %v", len(figures), err)
	}
	for _, f := range figures {
		if svg := f.SVG(false); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s of equal runs", f.Name)
		}
	}
}

// A learning curve has a dot for every point, and its names stand beside the ends of the lines, apart from each other and in their order.
func TestLearningCurve(t *testing.T) {
	f := LearningCurve("Accuracy", []Line{{Name: "first", Labels: []float64{8, 64}, Mean: []float64{0.5, 0.7}, Spread: []float64{0.02, 0.01}}, {Name: "absent"},
		{Name: "second (x)", Labels: []float64{8, 16, 64}, Mean: []float64{0.4, 0.5, 0.699}, Spread: make([]float64, 3)}})
	svg := f.SVG(false)
	if n := strings.Count(svg, "<circle"); n != 5 {
		t.Errorf("%d dots", n)
	}
	names := map[string]float64{}
	for _, m := range f.marks {
		if m.text != "" {
			names[m.text] = m.pts[0].y
		}
	}
	if d := names["second"] - names["first"]; !(d >= 1.3*textSize && d < 2*textSize) { // the first ends higher
		t.Errorf("the names are %v apart: %v", d, names)
	}
	if _, ok := names["16"]; !ok || strings.Contains(svg, "absent") {
		t.Errorf("labels %v", names)
	}
	if LearningCurve("", []Line{{Name: "none"}}) != nil {
		t.Error("a figure of nothing")
	}
}
