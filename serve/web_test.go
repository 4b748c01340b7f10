package serve_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// TestPageMadeOfSources: web/dist is what `make web` makes of web/src.
func TestPageMadeOfSources(t *testing.T) {
	entries, err := os.ReadDir("web/src")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"build.mjs", "package-lock.json", "tsconfig.json"}
	for _, e := range entries {
		names = append(names, "src/"+e.Name())
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		b, err := os.ReadFile("web/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\r\n", "\n")
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	want, err := os.ReadFile("web/dist/sources.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != strings.TrimSpace(string(want)) {
		t.Error("web/dist was not made of web/src as it is: run make web")
	}
}

// TestPageFiles: the page comes without a key, with a policy, once, and by GET only.
func TestPageFiles(t *testing.T) {
	_, url := start(t, serve.Options{Keys: []string{"secret-one"}}, generate.EngineOptions{})
	get := func(path, etag string) *http.Response {
		r, _ := http.NewRequest("GET", url+path, nil)
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if body, err := io.ReadAll(a.Body); err != nil || (a.StatusCode == 200) != (len(body) > 0) && a.StatusCode != 404 {
			t.Errorf("%s: %d bytes with status %d: %v", path, len(body), a.StatusCode, err)
		}
		return a
	}
	for path, kind := range map[string]string{"/": "text/html", "/web/app.js": "text/javascript", "/web/app.css": "text/css", "/web/icon.svg": "image/svg+xml"} {
		a := get(path, "")
		policy := a.Header.Get("Content-Security-Policy")
		if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), kind) || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
		if again := get(path, a.Header.Get("ETag")); again.StatusCode != 304 {
			t.Errorf("%s again: %d", path, again.StatusCode)
		}
	}
	for _, path := range []string{"/web/", "/web/nothing", "/web/sources.sha256", "/web/..%2fapp.js", "/web/dist/app.js", "/index.html"} {
		if a := get(path, ""); a.StatusCode != 404 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	if code, body, _ := post(t, url+"/web/app.js", "{}"); code != 404 && code != 405 {
		t.Errorf("POST: %d %s", code, body)
	}
}

