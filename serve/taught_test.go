package serve_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/serve"
	"github.com/plinth-ml/plinth/tokenizer"
)

// answers are what the taught model says, in its tokens, each behind the token that asks for it: where there are no tools; where there are; where both are
// asked for; behind the result of one; where the seventh city is asked for, an argument that no schema here allows.
var answers = [][]string{
	{"<|plain|>", "Hello", " there,", " my friend.", " How are", " you today?"},
	{"<|call|>", "<tool", "_call>\n{\"name\"", ": \"get_weather\", ", "\"arguments\": {\"city\"", ": \"Rome\"}", "}\n</tool_call>"},
	{"<|both|>", "<tool_", "call>\n{\"name\": \"get_weather\", \"arguments\"", ": {\"city\": \"Rome\"}}\n</tool_", "call>\n<tool_call>\n{\"name\": \"get_time\"", ", \"arguments\": {}}\n</tool_call>"},
	{"<|after|>", "It is", " sunny", " in Rome."},
	{"<|seven|>", "Let me", " see. ", "<tool_call>", "\n{\"name\": \"get_weather\", \"arguments\": {\"city\": 7}}\n</tool_call>"},
}

// says is the text of an answer.
func says(n int) string { return strings.Join(answers[n][1:], "") }

// taughtTemplate shows tools, and ends in a token for each of the answers, so that a tiny model knows which is due whatever it was asked.
const taughtTemplate = `{%- if tools %}<|im_start|>system
{% for t in tools %}{{ t|tojson }}{% endfor %}<|im_end|>
{% endif %}{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function|tojson }}</tool_call>{% endfor %}<|im_end|>
{% endfor %}{%- if add_generation_prompt %}{% set last = messages[-1] %}<|im_start|>assistant
{% if last.role == 'tool' %}<|after|>{% elif tools and 'both' in last.content %}<|both|>{% elif tools and 'seven' in last.content %}<|seven|>{% elif tools %}<|call|>{% else %}<|plain|>{% endif %}{% endif %}`

// taught is a model that chats and calls tools, always in the same words: each token of an answer is the one that follows the token before it.
func taught(t testing.TB, o generate.EngineOptions) *serve.Model {
	t.Helper()
	special := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	for _, a := range answers {
		special = append(special, a...)
	}
	tok, err := tokenizer.Train(t.Context(), slices.Values([][]byte{[]byte("some words to begin with, and some more words")}), tokenizer.TrainOptions{VocabSize: 300, Special: special})
	if err != nil {
		t.Fatal(err)
	}
	const width = 32 // room for a feature for each token of the answers
	c := llama.Config{ModelType: "llama", Vocab: tok.VocabSize(), Context: 2048, Width: width, Hidden: 32, Layers: 1, Heads: 2, Activation: "silu", NormEps: 1e-5, InitStd: 1, Rope: nn.RopeConfig{Type: "default", Theta: 10000}}
	m, err := llama.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	weights := map[string][]float32{}
	for _, p := range m.Params() {
		weights[p.Name] = p.T().F32()
		if !strings.Contains(p.Name, "norm") {
			clear(weights[p.Name])
		}
	}
	feature := 0
	for _, a := range answers {
		for i, piece := range a {
			next := "<|im_end|>"
			if i+1 < len(a) {
				next = a[i+1]
			}
			from, _ := tok.SpecialID(piece)
			to, _ := tok.SpecialID(next)
			weights["model.embed_tokens.weight"][int(from)*width+feature] = 1
			weights["lm_head.weight"][int(to)*width+feature] = 10
			feature++
		}
	}
	template, err := chat.New(taughtTemplate, "", "<|endoftext|>")
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := tok.EOS()
	source := &chat.Source{Stops: []int32{eos}}
	return &serve.Model{Name: "taught", Created: time.Unix(1, 0), Engine: generate.New(m, cpu.New(cpu.Options{Threads: 2}), o), Tokenizer: tok, Vocab: tok.VocabSize(), Context: 2048,
		Stops: source.Stops, Dialogue: chat.NewDialogue(t.Context(), source, template, tok)}
}

// TestTools: the model's calls arrive as such, whole and in pieces, and its answer to their result as text.
func TestTools(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{})}}, generate.EngineOptions{})
	const tools = `,"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]`
	const user = `{"role":"user","content":"What is the weather in Rome?"}`
	for _, c := range []struct{ messages, more, text, calls string }{
		{user, "", says(0), ""},
		{user, tools + `,"tool_choice":"none"`, says(0), ""},
		{user, tools, "", `get_weather{"city": "Rome"}`},
		{`{"role":"user","content":"both"}`, tools, "", `get_weather{"city": "Rome"}get_time{}`},
		{`{"role":"user","content":"both"}`, tools + `,"parallel_tool_calls":true`, "", `get_weather{"city": "Rome"}get_time{}`},
		{`{"role":"user","content":"both"}`, tools + `,"parallel_tool_calls":false`, "", `get_weather{"city": "Rome"}`},
		{user + `,{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"get_weather","arguments":"{\"city\": \"Rome\"}"}}]},{"role":"tool","tool_call_id":"a","content":"sunny"}`, tools, says(3), ""},
	} {
		body := `{"model":"taught","temperature":0,"messages":[` + c.messages + `]` + c.more
		_, whole, _ := post(t, url+"/v1/chat/completions", body+"}")
		_, stream, _ := post(t, url+"/v1/chat/completions", body+`,"stream":true}`)
		for how, list := range map[string][]answer{"whole": {parse(t, whole)}, "in pieces": pieces(t, stream)} {
			text, calls, finish := "", "", ""
			for _, a := range list {
				for _, one := range a.Choices {
					text += one.Message.Content + one.Delta.Content
					finish += one.Finish
					for _, call := range slices.Concat(one.Message.ToolCalls, one.Delta.ToolCalls) {
						calls += call.Function.Name + call.Function.Arguments
					}
				}
			}
			if n := list[0].Usage.Completion; strings.Contains(c.more, "_calls\":false") && how == "whole" && n != 4 {
				t.Errorf("%d tokens are written, the fourth ends the one call", n)
			}
			if want := map[bool]string{true: "tool_calls", false: "stop"}[c.calls != ""]; text != c.text || calls != c.calls || finish != want {
				t.Errorf("%s %s: text %q, calls %q, finish %q", c.messages, how, text, calls, finish)
			}
		}
	}
}
