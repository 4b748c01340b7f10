package serve_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"runtime"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/serve"
)

// seer is a model of texts and pictures: a vector says how red, green and blue something is, a label how probable it is by that.
func seer(t testing.TB) *serve.Model {
	m := tiny(t, generate.EngineOptions{})
	m.Name, m.Engine, m.Dialogue, m.Context, m.Dimensions = "seer", nil, nil, 77, 3
	names := []string{"red", "green", "blue"}
	m.Embed = func(_ context.Context, texts []string, _ string) (v [][]float32, cut int, err error) {
		for _, x := range texts {
			one := make([]float32, 3)
			for i, name := range names {
				one[i] = float32(strings.Count(x, name))
			}
			v = append(v, one)
		}
		return v, 0, nil
	}
	m.EmbedImages = func(_ context.Context, images []*media.Image) (v [][]float32, err error) {
		for _, x := range images {
			sum := make([]float32, 3)
			for i, c := range x.Pix {
				sum[i%3] += float32(c) / 255 / float32(x.W*x.H)
			}
			v = append(v, sum)
		}
		return v, nil
	}
	m.ClassifyImages = func(ctx context.Context, images []*media.Image, own *serve.OwnLabels) (*serve.Classes, error) {
		if own.Multi {
			return nil, serve.Refuse("multi_label", errors.New("one label is true of a picture"))
		}
		texts, _, _ := m.Embed(ctx, own.Names, "")
		pictures, err := m.EmbedImages(ctx, images)
		c := &serve.Classes{Labels: own.Names}
		for _, v := range pictures {
			p := make([]float64, len(texts))
			for i, x := range texts {
				for j := range x {
					p[i] += float64(x[j] * v[j])
				}
				p[i] /= float64(max(1, len(own.Templates)))
			}
			c.Probabilities = append(c.Probabilities, p)
		}
		return c, err
	}
	return m
}

// pngOf is a picture of one colour.
func pngOf(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	m := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{c})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// in64 is base64.
func in64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// dataURL is a picture as requests bring it.
func dataURL(b []byte) string { return "data:image/png;base64," + in64(b) }

var (
	red   = color.RGBA{255, 0, 0, 255}
	green = color.RGBA{0, 255, 0, 255}
)

