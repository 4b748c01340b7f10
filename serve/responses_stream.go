package serve

import (
	"encoding/json"
	"net/http"

	"github.com/plinth-ml/plinth/generate"
)

// responseEvent is an event of a stream of /v1/responses; fields that an event has not are left out.
type responseEvent struct {
	Type     string         `json:"type"`
	Sequence int            `json:"sequence_number"`
	Response *response      `json:"response,omitempty"`
	Output   *int           `json:"output_index,omitempty"`
	ItemID   string         `json:"item_id,omitempty"`
	Content  *int           `json:"content_index,omitempty"`
	Item     *responseItem  `json:"item,omitempty"`
	Part     *responsePart  `json:"part,omitempty"`
	Delta    *string        `json:"delta,omitempty"`
	Text     *string        `json:"text,omitempty"`
	Args     *string        `json:"arguments,omitempty"`
	Name     string         `json:"name,omitempty"`
	LogProbs []tokenLogProb `json:"logprobs,omitzero"`
	Code     string         `json:"code,omitempty"` // of an error, as are the next two
	Message  string         `json:"message,omitempty"`
	Param    *string        `json:"param,omitempty"`
}

// responseStream sends the events of an answer in their order.
type responseStream struct {
	sent    int
	message responseItem // the message that is being sent
	begun   bool
	all     []tokenLogProb
}

// event numbers an event.
func (p *responseStream) event(e responseEvent) event {
	e.Sequence = p.sent
	p.sent++
	return event{e.Type, e}
}

// streamResponse answers with events.
func (s *Server) streamResponse(w http.ResponseWriter, r *http.Request, q *chatRequest, j *job, a *response, done func(*choice, usage, []responseItem)) error {
	p := &responseStream{message: s.messageItem("", nil)}
	zero := new(int)
	var ended *choice
	return s.answerInPieces(w, r, j, nil, inPieces{
		begin: func(send func(any)) {
			send(p.event(responseEvent{Type: "response.created", Response: a}))
			send(p.event(responseEvent{Type: "response.in_progress", Response: a}))
		},
		token: func(send func(any), _ int, t generate.Token, text string) {
			logProbs := []tokenLogProb{}
			if q.LogProbs && !j.ends(t.ID) {
				logProbs = append(logProbs, j.m.logProbs(t))
				p.all = append(p.all, logProbs...)
			}
			if text == "" {
				return
			}
			p.begin(send)
			send(p.event(responseEvent{Type: "response.output_text.delta", ItemID: p.message.ID, Output: zero, Content: zero, Delta: &text, LogProbs: logProbs}))
		},
		end: func(send func(any), _ int, c *choice) {
			rest := c.answer.End()
			if _, calls := s.calls(j, c); len(calls) == 0 {
				rest += c.answer.Hidden()
			}
			if rest != "" {
				p.begin(send)
				send(p.event(responseEvent{Type: "response.output_text.delta", ItemID: p.message.ID, Output: zero, Content: zero, Delta: &rest, LogProbs: []tokenLogProb{}}))
			}
			ended = c
		},
		last: func(send func(any), u usage) {
			items := s.items(j, ended, p.all)
			for i := range items {
				if items[i].Type == "message" {
					items[i].ID = p.message.ID
					p.begin(send)
					p.endMessage(send, items[i])
				} else {
					p.call(send, i, items[i])
				}
			}
			done(ended, u, items)
			send(p.event(responseEvent{Type: "response." + a.Status, Response: a}))
		},
		failed: func(e *apiError) any {
			a.Status, a.Error = "failed", &apiError{Code: "server_error", Message: e.Message}
			return p.event(responseEvent{Type: "response.failed", Response: a})
		},
	})
}

// begin begins the message, once.
func (p *responseStream) begin(send func(any)) {
	if p.begun {
		return
	}
	p.begun = true
	zero := new(int)
	empty := p.message
	empty.Status, empty.Content = "in_progress", &responseContent{Parts: []responsePart{}}
	send(p.event(responseEvent{Type: "response.output_item.added", Output: zero, Item: &empty}))
	send(p.event(responseEvent{Type: "response.content_part.added", Output: zero, ItemID: p.message.ID, Content: zero, Part: &responsePart{Type: "output_text", Annotations: json.RawMessage("[]"), LogProbs: []tokenLogProb{}}}))
}

// endMessage ends the message with what it is.
func (p *responseStream) endMessage(send func(any), item responseItem) {
	zero, part := new(int), &item.Content.Parts[0]
	send(p.event(responseEvent{Type: "response.output_text.done", Output: zero, ItemID: item.ID, Content: zero, Text: &part.Text, LogProbs: append([]tokenLogProb{}, part.LogProbs...)}))
	send(p.event(responseEvent{Type: "response.content_part.done", Output: zero, ItemID: item.ID, Content: zero, Part: part}))
	send(p.event(responseEvent{Type: "response.output_item.done", Output: zero, Item: &item}))
}

// call sends a call of a tool.
func (p *responseStream) call(send func(any), i int, item responseItem) {
	begun := item
	begun.Status, begun.Arguments = "in_progress", new(string)
	send(p.event(responseEvent{Type: "response.output_item.added", Output: &i, Item: &begun}))
	send(p.event(responseEvent{Type: "response.function_call_arguments.delta", Output: &i, ItemID: item.ID, Delta: item.Arguments}))
	send(p.event(responseEvent{Type: "response.function_call_arguments.done", Output: &i, ItemID: item.ID, Args: item.Arguments, Name: item.Name}))
	send(p.event(responseEvent{Type: "response.output_item.done", Output: &i, Item: &item}))
}
