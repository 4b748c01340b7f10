package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/serve"
	"github.com/plinth-ml/plinth/tensor"
)

// eventually waits for something.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("still not: %s", what)
		}
	}
}

// endless never stops by itself before its 200 tokens.
const endless = `{"prompt":"some words","max_tokens":200,"temperature":0,"logit_bias":{"0":-100},"stream":true}`

// stuck is a decoder whose steps end while its gate is open.
type stuck struct {
	model.Decoder
	gate *sync.Mutex
}

func (s stuck) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	s.gate.Lock()
	defer s.gate.Unlock()
	return s.Decoder.Body(t, x, seqs, kv, from, to)
}

// TestHeartbeat: the server is ill while a step of its engine does not end, and well again when it does.
func TestHeartbeat(t *testing.T) {
	m, decoder := tinyDecoder(t, generate.EngineOptions{})
	var gate sync.Mutex
	m.Engine = generate.New(stuck{decoder, &gate}, cpu.New(cpu.Options{Threads: 2}), generate.EngineOptions{})
	s, err := serve.New(serve.Options{Models: []*serve.Model{m}, Stuck: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	status := func() int {
		r, err := http.Get(h.URL + "/health")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	if code := status(); code != 200 {
		t.Errorf("at rest: %d", code)
	}
	gate.Lock()
	var wg sync.WaitGroup
	wg.Go(func() {
		if code, body, _ := post(t, h.URL+"/v1/completions", `{"prompt":"a","max_tokens":2}`); code != 200 {
			t.Errorf("%d %s", code, body)
		}
	})
	eventually(t, "ill while a step does not end", func() bool { return status() == 503 })
	gate.Unlock()
	eventually(t, "well again", func() bool { return status() == 200 })
	wg.Wait()
}

// leaver goes away when it has seen some pieces.
type leaver struct {
	*httptest.ResponseRecorder
	pieces int
	leave  func()
}

func (l *leaver) Write(b []byte) (int, error) {
	if l.pieces--; l.pieces == 0 {
		l.leave()
	}
	return l.ResponseRecorder.Write(b)
}

// TestLeaves: a client that goes away costs at most the step that is computed and one more, and its slot is free when its request ends.
func TestLeaves(t *testing.T) {
	m := tiny(t, generate.EngineOptions{Slots: 1})
	s, err := serve.New(serve.Options{Models: []*serve.Model{m}})
	if err != nil {
		t.Fatal(err)
	}
	for pieces := 1; pieces < 40; pieces++ {
		before := m.Engine.Stats().Decoded
		ctx, leave := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "POST", "/v1/completions", strings.NewReader(endless))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		var told atomic.Int64 // tokens decoded until it left
		s.ServeHTTP(&leaver{httptest.NewRecorder(), pieces, func() { told.Store(int64(m.Engine.Stats().Decoded)); leave() }}, r)
		l := m.Engine.Load()
		if after := l.Stats.Decoded - int(told.Load()); l.Active != 0 || l.Waiting != 0 || after > 1 || told.Load() < int64(before) {
			t.Errorf("left after %d pieces: %d tokens were decoded after that; %+v", pieces, after, l)
		}
	}
}

// pipes is a listener on connections without buffers: what the client does not read is not written.
type pipes struct {
	conns chan net.Conn
	close func()
}

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { p.close(); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowReader: who does not read is cut off, and its slot is somebody else's.
func TestSlowReader(t *testing.T) {
	m := tiny(t, generate.EngineOptions{Slots: 1})
	s, err := serve.New(serve.Options{Models: []*serve.Model{m}, SlowReader: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn)
	p := pipes{conns, sync.OnceFunc(func() { close(conns) })}
	h := &http.Server{Handler: s}
	go h.Serve(p)
	defer h.Close()
	ask := func() *bufio.Reader {
		client, server := net.Pipe()
		t.Cleanup(func() { client.Close() })
		p.conns <- server
		if _, err := fmt.Fprintf(client, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(endless), endless); err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(client)
	}
	slow := ask()
	line, err := slow.ReadString('\n') // it reads the status, and then no more
	if err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q %v", line, err)
	}
	answer, err := io.ReadAll(io.LimitReader(readUntil(ask(), "[DONE]"), 1<<20))
	if err != nil || !strings.Contains(string(answer), "[DONE]") {
		t.Errorf("the one behind it: %q %v", answer, err)
	}
	time.Sleep(500 * time.Millisecond) // by now it is too late
	rest, _ := io.ReadAll(slow)
	if strings.Contains(string(rest), "[DONE]") {
		t.Error("the slow one got everything")
	}
	if l := m.Engine.Load(); l.Active != 0 {
		t.Errorf("%+v", l)
	}
}

// readUntil ends behind the first line that contains a text.
func readUntil(r *bufio.Reader, text string) io.Reader {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || strings.Contains(line, text) {
			return strings.NewReader(b.String())
		}
	}
}

// TestFair: who asks for one thing does not wait until all is done that another key asked for before.
func TestFair(t *testing.T) {
	m := tiny(t, generate.EngineOptions{Slots: 2})
	s, err := serve.New(serve.Options{Models: []*serve.Model{m}, Keys: []string{"key-of-ada", "key-of-bob"}, MaxWait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	const many = 12
	var done atomic.Int64
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			post(t, h.URL+"/v1/completions", endless, "Authorization", "Bearer key-of-ada")
			done.Add(1)
		})
	}
	eventually(t, "most of one key's requests wait", func() bool { return m.Engine.Load().Waiting > many/2 })
	code, body, _ := post(t, h.URL+"/v1/completions", `{"prompt":"a","max_tokens":2}`, "Authorization", "Bearer key-of-bob")
	if n := done.Load(); code != 200 || n > many/2 {
		t.Errorf("%d %s: %d of the other's %d were done before", code, body, n, many)
	}
	wg.Wait()
}
