// Drives a server with OpenAI's client for Go. Standard input: {"base": URL, "key": KEY}; standard output: the names of the checks that passed.
// A module of its own, so that the client is no dependency of the project.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

const plain = "Hello there, my friend. How are you today?"

var (
	client openai.Client
	job    struct{ Base, Key string }
	ctx    = context.Background()
)

func main() {
	log.SetFlags(0)
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		log.Fatal(err)
	}
	client = connect(job.Key)
	var names []string
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"models", models}, {"chat", chatWhole}, {"chat streamed", chatStreamed}, {"seeds", seeds}, {"stops", stops}, {"log-probabilities", logProbs},
		{"tools", tools}, {"strict tools", strictTools}, {"completions", completions}, {"embeddings", embeddings}, {"responses", responding}, {"errors", failures}, {"cancels", cancels},
	} {
		if err := c.run(); err != nil {
			log.Fatalf("%s: %v", c.name, err)
		}
		names = append(names, c.name)
	}
	if err := json.NewEncoder(os.Stdout).Encode(names); err != nil {
		log.Fatal(err)
	}
}

func connect(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(job.Base), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// want is an error unless got is what is wanted.
func want[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// ask is a question to a model, with tools or without.
func ask(model, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func models() error {
	all, err := client.Models.List(ctx)
	if err != nil {
		return err
	}
	if err := want("number of models", len(all.Data), 4); err != nil {
		return err
	}
	one, err := client.Models.Get(ctx, "tiny")
	if err != nil {
		return err
	}
	return want("id", one.ID, "tiny")
}

func chatWhole() error {
	r, err := client.Chat.Completions.New(ctx, ask("taught", "hi"))
	if err != nil {
		return err
	}
	return errors.Join(want("text", r.Choices[0].Message.Content, plain), want("finish", r.Choices[0].FinishReason, "stop"), want("tokens", r.Usage.CompletionTokens, 6))
}

func chatStreamed() error {
	q := ask("taught", "hi")
	q.StreamOptions.IncludeUsage = param.NewOpt(true)
	s := client.Chat.Completions.NewStreaming(ctx, q)
	var all openai.ChatCompletionAccumulator
	for s.Next() {
		if !all.AddChunk(s.Current()) {
			return errors.New("pieces that do not go together")
		}
	}
	if s.Err() != nil {
		return s.Err()
	}
	return errors.Join(want("text", all.Choices[0].Message.Content, plain), want("tokens", all.Usage.CompletionTokens, 6))
}

func seeds() error {
	texts := func(seed int64) (string, error) {
		q := ask("tiny", "hi")
		q.N, q.Seed, q.MaxCompletionTokens = param.NewOpt[int64](3), param.NewOpt(seed), param.NewOpt[int64](8)
		r, err := client.Chat.Completions.New(ctx, q)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		for _, c := range r.Choices {
			fmt.Fprintf(&b, "%d %q", c.Index, c.Message.Content)
		}
		return b.String(), nil
	}
	a, err := texts(5)
	if err != nil {
		return err
	}
	b, _ := texts(5)
	c, _ := texts(6)
	return errors.Join(want("same seed", b, a), want("other seed, same text", c == a, false))
}

func stops() error {
	q := ask("taught", "hi")
	q.Stop = openai.ChatCompletionNewParamsStopUnion{OfStringArray: []string{"my"}}
	r, err := client.Chat.Completions.New(ctx, q)
	if err != nil {
		return err
	}
	return want("text", r.Choices[0].Message.Content, "Hello there, ")
}

func logProbs() error {
	q := ask("taught", "hi")
	q.Logprobs, q.TopLogprobs = param.NewOpt(true), param.NewOpt[int64](2)
	r, err := client.Chat.Completions.New(ctx, q)
	if err != nil {
		return err
	}
	text := ""
	for _, t := range r.Choices[0].Logprobs.Content {
		text += t.Token
		if len(t.TopLogprobs) != 2 {
			return fmt.Errorf("%q has %d top tokens", t.Token, len(t.TopLogprobs))
		}
	}
	return want("tokens", text, plain)
}

func tools() error {
	q := ask("taught", "hi")
	q.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather",
		Parameters: shared.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}}})}
	r, err := client.Chat.Completions.New(ctx, q)
	if err != nil {
		return err
	}
	if len(r.Choices[0].Message.ToolCalls) != 1 {
		return fmt.Errorf("no call: %s", r.RawJSON())
	}
	call := r.Choices[0].Message.ToolCalls[0]
	if err := errors.Join(want("name", call.Function.Name, "get_weather"), want("arguments", call.Function.Arguments, `{"city": "Rome"}`)); err != nil {
		return err
	}
	q.Messages = append(q.Messages, r.Choices[0].Message.ToParam(), openai.ToolMessage("sunny", call.ID))
	if r, err = client.Chat.Completions.New(ctx, q); err != nil {
		return err
	}
	return want("answer", r.Choices[0].Message.Content, "It is sunny in Rome.")
}

