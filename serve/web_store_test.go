package serve_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// TestTwoTabs: two pages on one store show each other's conversations, and what one writes, renames or deletes the other neither loses nor brings back.
func TestTwoTabs(t *testing.T) {
	a, p, url := visit(t, serve.Options{})
	a.wait(`document.querySelector(".composer")`)
	b := a.page()
	b.size(1280, 800, "light")
	b.open(url + "/")
	b.wait(`document.querySelector(".composer")`)
	titles := func(page *browser, want string) {
		t.Helper()
		page.wait(`[...document.querySelectorAll(".sidebar .title")].map(e => e.innerText).join("|") === ` + quote(want))
	}

	a.ask("say one")
	titles(b, "say one")
	b.click(".sidebar .title")
	b.wait(`document.querySelector(".answer .md")?.innerText === "one"`)

	// Both go on with the same conversation, neither having heard of the other: two versions of what is said second.
	deaf := `(() => { const post = BroadcastChannel.prototype.postMessage; BroadcastChannel.prototype.postMessage = function () {}; globalThis.speak = () => { BroadcastChannel.prototype.postMessage = post; } })()`
	a.eval(deaf)
	b.eval(deaf)
	a.ask("say from a")
	a.key("s", 1)
	a.click(".settings textarea")
	a.write("system of a")
	b.ask("say from b")
	b.click(".sidebar li .icon-button")
	b.wait(`document.activeElement.closest(".sidebar li")`)
	b.write("named by b") // over the old title, which is selected
	b.key("Enter", 0)
	titles(b, "named by b")
	for _, text := range []string{"say from a", "system of a", "say from b", "named by b"} { // in the store that both share
		a.wait(`new Promise(resolve => indexedDB.open("plinth", 1).onsuccess = opened => {
			const store = opened.target.result
			store.transaction("conversations").objectStore("conversations").getAll().onsuccess = read => {
				store.close()
				resolve(JSON.stringify(read.target.result).includes(` + quote(text) + `))
			}
		})`)
	}
	if got := a.texts(".bubble"); got != "say one|say from a" {
		t.Fatalf("a heard of b: %q", got)
	}
	a.eval("speak()")
	b.eval("speak()")
	a.ask("say third of a")
	titles(a, "named by b")
	for _, page := range []*browser{a, b} {
		page.wait(`[...document.querySelectorAll(".said .versions")].some(e => e.innerText.trim().endsWith("/ 2"))`)
	}
	if a, b := a.texts(".bubble"), b.texts(".bubble"); a != "say one|say from a|say third of a" || b != "say one|say from b" {
		t.Errorf("shown: %q and %q", a, b)
	}
	b.click(".said:nth-last-child(2) .versions button:not(:disabled)")
	b.wait(`[...document.querySelectorAll(".answer .md")].at(-1).innerText === "third of a"`)
	b.key("s", 1)
	b.wait(`document.querySelector(".settings textarea").value === "system of a"`)

	// Choices are shared too.
	b.eval(`document.querySelector(".top button[lang=zh]").click()`)
	a.wait(`document.documentElement.lang === "zh-CN"`)

	// Deleted in one page while the other writes in it: the answer is stopped, and the conversation does not come back.
	a.key("n", 1)
	a.click(".composer textarea")
	a.write("count")
	a.key("Enter", 0)
	titles(b, "count|named by b")
	b.eval(`document.querySelector(".sidebar li .icon-button:last-child").click()`)
	titles(b, "named by b")
	titles(a, "named by b")
	select {
	case <-p.left:
	case <-time.After(patience):
		t.Error("the server was not told to stop")
	}
	time.Sleep(time.Second) // as long as a late write would take
	for _, page := range []*browser{a, b} {
		page.must("Page.reload", nil, nil)
		page.wait(`document.querySelector(".composer")`)
		titles(page, "named by b")
	}
	a.clean()
}

// TestSchemaAndTools: a schema binds the answer, calls of tools are shown and go back to the model, and what is no JSON is said at its field.
func TestSchemaAndTools(t *testing.T) {
	b, _, _ := visit(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}})
	b.wait(`document.querySelector(".composer")`)
	b.key("s", 1)
	field := func(n int, text string) {
		t.Helper()
		b.eval(fmt.Sprintf(`(() => { const f = document.querySelectorAll(".settings .json")[%d]; f.focus(); f.select(); return 0 })()`, n))
		b.write(text)
	}
	field(0, `{"enum": ["red"]`)
	b.wait(`document.querySelector(".settings .error")?.innerText.startsWith("No JSON")`)
	field(0, `["red"]`)
	b.wait(`document.querySelector(".settings .error")?.innerText === "A JSON object is needed"`)
	field(0, `{"enum": ["red"]}`)
	b.wait(`!document.querySelector(".settings .error")`)
	b.ask("which colour?")
	if got := b.texts(".answer .md"); got != `"red"` {
		t.Errorf("by the schema: %q", got)
	}
	b.key("n", 1)
	b.wait(`document.querySelector(".settings .json").value === ""`) // a schema is for one conversation
	field(1, `[{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}, {"type": "function", "function": {"name": "get_time"}}]`)
	b.ask("both of them")
	if got := b.texts(".answer .code-head span"); got != "calls get_weather|calls get_time" {
		t.Errorf("calls: %q, errors %q", got, b.texts(".answer .error"))
	}
	if got := b.texts(".answer .code pre"); got != "{\n  \"city\": \"Rome\"\n}|{}" {
		t.Errorf("arguments: %q", got)
	}
	b.shot("tools")
	b.ask("go on")
	if got := b.texts(".answer .error"); got != "" {
		t.Errorf("after calls: %s", got)
	}
	b.clean()
}
