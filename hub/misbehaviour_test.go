package hub

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every fault of a server ends in the right bytes or in an error that names the file.
func TestMisbehaviour(t *testing.T) {
	weights := "model.safetensors"
	hijack := func(w http.ResponseWriter, r *http.Request, body []byte, from, send int) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(body[from:min(from+send, len(body))])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	start := func(r *http.Request) (from int) {
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		return from
	}
	for name, c := range map[string]struct {
		setup func(s *server)
		err   string // empty: the pull succeeds
		tries int
	}{
		"cut often": {setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name == weights && n < 30 {
					hijack(w, r, s.files[name], start(r), 10_000)
				}
				return false
			}
		}},
		"always cut at once": {err: "HOST: no answer: EOF (6 attempts, 0 bytes)", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name == weights {
					panic(http.ErrAbortHandler)
				}
				return false
			}
		}},
		"a byte a connection": {err: "model.safetensors: HOST: cut after 6 of 300000 bytes: unexpected EOF (6 attempts, 6 bytes)", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name == weights {
					hijack(w, r, s.files[name], start(r), 1)
				}
				return false
			}
		}},
		"bytes that trickle": {err: "of 300000 bytes: less than 16384 bytes came in 300ms", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				for i := 0; name == weights && r.Context().Err() == nil; i++ {
					w.Write(s.files[name][i : i+1])
					w.(http.Flusher).Flush()
					time.Sleep(10 * time.Millisecond)
				}
				return name == weights
			}
		}, tries: 1},
		"always from the beginning": {err: "HOST: the server gives another part than asked for (6 attempts, 0 bytes)", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name == weights {
					w.Header().Set("Content-Length", "300000")
					w.Write(s.files[name][:50_000])
				}
				return name == weights
			}
		}},
		"no ranges": {setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name != weights {
					return false
				}
				if n < 4 && start(r) == 0 {
					hijack(w, r, s.files[name], 0, 50_000)
				}
				w.Write(s.files[name]) // 200 whatever was asked
				return true
			}
		}},
		"wrong range": {setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name == weights && start(r) == 0 && n < 4 {
					hijack(w, r, s.files[name], 0, 50_000)
				}
				if name == weights && start(r) > 0 {
					w.Header().Set("Content-Range", "bytes 0-299999/300000")
					w.WriteHeader(http.StatusPartialContent)
					w.Write(s.files[name])
					return true
				}
				return false
			}
		}},
		"wrong bytes": {err: "model.safetensors: its hash is", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name != weights {
					return false
				}
				w.Write(make([]byte, len(s.files[name])))
				return true
			}
		}},
		"wrong small file": {err: "config.json: its hash is", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name != "config.json" {
					return false
				}
				w.Write([]byte(`{"model_type": "other"}`))
				return true
			}
		}},
		"too many bytes": {err: "HOST sends more than the 300000 bytes", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name != weights {
					return false
				}
				w.Write(s.files[name])
				w.Write([]byte("x"))
				return true
			}
		}},
		"busy, then not": {setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if n < 3 {
					w.Header().Set("Retry-After", "7")
					w.WriteHeader(http.StatusTooManyRequests)
				}
				return n < 3
			}
		}},
		"busy for hours": {err: "HOST: the hub is busy (429) and asks to wait 10h0m0s", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool {
				w.Header().Set("Retry-After", "36000")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
		}},
		"fails and fails": {err: "hub: org/name@main: HOST: the hub fails (500) (6 attempts, 0 bytes)", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool { w.WriteHeader(500); return true }
		}},
		"stalls": {err: "HOST: cut after 0 of 300000 bytes: less than 16384 bytes came in 300ms (2 attempts, 0 bytes)", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name == weights {
					w.Header().Set("Content-Length", "300000")
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				}
				return name == weights
			}
		}, tries: 2},
		"refused": {err: "HF_TOKEN", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool { w.WriteHeader(401); return true }
		}},
		"redirect loop": {err: "HOST: more than 10 redirects", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, r.URL.Path, http.StatusFound)
				return true
			}
		}},
		"redirect to a file": {err: "unsupported protocol", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
				return true
			}
		}},
		"a list that is cut": {err: "HOST: the list of files: unexpected end of JSON", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool { io.WriteString(w, `{"sha": "`); return true }
		}},
		"a commit that is a path": {err: "commit", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool { io.WriteString(w, `{"sha": "../../x"}`); return true }
		}},
		"a file that leaves the folder": {err: "safe file name", setup: func(s *server) { s.files["../../x.json"] = []byte("x") }},
		"an absolute file":              {err: "safe file name", setup: func(s *server) { s.files["/tmp/x.json"] = []byte("x") }},
		"a Windows path":                {err: "safe file name", setup: func(s *server) { s.files[`..\x.json`] = []byte("x") }},
		"a hash that is a path": {err: "git object id", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool {
				io.WriteString(w, `{"sha": "`+commit+`", "siblings": [{"rfilename": "model.safetensors", "size": 1, "blobId": "../../../x"}]}`)
				return true
			}
		}},
		"a size below zero": {err: "size is -1", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool {
				io.WriteString(w, `{"sha": "`+commit+`", "siblings": [{"rfilename": "model.safetensors", "size": -1, "blobId": "`+commit+`"}]}`)
				return true
			}
		}},
		"a file larger than the disk": {err: "disk full", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool {
				io.WriteString(w, `{"sha": "`+commit+`", "siblings": [{"rfilename": "model.safetensors", "size": 17000000000000, "blobId": "`+commit+`"}]}`)
				return true
			}
		}},
		"no weights": {err: "no weights", setup: func(s *server) { delete(s.files, weights) }},
	} {
		t.Run(name, func(t *testing.T) {
			s, store := newServer(t), Store{t.TempDir()}
			c.setup(s)
			client := s.client(nil)
			client.Tries = c.tries
			got, err := store.Pull(t.Context(), client, whole, PullOptions{})
			if c.err == "" {
				pulled(t, s, store, got, err)
				return
			}
			if want := strings.ReplaceAll(c.err, "HOST", s.URL); err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("error %v, want one with %q", err, want)
			}
			if _, err := store.Find(whole); !errors.Is(err, ErrAbsent) {
				t.Errorf("a failed pull left a model: %v", err)
			}
		})
	}
}