func strictTools() error {
	q := ask("taught", "seven")
	q.Temperature = param.NewOpt(0.0)
	for _, strict := range []bool{false, true} {
		q.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather", Strict: param.NewOpt(strict), Parameters: shared.FunctionParameters{
			"type": "object", "properties": map[string]any{"city": map[string]any{"enum": []string{"Rome", "Paris"}}}, "required": []string{"city"}, "additionalProperties": false}})}
		r, err := client.Chat.Completions.New(ctx, q)
		if err != nil {
			return err
		}
		var said struct{ City any }
		if len(r.Choices[0].Message.ToolCalls) != 1 || json.Unmarshal([]byte(r.Choices[0].Message.ToolCalls[0].Function.Arguments), &said) != nil {
			return fmt.Errorf("no call: %s", r.RawJSON())
		}
		if err := want("a city of the list", said.City == "Rome" || said.City == "Paris", strict); err != nil {
			return err
		}
	}
	return nil
}

func completions() error {
	q := openai.CompletionNewParams{Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfTokens: []int64{100, 101}}, MaxTokens: param.NewOpt[int64](6), Seed: param.NewOpt[int64](3)}
	whole, err := client.Completions.New(ctx, q)
	if err != nil {
		return err
	}
	text, s := "", client.Completions.NewStreaming(ctx, q)
	for s.Next() {
		text += s.Current().Choices[0].Text
	}
	return errors.Join(s.Err(), want("pieces", text, whole.Choices[0].Text))
}

func embeddings() error {
	r, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: "reader", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"aab", "b"}}})
	if err != nil {
		return err
	}
	return want("vectors", fmt.Sprint(r.Data[0].Embedding, r.Data[1].Embedding), "[2 1 0] [0 1 0]")
}

func responding() error {
	q := responses.ResponseNewParams{Model: "taught", Input: responses.ResponseNewParamsInputUnion{OfString: param.NewOpt("hi")}}
	r, err := client.Responses.New(ctx, q)
	if err != nil {
		return err
	}
	text, last, s := "", "", client.Responses.NewStreaming(ctx, q)
	for s.Next() {
		if last = s.Current().Type; last == "response.output_text.delta" {
			text += s.Current().Delta
		}
	}
	return errors.Join(s.Err(), want("text", r.OutputText(), plain), want("pieces", text, plain), want("last event", last, "response.completed"))
}

func failures() error {
	status := func(err error) (int, string) {
		var e *openai.Error
		if !errors.As(err, &e) {
			return 0, fmt.Sprint(err)
		}
		return e.StatusCode, e.Param
	}
	q := ask("taught", "hi")
	q.Temperature = param.NewOpt(-1.0)
	_, err := client.Chat.Completions.New(ctx, q)
	code, field := status(err)
	if err := errors.Join(want("status", code, 400), want("field", field, "temperature")); err != nil {
		return err
	}
	_, err = client.Chat.Completions.New(ctx, ask("nothing", "hi"))
	missing, _ := status(err)
	stranger := connect("wrong-key")
	_, err = stranger.Models.List(ctx)
	refused, _ := status(err)
	return errors.Join(want("status", missing, 404), want("status", refused, 401))
}

func cancels() error {
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	_, err := client.Completions.New(short, openai.CompletionNewParams{Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfString: param.NewOpt("some words")},
		MaxTokens: param.NewOpt[int64](200), N: param.NewOpt[int64](100), LogitBias: map[string]int64{"0": -100}})
	return want("is a deadline", errors.Is(err, context.DeadlineExceeded), true)
}
