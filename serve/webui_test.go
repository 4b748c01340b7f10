package serve_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// TestOpenWebUI sends what Open WebUI sends to an OpenAI connection (backend/open_webui/routers/openai.py and utils/middleware.py): its headers, the list of models, a chat with the
// settings that a user may make, its own small questions (title, tags, follow-ups), tools in the native mode with the answer of one sent back as it stores them, and embeddings for documents.
func TestOpenWebUI(t *testing.T) {
	const key = "key-of-the-page"
	_, url := start(t, serve.Options{Keys: []string{key}, Models: []*serve.Model{taught(t, generate.EngineOptions{}), reader(t)}}, generate.EngineOptions{})
	headers := []string{"Authorization", "Bearer " + key, "X-OpenWebUI-User-Name", "a%20user", "X-OpenWebUI-User-Id", "1", "X-OpenWebUI-User-Email", "a@example.org", "X-OpenWebUI-User-Role", "user", "X-OpenWebUI-Chat-Id", "2"}
	_, body, _ := send(t, "GET", url+"/v1/models", "", headers...)
	var models struct {
		Object string
		Data   []struct {
			ID      string
			OwnedBy string `json:"owned_by"`
		}
	}
	if err := json.Unmarshal([]byte(body), &models); err != nil || models.Object != "list" || len(models.Data) < 2 || models.Data[0].ID == "" || models.Data[0].OwnedBy == "" {
		t.Errorf("models: %v %s", err, body)
	}
	const tools = `"tools":[{"type":"function","function":{"name":"get_weather","description":"now","parameters":{"type":"object","properties":{"city":{"type":"string","description":"a city"}},"required":["city"]}}}]`
	for _, c := range []struct{ what, body, text, call string }{
		{"a chat", `{"stream":true,"model":"taught","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}],"stream_options":{"include_usage":true},"temperature":0,"top_p":0.9,"max_tokens":128,
			"frequency_penalty":0.1,"presence_penalty":0.1,"seed":7,"stop":["\u0000"],"logit_bias":{"200":-100},"top_k":40,"min_p":0.01,"repetition_penalty":1}`, says(0), ""},
		{"a title", `{"model":"taught","messages":[{"role":"user","content":"### Task:\nGenerate a concise title"}],"stream":false,"max_completion_tokens":1000}`, says(0), ""},
		{"follow-ups", `{"model":"taught","messages":[{"role":"user","content":[{"type":"text","text":"Suggest"}]}],"stream":false}`, says(0), ""},
		{"a question with tools", `{"stream":true,"model":"taught","messages":[{"role":"user","content":"weather?"}],` + tools + `}`, "", `get_weather{"city": "Rome"}`},
		{"the tool's answer", `{"stream":true,"model":"taught","messages":[{"role":"user","content":"weather?"},{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\": \"Rome\"}"}}]},
			{"role":"tool","tool_call_id":"call_1","content":"sunny"}],` + tools + `}`, says(3), ""},
	} {
		code, body, _ := post(t, url+"/v1/chat/completions", c.body, headers...)
		if code != 200 {
			t.Errorf("%s: %d %s", c.what, code, body)
			continue
		}
		var list []answer
		if strings.Contains(c.body, `"stream":true`) {
			list = pieces(t, body)
		} else {
			list = []answer{parse(t, body)}
		}
		text, call := "", ""
		for _, a := range list {
			for _, one := range a.Choices {
				text += one.Message.Content + one.Delta.Content
				for _, t := range append(one.Message.ToolCalls, one.Delta.ToolCalls...) {
					call += t.Function.Name + t.Function.Arguments
				}
			}
		}
		if text != c.text || call != c.call {
			t.Errorf("%s: %q %q", c.what, text, call)
		}
	}
	if code, body, _ := post(t, url+"/v1/embeddings", `{"input":["aab","b"],"model":"reader"}`, headers...); code != 200 || !strings.Contains(body, `"embedding":[2,1,0]`) {
		t.Errorf("embeddings: %d %s", code, body)
	}
}
