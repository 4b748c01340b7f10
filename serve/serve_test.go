package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/serve"
	"github.com/plinth-ml/plinth/tokenizer"
)

// tiny is a model with random weights, a vocabulary of bytes and ChatML.
func tiny(t testing.TB, o generate.EngineOptions) *serve.Model {
	t.Helper()
	m, _ := tinyDecoder(t, o)
	return m
}

// tinyDecoder is tiny, with the decoder that its engine runs.
func tinyDecoder(t testing.TB, o generate.EngineOptions) (*serve.Model, model.Decoder) {
	t.Helper()
	tok, err := tokenizer.Train(t.Context(), slices.Values([][]byte{[]byte("some words to begin with, and some more words")}), tokenizer.TrainOptions{VocabSize: 280, Special: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(gpt.Config{ModelType: gpt.TypeGPT2, Vocab: tok.VocabSize(), Context: 256, Width: 32, Layers: 2, Heads: 2, Activation: "gelu_new", LayerNormEps: 1e-5, InitStd: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	template, err := chat.Named("chatml", "", "<|endoftext|>")
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := tok.EOS()
	source := &chat.Source{Stops: []int32{eos}}
	return &serve.Model{Name: "tiny", Created: time.Unix(1, 0), Engine: generate.New(m, cpu.New(cpu.Options{Threads: 2}), o), Tokenizer: tok, Vocab: tok.VocabSize(), Context: 256,
		Stops: source.Stops, Dialogue: chat.NewDialogue(t.Context(), source, template, tok)}, m
}

// serveModels serves models and nothing else.
func serveModels(t testing.TB, models ...*serve.Model) string {
	t.Helper()
	s, err := serve.New(serve.Options{Models: models})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return h.URL
}

// start serves a tiny model.
func start(t testing.TB, o serve.Options, e generate.EngineOptions) (*serve.Server, string) {
	t.Helper()
	o.Models = append(o.Models, tiny(t, e))
	s, err := serve.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

// post sends JSON and returns status and body.
func post(t testing.TB, url, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	return send(t, "POST", url, body, append([]string{"Content-Type", "application/json"}, header...)...)
}

// send makes a request and returns status, body and headers of the answer.
func send(t testing.TB, method, url, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b), a.Header
}

// answer is what the tests read of answers of both kinds, whole or in pieces.
type answer struct {
	Choices []struct {
		Index    int
		Text     string
		Message  said
		Delta    said
		LogProbs struct {
			Tokens        []string
			TokenLogProbs []*float64 `json:"token_logprobs"`
			Offsets       []int      `json:"text_offset"`
			Content       []struct {
				Token   string
				LogProb float64
			}
		}
		Finish string `json:"finish_reason"`
	}
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	}
}

// said is a message, or a piece of one.
type said struct {
	Content   string
	ToolCalls []struct {
		Function struct{ Name, Arguments string }
	} `json:"tool_calls"`
}

func parse(t testing.TB, body string) answer {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return a
}

// pieces are the events of a stream without the last, [DONE].
func pieces(t testing.TB, body string) []answer {
	t.Helper()
	var list []answer
	done := false
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		switch {
		case !ok:
		case data == "[DONE]":
			done = true
		default:
			list = append(list, parse(t, data))
		}
	}
	if !done {
		t.Errorf("a stream without [DONE]: %s", body)
	}
	return list
}

// TestStreamIsWhole: the pieces of a stream make the whole answer, for chats and completions, at any temperature, also beside others.
func TestStreamIsWhole(t *testing.T) {
	_, url := start(t, serve.Options{}, generate.EngineOptions{Slots: 3})
	var wg sync.WaitGroup
	for i, c := range []struct{ path, body string }{
		{"/v1/chat/completions", `"messages":[{"role":"user","content":"one word"}],"max_tokens":20,"temperature":0,"logprobs":true,"top_logprobs":2`},
		{"/v1/chat/completions", `"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hm"}]}],"max_completion_tokens":30,"seed":7,"n":3`},
		{"/v1/completions", `"prompt":"some words","max_tokens":40,"temperature":1.5,"seed":3,"stop":["e","zz"],"n":2`},
		{"/v1/completions", `"prompt":["a","bc"],"max_tokens":9,"temperature":0,"echo":true`},
		{"/v1/completions", `"prompt":[[100,101],[102]],"max_tokens":9,"seed":1,"logit_bias":{"100":-100},"top_p":0.9,"frequency_penalty":0.5`},
	} {
		for range 2 {
			wg.Go(func() {
				code, whole, _ := post(t, url+c.path, "{"+c.body+"}")
				code2, stream, h := post(t, url+c.path, "{"+c.body+`,"stream":true,"stream_options":{"include_usage":true}}`)
				if code != 200 || code2 != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
					t.Errorf("case %d: %d %d %s %s", i, code, code2, whole, stream)
					return
				}
				a := parse(t, whole)
				texts, ends := make([]string, len(a.Choices)), make([]string, len(a.Choices))
				var last answer
				for _, p := range pieces(t, stream) {
					for _, one := range p.Choices {
						texts[one.Index] += one.Text + one.Delta.Content
						ends[one.Index] += one.Finish
					}
					last = p
				}
				for j, one := range a.Choices {
					if want := one.Text + one.Message.Content; texts[j] != want || ends[j] != one.Finish || one.Finish == "" {
						t.Errorf("case %d, choice %d: pieces %q %s, whole %q %s", i, j, texts[j], ends[j], want, one.Finish)
					}
					if strings.Contains(c.body, `"stop"`) && strings.ContainsAny(one.Text, "e") {
						t.Errorf("case %d: %q goes past a stop text", i, one.Text)
					}
				}
				if last.Usage != a.Usage || a.Usage.Completion == 0 {
					t.Errorf("case %d: usage %+v, whole %+v", i, last.Usage, a.Usage)
				}
			})
		}
	}
	wg.Wait()
}

// TestTopP: no mass at all is the most probable token, as for plinth generate.
func TestTopP(t *testing.T) {
	_, url := start(t, serve.Options{}, generate.EngineOptions{})
	ask := func(how string) string {
		code, body, _ := post(t, url+"/v1/completions", `{"prompt":"some words","max_tokens":30,"seed":3,`+how+`}`)
		if code != 200 {
			t.Fatal(code, body)
		}
		return parse(t, body).Choices[0].Text
	}
	greedy := ask(`"temperature":0`)
	if got := ask(`"temperature":2,"top_p":0`); got != greedy {
		t.Errorf("%q, the most probable tokens are %q", got, greedy)
	}
	if ask(`"temperature":2,"top_p":1`) == greedy {
		t.Error("drawn from everything too")
	}
}

// TestEchoScores: a prompt's log-probabilities are those of the engine, as evaluation harnesses ask for them.
func TestEchoScores(t *testing.T) {
	m := tiny(t, generate.EngineOptions{})
	s, err := serve.New(serve.Options{Models: []*serve.Model{m}})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	ids := m.Tokenizer.Encode("some more words")
	want, err := m.Engine.Score(t.Context(), [][]int32{ids})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1} {
		code, body, _ := post(t, h.URL+"/v1/completions", fmt.Sprintf(`{"prompt":"some more words","max_tokens":%d,"logprobs":1,"echo":true,"temperature":0}`, n))
		if code != 200 {
			t.Fatal(code, body)
		}
		l := parse(t, body).Choices[0].LogProbs
		if len(l.Tokens) != len(ids)+n || l.TokenLogProbs[0] != nil {
			t.Fatalf("%d tokens, want %d: %s", len(l.Tokens), len(ids)+n, body)
		}
		for i := 1; i < len(ids); i++ {
			if *l.TokenLogProbs[i] != want[0][i] {
				t.Errorf("token %d: %v, the engine says %v", i, *l.TokenLogProbs[i], want[0][i])
			}
		}
	}
}

