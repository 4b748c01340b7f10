package media

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/plinth-ml/plinth/internal/pixel"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// raw is a picture as tools/golden/media.py writes it.
type raw struct {
	W, H int
	RGB  []byte
}

func (r raw) image() *Image { return &Image{r.W, r.H, r.RGB} }

// filters are named as the script names them.
var filters = map[string]Filter{"bicubic": Bicubic, "bilinear": Bilinear}

// golden is testdata/golden.json.
type golden struct {
	Decode []struct {
		Name string
		Data []byte
		raw
		Over []byte // over a ground of (200, 30, 90); nil where that changes nothing
	}
	Resize []struct {
		Name, Filter string
		From, To     raw
	}
	Clip []struct {
		Name   string
		From   raw
		Side   int
		Values []byte // float32
	}
	Colors []struct {
		Name     string
		Factor   float64
		From, To raw
	}
	Boxes []struct {
		W, H         int
		Scale, Ratio [2]float64
		Draws        []float64
		Box          [4]int // x, y, w, h
	}
}

func readGolden(t testing.TB) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Decode) == 0 || len(g.Resize) == 0 || len(g.Clip) == 0 || len(g.Colors) == 0 || len(g.Boxes) == 0 {
		t.Fatal("golden.json lacks cases")
	}
	return g
}

// difference is the largest and the mean difference of a channel; pictures of different sizes fail.
func difference(t *testing.T, got, want *Image) (most int, mean float64) {
	t.Helper()
	if got.W != want.W || got.H != want.H || len(got.Pix) != len(want.Pix) {
		t.Fatalf("%d x %d pixels (%d bytes), want %d x %d (%d)", got.W, got.H, len(got.Pix), want.W, want.H, len(want.Pix))
	}
	sum := 0
	for i, v := range got.Pix {
		d := max(int(v)-int(want.Pix[i]), int(want.Pix[i])-int(v))
		most = max(most, d)
		sum += d
	}
	return most, float64(sum) / float64(len(got.Pix))
}

// eachVariant runs a test with every variant of the arithmetic.
func eachVariant(t *testing.T, f func(t *testing.T)) {
	names := pixel.Variants()
	defer func() { _ = pixel.Use(names[len(names)-1]) }()
	for _, name := range names {
		if err := pixel.Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, f)
	}
}

func TestDecode(t *testing.T) { eachVariant(t, testDecode) }

func testDecode(t *testing.T) {
	for _, c := range readGolden(t).Decode {
		t.Run(c.Name, func(t *testing.T) {
			got, err := Decode(bytes.NewReader(c.Data), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if most, mean := difference(t, got, c.image()); most > 0 {
				t.Errorf("differs from PIL by up to %d, %.4f in the mean", most, mean)
			}
			over, err := DecodeOver(bytes.NewReader(c.Data), Limits{}, [3]uint8{200, 30, 90})
			if err != nil {
				t.Fatal(err)
			}
			want := c.image()
			if c.Over != nil {
				want.Pix = c.Over
			}
			if most, mean := difference(t, over, want); most > 0 {
				t.Errorf("over a ground: differs from PIL by up to %d, %.4f in the mean", most, mean)
			}
		})
	}
}

func TestResize(t *testing.T) { eachVariant(t, testResize) }

func testResize(t *testing.T) {
	for _, c := range readGolden(t).Resize {
		t.Run(c.Name, func(t *testing.T) {
			before := bytes.Clone(c.From.RGB)
			if most, mean := difference(t, Resize(c.From.image(), c.To.W, c.To.H, filters[c.Filter]), c.To.image()); most > 0 {
				t.Errorf("differs from PIL by up to %d, %.4f in the mean", most, mean)
			}
			if !bytes.Equal(before, c.From.RGB) {
				t.Error("changed its argument")
			}
		})
	}
}

// floats are the little-endian values of the script.
func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// TestPreprocess: CLIP's values are torchvision's, with the picture resized whole and cut or only where it is seen.
func TestPreprocess(t *testing.T) {
	for _, c := range readGolden(t).Clip {
		want, got := floats(c.Values), make([]float32, 3*c.Side*c.Side)
		CLIP(c.Side).Apply(got, c.From.image())
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: value %d is %v, want %v", c.Name, i, got[i], want[i])
			}
		}
	}
	for _, c := range readGolden(t).Resize {
		m := c.From.image()
		whole := Resize(m, c.To.W, c.To.H, filters[c.Filter])
		for _, b := range [][4]int{{0, 0, 1, 1}, {c.To.W / 3, c.To.H / 2, (c.To.W + 1) / 2, (c.To.H + 1) / 2}, {c.To.W - 1, c.To.H - 1, 1, 1}} {
			part := resizeCrop(m, c.To.W, c.To.H, filters[c.Filter], b[0], b[1], b[2], b[3])
			if want := Crop(whole, b[0], b[1], b[2], b[3]); !bytes.Equal(part.Pix, want.Pix) {
				t.Errorf("%s: part %v differs from the whole", c.Name, b)
			}
		}
	}
}

