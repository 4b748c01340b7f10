package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/media"
)

// Labels are lists with quotes as in CSV, that add up, and lines of a file; what is empty or stands twice is named.
func TestOwnLabels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "labels.txt")
	write(t, file, "\ufefftench, Tinca tinca\r\n\ngreat white shark\n")
	for _, c := range []struct {
		lists []string
		file  string
		want  []string
		err   string
	}{
		{nil, "", nil, ""},
		{[]string{`dog, "cat, small" ,x`}, "", nil, "--labels"},
		{[]string{`dog, "cat, small",x`, "a bird", `"say ""hm"""`}, "", []string{"dog", "cat, small", "x", "a bird", `say "hm"`}, ""},
		{[]string{"dog"}, file, []string{"dog", "tench, Tinca tinca", "great white shark"}, ""},
		{[]string{"dog,,cat"}, "", nil, "label 2 is empty"},
		{[]string{`dog," "`}, "", nil, "label 2 is empty"},
		{[]string{""}, "", nil, "names no label"},
		{[]string{"dog", "cat,dog"}, "", nil, `"dog" stands there twice`},
		{[]string{"great white shark"}, file, nil, "twice"},
		{nil, filepath.Join(t.TempDir(), "none.txt"), nil, "--labels-file"},
	} {
		f := ownLabelFlags{c.lists, c.file}
		switch got, err := f.names(); {
		case c.err == "" && (err != nil || !slices.Equal(got, c.want)):
			t.Errorf("%q, %q: %q, %v", c.lists, c.file, got, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q, %q: error %v, want %q", c.lists, c.file, err, c.err)
		}
	}
}

// classify and embed tell what they could not read, never write over what they read, and leave sheets of ours out.
func TestPictureOutputs(t *testing.T) {
	photos := testkit.Data(t, "images/photos")
	dualFolder(t)
	album(t, photos, "album", "coffee.png", "cat.png")
	before := read(t, "album/cat.png")
	classify := args("classify --model dual --labels cat,dog --images")
	for range 2 {
		code, out, errs := plinth(append(slices.Clone(classify), args("album --out album/sheet.png")...)...)
		if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(errs, "2 pictures labelled, 0 not read") {
			t.Errorf("exit code %d, %q, %q", code, out, errs)
		}
	}
	fails(t, 2, "would be lost", append(slices.Clone(classify), args("album --out album/cat.png")...)...)
	if err := os.Symlink("album/cat.png", "link.png"); err == nil {
		fails(t, 2, "would be lost", append(slices.Clone(classify), args("album --out link.png")...)...)
	}
	if read(t, "album/cat.png") != before {
		t.Error("a picture was written over")
	}
	fails(t, 1, "no folder nodir", append(slices.Clone(classify), args("album --out nodir/x.csv")...)...)
	if runtime.GOOS == "linux" { // where root may not make files either
		fails(t, 1, "--out /sys/x.csv", append(slices.Clone(classify), args("album --out /sys/x.csv")...)...)
	}
	album(t, photos, "folder.csv")
	album(t, photos, "empty")
	fails(t, 1, "is a folder", append(slices.Clone(classify), args("album --out folder.csv")...)...)

	write(t, "lone.png", "no picture")
	for _, verb := range []string{"classify --labels a,b", "embed"} {
		fails(t, 1, "no picture could be read", args(verb+" --model dual --images lone.png")...)
		fails(t, 1, "no picture (", args(verb+" --model dual --images empty")...)
		fails(t, 1, "see --max-pixels", args(verb+" --model dual --images album/cat.png --max-pixels 100")...)
		fails(t, 2, "--max-pixels 0", args(verb+" --model dual --images album/cat.png --max-pixels 0")...)
	}
	fails(t, 1, "no picture (", args("search --model dual empty cat")...)
	var o struct {
		Bad json.RawMessage `json:"not_read"`
	}
	for _, verb := range []string{"classify --labels a,b --images album", "embed --images album", "search album cat"} {
		if err := json.Unmarshal([]byte(ok(t, args(verb+" --json --model dual")...)), &o); err != nil || string(o.Bad) != "[]" {
			t.Errorf("%s: not_read is %s (%v)", verb, o.Bad, err)
		}
	}
	// A line is a picture, whatever its name.
	if err := os.WriteFile("album/two\nlines.png", []byte(before), 0o600); err == nil {
		for _, verb := range []string{"classify --labels a,b --images album", "search album cat"} {
			if out := ok(t, args(verb+" --model dual")...); strings.Count(out, "\n") != 3 || !strings.Contains(out, "two lines.png\n") {
				t.Errorf("%s: %q", verb, out)
			}
		}
	}
}

// --max-pixels bounds the pixels, and with them the bytes of a file and its sides.
func TestMaxPixels(t *testing.T) {
	for pixels, want := range map[int]media.Limits{1: {Bytes: 16 << 20, Side: 16384}, 1 << 25: {Bytes: 16 << 20, Side: 16384}, 50e6: {Bytes: 25e6, Side: 24414}} {
		f := decodeFlags{MaxPixels: pixels}
		want.Pixels = pixels
		if o, err := f.decoding(); err != nil || o.limits != want {
			t.Errorf("%d: %+v, %v", pixels, o, err)
		}
	}
}

// Transparent pictures lie over what --ground says, else over what the model's folder says.
func TestGround(t *testing.T) {
	dualFolder(t)
	d, err := openPairs(&common{}, "dual")
	if err != nil {
		t.Fatal(err)
	}
	own, flag := &[3]uint8{1, 2, 3}, &[3]uint8{4, 5, 6}
	d.Prepare.Ground = nil
	if got := (decoding{}).by(d).ground; got != nil {
		t.Errorf("a ground from nowhere: %v", got)
	}
	d.Prepare.Ground = own
	if (decoding{}).by(d).ground != own || (decoding{ground: flag}).by(d).ground != flag {
		t.Error("the folder's ground, or the flag's, is not taken")
	}
	// Where there is none, pictures whose alpha is dropped are counted.
	f := decodeFlags{MaxPixels: 100}
	o, err := f.decoding()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]image.Image{"clear.png": image.NewNRGBA(image.Rect(0, 0, 4, 4)), "grey.png": image.NewGray(image.Rect(0, 0, 4, 4))} {
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		write(t, name, b.String())
		if _, err := o.read(name); err != nil {
			t.Error(err)
		}
	}
	var said strings.Builder
	o.sayDropped(&common{err: &said})
	if !strings.Contains(said.String(), "of 1 picture with transparency") {
		t.Errorf("%q", said.String())
	}
}
