package serve

import "net/http"

// route is one of the server's.
type route struct {
	pattern string
	about   string              // a sentence
	in, out any                 // values of the types of request and answer; nil: there is none, or it is no JSON
	streams bool                // the answer may come as events
	open    bool                // asks for no key
	shape   func(*apiError) any // of errors; nil: OpenAI's
	handle  func(*Server, http.ResponseWriter, *http.Request) error
}

// routes returns all there are; each but the open ones wants a key where there are keys.
func routes() []route {
	return []route{
		{pattern: "GET /{$}", about: "The web page.", open: true, handle: (*Server).page},
		{pattern: "GET /web/{name}", about: "A file of the web page.", open: true, handle: (*Server).page},
		{pattern: "GET /runs", about: "Training runs, for the web page.", handle: (*Server).listRuns},
		{pattern: "GET /runs/{name}/options", about: "What a run was started with.", handle: (*Server).runOptions},
		{pattern: "GET /runs/{name}/metrics", about: "The lines that a run wrote.", handle: (*Server).runMetrics},
		{pattern: "GET /health", about: "Whether the server can work.", out: healthAnswer{}, open: true, handle: (*Server).health},
		{pattern: "GET /metrics", about: "Counters, for Prometheus.", handle: (*Server).serveMetrics},
		{pattern: "GET /openapi.json", about: "This document.", handle: (*Server).openAPI},
		{pattern: "GET /v1/models", about: "The models, and what each can do.", out: modelList{}, handle: (*Server).listModels},
		{pattern: "GET /v1/models/{name...}", about: "One model.", out: modelInfo{}, handle: (*Server).getModel},
		{pattern: "POST /v1/chat/completions", about: "Answers a conversation.", in: chatRequest{}, out: chatAnswer{}, streams: true, handle: (*Server).chatCompletions},
		{pattern: "POST /v1/completions", about: "Continues texts.", in: completionRequest{}, out: completionAnswer{}, streams: true, handle: (*Server).completions},
		{pattern: "POST /v1/responses", about: "Answers a conversation, by OpenAI's Responses API.", in: responseRequest{}, out: response{}, streams: true, handle: (*Server).responses},
		{pattern: "GET /v1/responses/{id}", about: "An answer that is kept.", out: response{}, handle: (*Server).getResponse},
		{pattern: "DELETE /v1/responses/{id}", about: "Forgets an answer that is kept.", out: deleted{}, handle: (*Server).deleteResponse},
		{pattern: "POST /v1/messages", about: "Answers a conversation, by Anthropic's Messages API.", in: messagesRequest{}, out: messagesAnswer{}, streams: true, shape: anthropicError, handle: (*Server).messages},
		{pattern: "POST /v1/messages/count_tokens", about: "Counts the tokens of a conversation, by Anthropic's API.", in: messagesRequest{}, out: countedTokens{}, shape: anthropicError, handle: (*Server).countTokens},
		{pattern: "POST /v1/embeddings", about: "Vectors of texts and pictures.", in: embeddingRequest{}, out: embeddingAnswer{}, handle: (*Server).embeddings},
		{pattern: "POST /v1/classify", about: "Labels of texts or pictures.", in: classifyRequest{}, out: classifyAnswer{}, handle: (*Server).classify},
		{pattern: "POST /v1/rerank", about: "Documents in the order of their relevance.", in: rerankRequest{}, out: rerankAnswer{}, handle: (*Server).rerank},
		{pattern: "POST /tokenize", about: "The ids of a text.", in: tokenizeRequest{}, out: tokenizeAnswer{}, handle: (*Server).tokenize},
		{pattern: "POST /detokenize", about: "The text of ids.", in: detokenizeRequest{}, out: detokenizeAnswer{}, handle: (*Server).detokenize},
	}
}