// script is the writer of the golden file, which also answers to jobs.
func script() string { return filepath.Join(testkit.Root(), "tools", "golden", "media.py") }

// digest is the SHA-256 of some bytes.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// photos are the files of the shared data.
func photos(t *testing.T) []string {
	files, err := filepath.Glob(filepath.Join(testkit.Data(t, "images/photos"), "*.[jp][pn]g"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no photos: %v", err)
	}
	return files
}

// TestTorchvision compares what a tower gets of whole photos, at 50 odd sides, with torchvision, bit for bit.
func TestTorchvision(t *testing.T) {
	job := struct {
		Files []string `json:"files"`
		Sides []int    `json:"sides"`
	}{Files: photos(t)}
	for k := range 50 {
		job.Sides = append(job.Sides, 9+2*((37*k)%188)) // 9 to 383
	}
	var want [][]string
	testkit.Ask(t, script(), []string{"PIL", "torchvision", "open_clip"}, job, &want)
	for i, file := range job.Files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Decode(bytes.NewReader(b), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for k, side := range job.Sides {
			x := make([]float32, 3*side*side)
			CLIP(side).Apply(x, m)
			var got bytes.Buffer
			if err := binary.Write(&got, binary.LittleEndian, x); err != nil {
				t.Fatal(err)
			}
			if digest(got.Bytes()) != want[i][k] {
				t.Errorf("%s at %d: other bits than torchvision's", filepath.Base(file), side)
			}
		}
	}
}

// TestPhotos compares whole photos with PIL, bit for bit: decoded, at 50 odd sizes each, and as CLIP sees them.
func TestPhotos(t *testing.T) {
	files := photos(t)
	testkit.Python(t, "PIL", "numpy") // skips before any work
	type size [3]any                  // width, height, filter
	for i, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Decode(bytes.NewReader(b), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			job := struct {
				File  string `json:"file"`
				Sizes []size `json:"sizes"`
				Side  int    `json:"side"`
			}{File: file, Side: 224}
			for k := range 50 { // 1 to 587 pixels, each photo at sizes of its own
				w, h := 2*((37*k+11*i)%294)+1, 2*((53*k+29*i+7)%294)+1
				job.Sizes = append(job.Sizes, size{w, h, []string{"bicubic", "bilinear"}[k%2]})
			}
			var want struct {
				Picture raw
				Sizes   []raw
				Clip    []byte
			}
			testkit.Ask(t, script(), []string{"PIL", "numpy"}, job, &want)

			most, mean := difference(t, m, want.Picture.image())
			if most > 0 {
				t.Errorf("decoded: differs by up to %d, %.4f in the mean", most, mean)
			}
			for k, r := range want.Sizes {
				if most, mean := difference(t, Resize(m, r.W, r.H, filters[job.Sizes[k][2].(string)]), r.image()); most > 0 {
					t.Errorf("%v: differs by up to %d, %.4f in the mean", job.Sizes[k], most, mean)
				}
			}
			clip, got := floats(want.Clip), make([]float32, 3*224*224)
			CLIP(224).Apply(got, m)
			for i, v := range got {
				if v != clip[i] {
					t.Fatalf("CLIP: value %d is %v, want %v", i, v, clip[i])
				}
			}
		})
	}
}
