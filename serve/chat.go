package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
)

// chatRequest is the body of POST /v1/chat/completions.
type chatRequest struct {
	Model               string          `json:"model"`
	Messages            []chatMessage   `json:"messages"`
	Tools               []chat.Tool     `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	ParallelToolCalls   *bool           `json:"parallel_tool_calls"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	LogProbs            bool            `json:"logprobs"`
	TopLogProbs         int             `json:"top_logprobs"`
	language
	sampling

	dropsTurns bool // the oldest turns of a conversation that is too long are left out
}

// chatMessage is a message with what OpenAI's clients send back of answers and models do not read.
type chatMessage struct {
	chat.Message
	Refusal     *string         `json:"refusal"`
	Annotations json.RawMessage `json:"annotations"`
	Audio       json.RawMessage `json:"audio"`
}

// check reports what a model that reads text cannot take.
func (m *chatMessage) check(at int) error {
	param := fmt.Sprintf("messages[%d]", at)
	if m.Role == "" {
		return badRequest(param+".role", "it is missing")
	}
	if len(m.Audio) > 0 && string(m.Audio) != "null" {
		return badRequest(param+".audio", "models here neither hear nor speak")
	}
	for i, p := range m.Content.Parts {
		if p.Other != nil {
			return badRequest(fmt.Sprintf("%s.content[%d]", param, i), "the model reads text only")
		}
	}
	return nil
}

// chatAnswer is a chat completion, or a piece of one.
type chatAnswer struct {
	ID          string       `json:"id"`
	Object      string       `json:"object"`
	Created     int64        `json:"created"`
	Model       string       `json:"model"`
	Choices     []chatChoice `json:"choices"`
	Usage       *usage       `json:"usage,omitempty"`
	Fingerprint string       `json:"system_fingerprint,omitempty"`
}

type chatChoice struct {
	Index    int           `json:"index"`
	Message  *chatSaid     `json:"message,omitempty"`
	Delta    *chatDelta    `json:"delta,omitempty"`
	LogProbs *chatLogProbs `json:"logprobs"`
	Finish   *string       `json:"finish_reason"`
}

type chatSaid struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	Refusal   *string    `json:"refusal"`
	ToolCalls []chatCall `json:"tool_calls,omitempty"`
}

type chatDelta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	ToolCalls []chatCall `json:"tool_calls,omitempty"`
}

type chatCall struct {
	Index    *int   `json:"index,omitempty"` // of a piece of a stream
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type chatLogProbs struct {
	Content []tokenLogProb `json:"content"`
}

// chatCompletions answers POST /v1/chat/completions.
func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request) error {
	var q chatRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	j, err := s.chatJob(r.Context(), &q)
	if err != nil {
		return err
	}
	j.scope = s.scope(r)
	a := &chatAnswer{ID: s.id("chatcmpl"), Object: "chat.completion", Created: time.Now().Unix(), Model: j.m.Name}
	if q.Stream {
		return s.streamChat(w, r, &q, j, a)
	}
	logProbs := make([]chatLogProbs, j.n)
	choices, _, u, err := s.run(r.Context(), j, func(i int, t generate.Token, _ string) {
		if q.LogProbs && !j.ends(t.ID) {
			logProbs[i].Content = append(logProbs[i].Content, j.m.logProbs(t))
		}
	})
	if err != nil {
		return err
	}
	for i, c := range choices {
		c.answer.End()
		text, calls := s.calls(j, c)
		one := chatChoice{Index: i, Message: &chatSaid{Role: "assistant", Content: &text, ToolCalls: calls}, Finish: &c.finish}
		if len(calls) > 0 {
			c.finish = "tool_calls"
			if text == "" {
				one.Message.Content = nil
			}
		}
		if q.LogProbs {
			one.LogProbs = &logProbs[i]
		}
		a.Choices = append(a.Choices, one)
	}
	a.Usage = &u
	writeJSON(w, http.StatusOK, a)
	return nil
}

