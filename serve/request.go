package serve

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/generate"
)

// Bounds of a request.
const (
	maxChoices = 128
	maxStops   = 16
	maxStop    = 1024 // bytes of a stop text
	maxTop     = 20   // top log-probabilities
	maxBias    = 4096
)

// decode reads the JSON of a request into v. Fields that are not known are errors: nothing that is asked for is left out in silence.
func decode(r *http.Request, v any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &apiError{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Message: "the body must be JSON, with the header Content-Type: application/json"}
	}
	if q, ok := v.(roomy); ok {
		return decodeRoomy(r.Body, r.ContentLength, q)
	}
	return strict(r.Body, v)
}

// strict reads one JSON value. An error is a badRequest that names the field.
func strict(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		return badRequest("body", "something stands behind the object")
	}
	return explain(err)
}

// explain makes a badRequest that names the field of what encoding/json says of a request.
func explain(err error) error {
	var kind *json.UnmarshalTypeError
	var large *http.MaxBytesError
	var api *apiError
	switch {
	case errors.As(err, &large):
		return &apiError{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Message: fmt.Sprintf("the request has more than %d bytes", large.Limit)}
	case errors.As(err, &api):
		return api
	case errors.As(err, &kind):
		return badRequest(cmp.Or(strings.TrimPrefix(strings.TrimPrefix(kind.Field, "sampling."), "language."), "body"), "a JSON %s where %s is wanted", clip(kind.Value, 40), wanted(kind.Type.String()))
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name, _ := strconv.Unquote(strings.TrimPrefix(err.Error(), "json: unknown field "))
		return badRequest(clip(name, 100), "this field is not known")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest("body", "the JSON ends too early")
	}
	return badRequest("body", "%s", clip(strings.TrimPrefix(err.Error(), "json: "), 200))
}

// wanted names a Go type as JSON has it.
func wanted(t string) string {
	t = strings.TrimLeft(t, "*")
	switch {
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "an integer"
	case strings.HasPrefix(t, "float"):
		return "a number"
	case t == "bool":
		return "true or false"
	case t == "string":
		return "a text"
	case strings.HasPrefix(t, "[]"):
		return "a list"
	}
	return "an object"
}

// texts is a text or a list of texts.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = nil
		return nil
	}
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(t))
	}
	var one string
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*t = texts{one}
	return nil
}

// sampling is what requests of every kind say about how text is written. Fields that OpenAI does not have are those of other open servers.
type sampling struct {
	Temperature       *float64           `json:"temperature"`
	TopP              *float64           `json:"top_p" doc:"0: the most probable token"`
	TopK              int                `json:"top_k"`
	MinP              float64            `json:"min_p"`
	TypicalP          *float64           `json:"typical_p" doc:"above 0"`
	RepetitionPenalty *float64           `json:"repetition_penalty" doc:"above 0"`
	PresencePenalty   float64            `json:"presence_penalty"`
	FrequencyPenalty  float64            `json:"frequency_penalty"`
	LogitBias         map[string]float64 `json:"logit_bias"`
	Stop              texts              `json:"stop"`
	Seed              *int64             `json:"seed"`
	N                 *int               `json:"n"`
	Stream            bool               `json:"stream"`
	StreamOptions     *streamOptions     `json:"stream_options"`
	TruncatePrompt    *int               `json:"truncate_prompt_tokens" doc:"keep this many last tokens of a prompt that has more; -1: as many as leave room for max_tokens, which counts as at most half of the context"`
	User              string             `json:"user" doc:"told to nobody, as are the next three"`
	SafetyIdentifier  string             `json:"safety_identifier"`
	PromptCacheKey    string             `json:"prompt_cache_key"`
	Metadata          map[string]string  `json:"metadata"`
	Store             bool               `json:"store" doc:"nothing is stored"`
	ServiceTier       string             `json:"service_tier"`
}

type streamOptions struct {
	IncludeUsage       bool `json:"include_usage"`
	IncludeObfuscation bool `json:"include_obfuscation"`
}