// vectors asks for those of a body without its model.
func vectors(t testing.TB, url, body string) [][]float32 {
	t.Helper()
	code, text, _ := post(t, url+"/v1/embeddings", `{"model":"seer",`+body+`}`)
	var a struct {
		Data []struct {
			Index     int
			Embedding []float32
		}
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil || code != 200 {
		t.Fatalf("%.100s: %d %s", body, code, text)
	}
	var v [][]float32
	for i, d := range a.Data {
		if d.Index != i {
			t.Errorf("vector %d has index %d", i, d.Index)
		}
		v = append(v, d.Embedding)
	}
	return v
}

// TestImageEmbeddings: the forms in which other servers take pictures, beside texts that stay what they were.
func TestImageEmbeddings(t *testing.T) {
	url := serveModels(t, seer(t))
	r, g := pngOf(t, 3, 2, red), pngOf(t, 2, 2, green)
	const isRed, isGreen, isBoth = "[1 0 0]", "[0 1 0]", "[1 1 0]"
	for _, c := range []struct{ body, want string }{
		{`"input":"red green"`, isBoth},
		{`"input":["red","green"]`, isRed + isGreen},
		{`"input":{"image":"` + dataURL(r) + `"}`, isRed},
		{`"input":[{"image":"` + in64(g) + `"}]`, isGreen},
		{`"input":[{"image":"` + strings.TrimRight(base64.URLEncoding.EncodeToString(g), "=") + `"}]`, isGreen},
		{`"input":[{"text":"green"},{"image":"` + dataURL(r) + `"},"red green",{"type":"text","text":"red"}]`, isGreen + isRed + isBoth + isRed},
		{`"input":[{"type":"image_url","image_url":{"url":"` + dataURL(r) + `","detail":"low"}},{"type":"image_url","image_url":"` + dataURL(g) + `"}]`, isRed + isGreen},
		{`"input":[ {"type":"image","image":"DATA:IMAGE\/PNG;charset=x;BASE64,` + in64(r) + `"} , "a [b] \\\" {c} red" ]`, isRed + isRed},
		{`"input":["` + dataURL(r) + `","` + in64(g) + `"],"modality":"image"`, isRed + isGreen},
		{`"input":"green","modality":"text"`, isGreen},
		{`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + dataURL(g) + `"}}]}]`, isGreen},
		{`"messages":[{"role":"user","content":"red"}]`, isRed},
	} {
		var got strings.Builder
		for _, v := range vectors(t, url, c.body) {
			fmt.Fprint(&got, v)
		}
		if got.String() != c.want {
			t.Errorf("%.200s: %s, want %s", c.body, got.String(), c.want)
		}
	}
	if v := vectors(t, url, `"dimensions":2,"input":[{"image":"`+dataURL(pngOf(t, 1, 1, color.RGBA{153, 204, 255, 255}))+`"}]`); len(v[0]) != 2 || v[0][0] != 0.6 || v[0][1] != 0.8 {
		t.Error(v)
	}
	if code, body, _ := post(t, url+"/v1/embeddings", `{"encoding_format":"base64","input":{"image":"`+dataURL(r)+`"}}`); code != 200 || !strings.Contains(body, `"embedding":"AACAPwAAAAAAAAAA"`) {
		t.Errorf("%d %s", code, body)
	}
	if _, body, _ := send(t, "GET", url+"/metrics", ""); !strings.Contains(body, `plinth_images_total{model="seer"} 12`) {
		t.Error("not 12 pictures")
	}
	if _, body, _ := send(t, "GET", url+"/v1/models/seer", ""); !strings.Contains(body, `"capabilities":["embeddings","image_embeddings","image_classify"]`) {
		t.Error(body)
	}
}

// TestImageClasses: labels of pictures, one's own and a model's.
func TestImageClasses(t *testing.T) {
	probe := seer(t)
	probe.Name, probe.Embed, probe.EmbedImages, probe.Labels = "probe", nil, nil, []string{"red", "blue"}
	zeroShot := seer(t).ClassifyImages
	probe.ClassifyImages = func(ctx context.Context, images []*media.Image, own *serve.OwnLabels) (*serve.Classes, error) {
		if own != nil {
			return nil, serve.Refuse("labels", errors.New("it has its own"))
		}
		return zeroShot(ctx, images, &serve.OwnLabels{Names: probe.Labels})
	}
	url := serveModels(t, reader(t), seer(t), probe)
	r, g := dataURL(pngOf(t, 3, 2, red)), dataURL(pngOf(t, 2, 2, green))
	for _, c := range []struct{ body, want string }{
		{`"input":{"image":"` + r + `"},"labels":["blue","red"]`, `"data":[{"index":0,"label":"red","num_classes":2,"probs":[0,1],"labels":[{"label":"red","probability":1},{"label":"blue","probability":0}]}]`},
		{`"input":[{"type":"image_url","image_url":{"url":"` + g + `"}},{"image":"` + r + `"}],"labels":["green","red"],"top_n":1`, `{"index":1,"label":"red","num_classes":2,"probs":[0,1],"labels":[{"label":"red","probability":1}]}`},
		{`"input":{"image":"` + r + `"},"labels":["red"],"template":"a {}"`, `"probs":[1]`},
		{`"input":{"image":"` + r + `"},"labels":["red"],"templates":["a {}","the {}"]`, `"probs":[0.5]`},
		{`"input":{"image":"` + r + `"},"model":"probe"`, `"label":"red","num_classes":2,"probs":[1,0]`},
		{`"input":[{"text":"ab"},["a","b"]],"model":"reader"`, `{"index":1,"label":"a",`},
	} {
		if code, body, _ := post(t, url+"/v1/classify", `{`+c.body+`}`); code != 200 || !strings.Contains(body, c.want) {
			t.Errorf("%.100s: %d %s, want %s", c.body, code, body, c.want)
		}
	}
}

// TestImagesRefused has what must not be answered, and the field to blame.
func TestImagesRefused(t *testing.T) {
	url := serveModels(t, seer(t), reader(t))
	r := dataURL(pngOf(t, 3, 2, red))
	one := `{"image":"` + r + `"}`
	many := strings.Repeat(one+",", 64) + one
	large := `{"image":"` + dataURL(pngOf(t, 1448, 1448, red)) + `"}`
	for _, c := range []struct{ path, body, field, says string }{
		{"embeddings", `"input":[{}]`, "input[0]", "one of text, image"},
		{"embeddings", `"input":["a",{"text":"a","image":"` + r + `"}]`, "input[1]", "one of text, image"},
		{"embeddings", `"input":[{"type":"image","text":"a"}]`, "input[0]", "of the type"},
		{"embeddings", `"input":[{"text":"a","size":1}]`, "input[0].size", "not known"},
		{"embeddings", `"input":[{"image_url":{"url":"` + r + `","size":1}}]`, "input[0].image_url.size", "not known"},
		{"embeddings", `"input":[{"image_url":{}}]`, "input[0].image_url.url", "missing"},
		{"embeddings", `"input":[{"text":7}]`, "input[0].text", "want a text"},
		{"embeddings", `"input":[{"text":""}]`, "input", "empty"},
		{"embeddings", `"input":[{"image":7}]`, "input[0].image", "want a text"},
		{"embeddings", `"input":[{"image":""}]`, "input[0].image", "empty"},
		{"embeddings", `"input":[{"image":"data:image/png,abc"}]`, "input[0].image", "data:TYPE;base64"},
		{"embeddings", `"input":[{"image":"data:` + strings.Repeat("x", 300) + `;base64,abc"}]`, "input[0].image", "data:TYPE;base64"},
		{"embeddings", `"input":[{"image":"data:;base64,!!"}]`, "input[0].image", "neither a data: URL"},
		{"embeddings", `"input":[{"image":"file:///etc/passwd"}]`, "input[0].image", "neither a data: URL"},
		{"embeddings", `"input":[{"image":"AAAA"}]`, "input[0].image", "neither PNG, JPEG, GIF nor WebP"},
		{"embeddings", `"input":[{"image":"http://example.com/a.png"}]`, "input[0].image", "--image-urls"},
		{"embeddings", `"input":[{"image_url":{"url":"HTTPS://example.com/a.png"}}]`, "input[0].image_url", "--image-urls"},
		{"embeddings", `"input":["http://example.com/a.png"],"modality":"image"`, "input[0]", "--image-urls"},
		{"embeddings", `"input":["!"],"modality":"image"`, "input[0]", "neither"},
		{"embeddings", `"input":["a"],"modality":"audio"`, "modality", "neither"},
		{"embeddings", `"input":[[1]],"modality":"image"`, "input", "ids are no pictures"},
		{"embeddings", `"input":[[1]]`, "input", "no ids"},
		{"embeddings", `"input":[{"image":"` + dataURL(pngOf(t, 1449, 1449, red)) + `"}]`, "input[0].image", "limit of 2097152 pixels"},
		{"embeddings", `"input":[` + large + `,` + large + `,` + large + `]`, "input", "4194304 pixels together"},
		{"embeddings", `"input":[` + many + `]`, "input", "65 pictures, at most 64"},
		{"embeddings", `"input":[["a","b"],` + one + `]`, "input[0]", "one text"},
		{"embeddings", `"input":[1,` + one + `]`, "input[0]", "neither a text"},
		{"embeddings", `"input":[` + one + strings.Repeat(`,"a"`, 2048) + `]`, "input", "more than 2048"},
		{"embeddings", `"input":"a","messages":[{"role":"user","content":"a"}]`, "messages", "in the place"},
		{"embeddings", `"messages":[]`, "messages", "one message"},
		{"embeddings", `"messages":"a"`, "messages", "want a list"},
		{"embeddings", `"messages":[{"role":"user","content":[]}]`, "messages", "one message"},
		{"embeddings", `"messages":[{"role":"system","content":"a"}]`, "messages", "one message"},
		{"embeddings", `"messages":[{"role":"user","content":[{"type":"text","text":"a"},` + one + `]}]`, "messages[0].content", "more than 1"},
		{"embeddings", `"input":` + one + `,"model":"reader"`, "model", "image_embeddings"},
		{"classify", `"input":[` + one + `,"a"],"labels":["a","b"]`, "input", "requests of their own"},
		{"classify", `"input":` + one, "labels", "no labels of its own"},
		{"classify", `"input":` + one + `,"labels":["a"],"multi_label":true`, "multi_label", "one label"},
		{"classify", `"input":` + one + `,"labels":["a"],"template":"a"`, "template", "{}"},
		{"classify", `"input":` + one + `,"labels":["a"],"templates":["{}","a"]`, "templates[1]", "{}"},
		{"classify", `"input":` + one + `,"labels":["a"],"templates":["{}"],"template":"{}"`, "templates", "one of the two"},
		{"classify", `"input":` + one + `,"templates":["{}"]`, "labels", "of one's own"},
		{"classify", `"input":` + one + `,"labels":["a","b"],"templates":["{}"` + strings.Repeat(`,"{}"`, 1024) + `]`, "templates", "2050 texts, at most 2048"},
		{"classify", `"input":"a","labels":["a"],"templates":["{}"],"model":"reader"`, "templates", "for pictures"},
		{"classify", `"input":"a","labels":["a"],"model":"seer"`, "model", "(classify)"},
		{"classify", `"input":[` + one + `],"labels":["a"],"model":"reader"`, "model", "(image_classify)"},
		{"classify", `"input":{"image":"` + dataURL([]byte("GIF89a")) + `"},"labels":["a"]`, "input.image", "GIF"},
	} {
		code, body, _ := post(t, url+"/v1/"+c.path, "{"+c.body+"}")
		var e struct {
			Error struct{ Message, Param string }
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || code != 400 || e.Error.Param != c.field || !strings.Contains(e.Error.Message, c.says) || len(e.Error.Message) > 600 {
			t.Errorf("%s %.80s: %d %.300s, want %q that says %q", c.path, c.body, code, body, c.field, c.says)
		}
	}
}

// saidSize is a PNG that says to have another size.
func saidSize(t testing.TB, w, h uint32) []byte {
	b := pngOf(t, 1, 1, red)
	binary.BigEndian.PutUint32(b[16:], w)
	binary.BigEndian.PutUint32(b[20:], h)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return append(b, make([]byte, 80_000)...)
}

// jpegOf is a JPEG with a block of EXIF, or with another size in its frame's header unless that is 0.
func jpegOf(t testing.TB, exif string, size uint32) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 16, 16)), nil); err != nil {
		t.Fatal(err)
	}
	head, rest := b.Bytes()[:2], b.Bytes()[2:]
	if size > 0 {
		binary.BigEndian.PutUint32(rest[bytes.Index(rest, []byte("\xff\xc0"))+5:], size)
	}
	block := binary.BigEndian.AppendUint16([]byte("\xff\xe1"), uint16(8+len(exif)))
	return append(append(append(bytes.Clone(head), block...), "Exif\x00\x00"+exif...), rest...)
}