// parrot stands before a server and answers what begins with "say " itself, word by word, and "count" without end.
type parrot struct {
	http.Handler
	left chan struct{} // told when a client went away while it counted
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/chat/completions" {
		p.Handler.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var q struct {
		Model    string
		Messages []struct{ Content string }
	}
	json.Unmarshal(body, &q)
	last := ""
	if len(q.Messages) > 0 {
		last = q.Messages[len(q.Messages)-1].Content
	}
	said, says := strings.CutPrefix(last, "say ")
	if !says && last != "count" {
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		p.Handler.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(token string) {
		lp := math.Log(0.25 + 0.7*float64(len(token)%5)/4)
		one := map[string]any{"token": token, "logprob": lp, "bytes": []byte{}}
		one["top_logprobs"] = []any{map[string]any{"token": token, "logprob": lp}, map[string]any{"token": "<b>else", "logprob": -2.5}, map[string]any{"token": " or", "logprob": -4}}
		line, _ := json.Marshal(map[string]any{"choices": []any{map[string]any{"delta": map[string]any{"content": token}, "logprobs": map[string]any{"content": []any{one}}}}})
		fmt.Fprintf(w, "data: %s\n\n", line)
		w.(http.Flusher).Flush()
	}
	if last == "count" {
		for i := 0; ; i++ {
			select {
			case <-r.Context().Done():
				p.left <- struct{}{}
				return
			case <-time.After(10 * time.Millisecond):
				send(fmt.Sprintf("%d ", i))
			}
		}
	}
	pieces := strings.SplitAfter(said, " ")
	for _, piece := range pieces {
		send(piece)
	}
	fmt.Fprintf(w, `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`+"\n\n"+`data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":%d}}`+"\n\ndata: [DONE]\n\n", len(pieces))
}

// visit opens the page of a server with two tiny models behind a parrot.
func visit(t *testing.T, o serve.Options) (*browser, *parrot, string) {
	t.Helper()
	b := openBrowser(t)
	b.size(1280, 800, "light")
	other := tiny(t, generate.EngineOptions{})
	other.Name = "other"
	o.Models = append(o.Models, tiny(t, generate.EngineOptions{}), other)
	s, err := serve.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &parrot{s, make(chan struct{}, 4)}
	h := httptest.NewServer(p)
	t.Cleanup(func() {
		h.CloseClientConnections() // a test that fails leaves answers in progress
		h.Close()
	})
	b.open(h.URL + "/")
	return b, p, h.URL
}

// ask sends a message and waits for the end of the answer.
func (b *browser) ask(text string) {
	b.t.Helper()
	b.click(".composer textarea")
	b.write(text)
	before := b.eval(`document.querySelectorAll(".answers").length`).(float64)
	b.key("Enter", 0)
	b.wait(fmt.Sprintf(`document.querySelectorAll(".answers").length > %g && !document.querySelector(".answer.running")`, before))
}

// texts returns the texts of the elements that a selector names.
func (b *browser) texts(selector string) string {
	b.t.Helper()
	return b.eval(`[...document.querySelectorAll(` + quote(selector) + `)].map(e => e.innerText.trim()).join("|")`).(string)
}

// TestVisit is a person's visit: ask, stream, stop, edit, regenerate, change between versions and models, reload.
func TestVisit(t *testing.T) {
	b, p, _ := visit(t, serve.Options{})
	is := func(selector, want string) {
		t.Helper()
		if got := b.texts(selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	b.wait(`document.querySelector(".models")`)
	is(".models button", "tiny|other")
	b.ask("say **one** two three")
	is(".answer .md", "one two three")
	is(".answer .md strong", "one")
	b.wait(`document.querySelector(".facts").innerText.includes("3 tokens")`)

	b.ask("some words") // of the model itself
	if got := b.texts(".answers:last-of-type .facts"); !strings.Contains(got, "tokens") {
		t.Errorf("facts of an answer: %q", got)
	}
	if got := b.texts(".answer .error"); got != "" {
		t.Error(got)
	}

	b.click(".composer textarea")
	b.write("count")
	b.key("Enter", 0)
	b.wait(`document.querySelector(".answer.running .md")?.innerText.includes("3 4 5")`)
	b.click(".composer button")
	select {
	case <-p.left:
	case <-time.After(patience):
		t.Error("the server was not told to stop")
	}
	b.wait(`!document.querySelector(".answer.running")`)
	b.wait(`[...document.querySelectorAll(".facts")].at(-1).innerText.includes("stopped")`)

	b.click(".composer textarea")
	b.key("ArrowUp", 0) // edits the last message
	b.wait(`document.querySelector(".editor textarea") === document.activeElement`)
	b.eval(`document.activeElement.select()`)
	b.write("say edited")
	b.key("Enter", 0)
	b.wait(`[...document.querySelectorAll(".answer .md")].at(-1)?.innerText.trim() === "edited"`)
	is(".said:nth-last-child(2) .versions", "2 / 2")
	b.click(`.said:nth-last-child(2) .versions button`)
	b.wait(`[...document.querySelectorAll(".answer .md")].at(-1)?.innerText.startsWith("0 1 2")`)
	b.click(`.said:nth-last-child(2) .versions button:last-child`)
	b.wait(`[...document.querySelectorAll(".answer .md")].at(-1)?.innerText.trim() === "edited"`)

	b.click(".models button:last-child") // both models
	b.key("r", 1)                        // regenerate the last answer
	b.wait(`document.querySelectorAll(".several .answer .md").length === 2 && !document.querySelector(".answer.running")`)
	is(".several .model", "tiny|other")
	is(".several > footer .versions", "2 / 2")
	b.click(".several .answer:last-child footer button") // one of them again
	b.wait(`document.querySelector(".several > footer .versions").innerText.trim() === "3 / 3" && !document.querySelector(".answer.running")`)
	is(".several .answer .md", "edited|edited")
	b.shot("chat-several")

	b.click(".several .answer footer button[aria-pressed]")
	b.point(".several .token")
	b.wait(`document.querySelector(".popup")`)
	if got := b.texts(".popup code"); got != "edited|<b>else|␣or" {
		t.Errorf("alternatives: %q", got)
	}

	before := b.texts(".conversation .md")
	time.Sleep(600 * time.Millisecond) // until it is written
	b.must("Page.reload", nil, nil)
	b.wait(`document.querySelector(".sidebar li .title")`)
	b.click(".sidebar li .title")
	b.wait(`document.querySelectorAll(".several .answer .md").length === 2`)
	if after := b.texts(".conversation .md"); !strings.HasPrefix(after, strings.SplitN(before, "|", 2)[0]) || !strings.HasSuffix(after, "edited|edited") {
		t.Errorf("after loading again: %q, before %q", after, before)
	}
	b.clean()
}