// Messages name the variable that chose the host, and the host that a redirect chose without the path, which may be signed.
func TestHostInMessages(t *testing.T) {
	s, home := newServer(t), t.TempDir()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	s.file = func(_ int, _ string, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL+"/secret?signature=1", http.StatusFound)
		return true
	}
	for _, c := range []struct {
		endpoint, err string
		list          func(int, http.ResponseWriter) bool
	}{
		{s.URL, s.URL + " (HF_ENDPOINT): the hub has no such", func(_ int, w http.ResponseWriter) bool { w.WriteHeader(404); return true }},
		{s.URL, ": " + other.URL + ": the hub has no such model, revision or file (404)", nil},
		{"ftp://x", `hub: org/name@main: HF_ENDPOINT "ftp://x" is no address of a hub`, nil},
		{"huggingface.co", `HF_ENDPOINT "huggingface.co" is no address of a hub`, nil},
		{"http://[", `HF_ENDPOINT "http://[" is no address of a hub`, nil},
	} {
		store, client, err := Environment(func(name string) string { return map[string]string{"HF_HOME": home, "HF_ENDPOINT": c.endpoint}[name] })
		if err != nil {
			t.Fatal(err)
		}
		s.list = c.list
		if _, err = store.Pull(t.Context(), client, whole, PullOptions{}); err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want one with %q", c.endpoint, err, c.err)
		}
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	s, store := newServer(t), Store{t.TempDir()}
	s.list = func(n int, w http.ResponseWriter) bool {
		if n == 0 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n == 0
	}
	var waits []time.Duration
	got, err := store.Pull(t.Context(), s.client(&waits), whole, PullOptions{Parallel: 1})
	pulled(t, s, store, got, err)
	if !slices.Equal(waits, []time.Duration{7 * time.Second}) {
		t.Errorf("waited %v", waits)
	}
}

// The token goes to the hub and to no other host, whatever redirects say.
func TestTokenStaysHome(t *testing.T) {
	var leaked []string
	var mu sync.Mutex
	s, store := newServer(t), Store{t.TempDir()}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if a := r.Header.Get("Authorization"); a != "" {
			leaked = append(leaked, r.URL.Path)
		}
		w.Write(s.files[strings.TrimPrefix(r.URL.Path, "/")])
	}))
	defer other.Close()
	home := 0
	s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") == "Bearer hf_secret" {
			home++
		}
		// The same name on another port: Go alone would send the header.
		http.Redirect(w, r, other.URL+"/"+name, http.StatusFound)
		return true
	}
	got, err := store.Pull(t.Context(), s.client(nil), whole, PullOptions{})
	pulled(t, s, store, got, err)
	if len(leaked) > 0 || home != 2 {
		t.Errorf("the token went to another host for %v, to its own %d times of 2", leaked, home)
	}
}
