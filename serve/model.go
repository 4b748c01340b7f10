package serve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Model is what a server offers under a name.
type Model struct {
	Name      string
	Created   time.Time
	Engine    *generate.Engine
	Tokenizer *tokenizer.Tokenizer
	Vocab     int            // of the model, for logit biases
	Context   int            // most positions of a sequence
	Stops     []int32        // ids that end a text
	Dialogue  *chat.Dialogue // nil: the model has no chat template
	Extra     map[string]any // values for the template
}

// errNoChat is the answer to a conversation with a model that knows none.
var errNoChat = errors.New("the model has no chat template: use /v1/completions, or start the server with --template")

// conversation returns the ids of a conversation, and what ends the answer.
func (m *Model) conversation(ctx context.Context, messages []chat.Message, tools []chat.Tool) ([]int32, error) {
	if m.Dialogue == nil {
		return nil, badRequest("model", "%v", errNoChat)
	}
	if len(messages) == 0 {
		return nil, badRequest("messages", "there are none")
	}
	o := chat.Options{AddGenerationPrompt: true, Extra: m.Extra}
	ids, err := m.Dialogue.Encode(ctx, messages, tools, o)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, chat.ErrRefused):
		return nil, badRequest("messages", "%v", err)
	case err != nil:
		return nil, badRequest("messages", "the chat template cannot write this conversation: %v", err)
	}
	return ids, nil
}

// fits reports a prompt that leaves no room for an answer.
func (m *Model) fits(param string, ids []int32) error {
	if len(ids) >= m.Context {
		return &apiError{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: param,
			Message: fmt.Sprintf("This model's maximum context length is %d tokens; the prompt has %d, and the answer needs room as well. Nothing is cut off.", m.Context, len(ids))}
	}
	return nil
}
