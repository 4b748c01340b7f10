package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/tokenizer"
)

// Model is what a server offers under a name.
type Model struct {
	Name      string
	Created   time.Time
	Tokenizer *tokenizer.Tokenizer
	Vocab     int // of the model, for logit biases
	Context   int // most positions of a sequence

	// Of a model that writes.
	Engine   *generate.Engine // nil: it writes nothing
	Stops    []int32          // ids that end a text
	Dialogue *chat.Dialogue   // nil: it has no chat template
	Extra    map[string]any   // values for the template

	// What the model does beside; each may be nil. No two of these functions run at once for one model.
	Embed          func(ctx context.Context, texts []string, kind string) (vectors [][]float32, cut int, err error)   // kind "query" and "document" where the model tells them apart, "" else
	EmbedIDs       func(ctx context.Context, ids [][]int32) (vectors [][]float32, cut int, err error)                 // of ids as they are
	Classify       func(ctx context.Context, texts [][]string, own *OwnLabels) (c *Classes, err error)                // each a text or a pair; own nil: by the model's own labels
	EmbedImages    func(ctx context.Context, images []*media.Image) (vectors [][]float32, err error)                  // in the space of Embed's; there only where Embed is
	ClassifyImages func(ctx context.Context, images []*media.Image, own *OwnLabels) (c *Classes, err error)           // own nil: by the model's own labels
	Rerank         func(ctx context.Context, query string, documents []string) (scores []float64, cut int, err error) // how well each document answers

	Bytes int64        // memory that Close gives back
	Close func() error // nobody uses the model any more: it gives back its memory; nil: there is nothing to give back

	Dimensions int       // of a vector that Embed makes
	Ground     *[3]uint8 // colour that is seen where a picture is transparent; nil: alpha is dropped
	Labels     []string  // Classify's own; empty: it says numbers; nil: it wants OwnLabels

	turn turn

	vocabulary vocabulary
}

// ability is something that a model may be able to do.
type ability string

const (
	writes     ability = "completions"
	chats      ability = "chat"
	embeds     ability = "embeddings"
	classifies ability = "classify"
	reranks    ability = "rerank"

	embedsImages     ability = "image_embeddings"
	classifiesImages ability = "image_classify"
)

// abilities are what the model can do.
func (m *Model) abilities() []ability {
	var list []ability
	for _, a := range []struct {
		name ability
		has  bool
	}{{writes, m.Engine != nil}, {chats, m.Dialogue != nil}, {embeds, m.Embed != nil}, {classifies, m.Classify != nil}, {reranks, m.Rerank != nil},
		{embedsImages, m.EmbedImages != nil}, {classifiesImages, m.ClassifyImages != nil}} {
		if a.has {
			list = append(list, a.name)
		}
	}
	return list
}

// count is the number of tokens of a text as a model's input. More than the context is an error unless what is too much is cut.
func (m *Model) count(param, text string, cut bool) (int, error) {
	ids, err := m.Tokenizer.AppendIDs(nil, []byte(text), false)
	if err != nil {
		return 0, badRequest(param, "%v", err)
	}
	return m.within(param, len(m.Tokenizer.AddSpecial(ids)), cut)
}

// within is how many of n tokens of an input are read.
func (m *Model) within(param string, n int, cut bool) (int, error) {
	if n > m.Context && !cut {
		return 0, &apiError{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: param,
			Message: fmt.Sprintf("%s: %d tokens are more than the %d that the model takes; \"truncate\": true cuts the end off", param, n, m.Context)}
	}
	return min(n, m.Context), nil
}

// cutUnasked reports that n texts lost their ends though that was not asked for: with what the model puts around or beside them they are too long.
func (m *Model) cutUnasked(param string, n int, asked bool) error {
	if n == 0 || asked {
		return nil
	}
	return &apiError{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: param,
		Message: fmt.Sprintf("%s: with what stands beside them, %d texts are more than the %d tokens that the model takes; \"truncate\": true cuts the ends off", param, n, m.Context)}
}

// errNoChat is the answer to a conversation with a model that knows none.
var errNoChat = errors.New("the model has no chat template: use /v1/completions, or start the server with --template")

// conversation returns the ids of a conversation, and what ends the answer.
func (m *Model) conversation(ctx context.Context, messages []chat.Message, tools []chat.Tool) ([]int32, error) {
	if m.Engine == nil {
		return nil, badRequest("model", "the model writes no text")
	}
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

// newest leaves out the oldest turns of a conversation whose ids are more than most, and tells how many tokens that are. What it begins with stays where that is a system
// message; a turn is a message of the user with all up to the next.
func (m *Model) newest(ctx context.Context, messages []chat.Message, tools []chat.Tool, ids []int32, most int) ([]int32, int, error) {
	if len(ids) <= most {
		return ids, 0, nil
	}
	head := 0
	for head < len(messages) && messages[head].Role == "system" {
		head++
	}
	var turns []int // where they begin
	for i := head + 1; i < len(messages); i++ {
		if messages[i].Role == "user" {
			turns = append(turns, i)
		}
	}
	var kept []int32
	var err error
	from := func(i int) bool { // does it fit from turn i on?
		if err == nil {
			kept, err = m.conversation(ctx, slices.Concat(messages[:head], messages[turns[i]:]), tools)
		}
		return err != nil || len(kept) <= most
	}
	first := sort.Search(len(turns), from)
	switch {
	case err != nil:
		return nil, 0, err
	case first == len(turns):
		return nil, 0, &apiError{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: "messages", Message: fmt.Sprintf("messages: the last turn alone has more than the %d tokens that there is room for", most)}
	}
	from(first)
	return kept, len(ids) - len(kept), err
}

// fits reports a prompt that leaves no room for an answer.
func (m *Model) fits(param string, ids []int32) error {
	if len(ids) >= m.Context {
		return &apiError{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: param,
			Message: fmt.Sprintf("This model's maximum context length is %d tokens; the prompt has %d, and the answer needs room as well. Nothing is cut off.", m.Context, len(ids))}
	}
	return nil
}
