package imagetext

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/media"
)

// picture is a PNG of one colour with a transparent corner.
func picture(t testing.TB, c color.NRGBA) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 12, 10))
	for i := range 12 * 10 {
		m.SetNRGBA(i%12, i/12, c)
	}
	m.SetNRGBA(0, 0, color.NRGBA{})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// files writes files into a new folder.
func files(t testing.TB, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// member is a file of a tar.
type member struct{ name, data string }

func shard(t testing.TB, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// listed describes items: the captions of each row, without the folder.
func listed(items []Item) string {
	var list []string
	for _, it := range items {
		var rows []string
		for _, r := range it.Rows {
			rows = append(rows, strings.Join(r.Captions, "+"))
		}
		list = append(list, strings.Join(rows, "|"))
	}
	return strings.Join(list, "; ")
}

func TestRead(t *testing.T) {
	red, blue := string(picture(t, color.NRGBA{255, 0, 0, 255})), string(picture(t, color.NRGBA{0, 0, 255, 255}))
	pictures := map[string]string{"red.png": red, "sub/blue.png": blue}
	with := func(name, text string) string {
		all := map[string]string{name: text}
		for n, p := range pictures {
			all[n] = p
		}
		return files(t, all)
	}
	for name, c := range map[string]struct {
		dir, path string
		o         ReadOptions
		want      string
	}{
		"csv":                    {with("pairs.csv", "image,text\nred.png, red thing \nsub/blue.png,blue\n"), "pairs.csv", ReadOptions{}, "red thing; blue"},
		"columns":                {with("p.tsv", "file\tshort\tlong\nred.png\tred\ta red thing\nsub/blue.png\tblue\t\n"), "p.tsv", ReadOptions{Image: "file", Text: []string{"short", "long"}}, "red+a red thing; blue"},
		"jsonl":                  {with("p.jsonl", `{"image":"red.png","text":["red","scarlet","red"]}`+"\n"+`{"image":"sub/blue.png","text":"blue"}`), "p.jsonl", ReadOptions{}, "red+scarlet; blue"},
		"the same picture twice": {with("p.csv", "image,text\nred.png,red\nsub/blue.png,blue\nred.png,scarlet\n"), "p.csv", ReadOptions{}, "red|scarlet; blue"},
		"groups":                 {with("p.csv", "image,text,g\nred.png,red,x\nsub/blue.png,blue,x\n"), "p.csv", ReadOptions{Group: "g"}, "red|blue"},
		"a folder with a table":  {with("p.csv", "image,text\nred.png,red\n"), ".", ReadOptions{}, "red"},
		"pictures elsewhere":     {files(t, map[string]string{"p.csv": "image,text\nred.png,red\n", "in/red.png": red}), "p.csv", ReadOptions{Folder: "in"}, "red"},
		"classes": {files(t, map[string]string{"sea_lion/a.png": red, "sea_lion/b/c.PNG": blue, "cat/a.png": red, "cat/notes.txt": "x"}), ".", ReadOptions{Templates: []string{"a {}.", "{}"}},
			"a cat.+cat; a sea lion.+sea lion; a sea lion.+sea lion"},
		"shards": {files(t, map[string]string{
			"0.tar": shard(t, member{"d/a.b/0.png", red}, member{"d/a.b/0.txt", "red\n"}, member{"d/a.b/0.cls", "3"}, member{"x.json", `{"caption": ["blue", "navy"], "w": 3}`}, member{"x.jpg", blue}),
			"1.tar": shard(t, member{"x.png", blue}, member{"x.json", `{"caption": "blue"}`}, member{"x.txt", "blue"}, member{"readme.md", "?"})}), ".", ReadOptions{}, "red; blue+navy; blue"},
		"another key": {files(t, map[string]string{"0.tar": shard(t, member{"x.png", blue}, member{"x.json", `{"alt": "blue", "caption": 5}`})}), "0.tar", ReadOptions{Caption: "alt"}, "blue"},
	} {
		if c.o.Folder != "" {
			c.o.Folder = filepath.Join(c.dir, c.o.Folder)
		}
		items, err := Read(t.Context(), []string{filepath.Join(c.dir, c.path)}, c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := listed(items); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		for _, it := range items {
			for _, r := range it.Rows {
				m, err := r.Decode(media.Limits{}, nil)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if at := m.Pix[3*13:][:3]; at[0] == at[2] {
					t.Errorf("%s: %s has pixel %v, another picture", name, r.Name, at)
				}
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	red := string(picture(t, color.NRGBA{255, 0, 0, 255}))
	for name, c := range map[string]struct {
		files map[string]string
		path  string
		o     ReadOptions
		want  string
	}{
		"out of the folder":    {map[string]string{"p.csv": "image,text\nred.png,red\n../red.png,red\n"}, "p.csv", ReadOptions{}, `p.csv:3: picture "../red.png"`},
		"an absolute path":     {map[string]string{"p.csv": "image,text\n/etc/passwd,red\n"}, "p.csv", ReadOptions{}, `p.csv:2: picture "/etc/passwd"`},
		"an empty path":        {map[string]string{"p.csv": "image,text\n,red\n"}, "p.csv", ReadOptions{}, `p.csv:2: no picture: column "image" is empty`},
		"no column":            {map[string]string{"p.csv": "file,text\nred.png,red\n"}, "p.csv", ReadOptions{}, `no column "image"`},
		"an empty caption":     {map[string]string{"p.csv": "image,text\nred.png, \n"}, "p.csv", ReadOptions{}, "p.csv:2"},
		"a caption of numbers": {map[string]string{"p.jsonl": `{"image":"a","text":[1]}`}, "p.jsonl", ReadOptions{}, `p.jsonl:1: column "text"`},
		"several tables":       {map[string]string{"a.csv": "", "b.csv": ""}, ".", ReadOptions{}, "several tables"},
		"nothing":              {map[string]string{"a/readme.txt": ""}, ".", ReadOptions{}, "no pair"},
		"another file":         {map[string]string{"a.zip": ""}, "a.zip", ReadOptions{}, "neither a table"},
		"a template":           {map[string]string{"cat/a.png": red}, ".", ReadOptions{Templates: []string{"a photo"}}, `"a photo" has no {}`},
		"no picture":           {map[string]string{"0.tar": shard(t, member{"a.png", red}, member{"a.txt", "red"}, member{"b.txt", "blue"})}, "0.tar", ReadOptions{}, `"b" has a caption and no picture`},
		"no caption":           {map[string]string{"0.tar": shard(t, member{"a.png", red}, member{"a.json", "{}"})}, "0.tar", ReadOptions{}, `"a": no caption`},
		"two pictures":         {map[string]string{"0.tar": shard(t, member{"a.png", red}, member{"a.jpg", red})}, "0.tar", ReadOptions{}, `"a" has two pictures`},
		"a large picture":      {map[string]string{"0.tar": shard(t, member{"a.png", red}, member{"a.txt", "red"})}, "0.tar", ReadOptions{Limits: media.Limits{Bytes: 20}}, "at most 20 are read"},
		"a large caption":      {map[string]string{"0.tar": shard(t, member{"a.txt", strings.Repeat("a", 1<<20+1)})}, "0.tar", ReadOptions{}, `"a": a .txt of 1048577 bytes`},
		"broken json":          {map[string]string{"0.tar": shard(t, member{"a.json", "{"})}, "0.tar", ReadOptions{}, `"a": .json`},
		"a caption object":     {map[string]string{"0.tar": shard(t, member{"a.json", `{"caption": {}}`})}, "0.tar", ReadOptions{}, `"a": .json: key "caption"`},
		"cut short":            {map[string]string{"0.tar": shard(t, member{"a.png", red}, member{"a.txt", "red"})[:600]}, "0.tar", ReadOptions{}, `"a": a picture of`},
		"no tar":               {map[string]string{"0.tar": strings.Repeat("x", 2000)}, "0.tar", ReadOptions{}, "0.tar, behind"},
		"not UTF-8":            {map[string]string{"0.tar": shard(t, member{"a.png", red}, member{"a.txt", "caf\xe9"})}, "0.tar", ReadOptions{}, "not UTF-8"},
	} {
		dir := files(t, c.files)
		if _, err := Read(t.Context(), []string{filepath.Join(dir, c.path)}, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	dir := files(t, map[string]string{"a/cat/1.png": red, "b/readme.txt": ""})
	if _, err := Read(t.Context(), []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}, ReadOptions{}); !errors.Is(err, ErrNoPairs) || !strings.Contains(err.Error(), filepath.Join(dir, "b")) || strings.Contains(err.Error(), filepath.Join(dir, "a")) {
		t.Errorf("the second path has no pair: %v", err)
	}
}

func TestSplit(t *testing.T) {
	var items []Item
	for i := range 1000 {
		items = append(items, Item{Key: fmt.Sprint(i)})
	}
	train, held := Split(items, 0.1, 1)
	if len(train)+len(held) != 1000 || len(held) < 70 || len(held) > 130 {
		t.Fatalf("%d and %d of 1000", len(train), len(held))
	}
	_, again := Split(items[:500], 0.1, 1)
	for _, it := range again {
		if !slices.ContainsFunc(held, func(h Item) bool { return h.Key == it.Key }) {
			t.Fatalf("item %s is held out of fewer items and not of more", it.Key)
		}
	}
	if train, held := Split(items, 0, 1); len(train) != 1000 || held != nil {
		t.Error("a share of none holds something out")
	}
}

// What is read of a shard lies inside it and is decoded behind the limits, whatever its bytes are. Fuzzing wants -fuzzminimizetime 1x:
// Go else spends up to a minute on making each new tar smaller.
func FuzzTar(f *testing.F) {
	red := string(picture(f, color.NRGBA{255, 0, 0, 255}))
	f.Add([]byte(shard(f, member{"a.png", red}, member{"a.txt", "red"}, member{"b.json", `{"caption":["x"]}`}, member{"b.jpg", red})))
	f.Add([]byte(shard(f, member{"a.png", red}, member{"a.txt", "red"}))[:700])
	f.Fuzz(func(t *testing.T, b []byte) {
		var g gathered
		limits := media.Limits{Bytes: 1 << 12, Pixels: 1 << 12}
		err := g.samples(t.Context(), "s.tar", bytes.NewReader(b), int64(len(b)), ReadOptions{Caption: "caption", Limits: limits})
		for _, it := range g.items {
			for _, r := range it.Rows {
				if r.size < 1 || r.size > 1<<12 || r.offset < 512 || r.offset+r.size > int64(len(b)) || len(r.Captions) == 0 || r.path != "s.tar" {
					t.Fatalf("%+v of a shard of %d bytes", r, len(b))
				}
			}
		}
		if err != nil && !strings.Contains(err.Error(), "s.tar") {
			t.Fatalf("%v does not name the file", err)
		}
	})
}
