package serve_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a page in a headless Chromium, driven by the DevTools protocol.
type browser struct {
	*devtools
	t       testing.TB
	session string
}

// devtools are the pipes to a Chromium and back, which all its pages share.
type devtools struct {
	to      *os.File
	mu      sync.Mutex
	calls   int
	answers map[int]chan reply
	wrong   []string // what the pages' consoles say of errors, refused loads and exceptions
	dialogs []string // alert, confirm and prompt, which are accepted
}

type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Page   string          `json:"sessionId"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// openBrowser starts Chromium; the test is skipped where there is none.
func openBrowser(t testing.TB) *browser {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Chromium is driven over inherited pipes")
	}
	var path string
	for _, name := range []string{os.Getenv("PLINTH_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium: set PLINTH_CHROMIUM to its program")
	}
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--lang=en-US", "--no-first-run", "--user-data-dir=" + t.TempDir()}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox")
	}
	cmd := exec.Command(path, args...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // the pipes are its files 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &browser{devtools: &devtools{to: to, answers: map[int]chan reply{}}, t: t}
	t.Cleanup(func() {
		b.call("Browser.close", nil, nil)
		to.Close()
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(patience):
			cmd.Process.Kill()
		}
		from.Close()
	})
	go b.listen(from)
	return b.page()
}

// page opens another page of the same browser, in a window of its own, so that both are drawn.
func (b *browser) page() *browser {
	b.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	var attached struct {
		ID string `json:"sessionId"`
	}
	whole := &browser{devtools: b.devtools, t: b.t}
	whole.must("Target.createTarget", map[string]any{"url": "about:blank", "newWindow": true}, &target)
	whole.must("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	page := &browser{devtools: b.devtools, t: b.t, session: attached.ID}
	for _, domain := range []string{"Runtime", "Log", "Page"} {
		page.must(domain+".enable", nil, nil)
	}
	return page
}

// listen reads answers and events, each a JSON text with a zero byte behind it.
func (b *devtools) listen(from *os.File) {
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m reply
		if json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.answers[m.ID]; c != nil && m.ID > 0 {
			delete(b.answers, m.ID)
			c <- m
		}
		b.event(m)
		b.mu.Unlock()
	}
}

// event notes what a page should not do. b.mu is held.
func (b *devtools) event(m reply) {
	var p struct {
		Type    string
		Message string
		Entry   struct{ Level, Text, URL string }
		Args    []struct{ Value, Description any }
		Details struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	json.Unmarshal(m.Params, &p)
	switch {
	case m.Method == "Runtime.consoleAPICalled" && (p.Type == "error" || p.Type == "warning" || p.Type == "assert"):
		b.wrong = append(b.wrong, fmt.Sprint("console: ", p.Args))
	case m.Method == "Runtime.exceptionThrown":
		b.wrong = append(b.wrong, "exception: "+p.Details.Text+" "+p.Details.Exception.Description)
	case m.Method == "Log.entryAdded" && (p.Entry.Level == "error" || p.Entry.Level == "warning"):
		b.wrong = append(b.wrong, "log: "+p.Entry.Text+" "+p.Entry.URL)
	case m.Method == "Page.javascriptDialogOpening":
		b.dialogs = append(b.dialogs, p.Message)
		go (&browser{devtools: b, session: m.Page}).call("Page.handleJavaScriptDialog", map[string]any{"accept": true}, nil)
	}
}

func (b *browser) call(method string, params, result any) error {
	c := make(chan reply, 1)
	b.mu.Lock()
	b.calls++
	id := b.calls
	b.answers[id] = c
	b.mu.Unlock()
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return err
	}
	select {
	case m := <-c:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer in %v", method, patience)
	}
}

func (b *browser) must(method string, params, result any) {
	b.t.Helper()
	if err := b.call(method, params, result); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to an address.
func (b *browser) open(url string) {
	b.t.Helper()
	b.must("Page.navigate", map[string]any{"url": url}, nil)
	b.wait(`document.readyState === "complete" && location.href.startsWith(` + quote(url) + `)`)
}

// eval returns the value of a JavaScript expression, waiting for promises.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	var r struct {
		Result  struct{ Value any }
		Details *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	b.must("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &r)
	if r.Details != nil {
		b.t.Fatalf("%s: %s %s", expression, r.Details.Text, r.Details.Exception.Description)
	}
	return r.Result.Value
}

// patience is how long a page, a server or a goroutine may take for what it does at once where the processors are free.
const patience = time.Minute

// wait waits until an expression, or what it promises, is true.
func (b *browser) wait(expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if b.eval("(async () => Boolean(await ("+expression+")))()") == true {
			return
		}
		if time.Now().After(end) {
			b.shot("failed")
			b.t.Fatalf("never true: %s\nthe page says: %v\nerrors: %q", expression, b.eval("document.body.innerText"), b.wrong)
		}
	}
}

// click presses the mouse in the middle of the first element that a selector names, once it can be pressed.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.wait(`(() => { const e = document.querySelector(` + quote(selector) + `); return e && !e.disabled })()`)
	b.point(selector)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		x, y := b.place(selector)
		b.must("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
	}
}

// point moves the mouse over an element.
func (b *browser) point(selector string) {
	b.t.Helper()
	x, y := b.place(selector)
	b.must("Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": x, "y": y}, nil)
}

func (b *browser) place(selector string) (x, y float64) {
	b.t.Helper()
	b.wait("document.querySelector(" + quote(selector) + ")")
	at := b.eval(`(() => { const e = document.querySelector(` + quote(selector) + `); e.scrollIntoView({block: "nearest"}); const r = e.getClientRects()[0]; return [r.x + r.width / 2, r.y + r.height / 2] })()`).([]any)
	return at[0].(float64), at[1].(float64)
}

// write puts text into the focused field, as a keyboard or an input method does.
func (b *browser) write(text string) {
	b.t.Helper()
	b.must("Input.insertText", map[string]any{"text": text}, nil)
}

// key presses a key, with modifiers 1: Alt, 2: Ctrl, 8: Shift.
func (b *browser) key(name string, modifiers int) {
	b.t.Helper()
	codes := map[string]int{"Enter": 13, "Escape": 27, "ArrowUp": 38}
	code, text := name, ""
	if len(name) == 1 {
		code, text = "Key"+strings.ToUpper(name), name
	}
	if name == "Enter" {
		text = "\r"
	}
	if modifiers == 1 {
		text = ""
	}
	b.must("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": name, "code": code, "text": text, "modifiers": modifiers, "windowsVirtualKeyCode": codes[name]}, nil)
	b.must("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": name, "code": code, "modifiers": modifiers, "windowsVirtualKeyCode": codes[name]}, nil)
}

// size sets the window's size, its colours, and whether it is a phone's.
func (b *browser) size(width, height int, scheme string) {
	b.t.Helper()
	b.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.must("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// shot writes a picture of the window into the folder PLINTH_SCREENSHOTS, where that is set.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("PLINTH_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.eval(`Promise.all(document.getAnimations().filter(a => a.effect.getTiming().iterations < Infinity).map(a => a.finished.catch(() => 0))).then(() => 0)`) // what moves has arrived
	var picture struct{ Data string }
	b.must("Page.captureScreenshot", map[string]any{"format": "png"}, &picture)
	png, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// clean reports what the page did wrong since it was asked last.
func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		b.t.Error(w)
	}
	b.wrong = nil
}

// quote writes a text as JavaScript has it.
func quote(text string) string {
	b, _ := json.Marshal(text) // a text is always JSON
	return string(b)
}
