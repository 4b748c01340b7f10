package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// events are the names and the data of a stream's events.
func events(t testing.TB, body string) (names []string, data []map[string]any) {
	t.Helper()
	for part := range strings.SplitSeq(strings.TrimSpace(body), "\n\n") {
		name, rest, ok := strings.Cut(part, "\ndata: ")
		var o map[string]any
		if err := json.Unmarshal([]byte(rest), &o); err != nil || !ok || "event: "+fmt.Sprint(o["type"]) != name {
			t.Fatalf("%v: %q", err, part)
		}
		names, data = append(names, strings.TrimPrefix(name, "event: ")), append(data, o)
	}
	return names, data
}

const responseTools = `,"tools":[{"type":"function","name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]`

// TestResponses: text and calls whole and as events, and conversations that go on.
func TestResponses(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	url += "/v1/responses"
	const begin, end = "response.created response.in_progress ", " response.completed"
	const message = "response.output_item.added response.content_part.added response.output_text.delta response.output_text.delta response.output_text.delta%s response.output_text.done response.content_part.done response.output_item.done"
	const call = "response.output_item.added response.function_call_arguments.delta response.function_call_arguments.done response.output_item.done"
	for _, c := range []struct{ input, more, want, events string }{
		{`"hi"`, "", says(0), fmt.Sprintf(begin+message+end, " response.output_text.delta response.output_text.delta")},
		{`[{"role":"developer","content":"be brief"},{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}]`, `,"instructions":"x","temperature":0`, says(0), fmt.Sprintf(begin+message+end, " response.output_text.delta response.output_text.delta")},
		{`"weather?"`, responseTools, `get_weather{"city": "Rome"}`, begin + call + end},
		{`"both"`, responseTools + `,"tool_choice":"auto"`, `get_weather{"city": "Rome"}get_time{}`, begin + call + " " + call + end},
		{`"both"`, responseTools + `,"parallel_tool_calls":false`, `get_weather{"city": "Rome"}`, begin + call + end},
		{`[{"role":"user","content":"hi"},{"type":"function_call","call_id":"c","name":"get_weather","arguments":"{}","status":"completed"},{"type":"function_call_output","call_id":"c","output":"sunny"}]`, responseTools, says(3), fmt.Sprintf(begin+message+end, "")},
		{`"hi"`, `,"max_output_tokens":3`, "Hello there, my friend.", fmt.Sprintf(begin+message+" response.incomplete", "")},
	} {
		body := `{"model":"taught","input":` + c.input + c.more
		_, whole, _ := post(t, url, body+"}")
		_, stream, _ := post(t, url, body+`,"stream":true}`)
		names, data := events(t, stream)
		if got := strings.Join(names, " "); got != c.events {
			t.Errorf("%s: events\n%s, want\n%s", c.input, got, c.events)
		}
		deltas := ""
		for i, e := range data {
			if int(e["sequence_number"].(float64)) != i {
				t.Errorf("event %d has number %v", i, e["sequence_number"])
			}
			if e["type"] == "response.output_text.delta" {
				deltas += e["delta"].(string)
			}
		}
		var a map[string]any
		if err := json.Unmarshal([]byte(whole), &a); err != nil {
			t.Fatal(err, whole)
		}
		for how, a := range map[string]any{"whole": a, "events": data[len(data)-1]["response"]} {
			said := ""
			for _, item := range a.(map[string]any)["output"].([]any) {
				if item := item.(map[string]any); item["type"] == "message" {
					said += item["content"].([]any)[0].(map[string]any)["text"].(string)
				} else {
					said += fmt.Sprint(item["name"], item["arguments"])
				}
			}
			if said != c.want || strings.HasPrefix(c.want, "get") == (deltas == c.want) {
				t.Errorf("%s, %s: %q, in pieces %q, want %q", c.input, how, said, deltas, c.want)
			}
		}
	}

	// A conversation goes on from an answer that is kept, of the key that it belongs to, until it is deleted.
	ids := map[bool]string{}
	for _, store := range []bool{true, false} {
		_, body, _ := post(t, url, fmt.Sprintf(`{"model":"taught","input":"hi","store":%v}`, store))
		var a struct {
			ID    string
			Usage struct {
				Input int `json:"input_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatal(err)
		}
		ids[store] = a.ID
		code, body, _ := post(t, url, `{"model":"taught","input":"and?","previous_response_id":"`+a.ID+`"}`)
		before := a.Usage.Input
		json.Unmarshal([]byte(body), &a)
		if (code == 200) != store || store && a.Usage.Input < 2*before {
			t.Errorf("stored %v: %d %s", store, code, body)
		}
	}
	for _, method := range []string{"GET", "DELETE", "GET", "DELETE"} {
		r, _ := http.NewRequest(method, url+"/"+ids[true], nil)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		ids[false] += fmt.Sprint(" ", a.StatusCode)
	}
	if _, codes, _ := strings.Cut(ids[false], " "); codes != "200 200 404 404" {
		t.Errorf("codes %s", codes)
	}
}

// TestTruncation: what is asked to be cut is cut, and counted: whole turns of a conversation of /v1/responses, else the first tokens.
func TestTruncation(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	turn := func(n int) string {
		return `{"role":"user","content":"` + strings.Repeat("a", n) + `"},{"role":"assistant","content":"b"},`
	}
	system := `{"role":"system","content":"be brief"},`
	const last = `{"role":"user","content":"hi"}`
	input := func(turns string) string { return `{"model":"taught","temperature":0,"input":[` + turns + last + `]` }
	type counts struct {
		Input, Prompt, Truncated int
		Text                     string
	}
	ask := func(path, body string) counts {
		t.Helper()
		code, got, _ := post(t, url+path, body)
		var a struct {
			Output []struct{ Content []struct{ Text string } }
			Usage  struct {
				Input     int `json:"input_tokens"`
				Prompt    int `json:"prompt_tokens"`
				Truncated int `json:"truncated_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(got), &a); err != nil || code != 200 {
			t.Fatal(code, err, got)
		}
		c := counts{Input: a.Usage.Input, Prompt: a.Usage.Prompt, Truncated: a.Usage.Truncated}
		for _, o := range a.Output {
			c.Text += o.Content[0].Text
		}
		return c
	}
	short := ask("/v1/responses", input(system+turn(300))+`}`)
	long := ask("/v1/responses", input(system+turn(900)+turn(900)+turn(300))+`,"truncation":"auto","max_output_tokens":1000}`)
	if long.Input != short.Input || long.Truncated < 1800 || long.Truncated > 1900 || long.Text != short.Text || short.Truncated != 0 {
		t.Errorf("the conversation without its oldest turns %+v, with them %+v", short, long)
	}
	for _, c := range []struct{ path, body, field string }{
		{"/v1/responses", input(turn(900)+turn(900)+turn(900)+turn(900)) + `}`, "input"},
		{"/v1/responses", `{"model":"taught","truncation":"auto","input":"` + strings.Repeat("a", 3000) + `"}`, "input"},
		{"/v1/completions", `{"prompt":"a","truncate_prompt_tokens":0}`, "truncate_prompt_tokens"},
		{"/v1/completions", `{"prompt":"a","truncate_prompt_tokens":-2}`, "truncate_prompt_tokens"},
		{"/v1/completions", `{"model":"tiny","prompt":"` + strings.Repeat("ab", 200) + `"}`, "prompt"},
	} {
		if code, got, _ := post(t, url+c.path, c.body); code != 400 || !strings.Contains(got, `"param":"`+c.field+`"`) {
			t.Errorf("%s %.80s: %d %s", c.path, c.body, code, got)
		}
	}

	ids := make([]string, 400)
	for i := range ids {
		ids[i] = fmt.Sprint(i % 200)
	}
	prompt := `{"model":"tiny","temperature":0,"max_tokens":6,"prompt":[` + strings.Join(ids, ",") + `]`
	for keep, want := range map[int]counts{-1: {Prompt: 250, Truncated: 150}, 100: {Prompt: 100, Truncated: 300}} {
		more := fmt.Sprintf(`,"truncate_prompt_tokens":%d`, keep)
		if got := ask("/v1/completions", prompt+more+"}"); got != want {
			t.Errorf("keeping %d: %+v, want %+v", keep, got, want)
		}
		_, cut, h := post(t, url+"/v1/completions", prompt+more+`,"stream":true}`)
		if h.Get("Plinth-Truncated-Tokens") != fmt.Sprint(want.Truncated) {
			t.Errorf("keeping %d: header %q", keep, h.Get("Plinth-Truncated-Tokens"))
		}
		_, whole, _ := post(t, url+"/v1/completions", `{"model":"tiny","temperature":0,"max_tokens":6,"stream":true,"prompt":[`+strings.Join(ids[want.Truncated:], ",")+`]}`)
		text := func(body string) (s string) {
			for _, p := range pieces(t, body) {
				s += p.Choices[0].Text
			}
			return s
		}
		if text(cut) != text(whole) || text(cut) == "" {
			t.Errorf("keeping %d: %q, the last tokens alone %q", keep, text(cut), text(whole))
		}
	}
	chat := ask("/v1/chat/completions", `{"model":"tiny","max_tokens":6,"truncate_prompt_tokens":-1,"messages":[{"role":"user","content":"`+strings.Repeat("ab", 300)+`"}]}`)
	if chat.Prompt != 250 || chat.Truncated < 300 {
		t.Errorf("a chat: %+v", chat)
	}
}

// TestResponsesRefused has what must not be answered, and the field to blame.
func TestResponsesRefused(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	for body, field := range map[string]string{
		``: "input", `"input":7`: "input", `"input":[]`: "input", `"input":[{"role":"user"}]`: "input[0].content", `"input":[{"content":"x"}]`: "input[0].role", `"input":[{"role":"user","content":"a","x":1}]`: "input[0].x",
		`"input":[{"type":"reasoning","content":"x"}]`: "input[0].type", `"input":[{"role":"user","content":[{"type":"input_image","image_url":"http://x/y.png","detail":"auto"}]}]`: "input[0].content[0].type",
		`"input":[{"type":"function_call","call_id":"c"}]`: "input[0]", `"input":[{"type":"function_call_output","call_id":"c"}]`: "input[0].output",
		`"input":"a","max_output_tokens":0`: "max_output_tokens", `"input":"a","temperature":-1`: "temperature", `"input":"a","truncation":"some"`: "truncation", `"input":"a","text":{"format":{"type":"xml"}}`: "text.format.type", `"input":"a","text":{"format":{"type":"json_schema","name":"x","schema":{"not":{}}}}`: "text.format",
		`"input":"a","include":["reasoning.encrypted_content"]`: "include", `"input":"a","previous_response_id":"x"`: "previous_response_id", `"input":"a","tools":[{"type":"web_search"}]`: "tools[0].type",
		`"input":"a","background":true`: "background", `"input":"` + strings.Repeat("a", 3000) + `"`: "input",
	} {
		_, got, _ := post(t, url+"/v1/responses", `{"model":"taught",`+body+strings.Repeat(`"store":true`, max(0, 1-len(body)))+`}`)
		var e struct {
			Error struct{ Message, Param string }
		}
		if err := json.Unmarshal([]byte(got), &e); err != nil || e.Error.Message == "" || e.Error.Param != field {
			t.Errorf("%.80s: %s, want %q", body, got, field)
		}
		if rest, ok := strings.CutPrefix(e.Error.Message, field); ok && !strings.HasPrefix(rest, ": ") {
			t.Errorf("%.80s: message %q", body, e.Error.Message)
		}
	}
}
