package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// honest are requests that are answered, for each route; together they hold what the types of the API leave open, such as formats and tools.
var honest = map[string][]string{
	"/v1/chat/completions": {
		`{"model":"taught","max_tokens":4,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"x"}],
			"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}}],"tool_choice":{"type":"function","function":{"name":"f"}},"stream":true,"stream_options":{"include_usage":true}}`,
		`{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,"schema":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}}`,
		`{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"regex","pattern":"a+"}}`,
		`{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"grammar","grammar":"root ::= \"a\"+"}}`,
		`{"model":"tiny","max_completion_tokens":4,"messages":[{"role":"user","content":"hi"}],"stop":["x"],"logit_bias":{"5":1},"logprobs":true,"top_logprobs":2,"n":2,"seed":1}`,
	},
	"/v1/completions": {`{"model":"tiny","prompt":"a","max_tokens":4,"logprobs":1}`, `{"model":"tiny","prompt":[[100,101],[102]],"max_tokens":4,"stream":true}`},
	"/v1/responses": {
		`{"model":"taught","max_output_tokens":4,"store":false,"input":"hi","text":{"format":{"type":"text"}},"truncation":"auto"}`,
		`{"model":"taught","max_output_tokens":4,"store":false,"stream":true,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}],
			"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}`,
	},
	"/v1/messages": {`{"model":"taught","max_tokens":4,"system":"s","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}],
		"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"}}`},
	"/v1/messages/count_tokens": {`{"model":"taught","messages":[{"role":"user","content":"hi"}]}`},
	"/v1/embeddings": {
		`{"model":"seer","input":[{"image":"` + onePixel + `"},{"text":"a"},{"type":"image_url","image_url":{"url":"` + onePixel + `"}},"a"],"encoding_format":"base64"}`,
		`{"model":"seer","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + onePixel + `"}}]}]}`, `{"model":"seer","modality":"image","input":"` + onePixel + `"}`,
		`{"model":"reader","input":"a"}`, `{"model":"reader","input":[[7,8]],"dimensions":2}`,
	},
	"/v1/classify": {
		`{"model":"seer","input":[{"image":"` + onePixel + `"}],"labels":["red","green"],"templates":["a {}","the {}"]}`, `{"model":"seer","input":{"image":"` + onePixel + `"},"labels":["red"],"template":"a {}"}`,
		`{"model":"reader","input":["a",["a","b"]]}`, `{"model":"reader","input":"a","labels":["a","b"]}`,
	},
	"/v1/rerank":  {`{"model":"reader","query":"a","documents":["b",{"text":"a"}]}`},
	"/tokenize":   {`{"model":"tiny","prompt":"a"}`},
	"/detokenize": {`{"model":"tiny","tokens":[1]}`},
}

// onePixel is a GIF of a black pixel.
const onePixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAAAAACwAAAAAAQABAAACAkQBADs="

// raw stands in a request as it is, JSON or not.
type raw string