// TestLogProbsSpell: the texts of the tokens are the text, where a vocabulary writes spaces as a part of its tokens too; their offsets are places of it.
func TestLogProbsSpell(t *testing.T) {
	m := tiny(t, generate.EngineOptions{})
	tok, err := tokenizer.TrainUnigram(t.Context(), slices.Values([][]byte{[]byte("some words to begin with, and some more words"), []byte("more words and some to begin with")}), tokenizer.WordOptions{VocabSize: 40, NoBytes: true})
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok // of fewer tokens than the model has
	url := serveModels(t, m)
	spaces := 0
	for _, more := range []string{"", `,"echo":true`, `,"stream":true`} {
		_, body, _ := post(t, url+"/v1/completions", `{"prompt":"some more","max_tokens":200,"logprobs":2,"seed":5`+more+`}`)
		var list []answer
		if strings.Contains(more, "stream") {
			list = pieces(t, body)
		} else {
			list = append(list, parse(t, body))
		}
		text, tokens := "", ""
		for _, a := range list {
			for _, c := range a.Choices {
				for i, token := range c.LogProbs.Tokens {
					if c.LogProbs.Offsets[i] != len([]rune(tokens)) {
						t.Errorf("%s: %q at %d, want %d", more, token, c.LogProbs.Offsets[i], len([]rune(tokens)))
					}
					tokens += token
				}
				text += c.Text
			}
		}
		if spaces += strings.Count(text, " "); text != tokens {
			t.Errorf("%s: text %q, tokens %q", more, text, tokens)
		}
	}
	if spaces < 5 {
		t.Errorf("only %d spaces", spaces)
	}
}

