package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"sync"
)

// Bounds of a session of MCP.
const (
	maxLine  = 8 << 20 // bytes of a message
	maxCalls = 32      // calls in progress; further messages wait
)

// mcpVersions are the versions of the Model Context Protocol that are spoken, the newest first.
var mcpVersions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

// rpc is a message of JSON-RPC 2.0: a request, or without an id a notification, or an answer.
type rpc struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message }

// mcpTool is a tool as tools/list shows it.
type mcpTool struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	InputSchema schema `json:"inputSchema"`

	call func(s *Server, ctx context.Context, arguments []byte) (text string, object any, err error)
}

// mcpContent is what a tool gives back.
type mcpContent struct {
	Content []mcpText `json:"content"`
	Object  any       `json:"structuredContent,omitempty"`
	IsError bool      `json:"isError"`
}

type mcpText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// mcpGenerate are the arguments of the tool generate.
type mcpGenerate struct {
	Prompt      string   `json:"prompt" doc:"What is asked, or the text that goes on where the model cannot chat."`
	System      string   `json:"system" doc:"Instructions, for a model that can chat."`
	Model       string   `json:"model" doc:"Name of the model; the first that writes."`
	MaxTokens   *int     `json:"max_tokens"`
	Temperature *float64 `json:"temperature"`
	Seed        *int64   `json:"seed"`
	Stop        []string `json:"stop" doc:"Texts before which the answer ends."`
}

// mcpTools are those of a server's models.
func (s *Server) mcpTools() []mcpTool {
	d := &openAPIDocument{schemas: map[string]schema{}, request: true}
	d.known = d.shapes()
	tool := func(name, about string, in any, needs string, call func(*Server, context.Context, []byte) (string, any, error)) mcpTool {
		input := d.object(reflect.TypeOf(in))
		input["required"] = []string{needs}
		return mcpTool{name, about, input, call}
	}
	var list []mcpTool
	for _, t := range []struct {
		needs []ability // any of them
		tool  mcpTool
	}{
		{[]ability{writes}, tool("generate", "Writes text with a language model.", mcpGenerate{}, "prompt", (*Server).mcpGenerate)},
		{[]ability{embeds}, tool("embed", "Vectors of texts, and of pictures where the model sees, whose angles tell how near their meanings are.", embeddingRequest{}, "input", inProcess((*Server).embeddings))},
		{[]ability{classifies, classifiesImages}, tool("classify", "Labels of texts or pictures with their probabilities.", classifyRequest{}, "input", inProcess((*Server).classify))},
	} {
		if slices.ContainsFunc(t.needs, func(a ability) bool { return s.shelf.find("", a) != nil }) {
			list = append(list, t.tool)
		}
	}
	return list
}

// MCP speaks the Model Context Protocol, a message a line, until in ends or ctx does: the tools generate, embed and classify, as far as there is a model for them.
// Who can write to in may use every model: keys are not asked for.
func (s *Server) MCP(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	var calls sync.WaitGroup
	defer func() { stop(); calls.Wait() }()
	c := &mcpSession{s: s, tools: s.mcpTools(), out: out, running: map[string]context.CancelFunc{}}
	lines := make(chan []byte)
	ended := make(chan error, 1)
	go func() {
		sc := bufio.NewScanner(in)
		sc.Buffer(nil, maxLine)
		for sc.Scan() {
			select {
			case lines <- bytes.Clone(sc.Bytes()):
			case <-ctx.Done():
				return
			}
		}
		ended <- sc.Err()
	}()
	slots := make(chan struct{}, maxCalls)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			calls.Wait()
			return err
		case line := <-lines:
			var m rpc
			if json.Unmarshal(line, &m) != nil {
				c.write(rpc{ID: json.RawMessage("null"), Error: &rpcError{-32700, "the line is no JSON object"}})
				continue
			}
			if m.Method == "notifications/cancelled" {
				c.cancel(m.Params)
			}
			if len(m.ID) == 0 || m.Method == "" {
				continue // a notification, or an answer to nothing that was asked
			}
			one := c.begin(ctx, m.ID)
			if one == nil {
				c.write(rpc{ID: m.ID, Error: &rpcError{-32600, "a request with this id is in progress"}})
				continue
			}
			slots <- struct{}{}
			calls.Go(func() {
				defer func() { <-slots }()
				c.answer(one, m)
			})
		}
	}
}

// mcpSession is a conversation with one client.
type mcpSession struct {
	s     *Server
	tools []mcpTool

	mu      sync.Mutex
	out     io.Writer
	running map[string]context.CancelFunc // by the id of the request
}

// begin notes a request, which may be cancelled by its id; nil: one with this id is in progress.
func (c *mcpSession) begin(ctx context.Context, id json.RawMessage) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[string(id)] != nil {
		return nil
	}
	one, cancel := context.WithCancel(ctx)
	c.running[string(id)] = cancel
	return one
}

func (c *mcpSession) cancel(params json.RawMessage) {
	var p struct {
		ID json.RawMessage `json:"requestId"`
	}
	if json.Unmarshal(params, &p) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.running[string(p.ID)]; cancel != nil {
		cancel()
	}
}

