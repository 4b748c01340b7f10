package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a process that serves a model on loopback.
type server struct {
	name, url string
	cmd       *exec.Cmd
	client    *http.Client
}

// start runs a program with a free address in place of {host} and {port} and waits until it is healthy.
func start(ctx context.Context, name, program string, args ...string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	for i := range args {
		args[i] = strings.NewReplacer("{host}", host, "{port}", port).Replace(args[i])
	}
	s := &server{name: name, url: "http://" + host + ":" + port, cmd: exec.CommandContext(ctx, program, args...)}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		res, err := s.client.Get(s.url + "/health")
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("serve: %s is not healthy after a minute", name)
}

// stop ends the process.
func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Wait()
}

// resident is the memory of the process in bytes, and anonymous what of it is no page of a file.
func (s *server) resident() (all, anonymous float64) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			all = n * 1024
		case "RssAnon:":
			anonymous = n * 1024
		}
	}
	return all, anonymous
}

// memory is where a server's anonymous memory is, in bytes.
type memory struct {
	anonymous         float64 // all of it
	live, idle, other float64 // Go's: objects as of now, what its heap holds beside them and has not given back, stacks and tables
	cache             float64 // keys and values
	marked            float64 // what the last garbage collection found in use
	objects, routines float64 // numbers of Go's objects and goroutines
}

// memory asks the system and the server.
func (s *server) memory() (memory, error) {
	_, anonymous := s.resident()
	m, err := s.metrics()
	if err != nil {
		return memory{}, err
	}
	held := m["go_memstats_heap_sys_bytes"] - m["go_memstats_heap_released_bytes"]
	return memory{anonymous, m["go_memstats_heap_alloc_bytes"], held - m["go_memstats_heap_alloc_bytes"], m["go_memstats_sys_bytes"] - m["go_memstats_heap_sys_bytes"], m["plinth_cache_bytes"], m["go_memstats_next_gc_bytes"] / 2,
		m["go_memstats_heap_objects"], m["go_goroutines"]}, nil
}

func (m memory) String() string {
	return fmt.Sprintf("%.1f MB of anonymous memory: Go's objects %.1f, beside them %.1f of heap and %.1f of stacks and tables; the cache of keys and values has %.1f; in use at the last collection %.1f; %.0f objects, %.0f goroutines",
		m.anonymous/1e6, m.live/1e6, m.idle/1e6, m.other/1e6, m.cache/1e6, m.marked/1e6, m.objects, m.routines)
}

// answer is what became of a request.
type answer struct {
	status      int
	tokens      int
	first, last time.Duration // since the request, of the first piece and of the end
	worst       time.Duration // longest between two pieces
}

// ask requests a continuation as a stream and reads it, or at most pieces of it when that is above zero.
func (s *server) ask(ctx context.Context, prompt string, tokens, pieces int) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, _ := json.Marshal(map[string]any{"prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": true, "stream_options": map[string]any{"include_usage": true}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	begin := time.Now()
	res, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode}
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		a.last = time.Since(begin)
		if res.StatusCode == http.StatusTooManyRequests {
			return a, nil
		}
		return a, fmt.Errorf("serve: %s: %s: %s", s.name, res.Status, text)
	}
	var before time.Duration
	lines := bufio.NewScanner(res.Body)
	for n := 0; lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		now := time.Since(begin)
		if n++; n == 1 {
			a.first = now
		} else {
			a.worst = max(a.worst, now-before)
		}
		before = now
		var piece struct {
			Usage *struct {
				Completion int `json:"completion_tokens"`
			} `json:"usage"`
		}
		if err := json.Unmarshal([]byte(data), &piece); err != nil {
			return a, fmt.Errorf("serve: %s: piece %q: %w", s.name, data, err)
		}
		if piece.Usage != nil {
			a.tokens = piece.Usage.Completion
		}
		if pieces > 0 && n == pieces {
			return a, nil
		}
	}
	a.last = time.Since(begin)
	return a, lines.Err()
}

// words are what prompts are made of.
var words = strings.Fields("the sun rose over a quiet harbour and small boats moved slowly past old houses where people cooked fish with bread salt and oil")

// prompt is n words at random: no two requests share a cache by chance.
func prompt(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(words[rand.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.String()
}