// TestRefuses has requests that must not be answered, and the field that is to blame.
func TestRefuses(t *testing.T) {
	_, url := start(t, serve.Options{MaxBody: 1 << 16}, generate.EngineOptions{})
	const hi = `"messages":[{"role":"user","content":"hi"}]`
	long := strings.Repeat("word ", 300)
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{"chat/completions", ``, 400, "body"}, {"chat/completions", `{`, 400, "body"}, {"chat/completions", `[]`, 400, "body"}, {"chat/completions", `{} {}`, 400, "body"},
		{"chat/completions", `{}`, 400, "messages"}, {"chat/completions", `{"messages":[]}`, 400, "messages"}, {"chat/completions", `{"messages":[{"content":"x"}]}`, 400, "messages[0].role"},
		{"chat/completions", `{"messages":"hi"}`, 400, "messages"}, {"chat/completions", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, 400, "messages[0].content[0]"},
		{"chat/completions", `{` + hi + `,"modell":"x"}`, 400, "modell"}, {"chat/completions", `{` + hi + `,"model":"x"}`, 404, "model"},
		{"chat/completions", `{` + hi + `,"temperature":-0.1}`, 400, "temperature"}, {"chat/completions", `{` + hi + `,"temperature":1e308}`, 400, "temperature"}, {"chat/completions", `{` + hi + `,"temperature":"1"}`, 400, "temperature"},
		{"chat/completions", `{` + hi + `,"top_p":2}`, 400, "top_p"}, {"chat/completions", `{` + hi + `,"n":0}`, 400, "n"}, {"chat/completions", `{` + hi + `,"n":1000000}`, 400, "n"},
		{"chat/completions", `{` + hi + `,"max_tokens":-1}`, 400, "max_tokens"}, {"chat/completions", `{` + hi + `,"max_tokens":0}`, 400, "max_tokens"}, {"chat/completions", `{` + hi + `,"max_tokens":1.5}`, 400, "max_tokens"},
		{"chat/completions", `{` + hi + `,"stop":["a",""]}`, 400, "stop"}, {"chat/completions", `{` + hi + `,"stop":7}`, 400, "stop"}, {"chat/completions", `{` + hi + `,"logit_bias":{"9999":1}}`, 400, "logit_bias"},
		{"chat/completions", `{` + hi + `,"logit_bias":{"1":1000}}`, 400, "logit_bias"}, {"chat/completions", `{` + hi + `,"top_logprobs":2}`, 400, "top_logprobs"}, {"chat/completions", `{` + hi + `,"logprobs":true,"top_logprobs":99}`, 400, "top_logprobs"},
		{"chat/completions", `{` + hi + `,"stream_options":{"include_usage":true}}`, 400, "stream_options"}, {"chat/completions", `{` + hi + `,"tool_choice":"required"}`, 400, "tool_choice"},
		{"chat/completions", `{` + hi + `,"tools":[{"type":"function","function":{"name":"f"}}]}`, 400, "tools"}, {"chat/completions", `{` + hi + `,"tools":[1]}`, 400, "tools"},
		{"chat/completions", `{` + hi + `,"top_k":-1}`, 400, "top_k"}, {"chat/completions", `{` + hi + `,"repetition_penalty":-1}`, 400, "repetition_penalty"},
		{"chat/completions", `{` + hi + `,"repetition_penalty":0}`, 400, "repetition_penalty"}, {"completions", `{"prompt":"a","typical_p":0}`, 400, "typical_p"}, {"chat/completions", `{` + hi + `,"seed":1.5}`, 400, "seed"},
		{"chat/completions", `{"messages":[{"role":"user","content":"` + long + `"}]}`, 400, "messages"}, {"chat/completions", `{"x":"` + strings.Repeat("y", 1<<17) + `"}`, 413, ""},
		{"chat/completions", strings.Repeat(`{"messages":`, 4000), 400, "body"},
		{"completions", `{}`, 400, "prompt"}, {"completions", `{"prompt":7}`, 400, "prompt"}, {"completions", `{"prompt":[]}`, 400, "prompt"}, {"completions", `{"prompt":[[1],["a"]]}`, 400, "prompt"},
		{"completions", `{"prompt":[99999]}`, 400, "prompt"}, {"completions", `{"prompt":[-1]}`, 400, "prompt"}, {"completions", `{"prompt":"` + long + `"}`, 400, "prompt"}, {"completions", `{"prompt":"a","max_tokens":0}`, 400, "max_tokens"},
		{"completions", `{"prompt":"a","logprobs":21}`, 400, "logprobs"}, {"completions", `{"prompt":"a","suffix":"b"}`, 400, "suffix"}, {"completions", `{"prompt":"a","best_of":2}`, 400, "best_of"},
		{"completions", `{"prompt":["a","b"],"n":100}`, 400, "n"}, {"completions", `{"prompt":"a","echo":true,"logprobs":1,"stream":true}`, 400, "stream"},
		{"nothing", `{}`, 404, ""},
	} {
		code, body, _ := post(t, url+"/v1/"+c.path, c.body)
		var e struct {
			Error struct{ Message, Type, Param string }
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || code != c.code || e.Error.Message == "" || e.Error.Type == "" || e.Error.Param != c.want {
			t.Errorf("%s %.80s: %d %s, want %d and %q", c.path, c.body, code, body, c.code, c.want)
		}
	}
	if code, body, _ := post(t, url+"/v1/completions", `{"prompt":"a"}`, "Content-Type", "text/plain"); code != 415 {
		t.Errorf("a form: %d %s", code, body)
	}
}