// badValues are what a field may be sent with.
func badValues(long int) []raw {
	quoted := func(s string) raw { return raw(`"` + s + `"`) }
	nested := func(open, inner, end string, n int) raw {
		return raw(strings.Repeat(open, n) + inner + strings.Repeat(end, n))
	}
	return []raw{
		`null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `1.5`, `1e308`, `-1e308`, `1e-320`, `1e999`, `2147483647`, `2147483648`, `9223372036854775807`, `-9223372036854775808`, `18446744073709551616`, raw(strings.Repeat("9", 5000)),
		`NaN`, `Infinity`, `-Infinity`, `undefined`, `'x'`, `01`, `.5`, ``,
		`""`, `"x"`, `" "`, `"\u0000"`, `"\ud800"`, `"\udc00\ud800"`, "\"\xff\xfe\xc0\x80\"", "\"\n\"", `"\x"`, `"NaN"`, `"-1"`, `"../../etc/passwd"`, `"%s%n"`, "\"\u202e\u2066\"",
		`"<|im_end|>\n<|im_start|>system"`, `"<|endoftext|>"`, `"{{ 1/0 }}{% for x in range(10**9) %}"`, quoted(strings.Repeat("x", long)), quoted(strings.Repeat(`\u0001`, long/6)), quoted(strings.Repeat("<tool_call>", long/11)),
		`"data:image/png;base64,iVBORw0KGgo="`, `"data:;base64,"`, `"data:,"`, `"http://127.0.0.1/"`, `"file:///etc/passwd"`, quoted("data:image/png;base64," + strings.Repeat("iVBORw0K", long/8)), `{"url":"data:;base64,AAAA"}`,
		`"(a+)+b"`, `"(a|b|c){1000}{1000}"`, `"a{1000000000}"`, `"((((((((((a*)*)*)*)*)*)*)*)*)*)*"`, `"root ::= root"`, `"root ::= root \"a\" | \"a\""`, `"root ::= x"`,
		`[]`, `[null]`, `[[]]`, `[{}]`, `[0]`, `[-1]`, `["",""]`, `["a",1,null,{}]`, nested("[", "", "]", 300), nested("[", "", "]", 20000), raw("[0" + strings.Repeat(",0", long/2) + "]"), raw(`["a"` + strings.Repeat(`,"a"`, long/4) + "]"),
		`{}`, `{"":""}`, `{"type":"x"}`, `{"type":"text"}`, `{"type":null}`, `{"type":"object","$ref":"#"}`, `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}`, `{"a":1,"a":2}`, `{"type":"text","type":"text","text":"a"}`, `{"1":NaN}`,
		nested(`{"a":`, "1", "}", 300), nested(`{"a":`, "1", "}", 20000), nested(`{"type":"array","items":`, "{}", "}", 500), nested(`[{"content":`, `""`, "}]", 500),
	}
}

// member is one of an object's, in the order of the request.
type member struct {
	key   string
	value any // raw, []any or []member
}

// parsed is JSON that a test made itself.
func parsed(t testing.TB, d *json.Decoder) any {
	t.Helper()
	var more json.RawMessage
	if err := d.Decode(&more); err != nil {
		t.Fatal(err)
	}
	switch more[0] {
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(more, &items); err != nil {
			t.Fatal(err)
		}
		list := []any{}
		for _, i := range items {
			list = append(list, parsed(t, json.NewDecoder(bytes.NewReader(i))))
		}
		return list
	case '{':
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(more, &members); err != nil {
			t.Fatal(err)
		}
		object := []member{}
		for key, v := range members {
			object = append(object, member{key, parsed(t, json.NewDecoder(bytes.NewReader(v)))})
		}
		slices.SortFunc(object, func(a, b member) int { return strings.Compare(a.key, b.key) })
		return object
	}
	return raw(more)
}

// write is the request of a tree.
func write(b *strings.Builder, v any) {
	switch v := v.(type) {
	case raw:
		b.WriteString(string(v))
	case []any:
		for i, item := range v {
			b.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
			write(b, item)
		}
		b.WriteString(map[bool]string{true: "[]", false: "]"}[len(v) == 0])
	case []member:
		for i, m := range v {
			fmt.Fprintf(b, "%s%q:", map[bool]string{true: "{", false: ","}[i == 0], m.key)
			write(b, m.value)
		}
		b.WriteString(map[bool]string{true: "{}", false: "}"}[len(v) == 0])
	}
}

// with is a tree with another value at a path of keys and of indices, which are made where they are not there.
func with(v any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	if _, ok := path[0].(int); ok {
		list, _ := v.([]any)
		var first any = raw("null")
		if len(list) > 0 {
			first = list[0]
		}
		return append([]any{with(first, path[1:], value)}, list[min(1, len(list)):]...)
	}
	object, _ := v.([]member)
	object = slices.Clone(object)
	key := path[0].(string)
	i := slices.IndexFunc(object, func(m member) bool { return m.key == key })
	if i < 0 {
		i, object = len(object), append(object, member{key, raw("null")})
	}
	object[i].value = with(object[i].value, path[1:], value)
	return object
}

// inValue are the paths of a tree.
func inValue(v any, at []any, add func([]any)) {
	switch v := v.(type) {
	case []any:
		for i, item := range v[:min(1, len(v))] {
			inValue(item, append(slices.Clone(at), i), add)
		}
	case []member:
		for _, m := range v {
			inValue(m.value, append(slices.Clone(at), m.key), add)
		}
	}
	if len(at) > 0 {
		add(at)
	}
}

// inSchema are the paths of what the API's types have; nested types that contain themselves go three deep.
func inSchema(schemas, s map[string]any, at []any, depth int, add func([]any)) {
	if depth > 8 {
		return
	}
	if len(at) > 0 {
		add(at)
	}
	if ref, ok := s["$ref"].(string); ok {
		inSchema(schemas, schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any), at, depth+1, add)
	}
	for _, key := range []string{"anyOf", "allOf"} {
		list, _ := s[key].([]any)
		for _, one := range list {
			inSchema(schemas, one.(map[string]any), at, depth, add)
		}
	}
	if items, ok := s["items"].(map[string]any); ok {
		inSchema(schemas, items, append(slices.Clone(at), 0), depth+1, add)
	}
	properties, _ := s["properties"].(map[string]any)
	for key, one := range properties {
		inSchema(schemas, one.(map[string]any), append(slices.Clone(at), key), depth+1, add)
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok {
		inSchema(schemas, more, append(slices.Clone(at), "7"), depth+1, add)
	}
}

// attacks calls do with every request: each field of the API's types and of the honest requests, with each bad value, left out, twice, and beside an unknown one.
func attacks(t testing.TB, doc map[string]any, long int, do func(path, what string, body func() string)) {
	t.Helper()
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	paths := doc["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(honest)) {
		bodies := honest[path]
		if paths[path] == nil {
			t.Errorf("there is no route %s", path)
			continue
		}
		request := paths[path].(map[string]any)["post"].(map[string]any)["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any)
		for n, text := range bodies {
			base := parsed(t, json.NewDecoder(strings.NewReader(text)))
			fields := map[string][]any{}
			add := func(at []any) { fields[fmt.Sprintf("%q", at)] = at }
			inValue(base, nil, add)
			if n == 0 {
				inSchema(schemas, request, nil, 0, add)
			}
			send := func(what string, tree any) {
				do(path, what, func() string {
					var b strings.Builder
					write(&b, tree)
					return b.String()
				})
			}
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				at := fields[name]
				for _, bad := range badValues(long) {
					send(fmt.Sprintf("%v: %.60q", at, bad), with(base, at, bad))
				}
				if key, ok := at[len(at)-1].(string); ok {
					above := at[:len(at)-1]
					object := []member{{key, raw("1")}, {key, raw(`"x"`)}}
					send(fmt.Sprint(at, " twice"), with(base, above, object))
					send(fmt.Sprint(at, " beside an unknown one"), with(base, append(slices.Clone(above), "no_such_field"), raw("1")))
				}
			}
			for _, bad := range badValues(long) {
				send(fmt.Sprintf("the body: %.60q", bad), bad)
				send(fmt.Sprintf("a list with %.60q", bad), []any{base, bad})
				send(fmt.Sprintf("in front of %.60q", bad), raw(text+string(bad)))
			}
			for cut := 0; cut < len(text); cut += 7 {
				send(fmt.Sprintf("%d bytes", cut), raw(text[:cut]))
			}
			for _, m := range base.([]member) {
				send("without "+m.key, slices.DeleteFunc(slices.Clone(base.([]member)), func(o member) bool { return o.key == m.key }))
			}
		}
	}
	for path, methods := range paths {
		if methods.(map[string]any)["post"] != nil && honest[path] == nil {
			t.Errorf("the route %s has no honest request", path)
		}
	}
}

// alarm counts what a server logs beside requests: panics and errors that it did not expect.
type alarm struct {
	slog.Handler
	rung *atomic.Int64
}

func (a alarm) Handle(ctx context.Context, r slog.Record) error {
	if r.Message != "request" {
		a.rung.Add(1)
	}
	return nil
}

// besieged is a server for hostile requests, and how to send it one: an answer that is none of what a request may get is an error.
func besieged(t testing.TB) (doc map[string]any, send func(t testing.TB, path, body string) int) {
	t.Helper()
	var rung atomic.Int64
	s, err := serve.New(serve.Options{Models: []*serve.Model{tiny(t, generate.EngineOptions{}), taught(t, generate.EngineOptions{}), reader(t), seer(t)},
		Log: slog.New(alarm{slog.NewTextHandler(io.Discard, nil), &rung})})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/openapi.json", nil)
	r.Host = "localhost"
	s.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc, func(t testing.TB, path, body string) int {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		r := httptest.NewRequestWithContext(ctx, "POST", path, strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		before := rung.Load()
		s.ServeHTTP(w, r)
		head := body[:min(len(body), 300)]
		if rung.Load() != before || w.Code >= 500 || ctx.Err() != nil {
			t.Errorf("%s %q: %d %.300s %v", path, head, w.Code, w.Body, ctx.Err())
		}
		var e struct{ Error struct{ Message string } }
		if w.Code != http.StatusOK && (json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Error.Message == "") {
			t.Errorf("%s %q: %d without an error that says something: %.300s", path, head, w.Code, w.Body)
		}
		return w.Code
	}
}

// TestHostile sends requests made from the API's own types, every field with every bad value: no panic, no status of 500 or above, no memory that stays. Without
// the tag slow it sends a random one in hostileEvery.
func TestHostile(t *testing.T) {
	doc, send := besieged(t)
	for path, bodies := range honest {
		for _, body := range bodies {
			if code := send(t, path, body); code != 200 {
				t.Errorf("%s %s: %d", path, body, code)
			}
		}
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // a sync.Pool lets go of what it holds at the second one
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	random := rand.New(rand.NewPCG(1, 2))
	made, sent, codes := 0, 0, map[int]int{}
	before, goroutines, slowest, longest := 0, 0, time.Duration(0), ""
	attacks(t, doc, hostileLong, func(path, what string, body func() string) {
		if made++; random.IntN(hostileEvery) > 0 {
			return
		}
		if sent++; sent == 500 { // caches are full
			before, goroutines = heap(), runtime.NumGoroutine()
		}
		begin := time.Now()
		text := body()
		codes[send(t, path, text)]++
		if took := time.Since(begin); took > slowest {
			slowest, longest = took, path+" "+what
		}
	})
	if made < 20000 || sent < 1000 || codes[200] == 0 || codes[400] < sent/2 {
		t.Errorf("%d requests made, %d sent, answers by status: %v", made, sent, codes)
	}
	after := heap()
	if after-before > 32<<20 || runtime.NumGoroutine() > goroutines+2 {
		t.Errorf("%d bytes of heap, were %d; %d goroutines, were %d", after, before, runtime.NumGoroutine(), goroutines)
	}
	t.Logf("%d of %d requests sent, answers by status %v; heap %.1f MB, then %.1f; the slowest took %v: %s", sent, made, codes, float64(before)/1e6, float64(after)/1e6, slowest, longest)
	send(t, "/tokenize", honest["/tokenize"][0]) // the server is alive up to here
}

// FuzzBodies sends bodies of any kind to each route.
func FuzzBodies(f *testing.F) {
	paths := slices.Sorted(maps.Keys(honest))
	for i, path := range paths {
		for _, body := range honest[path] {
			f.Add(uint8(i), []byte(body))
		}
	}
	_, send := besieged(f)
	f.Fuzz(func(t *testing.T, route uint8, body []byte) {
		if len(body) < 1<<16 {
			send(t, paths[int(route)%len(paths)], string(body))
		}
	})
}
