package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/serve"
)

// inBubble serves a model whose rows take some time, by the clock of a synctest bubble and over connections without buffers. f gets what makes a connection.
func inBubble(t *testing.T, row time.Duration, f func(t *testing.T, s *serve.Server, h *http.Server, dial func() net.Conn)) {
	m, decoder := tinyDecoder(t, generate.EngineOptions{})
	synctest.Test(t, func(t *testing.T) {
		m.Engine = generate.New(timed{decoder, row}, ref.New(), generate.EngineOptions{Slots: 2})
		s, err := serve.New(serve.Options{Models: []*serve.Model{m}})
		if err != nil {
			t.Fatal(err)
		}
		h, conns := s.HTTP(), make(chan net.Conn)
		p := pipes{conns, sync.OnceFunc(func() { close(conns) })}
		var wg sync.WaitGroup
		wg.Go(func() { h.Serve(p) })
		f(t, s, h, func() net.Conn {
			client, server := net.Pipe()
			conns <- server
			return client
		})
		h.Close()
		wg.Wait()
		time.Sleep(time.Second) // connections that were refused linger
	})
}

// drip writes a byte a second until that fails, and returns how long it went.
func drip(c net.Conn) time.Duration {
	begin := time.Now()
	for {
		if _, err := c.Write([]byte("a")); err != nil {
			return time.Since(begin)
		}
		time.Sleep(time.Second)
	}
}

const head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

// TestSlowClients: connections that send nothing, or a byte a second, are closed, and others are answered meanwhile.
func TestSlowClients(t *testing.T) {
	for _, c := range []struct {
		name, begin string
		most        time.Duration
	}{
		{"headers", "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-", 11 * time.Second},
		{"body", head + "Content-Length: 100000\r\n\r\n", 62 * time.Second},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n186a0\r\n", 62 * time.Second},
	} {
		inBubble(t, time.Millisecond, func(t *testing.T, s *serve.Server, h *http.Server, dial func() net.Conn) {
			var wg sync.WaitGroup
			for range 200 {
				conn := dial()
				wg.Go(func() { io.Copy(io.Discard, conn) })
				wg.Go(func() {
					defer conn.Close()
					if _, err := io.WriteString(conn, c.begin); err != nil {
						t.Error(err)
					}
					if took := drip(conn); took > c.most {
						t.Errorf("slow %s went on for %v", c.name, took)
					}
				})
			}
			time.Sleep(5 * time.Second)
			begin := time.Now()
			conn := dial()
			const body = `{"prompt":"a","max_tokens":3,"logit_bias":{"0":-100}}`
			fmt.Fprintf(conn, head+"Content-Length: %d\r\n\r\n%s", len(body), body)
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || r.StatusCode != 200 || time.Since(begin) > 10*time.Millisecond {
				t.Errorf("beside slow %s: %v %v in %v", c.name, r, err, time.Since(begin))
			}
			conn.Close()
			wg.Wait()
		})
	}
}

// TestIdle: a connection on which nothing is asked any more is closed.
func TestIdle(t *testing.T) {
	inBubble(t, time.Millisecond, func(t *testing.T, s *serve.Server, h *http.Server, dial func() net.Conn) {
		conn := dial()
		if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := io.Copy(io.Discard, conn); err != nil || time.Since(begin) > 3*time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// TestLongStream: an answer may take longer than a request.
func TestLongStream(t *testing.T) {
	inBubble(t, 3*time.Second, func(t *testing.T, s *serve.Server, h *http.Server, dial func() net.Conn) {
		conn := dial()
		fmt.Fprintf(conn, head+"Connection: close\r\nContent-Length: %d\r\n\r\n%s", len(endless), endless)
		begin := time.Now()
		got, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(got), "[DONE]") || time.Since(begin) < 10*time.Minute {
			t.Errorf("after %v: %v ...%s", time.Since(begin), err, got[max(0, len(got)-200):])
		}
	})
}

// counted counts what was written to it.
type counted struct {
	net.Conn
	n int
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.n += n
	return n, err
}

// endlessly repeats a text.
type endlessly struct {
	text string
	at   int
}

func (e *endlessly) Read(b []byte) (n int, err error) {
	for n < len(b) {
		k := copy(b[n:], e.text[e.at:])
		n, e.at = n+k, (e.at+k)%len(e.text)
	}
	return n, nil
}

// TestHuge: what is too large is refused after a bounded number of bytes.
func TestHuge(t *testing.T) {
	for _, c := range []struct {
		name, begin, rest string
		status, most      int
	}{
		{"a header without end", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ", "a", 431, 1 << 17},
		{"headers without end", "GET /health HTTP/1.1\r\nHost: localhost\r\n", "X-A: b\r\n", 431, 1 << 17},
		{"a path without end", "GET /", "a", 431, 1 << 17},
		{"a gigabyte of text", head + "Content-Length: 1000000000\r\n\r\n{\"prompt\":\"", "some words ", 413, 9 << 20},
		{"chunks of a byte", head + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", 413, 6 * 9 << 20},
		{"zeros, said to be packed", head + "Content-Encoding: gzip\r\nContent-Length: 1000000000\r\n\r\n", "\x00", 400, 1 << 20},
	} {
		inBubble(t, time.Millisecond, func(t *testing.T, s *serve.Server, h *http.Server, dial func() net.Conn) {
			conn := &counted{Conn: dial()}
			var wg sync.WaitGroup
			wg.Go(func() { io.Copy(conn, io.MultiReader(strings.NewReader(c.begin), &endlessly{text: c.rest})) })
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || r.StatusCode != c.status {
				t.Errorf("%s: %v %v", c.name, r, err)
			}
			conn.Close()
			wg.Wait()
			if conn.n > c.most {
				t.Errorf("%s: %d bytes were taken", c.name, conn.n)
			}
		})
	}
}

// TestDrain: an answer in progress when the server is told to stop comes to its end, unless it takes longer than it may.
func TestDrain(t *testing.T) {
	for _, patience := range []time.Duration{time.Hour, 5 * time.Second} {
		inBubble(t, 100*time.Millisecond, func(t *testing.T, s *serve.Server, h *http.Server, dial func() net.Conn) {
			conn := dial()
			fmt.Fprintf(conn, head+"Content-Length: %d\r\n\r\n%s", len(endless), endless)
			lines := bufio.NewReader(conn)
			for range 20 {
				if _, err := lines.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			var wg sync.WaitGroup
			begin := time.Now()
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := s.Stop(ctx, h); (err == nil) != (patience > time.Minute) || time.Since(begin) > patience {
					t.Errorf("stopped after %v: %v", time.Since(begin), err)
				}
			})
			time.Sleep(time.Second)
			other := dial()
			fmt.Fprint(other, strings.Replace(head, "POST /v1/completions", "GET /health", 1)+"Connection: close\r\n\r\n")
			if health, _ := io.ReadAll(other); !strings.HasPrefix(string(health), "HTTP/1.1 503 ") {
				t.Errorf("a new connection while an answer is finished: %q", health)
			}
			rest, _ := io.ReadAll(lines)
			if strings.Contains(string(rest), "[DONE]") != (patience > time.Minute) {
				t.Errorf("with %v to end: ...%s", patience, rest[max(0, len(rest)-200):])
			}
			wg.Wait()
		})
	}
}