// TestToldToNobody: what clients say about themselves and for a provider's own ends changes no answer.
func TestToldToNobody(t *testing.T) {
	url := serveModels(t, tiny(t, generate.EngineOptions{}))
	for path, body := range map[string]string{"/v1/chat/completions": `{"messages":[{"role":"user","content":"a"}],"max_tokens":4,"temperature":0`, "/v1/completions": `{"prompt":"a","max_tokens":4,"temperature":0`} {
		code, plain, _ := post(t, url+path, body+"}")
		if code != 200 {
			t.Fatalf("%s: %d %s", path, code, plain)
		}
		code, got, _ := post(t, url+path, body+`,"user":"u","safety_identifier":"s","prompt_cache_key":"k","metadata":{"a":"b"},"store":true,"service_tier":"auto"}`)
		if code != 200 || !reflect.DeepEqual(parse(t, got).Choices, parse(t, plain).Choices) {
			t.Errorf("%s: %d %s, want %s", path, code, got, plain)
		}
	}
}

// TestKeys: every route but health wants a key, and nobody gets in from elsewhere.
func TestKeys(t *testing.T) {
	_, url := start(t, serve.Options{Keys: []string{"secret-one", "secret-two"}}, generate.EngineOptions{})
	for path, open := range map[string]bool{"GET /health": true, "GET /metrics": false, "GET /v1/models": false, "GET /v1/models/tiny": false, "POST /v1/chat/completions": false, "POST /v1/completions": false, "POST /tokenize": false, "POST /detokenize": false} {
		method, path, _ := strings.Cut(path, " ")
		for key, good := range map[string]bool{"": false, "secret-on": false, "secret-one!": false, "secret-one": true, "secret-two": true} {
			r, _ := http.NewRequest(method, url+path, strings.NewReader(`{"prompt":"a","messages":[{"role":"user","content":"a"}],"tokens":[1]}`))
			r.Header.Set("Content-Type", "application/json")
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
			if refused := a.StatusCode == 401; refused == (good || open) {
				t.Errorf("%s %s with key %q: %d", method, path, key, a.StatusCode)
			}
		}
	}
	for _, header := range [][]string{{"Authorization", "bearer secret-one"}, {"X-Api-Key", "secret-one"}, {"Authorization", "Bearer", "X-Api-Key", "secret-two"}} {
		if code, body, _ := post(t, url+"/tokenize", `{"prompt":"a"}`, header...); code != 200 {
			t.Errorf("%q: %d %s", header, code, body)
		}
	}
	if _, err := serve.New(serve.Options{Keys: []string{"secret-one", "short"}}); err == nil || !strings.Contains(err.Error(), "key 2 has 5 bytes, want 8 or more") {
		t.Errorf("a short key: %v", err)
	}
	ok := []string{"Authorization", "Bearer secret-one"}
	for _, c := range []struct {
		code   int
		header []string
	}{{200, nil}, {403, []string{"Host", "evil.example"}}, {403, []string{"Origin", "http://evil.example"}}, {200, []string{"Origin", url}}, {200, []string{"Host", "localhost:99"}}, {403, []string{"Origin", "null"}}} {
		if code, body, _ := post(t, url+"/tokenize", `{"prompt":"a"}`, append(c.header, ok...)...); code != c.code {
			t.Errorf("%q: %d %s", c.header, code, body)
		}
	}
}