// write sends a message.
func (c *mcpSession) write(m rpc) {
	m.Version = "2.0"
	b, err := json.Marshal(m)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Write(append(b, '\n'))
}

// answer answers a request, unless it was cancelled.
func (c *mcpSession) answer(ctx context.Context, m rpc) {
	a := rpc{ID: m.ID}
	var err error
	if a.Result, err = c.result(ctx, m); err != nil {
		var e *rpcError
		if !errors.As(err, &e) {
			e = &rpcError{-32602, err.Error()}
		}
		a.Result, a.Error = nil, e
	}
	cancelled := ctx.Err() != nil
	c.mu.Lock()
	c.running[string(m.ID)]()
	delete(c.running, string(m.ID))
	c.mu.Unlock()
	if !cancelled {
		c.write(a)
	}
}

// result is that of a method.
func (c *mcpSession) result(ctx context.Context, m rpc) (any, error) {
	switch m.Method {
	case "initialize":
		var p struct {
			Version string `json:"protocolVersion"`
		}
		if err := json.Unmarshal(m.Params, &p); err != nil {
			return nil, err
		}
		if !slices.Contains(mcpVersions, p.Version) {
			p.Version = mcpVersions[0]
		}
		return map[string]any{"protocolVersion": p.Version, "capabilities": map[string]any{"tools": map[string]any{}}, "serverInfo": map[string]string{"name": "plinth", "version": "1"}}, nil
	case "ping":
		return struct{}{}, nil
	case "tools/list":
		return map[string]any{"tools": c.tools}, nil
	case "tools/call":
		var p struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		}
		if err := json.Unmarshal(m.Params, &p); err != nil {
			return nil, err
		}
		for _, t := range c.tools {
			if t.Name == p.Name {
				return c.call(ctx, t, p.Arguments), nil
			}
		}
		return nil, &rpcError{-32602, "there is no tool " + clip(p.Name, 60)}
	}
	return nil, &rpcError{-32601, "there is no method " + clip(m.Method, 60)}
}

// call calls a tool. What is wrong with its arguments is told to the model, which may do better.
func (c *mcpSession) call(ctx context.Context, t mcpTool, arguments json.RawMessage) mcpContent {
	if len(arguments) == 0 {
		arguments = json.RawMessage("{}")
	}
	ctx, give := c.s.leased(ctx)
	defer give()
	text, object, err := t.call(c.s, ctx, arguments)
	if err == nil {
		return mcpContent{Content: []mcpText{{"text", text}}, Object: object}
	}
	var e *apiError
	if !errors.As(err, &e) {
		c.s.log("error", "error", err.Error())
		e = &apiError{Message: "the server failed; its log says why"}
	}
	return mcpContent{Content: []mcpText{{"text", e.Message}}, IsError: true}
}

// mcpGenerate is the tool generate: a chat where the model can, else a continuation.
func (s *Server) mcpGenerate(ctx context.Context, arguments []byte) (string, any, error) {
	var q mcpGenerate
	if err := strict(bytes.NewReader(arguments), &q); err != nil {
		return "", nil, err
	}
	m, err := s.model(ctx, q.Model, writes)
	if err != nil {
		return "", nil, err
	}
	o := sampling{Temperature: q.Temperature, Seed: q.Seed, Stop: q.Stop}
	var j *job
	if m.Dialogue != nil {
		c := &chatRequest{Model: m.Name, MaxTokens: q.MaxTokens, sampling: o}
		in := responseInput{}
		if q.System != "" {
			in.add(textItem("system", q.System), "system")
		}
		in.add(textItem("user", q.Prompt), "prompt")
		c.Messages = in
		j, err = s.chatJob(ctx, c)
	} else {
		if q.System != "" {
			return "", nil, badRequest("system", "%v", errNoChat)
		}
		j, err = s.completionJob(ctx, &completionRequest{Model: m.Name, Prompt: prompts{texts: []string{q.Prompt}}, MaxTokens: q.MaxTokens, sampling: o})
	}
	if err != nil {
		return "", nil, renamed(err, "messages", "prompt")
	}
	choices, _, _, err := s.run(ctx, j, nil)
	if err != nil {
		return "", nil, err
	}
	choices[0].answer.End()
	return choices[0].answer.Text(), nil, nil
}

// textItem is a message of a text.
func textItem(role, text string) responseItem {
	return responseItem{Role: role, Content: &responseContent{Text: text}}
}

// inProcess makes a tool of a route: its request are the arguments, its answer is what the tool gives back.
func inProcess(handle func(*Server, http.ResponseWriter, *http.Request) error) func(*Server, context.Context, []byte) (string, any, error) {
	return func(s *Server, ctx context.Context, arguments []byte) (string, any, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(arguments))
		if err != nil {
			return "", nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		w := &written{header: http.Header{}}
		if err := handle(s, w, r); err != nil {
			return "", nil, err
		}
		text := bytes.TrimSpace(w.body.Bytes())
		return string(text), json.RawMessage(text), nil
	}
}

// written is an answer in memory.
type written struct {
	header http.Header
	body   bytes.Buffer
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) WriteHeader(int)             {}
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }
