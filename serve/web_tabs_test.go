package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// TestPageUnits runs the unit tests of the page under node's test runner, where node and the page's tools are.
func TestPageUnits(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no node")
	}
	if _, err := os.Stat("web/node_modules/esbuild"); err != nil {
		t.Skip("no tools of the page: npm ci in serve/web")
	}
	for _, args := range [][]string{{"build.mjs", "--test"}, {"--test", "build/"}} {
		cmd := exec.CommandContext(t.Context(), "node", args...)
		cmd.Dir = "web"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("node %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// hostile are texts that would run a script, or load something, in a page that took them for markup: every vector in every wrapping.
func hostile() []string {
	vectors := []string{
		`<script>bad()</script>`, `<img src=x onerror=bad()>`, `<svg onload=bad()>`, `<svg><script>bad()</script></svg>`, `<body onload=bad()>`, `<iframe src="javascript:bad()"></iframe>`, `<iframe srcdoc="<script>bad()</script>"></iframe>`,
		`<a href="javascript:bad()">x</a>`, `<details open ontoggle=bad()>x</details>`, `<input autofocus onfocus=bad()>`, `<math><mtext><img src=x onerror=bad()></mtext></math>`, `<math href="javascript:bad()">x</math>`, `<object data="javascript:bad()"></object>`,
		`<embed src="javascript:bad()">`, `<form action="javascript:bad()"><input type=submit autofocus></form>`, `<video><source onerror=bad()></video>`, `<style>@import "http://evil.example/x.css";</style>`, `<link rel=stylesheet href=http://evil.example/x.css>`,
		`<base href=http://evil.example/>`, `<meta http-equiv=refresh content="0;url=http://evil.example">`, `<noscript><p title="</noscript><img src=x onerror=bad()>">`, `"><script>bad()</script>`, `</code></pre><script>bad()</script>`,
		`<scr<script>ipt>bad()</scr</script>ipt>`, `&lt;script&gt;bad()&lt;/script&gt;`, "<\u0000script>bad()</script>", `[x](javascript:bad())`, `[x](JaVaScRiPt:bad())`, "[x](java\tscript:bad())", `[x](&#106;avascript:bad())`, `[x](data:text/html,<script>bad()</script>)`,
		`[x](vbscript:bad())`, `![x](javascript:bad())`, `![x](http://evil.example/x.png)`, `<javascript:bad()>`, `[x]: javascript:bad()`, `$\href{javascript:bad()}{x}$`, `$\text{<img src=x onerror=bad()>}$`, `$<script>bad()</script>$`, `{{constructor.constructor('bad()')()}}`,
	}
	wraps := []string{"%s", "**%s**", "> %s", "- %s", "```html\n%s\n```", "`%s`", "| a |\n|---|\n| %s |", "# %s"}
	var list []string
	for _, v := range vectors {
		for _, w := range wraps {
			list = append(list, fmt.Sprintf(w, v))
		}
	}
	return list
}

// TestHostileText: of what a model writes nothing becomes a script, a picture, a frame or a way to a script, in text and in probabilities.
func TestHostileText(t *testing.T) {
	b, _, _ := visit(t, serve.Options{})
	b.wait(`document.querySelector(".composer")`)
	b.eval(`globalThis.ran = 0; globalThis.bad = () => { ran++ }; 0`)
	corpus := hostile()
	if len(corpus) < 200 {
		t.Fatalf("%d texts", len(corpus))
	}
	const each = 40 // texts of one answer
	for i := 0; i < len(corpus); i += each {
		part := corpus[i:min(i+each, len(corpus))]
		b.ask("say " + strings.Join(part, "\n\n"))
		shown := b.eval(`[...document.querySelectorAll(".answers:last-of-type .code pre")].map(e => e.textContent).join("\n")`).(string)
		for _, text := range part {
			if code, fenced := strings.CutPrefix(text, "```html\n"); fenced && !strings.Contains(text, "\t") && !strings.Contains(shown, strings.TrimSuffix(code, "\n```")) {
				t.Errorf("%q is not shown as it is: %q", code, shown)
			}
		}
	}
	const found = `JSON.stringify([...document.querySelectorAll("#app *")].flatMap(e => {
		const bad = [];
		if (/^(script|img|iframe|object|embed|form|video|style|link|base|meta)$/i.test(e.tagName) && !e.classList.contains("key")) bad.push(e.tagName);
		for (const a of e.attributes) if (/^on/i.test(a.name) || /^\s*(javascript|data|vbscript):/i.test(a.value)) bad.push(e.tagName + " " + a.name + "=" + a.value);
		return bad;
	}))`
	if got := b.eval(found); got != "[]" {
		t.Error(got)
	}
	b.eval(`[...document.querySelectorAll(".answer footer button[aria-pressed]")].at(-1).click()`)
	b.wait(`document.querySelector(".tokens")`)
	if got := b.eval(found); got != "[]" {
		t.Errorf("probabilities: %v", got)
	}
	if ran := b.eval("ran"); ran != 0.0 {
		t.Errorf("scripts ran %v times", ran)
	}
	b.clean()
}

// writeRun makes a run directory as train does.
func writeRun(t *testing.T, dir string, steps int, rate float64) {
	t.Helper()
	var lines strings.Builder
	for i := 1; i <= steps; i++ {
		line := map[string]any{"step": i, "loss": 2 + 6/(1+rate*float64(i)), "lr": 1e-3, "grad_norm": 1 + 1/float64(i), "tokens": i * 1024, "tokens_per_second": 20000 + float64(i%7)*100}
		if i%20 == 0 {
			line["val_loss"], line["sample"] = 2.2+6/(1+rate*float64(i)), fmt.Sprintf("After %d steps the <b>model</b> writes this.", i)
		}
		b, _ := json.Marshal(line)
		lines.Write(append(b, '\n'))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"metrics.jsonl": lines.String(), "train.json": `{"steps": 100}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runsOf opens a folder with two runs, one of them deeper, and a link that leads out.
func runsOf(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	writeRun(t, filepath.Join(dir, "runs", "small"), 100, 0.05)
	writeRun(t, filepath.Join(dir, "runs", "sweep", "wide one"), 60, 0.2)
	writeRun(t, filepath.Join(dir, "secret"), 5, 1)
	os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "runs", "link")) // where the system has links
	root, err := os.OpenRoot(filepath.Join(dir, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return filepath.Join(dir, "runs"), root
}

// TestRuns: metrics come in pieces that join, a file that was made anew is read anew, and no name leads out of the folder.
func TestRuns(t *testing.T) {
	dir, root := runsOf(t)
	_, url := start(t, serve.Options{Runs: root}, generate.EngineOptions{})
	get := func(path, etag string) (int, string, string) {
		var header []string
		if etag != "" {
			header = []string{"If-None-Match", etag}
		}
		status, body, answer := send(t, "GET", url+path, "", header...)
		return status, body, answer.Get("ETag")
	}
	code, body, etag := get("/runs", "")
	if code != 200 || !strings.Contains(body, `"name":"small"`) || !strings.Contains(body, `"name":"sweep/wide one"`) || strings.Contains(body, "link") || strings.Contains(body, "secret") {
		t.Errorf("%d %s", code, body)
	}
	if code, _, _ := get("/runs", etag); code != 304 {
		t.Errorf("again: %d", code)
	}
	type piece struct {
		From, Next int64
		Check      string
		Lines      []struct{ Step int }
	}
	read := func(query string) (p piece) {
		t.Helper()
		code, body, _ := get("/runs/small/metrics"+query, "")
		if err := json.Unmarshal([]byte(body), &p); err != nil || code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		return p
	}
	first := read("")
	if len(first.Lines) != 100 || first.From != 0 {
		t.Errorf("%d lines from %d", len(first.Lines), first.From)
	}
	file := filepath.Join(dir, "small", "metrics.jsonl")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(old, `{"step":101,"loss":1}`+"\n"+`{"step":102,"lo`...), 0o644); err != nil {
		t.Fatal(err)
	}
	on := fmt.Sprintf("?from=%d&check=%s", first.Next, first.Check)
	if p := read(on); p.From != first.Next || len(p.Lines) != 1 || p.Lines[0].Step != 101 {
		t.Errorf("after an append: %+v", p)
	}
	writeRun(t, filepath.Join(dir, "small"), 90, 0.06)
	if p := read(on); p.From != 0 || len(p.Lines) != 90 {
		t.Errorf("after a new beginning: from %d, %d lines", p.From, len(p.Lines))
	}
	if code, body, _ := get("/runs/sweep%2Fwide%20one/options", ""); code != 200 || !strings.Contains(body, "100") {
		t.Errorf("options: %d %s", code, body)
	}
	for _, name := range []string{"link", "%2e%2e", "%2e%2e%2fsecret", "..%2Fsecret", "%2Fetc", "small%2F..%2F..%2Fsecret", "nothing", "a%2Fb%2Fc%2Fd", "small%00", "small%5C..", "sweep"} {
		if code, body, _ := get("/runs/"+name+"/metrics", ""); code == 200 || strings.Contains(body, "loss") {
			t.Errorf("%s: %d %.200s", name, code, body)
		}
	}
	if code, _, _ := get("/runs/small/metrics?from=-1", ""); code != 400 {
		t.Errorf("from=-1: %d", code)
	}
	if p := read("?from=99999999&check=x"); p.From != 0 || len(p.Lines) != 90 {
		t.Errorf("beyond the end: %+v", p)
	}
}

// TestTabs: the key, completion, classification, search and runs in a browser, the page in both languages, exported and imported.
func TestTabs(t *testing.T) {
	dir, root := runsOf(t)
	made := &serve.Model{Name: "made", Tokenizer: tiny(t, generate.EngineOptions{}).Tokenizer, Context: 256, Dimensions: 2, Labels: []string{"good", "bad"},
		Embed: func(_ context.Context, texts []string, _ string) ([][]float32, int, error) {
			v := make([][]float32, len(texts))
			for i, text := range texts {
				v[i] = []float32{float32(strings.Count(text, "cat")) + 0.1, float32(strings.Count(text, "dog")) + 0.1}
			}
			return v, 0, nil
		},
		Classify: func(_ context.Context, texts [][]string, _ *serve.OwnLabels) (*serve.Classes, error) {
			c := &serve.Classes{Labels: []string{"good", "bad"}}
			for range texts {
				c.Probabilities = append(c.Probabilities, []float64{0.75, 0.25})
			}
			return c, nil
		}}
	b, _, url := visit(t, serve.Options{Models: []*serve.Model{made}, Runs: root, Keys: []string{"secret-one"}})
	b.wait(`document.querySelector("form.key")`)
	b.mu.Lock()
	b.wrong = nil // the console tells of the 401
	b.mu.Unlock()
	b.click("form.key input")
	b.write("secret-one")
	b.key("Enter", 0)
	b.wait(`document.querySelector(".composer")`)

	b.open(url + "/#complete")
	b.click(".prompt")
	b.write("some words")
	b.click(".tab .row button.primary")
	b.wait(`document.querySelector(".output .facts")?.innerText.includes("tokens")`)
	b.click(".tab .row button:not(.primary)")
	b.wait(`document.querySelector(".output .facts")?.innerText.includes("perplexity")`)
	b.shot("complete")
	if got := b.eval(`[...document.querySelectorAll(".token")].map(e => e.textContent).join("")`); got != "some words" {
		t.Errorf("tokens of the prompt: %q", got)
	}

	b.open(url + "/#classify")
	b.click(".tab textarea")
	b.write("a text\nanother")
	b.click(".tab button.primary")
	b.wait(`document.querySelectorAll(".card").length === 2`)
	b.shot("classify")
	if got := b.texts(".card:last-of-type .bar-row b"); got != "75.0 %|25.0 %" {
		t.Error(got)
	}

	b.open(url + "/#embed")
	b.click(".tab textarea")
	b.write("a dog\na cat\na dog and a cat")
	b.click(".tab .row input")
	b.write("cat")
	b.click(".tab button.primary")
	b.wait(`document.querySelector(".pairs")`)
	if got := b.texts(".bar-row span"); got != "a cat|a dog and a cat|a dog" {
		t.Error(got)
	}
	b.shot("embed")

	b.open(url + "/#runs")
	b.wait(`document.querySelectorAll(".runs aside li").length === 2`)
	b.eval(`document.querySelectorAll(".runs aside input:not(:checked)").forEach(e => e.click())`)
	b.wait(`document.querySelectorAll(".chart:first-child svg g path:not(.faint)").length >= 4 && document.querySelectorAll(".sample").length === 2`)
	b.point(".chart svg")
	b.wait(`document.querySelector(".readout")?.innerText.includes("small")`)
	b.shot("runs")
	b.size(1280, 800, "dark")
	b.shot("runs-dark")
	b.size(390, 844, "dark")
	b.shot("runs-phone")
	b.size(1280, 800, "light")
	if got := b.texts(".sample pre"); !strings.Contains(got, "<b>model</b>") {
		t.Error(got)
	}
	writeRun(t, filepath.Join(dir, "small"), 140, 0.05) // it goes on
	b.wait(`document.querySelector(".controls").innerText.includes("step 140")`)

	b.open(url + "/#chat")
	b.wait(`document.querySelector(".composer")`)
	b.ask("say exported $x^2$")
	b.eval(`globalThis.saved = []; URL.createObjectURL = blob => { blob.text().then(t => saved.push(t)); return "" }; HTMLAnchorElement.prototype.click = function () {}; 0`)
	b.key("s", 1)
	b.click(".settings .row button")
	b.click(".settings .row button:last-child")
	b.wait(`saved.length === 2 && saved.some(t => t.includes("exported")) && saved.some(t => t.startsWith("# say"))`)
	b.eval(`(() => { const d = new DataTransfer(); d.items.add(new File([saved.find(t => t.startsWith("{"))], "x.json")); dispatchEvent(new DragEvent("drop", {dataTransfer: d})); return 0 })()`)
	b.wait(`document.querySelectorAll(".sidebar li").length === 2 && document.querySelector(".notice")`)
	if got := b.eval(`document.querySelector(".answer math msup")?.namespaceURI`); got != "http://www.w3.org/1998/Math/MathML" {
		t.Errorf("maths: %v", got)
	}
	b.key("s", 1)
	b.eval(`document.querySelector(".top button[lang=zh]").click()`)
	b.wait(`document.querySelector(".tabs a").innerText === "对话" && document.documentElement.lang === "zh-CN"`)
	b.key("?", 0)
	b.eval(`document.activeElement.blur(); dispatchEvent(new KeyboardEvent("keydown", {key: "?"}))`)
	b.wait(`document.querySelector("dialog[open] kbd")`)
	b.key("Escape", 0)
	b.wait(`!document.querySelector("dialog")`)
	b.size(390, 844, "dark")
	b.wait(`document.documentElement.scrollWidth <= 390`)
	b.eval(`document.querySelector(".only-narrow button").click()`)
	b.wait(`document.querySelector(".menu-open .sidebar")`)
	b.shot("phone-menu")
	b.clean()
}

// TestPictures draws the page for people to look at: light, dark, narrow, in Chinese.
func TestPictures(t *testing.T) {
	if os.Getenv("PLINTH_SCREENSHOTS") == "" {
		t.Skip("PLINTH_SCREENSHOTS names no folder for pictures")
	}
	b, _, url := visit(t, serve.Options{})
	b.wait(`document.querySelector(".composer")`)
	b.ask("say A **softmax** turns scores into probabilities:\n\n$$\\operatorname{softmax}(x)_i = \\frac{e^{x_i}}{\\sum_{j=1}^{n} e^{x_j}}$$\n\n```go\n// softmax returns e^x over its sum.\nfunc softmax(x []float64) []float64 {\n\ttop := slices.Max(x)\n\tfor i, v := range x {\n\t\tx[i] = math.Exp(v - top)\n\t}\n\treturn scale(x, 1/sum(x))\n}\n```\n\n| input | output |\n|---|---:|\n| 1 | 0.27 |\n| 2 | 0.73 |")
	b.eval(`document.querySelector(".models button:last-child").click()`)
	b.ask("say The larger score takes the larger share, and *all shares* together are 1.")
	b.eval(`document.querySelector(".several .answer:last-child footer button[aria-pressed]").click(); document.querySelector(".scroll").scrollTop = 150`)
	b.point(".several .token:nth-child(4)")
	b.wait(`document.querySelector(".popup")`)
	b.shot("light")
	b.size(1280, 800, "dark")
	b.key("s", 1)
	b.shot("dark")
	b.key("s", 1)
	b.eval(`document.querySelector(".top button[lang=zh]").click()`)
	b.shot("zh")
	b.size(390, 844, "light")
	b.shot("phone")
	for _, tab := range []string{"complete", "classify", "embed"} {
		b.open(url + "/#" + tab)
		b.wait(`document.querySelector(".tabs a[aria-current]").hash === "#` + tab + `"`)
		b.shot("phone-" + tab)
	}
}