// TestTokens: text to ids and back, and what the model lists.
func TestTokens(t *testing.T) {
	s, url := start(t, serve.Options{}, generate.EngineOptions{})
	_, body, _ := post(t, url+"/tokenize", `{"prompt":"some words\n"}`)
	var ids struct {
		Tokens []int32
		Count  int
	}
	if err := json.Unmarshal([]byte(body), &ids); err != nil || ids.Count != len(ids.Tokens) || ids.Count == 0 {
		t.Fatalf("%v %s", err, body)
	}
	list, _ := json.Marshal(ids.Tokens)
	if _, body, _ = post(t, url+"/detokenize", `{"tokens":`+string(list)+`}`); !strings.Contains(body, `"some words\n"`) {
		t.Error(body)
	}
	if code, body, _ := post(t, url+"/detokenize", `{"tokens":[5000]}`); code != 400 || !strings.Contains(body, "tokens") {
		t.Error(code, body)
	}
	get := func(path string) (int, string) {
		a, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(b)
	}
	if code, body := get("/v1/models"); code != 200 || !strings.Contains(body, `"id":"tiny"`) {
		t.Error(code, body)
	}
	if code, body := get("/v1/models/big"); code != 404 {
		t.Error(code, body)
	}
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, `plinth_requests_total{route="POST /tokenize",status="200"}`) || !strings.Contains(body, "plinth_active_sequences") {
		t.Error(code, body)
	}
	if code, _ := get("/health"); code != 200 {
		t.Error("ill")
	}
	s.Drain()
	if code, _ := get("/health"); code != 503 {
		t.Error("well while it stops")
	}
	if code, body, _ := post(t, url+"/v1/completions", `{"prompt":"a"}`); code != 503 {
		t.Error(code, body)
	}
}