// TestHostileImages: refused with little memory whatever the header promises, by both routes; what is only odd is read.
func TestHostileImages(t *testing.T) {
	url := serveModels(t, seer(t))
	gif := []byte("GIF89a\x05\x00\x05\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff")
	frames := append(bytes.Repeat([]byte(",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"), 100_000), ';')
	var deep bytes.Buffer
	if err := png.Encode(&deep, image.NewNRGBA64(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		file   []byte
		status int
		says   string
	}{
		{"PNG of 65535 x 65535", saidSize(t, 65535, 65535), 400, "65535 x 65535 pixels"},
		{"PNG of 52800 x 44", saidSize(t, 52800, 44), 400, "on a side"},
		{"PNG of 2^31 - 1", saidSize(t, 1<<31-1, 1<<31-1), 400, "PNG"},
		{"PNG of 1400 x 1400 in a few bytes", saidSize(t, 1400, 1400)[:70], 400, "too short"},
		{"PNG cut off", pngOf(t, 64, 64, red)[:60], 400, "PNG"},
		{"GIF of 100,000 frames", append(bytes.Clone(gif), frames...), 400, "limit of 1000 frames"},
		{"GIF of 65535 x 65535", append([]byte("GIF89a\xff\xff\xff\xff"), gif[10:]...), 400, "GIF"},
		{"JPEG of 65535 x 65535", jpegOf(t, "", 1<<32-1), 400, "65535 x 65535"},
		{"WebP of 16384 x 16384", []byte("RIFF\x16\x00\x00\x00WEBPVP8L\x09\x00\x00\x00\x2f\xff\xff\xff\x0f\x00\x00\x00\x00\x00"), 400, "16384 x 16384"},
		{"rubbish", []byte(strings.Repeat("rubbish", 10_000)), 400, "neither PNG"},
		{"megabytes of nothing", make([]byte, 5<<20), 400, "neither PNG"},
		{"PNG of 16 bits", deep.Bytes(), 200, ""},
		{"JPEG with a loop in its EXIF", jpegOf(t, "II*\x00\x08\x00\x00\x00\xff\xff"+strings.Repeat("\x12\x01\x03\x00\xff\xff\xff\xff\x08\x00\x00\x00", 5000), 0), 200, ""},
	} {
		for _, route := range []string{"embeddings", "classify"} {
			body := `{"input":{"image":"` + in64(c.file) + `"}}`
			if route == "classify" {
				body = strings.TrimSuffix(body, "}") + `,"labels":["red","blue"]}`
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			code, text, _ := post(t, url+"/v1/"+route, body)
			runtime.ReadMemStats(&after)
			if code != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%s to %s: %d %.300s", c.name, route, code, text)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%s to %s: %d MB of memory", c.name, route, n>>20)
			}
		}
	}
}

// TestMCPImages: the tools embed and classify take pictures too.
func TestMCPImages(t *testing.T) {
	s, err := serve.New(serve.Options{Models: []*serve.Model{seer(t)}})
	if err != nil {
		t.Fatal(err)
	}
	var lines, answers bytes.Buffer
	for i, call := range []string{`"embed","arguments":{"input":{"image":X}}`, `"classify","arguments":{"input":[{"image_url":X}],"labels":["blue","red"]}`} {
		fmt.Fprintf(&lines, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%s}}`+"\n", i, strings.Replace(call, "X", `"`+dataURL(pngOf(t, 3, 2, red))+`"`, 1))
	}
	if err := s.MCP(t.Context(), &lines, &answers); err != nil || !strings.Contains(answers.String(), `"embedding":[1,0,0]`) || !strings.Contains(answers.String(), `"label":"red"`) {
		t.Errorf("%v %s", err, &answers)
	}
}