// options translates the fields, each checked and named where it is wrong.
func (p *sampling) options(m *Model) (generate.Options, int, error) {
	o := generate.Options{Temperature: 1, TopP: 1, TopK: p.TopK, MinP: p.MinP, Typical: 1, RepetitionPenalty: 1,
		PresencePenalty: p.PresencePenalty, FrequencyPenalty: p.FrequencyPenalty}
	if p.Temperature != nil {
		o.Temperature = *p.Temperature
	}
	if p.TopP != nil {
		o.TopP = *p.TopP
	}
	if p.TypicalP != nil {
		o.Typical = *p.TypicalP
	}
	if p.RepetitionPenalty != nil {
		o.RepetitionPenalty = *p.RepetitionPenalty
	}
	for _, f := range []struct {
		name      string
		v, lo, hi float64
	}{{"temperature", o.Temperature, 0, 100}, {"top_p", o.TopP, 0, 1}, {"min_p", o.MinP, 0, 1}, {"typical_p", o.Typical, 0, 1}, {"presence_penalty", o.PresencePenalty, -100, 100},
		{"frequency_penalty", o.FrequencyPenalty, -100, 100}, {"repetition_penalty", o.RepetitionPenalty, 0, 100}, {"top_k", float64(o.TopK), 0, math.MaxInt32}} {
		if !(f.v >= f.lo && f.v <= f.hi) {
			return o, 0, badRequest(f.name, "%v is not within %v to %v", f.v, f.lo, f.hi)
		}
	}
	if o.Typical == 0 {
		return o, 0, badRequest("typical_p", "0 is not above 0")
	}
	if o.RepetitionPenalty == 0 {
		return o, 0, badRequest("repetition_penalty", "0 is not above 0")
	}
	if o.TopP == 0 { // where 0 is off for the engine, it is the least mass here
		o.TopP = math.SmallestNonzeroFloat64
	}
	n := 1
	if p.N != nil {
		n = *p.N
	}
	if n < 1 || n > maxChoices {
		return o, 0, badRequest("n", "%d is not within 1 to %d", n, maxChoices)
	}
	if p.Seed != nil {
		o.Seed = uint64(*p.Seed)
	} else if o.Temperature > 0 {
		o.Seed = randomSeed()
	}
	if len(p.Stop) > maxStops {
		return o, 0, badRequest("stop", "%d texts, at most %d are looked for", len(p.Stop), maxStops)
	}
	for _, t := range p.Stop {
		if t == "" || len(t) > maxStop {
			return o, 0, badRequest("stop", "a text of %d bytes; want 1 to %d", len(t), maxStop)
		}
	}
	if len(p.LogitBias) > maxBias {
		return o, 0, badRequest("logit_bias", "%d tokens, at most %d", len(p.LogitBias), maxBias)
	}
	for name, b := range p.LogitBias {
		id, err := strconv.ParseInt(name, 10, 32)
		if err != nil || id < 0 || int(id) >= m.Vocab {
			return o, 0, badRequest("logit_bias", "%q is no id of the vocabulary of %d", clip(name, 40), m.Vocab)
		}
		if !(b >= -100 && b <= 100) {
			return o, 0, badRequest("logit_bias", "%v for id %d is not within -100 to 100", b, id)
		}
		if o.LogitBias == nil {
			o.LogitBias = map[int32]float32{}
		}
		o.LogitBias[int32(id)] = float32(b)
		if b == -100 {
			o.LogitBias[int32(id)] = float32(math.Inf(-1)) // OpenAI: a ban
		}
	}
	if p.StreamOptions != nil && !p.Stream {
		return o, 0, badRequest("stream_options", "only where stream is true")
	}
	return o, n, nil
}

// cut keeps the last tokens of a prompt, as truncate_prompt_tokens asks for, and counts in the job what it cuts off. answer are the most tokens of the answer.
func (p *sampling) cut(j *job, ids []int32, answer int) ([]int32, error) {
	if p.TruncatePrompt == nil {
		return ids, nil
	}
	most := *p.TruncatePrompt
	if most == -1 {
		most = j.m.Context - min(answer, j.m.Context/2)
	}
	if most < 1 {
		return nil, badRequest("truncate_prompt_tokens", "%d is neither -1 nor above 0", most)
	}
	n := max(0, len(ids)-most)
	j.cut += n
	return ids[n:], nil
}

// maxTokens is the most tokens of an answer, given the request's field, or nil.
func (m *Model) maxTokens(name string, asked *int, prompt int) (int, error) {
	room := m.Context - prompt + 1
	switch {
	case asked == nil:
		return room, nil
	case *asked < 0:
		return 0, badRequest(name, "%d is below 0", *asked)
	case *asked > room:
		return room, nil
	}
	return *asked, nil
}