// TestDisconnects: clients that go away at random leave no sequence, no goroutine and a server that answers.
func TestDisconnects(t *testing.T) {
	m := tiny(t, generate.EngineOptions{Slots: 4})
	s, err := serve.New(serve.Options{Models: []*serve.Model{m}, QueueTokens: math.MaxInt32, MaxWait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	before := runtime.NumGoroutine()
	client := &http.Client{Transport: &http.Transport{}}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, "POST", h.URL+"/v1/completions", strings.NewReader(fmt.Sprintf(`{"prompt":"some words %d","max_tokens":200,"stream":%v,"logit_bias":{"0":-100}}`, i, i%3 > 0)))
			r.Header.Set("Content-Type", "application/json")
			if i%3 == 0 {
				time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
			}
			a, err := client.Do(r)
			if err != nil {
				return
			}
			defer a.Body.Close()
			lines := bufio.NewReader(a.Body)
			for range i % 7 {
				lines.ReadString('\n')
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
	deadline := time.Now().Add(patience)
	for {
		l := m.Engine.Load()
		if n := runtime.NumGoroutine(); l.Active == 0 && l.Waiting == 0 && n <= before+2 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, were %d; %+v", n, before, l)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if code, body, _ := post(t, h.URL+"/v1/completions", `{"prompt":"a","max_tokens":2}`); code != 200 {
		t.Error(code, body)
	}
}

// TestQueue: what would wait too long is refused at once and told when to come back.
func TestQueue(t *testing.T) {
	_, url := start(t, serve.Options{QueueTokens: 40}, generate.EngineOptions{Slots: 1})
	codes := make(chan int, 40)
	var wg sync.WaitGroup
	for range cap(codes) {
		wg.Go(func() {
			code, body, h := post(t, url+"/v1/completions", `{"prompt":"some words","max_tokens":200,"temperature":0,"logit_bias":{"0":-100}}`)
			if code == 429 && h.Get("Retry-After") == "" || code != 429 && code != 200 {
				t.Errorf("%d %s", code, body)
			}
			codes <- code
		})
	}
	wg.Wait()
	close(codes)
	count := map[int]int{}
	for c := range codes {
		count[c]++
	}
	if count[200] == 0 || count[429] == 0 {
		t.Errorf("answers by status: %v", count)
	}
}

// TestScopes: the cache of one key's prompts is nobody else's.
func TestScopes(t *testing.T) {
	_, url := start(t, serve.Options{Keys: []string{"key-of-ada", "key-of-bob"}}, generate.EngineOptions{})
	cached := func(key string) string {
		var b bytes.Buffer
		_, body, _ := post(t, url+"/v1/completions", `{"prompt":"`+strings.Repeat("some words ", 12)+`","max_tokens":2,"temperature":0}`, "Authorization", "Bearer "+key)
		if err := json.Compact(&b, []byte(body)); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(b.String(), `"cached_tokens":`)
		n, _, _ := strings.Cut(rest, "}")
		return n
	}
	if first, again, other := cached("key-of-ada"), cached("key-of-ada"), cached("key-of-bob"); first != "0" || again == "0" || other != "0" {
		t.Errorf("cached tokens: %s, then %s, of another key %s", first, again, other)
	}
}
