package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/zoo"
)

// album copies pictures of the folder photos to another.
func album(t *testing.T, photos, dir string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(photos, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(b))
	}
}

// searched is what plinth search prints with --json.
type searched struct {
	Pictures int `json:"pictures"`
	folderChanges
	Answers []searchAnswer `json:"answers"`
}

func search(t *testing.T, more ...string) (s searched) {
	t.Helper()
	code, text, errs := plinth(append(args("search --json --model dual album"), more...)...)
	if err := json.Unmarshal([]byte(text), &s); err != nil || code != min(1, len(s.Bad)) {
		t.Fatalf("exit code %d, %v: %s, %s", code, err, text, errs)
	}
	return s
}

// The index of a folder follows its pictures, and what is found is what comparing all vectors finds.
func TestSearch(t *testing.T) {
	photos := testkit.Data(t, "images/photos")
	dualFolder(t)
	album(t, photos, "album", "coffee.png", "cat.png", "rocket.jpg")
	album(t, photos, "album/birds", "bald_eagle.jpg", "pelican.jpg")
	album(t, photos, "album/.hidden", "moon.png")
	write(t, "album/notes.txt", "no picture")
	write(t, "album/broken.jpg", "not a picture at all")

	s := search(t, "a bird", "--top", "3", "--out", "hits.png")
	if s.Pictures != 5 || s.New != 5 || len(s.Bad) != 1 || s.Bad[0].File != "album/broken.jpg" || len(s.Answers[0].Hits) != 3 {
		t.Fatalf("%+v", s)
	}
	d, err := embed.OpenDual("dual", zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"album/birds/bald_eagle.jpg", "album/birds/pelican.jpg", "album/cat.png", "album/coffee.png", "album/rocket.jpg"}
	seen, bad, err := pictureVectors(t.Context(), d, files, decoding{})
	if err != nil || len(bad) > 0 {
		t.Fatal(err, bad)
	}
	said, err := d.Texts(t.Context(), []string{"a bird"})
	if err != nil {
		t.Fatal(err)
	}
	scores := make([]float64, len(files))
	for i, v := range seen {
		scores[i] = task.Cosine(v, said[0])
	}
	for i, at := range task.Rank(scores)[:3] {
		if h := s.Answers[0].Hits[i]; h.File != files[at] || math.Abs(float64(h.Cosine)-scores[at]) > 1e-6 {
			t.Errorf("hit %d is %v, want %s %v", i, h, files[at], scores[at])
		}
	}
	b, err := os.ReadFile("hits.png")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(b)); err != nil {
		t.Errorf("hits.png: %v", err)
	}
	if s = search(t, "a bird"); s.New+s.Changed+s.Deleted != 0 || s.Pictures != 5 {
		t.Errorf("the second time: %+v", s)
	}
	// A picture changes, one goes, one is moved, one comes, one is only touched, and one is damaged.
	album(t, photos, "album/more", "moon.png")
	for _, err := range []error{os.Remove("album/rocket.jpg"), os.Rename("album/cat.png", "album/more/tomcat.png"), os.Rename("album/more/moon.png", "album/coffee.png"),
		os.Chtimes("album/birds/pelican.jpg", time.Time{}, time.Unix(1e9, 0)), os.WriteFile("album/birds/bald_eagle.jpg", []byte("gone"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s = search(t, "--image", "album/coffee.png", "--image", "album/more/tomcat.png", "a bird")
	if s.Pictures != 3 || s.New != 1 || s.Changed != 1 || s.Deleted != 2 || len(s.Bad) != 2 || len(s.Answers) != 3 {
		t.Errorf("after the changes: %+v", s)
	}
	for i, want := range []string{"album/coffee.png", "album/more/tomcat.png"} {
		if h := s.Answers[1+i].Hits[0]; h.File != want || math.Abs(float64(h.Cosine)-1) > 1e-5 {
			t.Errorf("the picture most like %s is %v", want, h)
		}
	}
	text := partly(t, args("search --model dual album --ground 000000 cat --top 1")...)
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(strings.TrimSpace(text), ".png") && !strings.HasSuffix(strings.TrimSpace(text), ".jpg") {
		t.Errorf("plain output: %q", text)
	}
	if s = search(t, "a bird", "--index", "elsewhere.index"); s.New != 3 {
		t.Errorf("an index elsewhere: %+v", s)
	}
	if s = search(t, "a bird"); s.New != 0 || s.Pictures != 3 {
		t.Errorf("another ground or another index has changed the folder's: %+v", s)
	}
	write(t, "elsewhere.index", "something else")
	fails(t, 1, "elsewhere.index", args("search --model dual album cat --index elsewhere.index")...)
	fails(t, 1, "nothing-there", args("search --model dual nothing-there cat")...)
	fails(t, 1, "broken.jpg", args("search --model dual album --image album/broken.jpg")...)
	fails(t, 2, "--out", args("search --model dual album cat --out hits.jpg")...)
	fails(t, 2, "--top", args("search --model dual album cat --top 0")...)
	fails(t, 2, "--ground", args("search --model dual album cat --ground red")...)
}

// The folder's index is only a cache: a damaged one is made anew, with a note; one that --index names is not touched.
func TestSearchDamaged(t *testing.T) {
	photos := testkit.Data(t, "images/photos")
	dualFolder(t)
	album(t, photos, "album", "coffee.png", "cat.png")
	const at = "album/.plinth/dual-ffffff.index" // white, as the folder says
	search(t)
	good := read(t, at)
	for name, bad := range map[string]string{"empty": "", "cut": good[:len(good)/2], "flipped": good[:len(good)/2] + string(good[len(good)/2]^1) + good[len(good)/2+1:], "another thing": "text"} {
		write(t, at, bad)
		code, out, errs := plinth(args("search --model dual album --image album/cat.png --top 1")...)
		if code != 0 || !strings.Contains(errs, "made anew") || !strings.HasSuffix(out, "cat.png\n") || read(t, at) != good {
			t.Errorf("%s: exit code %d, %q, %s", name, code, out, errs)
		}
		write(t, "own.index", bad)
		fails(t, 1, "own.index", args("search --model dual album cat --index own.index")...)
		if read(t, "own.index") != bad {
			t.Errorf("%s: a file of the user's was written over", name)
		}
	}
}

// What search writes stays out of the pictures, pictures stay what they are, and a folder without any is left as it was.
func TestSearchOutputs(t *testing.T) {
	photos := testkit.Data(t, "images/photos")
	dualFolder(t)
	album(t, photos, "album", "coffee.png", "cat.png")
	for range 2 { // the second time over the sheet of the first
		if s := search(t, "a cat", "--out", "album/hits.png"); s.Pictures != 2 || s.New+s.Changed > 2 || len(s.Bad) != 0 {
			t.Errorf("%+v", s)
		}
	}
	if s := search(t, "a cat"); s.Pictures != 2 || s.New != 0 {
		t.Errorf("the sheet is among the pictures: %+v", s)
	}
	before := read(t, "album/cat.png")
	fails(t, 2, "would be lost", args("search --model dual album cat --out album/cat.png")...)
	fails(t, 2, "would be lost", args("search --model dual album cat --index album/cat.png")...)
	if read(t, "album/cat.png") != before {
		t.Error("a picture was written over")
	}
	fails(t, 1, "no folder nodir", args("search --model dual album cat --out nodir/x.png")...)
	fails(t, 1, "no folder nodir", args("search --model dual album cat --index nodir/x.index")...)
	for name, want := range map[string]string{"none.txt": "no picture (", "none.png": "no picture could be read"} {
		dir := strings.TrimPrefix(filepath.Ext(name), ".")
		album(t, photos, dir)
		write(t, filepath.Join(dir, name), "no picture")
		fails(t, 1, want, "search", "--model", "dual", dir, "cat")
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
			t.Errorf("%s: left behind: %v (%v)", dir, list, err)
		}
	}
}
