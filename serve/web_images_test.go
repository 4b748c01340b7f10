package serve_test

import (
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/serve"
)

// drop drops files or folders on the page.
func (b *browser) drop(paths ...string) {
	b.t.Helper()
	data := map[string]any{"items": []any{}, "files": paths, "dragOperationsMask": 1}
	for _, kind := range []string{"dragEnter", "dragOver", "drop"} {
		b.must("Input.dispatchDragEvent", map[string]any{"type": kind, "x": 400, "y": 200, "data": data}, nil)
	}
}

// TestImagesTab: pictures and folders that are dropped get labels, are found by words, and those that the server refuses are told so.
func TestImagesTab(t *testing.T) {
	dir := t.TempDir()
	save := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := save("tomato.png", pngOf(t, 40, 30, red)), save("leaf.png", pngOf(t, 20, 40, green))
	large, broken, text := save("wall.png", pngOf(t, 1500, 1500, red)), save("broken.png", pngOf(t, 64, 64, red)[:60]), save("notes.txt", []byte("no picture"))
	heavy := save("heavy.png", append(pngOf(t, 8, 8, red), make([]byte, 6_100_000)...))
	for _, p := range []struct {
		name string
		c    color.RGBA
	}{{"a/sea.png", color.RGBA{10, 60, 200, 255}}, {"a/b/sky.png", color.RGBA{120, 170, 255, 255}}, {"grass.png", color.RGBA{40, 200, 30, 255}}, {"rose.png", color.RGBA{230, 20, 60, 255}}} {
		save("album/"+p.name, pngOf(t, 60, 40, p.c))
	}
	for i := range 20 { // more than a batch
		save("album/many/"+string(rune('a'+i))+".png", pngOf(t, 10, 10, color.RGBA{90, 90, uint8(5 * i), 255}))
	}
	b, _, url := visit(t, serve.Options{Models: []*serve.Model{seer(t)}})
	b.open(url + "/#images")
	b.wait(`document.querySelector(".drop")`)
	b.shot("images-empty")

	b.drop(one, two, large, broken, text, heavy)
	b.wait(`document.querySelectorAll(".labelled").length === 5 && document.querySelector(".drop .hint").innerText.includes("1")`)
	b.click(".field input")
	b.write("blue, green, red")
	b.key("Enter", 0)
	b.wait(`!document.querySelector("progress") && document.querySelectorAll(".labelled meter").length === 6`)
	if got := b.texts(".labelled .bar-row.taken"); got != "red\n100.0 %|green\n100.0 %" {
		t.Errorf("%q", got)
	}
	for i, want := range []string{"PNG: picture of 1500 x 1500 pixels: over the limit of 2097152 pixels", "PNG: ", "6.1 MB are more than the 6 MB"} {
		if got := strings.Split(b.texts(".labelled .error"), "|"); len(got) != 3 || !strings.HasPrefix(got[i], want) {
			t.Errorf("faults: %q, want %q", got, want)
		}
	}
	b.mu.Lock()
	b.wrong = nil // the console tells of the answers 400
	b.mu.Unlock()
	b.wait(`document.querySelectorAll(".labelled .thumb[data-drawn]").length >= 2`)
	b.shot("images-labels")
	b.click(".labelled .icon-button")
	b.wait(`document.querySelectorAll(".labelled").length === 4`)
	b.click(".drop button")
	b.wait(`!document.querySelector(".labelled")`)

	b.click(".switch button:last-child")
	b.wait(`document.querySelector("input[aria-label]:not([type])")`)
	b.drop(filepath.Join(dir, "album"))
	b.wait(`document.querySelectorAll(".found figure").length === 24 && !document.querySelector("progress")`)
	b.click("input[aria-label]:not([type])")
	b.write("blue")
	b.key("Enter", 0)
	b.wait(`document.querySelectorAll(".found figcaption b").length === 24 && document.querySelector(".found figure span").innerText === "sea.png"`)
	b.eval(`const f = document.querySelector("input[aria-label]:not([type])"); f.focus(); f.select()`)
	b.write("red")
	b.click(".tab .row button.primary")
	b.wait(`document.querySelector(".found figure span").innerText === "rose.png"`)
	b.wait(`document.querySelectorAll(".found .thumb[data-drawn]").length >= 8`)
	b.shot("images-search")

	b.eval(`const d = new DataTransfer(); d.items.add(new File([Uint8Array.from(atob("` + in64(pngOf(t, 9, 9, color.RGBA{255, 0, 0, 255})) + `"), c => c.charCodeAt(0))], "pasted.png", {type: "image/png"})); dispatchEvent(new ClipboardEvent("paste", {clipboardData: d})); 0`)
	b.wait(`document.querySelector(".found figure span").innerText === "pasted.png"`)
	b.size(1280, 800, "dark")
	b.shot("images-dark")
	b.size(390, 844, "dark")
	b.wait(`document.documentElement.scrollWidth <= 390`)
	b.eval(`document.querySelector(".top button[lang=zh]").click()`)
	b.wait(`document.querySelector(".switch").innerText.includes("搜索")`)
	b.shot("images-phone")
	b.open(url + "/#chat")
	b.open(url + "/#images")
	b.wait(`document.querySelectorAll(".found figure").length === 25`) // they are still there
	b.clean()
}