// chatJob checks a request.
func (s *Server) chatJob(ctx context.Context, q *chatRequest) (*job, error) {
	m, err := s.model(ctx, q.Model, chats)
	if err != nil {
		return nil, err
	}
	messages := make([]chat.Message, len(q.Messages))
	for i := range q.Messages {
		if err := q.Messages[i].check(i); err != nil {
			return nil, err
		}
		messages[i] = q.Messages[i].Message
	}
	j := &job{m: m}
	if j.options, j.n, err = q.options(m); err != nil {
		return nil, err
	}
	tools, err := q.tools(ctx, m)
	if err != nil {
		return nil, err
	}
	if len(tools) > 0 {
		j.marks, j.one = chat.CallMarks(), q.ParallelToolCalls != nil && !*q.ParallelToolCalls
	}
	name, asked := "max_completion_tokens", q.MaxCompletionTokens
	if asked == nil {
		name, asked = "max_tokens", q.MaxTokens
	}
	answer := 1 // token at least
	if asked != nil {
		answer = max(1, *asked)
	}
	ids, err := m.conversation(ctx, messages, tools)
	if err == nil && q.dropsTurns {
		ids, j.cut, err = m.newest(ctx, messages, tools, ids, m.Context-min(answer, m.Context/2))
	}
	if err == nil {
		ids, err = q.cut(j, ids, answer)
	}
	if err != nil {
		return nil, err
	}
	if err := m.fits("messages", ids); err != nil {
		return nil, err
	}
	if err := s.constrain(ctx, q, j, tools); err != nil {
		return nil, err
	}
	j.prompts = [][]int32{ids}
	if j.options.MaxTokens, err = m.maxTokens(name, asked, len(ids)); err != nil {
		return nil, err
	}
	if j.options.MaxTokens == 0 {
		return nil, badRequest(name, "0 tokens are no answer")
	}
	if q.TopLogProbs < 0 || q.TopLogProbs > maxTop {
		return nil, badRequest("top_logprobs", "%d is not within 0 to %d", q.TopLogProbs, maxTop)
	}
	if q.TopLogProbs > 0 && !q.LogProbs {
		return nil, badRequest("top_logprobs", "only where logprobs is true")
	}
	j.options.LogProbs, j.options.TopLogProbs = q.LogProbs, min(q.TopLogProbs, m.Vocab)
	j.options.Stop, j.stops = m.Dialogue.Stops, append(q.Stop, m.Dialogue.StopTexts...)
	return j, nil
}

// tools are those that the model is shown.
func (q *chatRequest) tools(ctx context.Context, m *Model) ([]chat.Tool, error) {
	how, _, err := q.choice()
	switch {
	case err != nil:
		return nil, err
	case len(q.Tools) == 0 && how == "required":
		return nil, badRequest("tool_choice", "there are no tools")
	case len(q.Tools) == 0 || how == "none":
		return nil, nil
	case m.Dialogue == nil:
		return nil, badRequest("model", "%v", errNoChat)
	}
	all, err := json.Marshal(q.Tools)
	if err != nil {
		return nil, badRequest("tools", "%v", err)
	}
	tools, err := chat.ParseTools(all)
	if err != nil {
		return nil, badRequest("tools", "%v", err)
	}
	if shown, err := m.Dialogue.Template.ShowsTools(ctx); err != nil || !shown {
		return nil, badRequest("tools", "the chat template of this model shows it no tools")
	}
	return tools, nil
}

// calls divides an answer into text and tool calls.
func (s *Server) calls(j *job, c *choice) (string, []chatCall) {
	text := c.answer.Text()
	if j.marks == nil || !j.mayCall(text) {
		return text, nil
	}
	text, calls, _ := chat.ParseCalls(text) // what only begins like a call stays text
	if j.one && len(calls) > 0 {            // a token, or a list that is read as a whole, may bring more
		calls, text = calls[:1], strings.TrimRightFunc(strings.TrimSuffix(c.answer.Text(), c.answer.Hidden()), unicode.IsSpace)
	}
	list := make([]chatCall, len(calls))
	for i, call := range calls {
		list[i].ID, list[i].Type = call.ID, "function"
		if call.ID == "" {
			list[i].ID = s.id("call")
		}
		list[i].Function.Name = call.Function.Name
		if json.Unmarshal(call.Function.Arguments, &list[i].Function.Arguments) != nil {
			list[i].Function.Arguments = string(call.Function.Arguments)
		}
	}
	return text, list
}

// streamChat answers with pieces.
func (s *Server) streamChat(w http.ResponseWriter, r *http.Request, q *chatRequest, j *job, a *chatAnswer) error {
	a.Object = "chat.completion.chunk"
	of := func(c chatChoice) *chatAnswer {
		a.Choices = []chatChoice{c}
		return a
	}
	return s.answerInPieces(w, r, j, q.StreamOptions, inPieces{
		begin: func(send func(any)) {
			for i := range j.n {
				send(of(chatChoice{Index: i, Delta: &chatDelta{Role: "assistant", Content: new(string)}}))
			}
		},
		token: func(send func(any), i int, t generate.Token, text string) {
			c := chatChoice{Index: i, Delta: &chatDelta{Content: &text}}
			if q.LogProbs && !j.ends(t.ID) {
				c.LogProbs = &chatLogProbs{Content: []tokenLogProb{j.m.logProbs(t)}}
			}
			if text != "" || c.LogProbs != nil {
				send(of(c))
			}
		},
		end: func(send func(any), i int, c *choice) {
			rest := c.answer.End()
			if _, calls := s.calls(j, c); len(calls) > 0 {
				c.finish = "tool_calls"
				for n := range calls {
					calls[n].Index = &n
				}
				send(of(chatChoice{Index: i, Delta: &chatDelta{ToolCalls: calls}}))
			} else if rest += c.answer.Hidden(); rest != "" {
				send(of(chatChoice{Index: i, Delta: &chatDelta{Content: &rest}}))
			}
			send(of(chatChoice{Index: i, Delta: &chatDelta{}, Finish: &c.finish}))
		},
		usage: func(u usage) any {
			a.Choices, a.Usage = []chatChoice{}, &u
			return a
		},
	})
}
