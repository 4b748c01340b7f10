package serve_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/serve"
)

// mcpEnv makes the test binary a server of MCP on its standard streams, for the peer's client to start.
const mcpEnv = "PLINTH_TEST_MCP"

func TestMCPServer(t *testing.T) {
	if os.Getenv(mcpEnv) == "" {
		t.Skip("it is started by TestMCPClient")
	}
	s, err := serve.New(serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{}), reader(t)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.MCP(t.Context(), os.Stdin, os.Stdout); err != nil {
		t.Fatal(err)
	}
	os.Exit(0) // no PASS on standard output
}

// TestMCPClient asks the client of the official Python package.
func TestMCPClient(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var checks []string
	testkit.Ask(t, "testdata/mcp_client.py", []string{"mcp"}, map[string]any{"command": program, "args": []string{"-test.run", "^TestMCPServer$"}, "env": map[string]string{mcpEnv: "1"}}, &checks)
	if len(checks) < 5 {
		t.Errorf("only these checks ran: %q", checks)
	}
}

// TestMCP sends messages, right ones and others.
func TestMCP(t *testing.T) {
	s, err := serve.New(serve.Options{Models: []*serve.Model{taught(t, generate.EngineOptions{}), reader(t)}})
	if err != nil {
		t.Fatal(err)
	}
	in, send := io.Pipe()
	receive, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- s.MCP(t.Context(), in, out); out.Close() }()
	lines := bufio.NewScanner(receive)
	for _, c := range []struct{ method, params, want string }{
		{"initialize", `{"protocolVersion":"2025-06-18"}`, `"protocolVersion":"2025-06-18"`}, {"initialize", `{"protocolVersion":"1999-01-01"}`, `"protocolVersion":"2025-11-25"`},
		{"ping", `{}`, `"result":{}`}, {"tools/list", `{}`, `"name":"generate"`}, {"nothing", `{}`, `-32601`}, {"tools/call", `{"name":"rm"}`, `-32602`}, {"tools/call", `7`, `-32602`},
		{"tools/call", `{"name":"generate","arguments":{"prompt":"hi","system":"be brief","temperature":0}}`, `"text":"` + says(0) + `"}],"isError":false`},
		{"tools/call", `{"name":"generate","arguments":{"prompt":"hi","max_tokens":2}}`, `"text":"Hello there,"`},
		{"tools/call", `{"name":"generate","arguments":{"prompt":"hi","no_such":2}}`, `"text":"no_such: this field is not known"}],"isError":true`},
		{"tools/call", `{"name":"generate","arguments":{"prompt":"hi","model":"reader"}}`, `"isError":true`},
		{"tools/call", `{"name":"embed","arguments":{"input":"aab"}}`, `"structuredContent":{"object":"list","data":[{"object":"embedding","index":0,"embedding":[2,1,0]}]`},
		{"tools/call", `{"name":"classify","arguments":{"input":"aab"}}`, `"label":"a"`}, {"tools/call", `{"name":"classify"}`, `"isError":true`},
	} {
		io.WriteString(send, `{"jsonrpc":"2.0","id":"x","method":"`+c.method+`","params":`+c.params+"}\n")
		if !lines.Scan() || !strings.Contains(lines.Text(), c.want) || !strings.Contains(lines.Text(), `"id":"x"`) {
			t.Errorf("%s %s: %s, want %s", c.method, c.params, lines.Text(), c.want)
		}
		var m map[string]any
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m["jsonrpc"] != "2.0" || (m["result"] == nil) == (m["error"] == nil) {
			t.Errorf("%v: %s", err, lines.Text())
		}
	}
	io.WriteString(send, "no JSON\n"+`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n")
	if !lines.Scan() || !strings.Contains(lines.Text(), "-32700") {
		t.Error(lines.Text())
	}
	send.Close()
	if lines.Scan() {
		t.Errorf("more: %s", lines.Text())
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestMCPSameIDs: requests with the id of one that is in progress are refused, each once.
func TestMCPSameIDs(t *testing.T) {
	s, err := serve.New(serve.Options{Models: []*serve.Model{reader(t)}})
	if err != nil {
		t.Fatal(err)
	}
	var answers strings.Builder
	const n = 200
	if err := s.MCP(t.Context(), strings.NewReader(strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"embed","arguments":{"input":"a"}}}`+"\n", n)), &answers); err != nil {
		t.Fatal(err)
	}
	if done, refused := strings.Count(answers.String(), `"isError":false`), strings.Count(answers.String(), "-32600"); done == 0 || done+refused != n {
		t.Errorf("%d answered, %d refused", done, refused)
	}
}
