package serve

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/plinth-ml/plinth/media"
)

// maxInputs is the most texts of a request that are embedded, classified or ranked; of pictures it may have maxPictures.
const maxInputs = 2048

// embeddingRequest is the body of POST /v1/embeddings.
type embeddingRequest struct {
	Model      string         `json:"model"`
	Input      inputs         `json:"input" doc:"a text, ids, a picture, or a list"`
	Messages   []embedMessage `json:"messages" doc:"in the place of input: one message with one text or picture, as vLLM has it"`
	Modality   string         `json:"modality" doc:"text or image: what the texts of input are, as Infinity has it; text"`
	Format     string         `json:"encoding_format" doc:"float or base64"`
	Dimensions *int           `json:"dimensions" doc:"numbers that are kept, from the front; the rest is scaled to length 1"`
	InputType  string         `json:"input_type" doc:"query or document, for models that tell them apart"`
	Truncate   bool           `json:"truncate" doc:"cut the ends of texts that are too long"`
	User       string         `json:"user" doc:"told to nobody"`
}

// room reads the fields that may hold pictures.
func (q *embeddingRequest) room(name string) func([]byte) error {
	switch name {
	case "input":
		return q.Input.UnmarshalJSON
	case "messages":
		return func(b []byte) error {
			if b[0] != '[' {
				if string(b) != "null" {
					return badRequest("messages", "want a list")
				}
				q.Messages = nil
				return nil
			}
			q.Messages = []embedMessage{}
			return elements(b, func(i int, b []byte) error {
				q.Messages = append(q.Messages, embedMessage{})
				at := fmt.Sprintf("messages[%d]", i)
				err := within(readRoomy(b, &q.Messages[i]), at)
				for _, one := range q.Messages[i].Content.items {
					if one.picture != nil {
						one.picture.param = at + "." + one.picture.param
					}
				}
				return err
			})
		}
	}
	return nil
}

// inputs are texts, pictures, or lists of ids.
type inputs struct {
	items items
	ids   [][]int32
}

func (p *inputs) UnmarshalJSON(b []byte) (err error) {
	*p = inputs{}
	if hasObject(b) {
		p.items, err = p.items.list("input", b, maxInputs, true)
		return err
	}
	var plain prompts
	if err := plain.read("input", b); err != nil {
		return err
	}
	p.ids = plain.ids
	for i := range plain.texts {
		p.items = append(p.items, item{texts: plain.texts[i : i+1]})
	}
	return nil
}

// embedMessage is a message to embed: one text, or a list of one part.
type embedMessage struct {
	Role    string         `json:"role" doc:"user"`
	Content messageContent `json:"content"`
}

// room reads the field that may hold pictures.
func (m *embedMessage) room(name string) func([]byte) error {
	if name == "content" {
		return m.Content.UnmarshalJSON
	}
	return nil
}

// messageContent is what a message holds.
type messageContent struct{ items }

func (c *messageContent) UnmarshalJSON(b []byte) (err error) {
	c.items, err = items(nil).list("content", b, 1, true)
	return err
}

// join makes inputs of messages, and pictures of texts that stand for them.
func (q *embeddingRequest) join() error {
	if q.Messages != nil {
		if len(q.Input.items) > 0 || len(q.Input.ids) > 0 || q.Modality != "" {
			return badRequest("messages", "they stand in the place of input and modality")
		}
		if len(q.Messages) != 1 || len(q.Messages[0].Content.items) != 1 || q.Messages[0].Role != "user" {
			return badRequest("messages", "want one message with the role user and one text or picture: there is a vector of each, and none of several together")
		}
		q.Input.items = q.Messages[0].Content.items
		return nil
	}
	switch q.Modality {
	case "", "text":
		return nil
	case "image":
	default:
		return badRequest("modality", "%q is neither \"text\" nor \"image\"", clip(q.Modality, 40))
	}
	if len(q.Input.ids) > 0 {
		return badRequest("input", "ids are no pictures")
	}
	for i := range q.Input.items {
		if one := &q.Input.items[i]; one.picture == nil {
			param := fmt.Sprintf("input[%d]", i)
			one.picture = &picture{param: param}
			one.picture.err = one.picture.read([]byte(one.texts[0]))
			if err := one.picture.fault(); err != nil {
				return err
			}
			one.texts = nil
		}
	}
	return nil
}

// embedding is a vector, as numbers or as the base64 of little-endian float32.
type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"`
}

// embeddingAnswer is the answer of POST /v1/embeddings.
type embeddingAnswer struct {
	Object    string      `json:"object"`
	Data      []embedding `json:"data"`
	Model     string      `json:"model"`
	Usage     inputUsage  `json:"usage"`
	Truncated int         `json:"truncated,omitempty" doc:"texts that lost their ends"`
}

// inputUsage counts the tokens of texts that are read only.
type inputUsage struct {
	Prompt int `json:"prompt_tokens"`
	Total  int `json:"total_tokens"`
}

// embeddings answers POST /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) error {
	var q embeddingRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	if err := q.join(); err != nil {
		return err
	}
	needs := embeds
	if slices.ContainsFunc(q.Input.items, func(i item) bool { return i.picture != nil }) {
		needs = embedsImages
	}
	m, err := s.model(r.Context(), q.Model, needs)
	if err != nil {
		return err
	}
	if q.Format != "" && q.Format != "float" && q.Format != "base64" {
		return badRequest("encoding_format", "%q is neither \"float\" nor \"base64\"", clip(q.Format, 40))
	}
	if q.Dimensions != nil && (*q.Dimensions < 1 || *q.Dimensions > m.Dimensions) {
		return badRequest("dimensions", "%d is not within 1 to %d", *q.Dimensions, m.Dimensions)
	}
	if q.InputType != "" && q.InputType != "query" && q.InputType != "document" {
		return badRequest("input_type", "%q is neither \"query\" nor \"document\"", clip(q.InputType, 40))
	}
	a := embeddingAnswer{Object: "list", Model: m.Name}
	vectors, err := s.vectors(r.Context(), m, &q, &a)
	if err == nil {
		err = m.cutUnasked("input", a.Truncated, q.Truncate)
	}
	if err != nil {
		return err
	}
	for i, v := range vectors {
		if q.Dimensions != nil {
			v = shortened(v, *q.Dimensions)
		}
		e := embedding{Object: "embedding", Index: i, Embedding: v}
		if q.Format == "base64" {
			b := make([]byte, 0, 4*len(v))
			for _, x := range v {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			}
			e.Embedding = base64.StdEncoding.EncodeToString(b)
		}
		a.Data = append(a.Data, e)
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

// vectors computes those of a request, and counts in the answer what it read.
func (s *Server) vectors(ctx context.Context, m *Model, q *embeddingRequest, a *embeddingAnswer) (vectors [][]float32, err error) {
	if len(q.Input.ids) > 0 {
		if a.Usage, err = s.readIDs(m, q); err != nil {
			return nil, err
		}
		err = s.take(ctx, m.turn, func() (err error) {
			vectors, a.Truncated, err = m.EmbedIDs(ctx, q.Input.ids)
			return err
		})
		return vectors, err
	}
	if err := few("input", len(q.Input.items)); err != nil {
		return nil, err
	}
	texts, pictures := q.Input.items.divide()
	if a.Usage, err = s.read(m, "input", texts, q.Truncate); err != nil {
		return nil, err
	}
	var seen [][]float32
	compute := func(images []*media.Image) (err error) {
		if len(texts) > 0 {
			vectors, a.Truncated, err = m.Embed(ctx, texts, q.InputType)
		}
		if err == nil && len(images) > 0 {
			seen, err = m.EmbedImages(ctx, images)
		}
		return err
	}
	if len(pictures) == 0 {
		err := s.take(ctx, m.turn, func() error { return compute(nil) })
		return vectors, err
	}
	if err := s.see(ctx, m, pictures, compute); err != nil {
		return nil, err
	}
	var all [][]float32 // in the order of the request
	for _, i := range q.Input.items {
		from := &vectors
		if i.picture != nil {
			from = &seen
		}
		all, *from = append(all, (*from)[0]), (*from)[1:]
	}
	return all, nil
}

// readIDs counts the ids of a request, which are used as they are.
func (s *Server) readIDs(m *Model, q *embeddingRequest) (inputUsage, error) {
	var u usage
	if m.EmbedIDs == nil {
		return inputUsage{}, badRequest("input", "this model takes no ids")
	}
	if q.InputType != "" {
		return inputUsage{}, badRequest("input_type", "nothing is put in front of ids: leave it out")
	}
	for _, ids := range q.Input.ids {
		if len(ids) == 0 {
			return inputUsage{}, badRequest("input", "an empty list of ids")
		}
		for _, id := range ids {
			if id < 0 || int(id) >= m.Vocab {
				return inputUsage{}, badRequest("input", "%d is no id of the vocabulary of %d", id, m.Vocab)
			}
		}
		n, err := m.within("input", len(ids), q.Truncate)
		if err != nil {
			return inputUsage{}, err
		}
		u.Prompt += n
	}
	s.metrics.tokens(m, u)
	return inputUsage{u.Prompt, u.Prompt}, few("input", len(q.Input.ids))
}

// few reports that there are no texts, or too many.
func few(param string, n int) error {
	if n == 0 || n > maxInputs {
		return badRequest(param, "%d texts; want 1 to %d", n, maxInputs)
	}
	return nil
}

// read counts the tokens of texts, of which none may be empty.
func (s *Server) read(m *Model, param string, texts []string, cut bool) (inputUsage, error) {
	var u usage
	for _, text := range texts {
		if text == "" {
			return inputUsage{}, badRequest(param, "an empty text")
		}
		n, err := m.count(param, text, cut)
		if err != nil {
			return inputUsage{}, err
		}
		u.Prompt += n
	}
	s.metrics.tokens(m, u)
	return inputUsage{u.Prompt, u.Prompt}, nil
}

// shortened is the front of a vector, scaled to length 1.
func shortened(v []float32, n int) []float32 {
	sum := 0.0
	for _, x := range v[:n] {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return v[:n]
	}
	out := make([]float32, n)
	for i, x := range v[:n] {
		out[i] = float32(float64(x) / math.Sqrt(sum))
	}
	return out
}
