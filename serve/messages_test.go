package serve_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/serve"
)

// TestMessages: text and tool calls by Anthropic's API, whole and as events.
func TestMessages(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	url += "/v1/messages"
	const tools = `,"tools":[{"name":"get_weather","description":"now","input_schema":{"type":"object"}}]`
	const user = `{"role":"user","content":"hi"}`
	for _, c := range []struct{ messages, more, want, reason string }{
		{user, ``, says(0), "end_turn"}, {user, `,"system":[{"type":"text","text":"be brief"}],"temperature":0,"top_k":3`, says(0), "end_turn"},
		{user, `,"stop_sequences":["zz","my"]`, "Hello there, ", "stop_sequence my"}, {user, tools + `,"tool_choice":{"type":"none"}`, says(0), "end_turn"},
		{`{"role":"user","content":"both"}`, tools + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, `get_weather{"city": "Rome"}`, "tool_use"},
		{user, tools, `get_weather{"city": "Rome"}`, "tool_use"}, {`{"role":"user","content":[{"type":"text","text":"both"}]}`, tools, `get_weather{"city": "Rome"}get_time{}`, "tool_use"},
		{user + `,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"get_weather","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"sunny"}]}]}`, tools, says(3), "end_turn"},
	} {
		body := `{"model":"taught","max_tokens":50,"messages":[` + c.messages + `]` + c.more
		_, whole, _ := post(t, url, body+"}", "Anthropic-Version", "2023-06-01")
		_, stream, _ := post(t, url, body+`,"stream":true}`)
		var a struct {
			Content []struct {
				Type, Text, Name string
				Input            json.RawMessage
			}
			StopReason   string  `json:"stop_reason"`
			StopSequence *string `json:"stop_sequence"`
			Usage        struct {
				Output int `json:"output_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(whole), &a); err != nil || a.Usage.Output == 0 {
			t.Fatal(err, whole)
		}
		said := ""
		for _, b := range a.Content {
			said += b.Text + b.Name + string(b.Input)
		}
		if a.StopSequence != nil {
			a.StopReason += " " + *a.StopSequence
		}
		squeeze := strings.NewReplacer(`": "`, `":"`).Replace
		if squeeze(said) != squeeze(c.want) || a.StopReason != c.reason {
			t.Errorf("%s%s: %q, %s", c.messages, c.more, said, a.StopReason)
		}
		names, data := events(t, stream)
		pieces, open := "", -1
		for i, e := range data {
			delta, _ := e["delta"].(map[string]any)
			switch names[i] {
			case "content_block_start":
				open++
				if b := e["content_block"].(map[string]any); b["type"] == "tool_use" {
					pieces += b["name"].(string)
				}
			case "content_block_delta":
				for _, key := range []string{"text", "partial_json"} {
					if s, ok := delta[key].(string); ok {
						pieces += s
					}
				}
			}
			if at, ok := e["index"]; ok && at != float64(open) {
				t.Errorf("%s of block %v in block %d", names[i], at, open)
			}
		}
		last := data[len(data)-2]["delta"].(map[string]any)
		reason := strings.TrimSuffix(fmt.Sprint(last["stop_reason"], " ", last["stop_sequence"]), " <nil>")
		if pieces != c.want || reason != c.reason || names[0] != "message_start" || names[len(names)-2] != "message_delta" || names[len(names)-1] != "message_stop" {
			t.Errorf("%s%s: pieces %q, %s: %v", c.messages, c.more, pieces, reason, names)
		}
	}
	if _, body, _ := post(t, url+"/count_tokens", `{"model":"taught","messages":[`+user+`]}`); !strings.HasPrefix(body, `{"input_tokens":`) {
		t.Error(body)
	}
	for _, c := range []struct {
		body, header, want string
		code               int
	}{
		{`"messages":[` + user + `]`, "", "max_tokens", 400}, {`"max_tokens":1`, "", "messages", 400}, {`"max_tokens":1,"messages":[{"role":"system","content":"x"}]`, "", "messages[0].role", 400},
		{`"max_tokens":1,"messages":[{"role":"user","content":[]}]`, "", "messages[0].content", 400}, {`"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aa"}}]}]`, "", "messages[0].content[0].type", 400},
		{`"max_tokens":1,"messages":[` + user + `,{"role":"assistant","content":"Hel"}]`, "", "messages", 400}, {`"max_tokens":1,"messages":[` + user + `],"thinking":{"type":"enabled","budget_tokens":1024}`, "", "thinking", 400},
		{`"max_tokens":1,"messages":[` + user + `],"stop_sequences":[""]`, "", "stop_sequences", 400}, {`"max_tokens":1,"messages":[` + user + `],"container":"x"`, "", "container", 400},
		{`"max_tokens":1,"messages":[` + user + `]`, "2030-01-01", "anthropic-version", 400}, {`"max_tokens":1,"messages":[` + user + `],"tools":[{"type":"bash_20250124","name":"bash"}]`, "", "tools[0].type", 400},
		{`"max_tokens":1,"messages":[` + user + `],"tool_choice":{"type":"x"}`, "", "tool_choice.type", 400},
	} {
		code, body, _ := post(t, url, `{"model":"taught",`+c.body+`}`, "Anthropic-Version", c.header)
		var e struct {
			Type  string
			Error struct{ Type, Message string }
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || code != c.code || e.Type != "error" || e.Error.Type != "invalid_request_error" || !strings.HasPrefix(e.Error.Message, c.want+": ") {
			t.Errorf("%s: %d %s", c.body, code, body)
		}
	}
}

func TestAnthropicSDK(t *testing.T) {
	var checks []string
	testkit.Ask(t, "testdata/anthropic_sdk.py", []string{"anthropic"}, sdkServer(t), &checks)
	if len(checks) < 5 {
		t.Errorf("only these checks ran: %q", checks)
	}
}
