package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// server is a hub with one repository, org/name, that misbehaves as told.
type server struct {
	*httptest.Server
	files map[string][]byte
	lfs   map[string]bool // listed with a SHA-256, otherwise with a git object id

	mu       sync.Mutex
	requests []string                                                                     // path and range of each
	file     func(n int, name string, w http.ResponseWriter, r *http.Request) (done bool) // first look at the nth request for a file
	list     func(n int, w http.ResponseWriter) (done bool)
	gets     int
	lists    int
}

func newServer(t *testing.T) *server {
	s := &server{files: map[string][]byte{}, lfs: map[string]bool{}}
	s.files["config.json"] = []byte(`{"model_type": "llama"}`)
	s.files["model.safetensors"] = pattern(300_000)
	s.lfs["model.safetensors"] = true
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// pattern is n bytes that do not repeat soon.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func gitID(b []byte) string {
	return fmt.Sprintf("%x", sha1.Sum(append([]byte(fmt.Sprintf("blob %d\x00", len(b))), b...)))
}

func (s *server) listing() map[string]any {
	var siblings []map[string]any
	for name, b := range s.files {
		f := map[string]any{"rfilename": name, "size": len(b), "blobId": gitID(b)}
		if s.lfs[name] {
			f["blobId"] = gitID([]byte("pointer"))
			f["lfs"] = map[string]any{"sha256": fmt.Sprintf("%x", sha256.Sum256(b)), "size": len(b), "pointerSize": 134}
		}
		siblings = append(siblings, f)
	}
	return map[string]any{"id": "org/name", "sha": commit, "siblings": siblings}
}

func (s *server) tree() (list []map[string]any) {
	for name, b := range s.files {
		f := map[string]any{"type": "file", "path": name, "size": len(b), "oid": gitID(b)}
		if s.lfs[name] {
			f["lfs"] = map[string]any{"oid": fmt.Sprintf("%x", sha256.Sum256(b)), "size": len(b), "pointerSize": 134}
		}
		list = append(list, f)
	}
	return list
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Range")))
	file, isFile := strings.CutPrefix(r.URL.Path, "/org/name/resolve/"+commit+"/")
	n := s.lists
	if isFile {
		n = s.gets
		s.gets++
	} else {
		s.lists++
	}
	s.mu.Unlock()
	if !isFile {
		if r.URL.Path == "/api/models/org/name/tree/"+commit { // what huggingface_hub asks
			json.NewEncoder(w).Encode(s.tree())
		} else if r.URL.Path != "/api/models/org/name/revision/main" {
			http.NotFound(w, r)
		} else if s.list == nil || !s.list(n, w) {
			json.NewEncoder(w).Encode(s.listing())
		}
		return
	}
	if s.file != nil && s.file(n, file, w, r) {
		return
	}
	b, ok := s.files[file]
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, file, time.Time{}, strings.NewReader(string(b)))
}

// client asks s and does not wait between attempts; waits records what it would have waited.
func (s *server) client(waits *[]time.Duration) *Client {
	return &Client{Endpoint: s.URL, Token: "hf_secret", Stall: 300 * time.Millisecond, Wait: func(_ context.Context, d time.Duration) error {
		if waits != nil {
			*waits = append(*waits, d)
		}
		return nil
	}}
}

var whole = Ref{Repo: "org/name"}

// pulled checks that the store holds exactly the server's bytes.
func pulled(t *testing.T, s *server, store Store, got Pulled, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range s.files {
		if data, err := os.ReadFile(filepath.Join(got.Path, name)); err != nil || string(data) != string(want) {
			t.Errorf("%s: %d bytes (%v), want %d", name, len(data), err, len(want))
		}
	}
	left, _ := filepath.Glob(filepath.Join(store.Dir, "*", "blobs", "*"+incomplete))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPull(t *testing.T) {
	s, store := newServer(t), Store{t.TempDir()}
	s.files["README.md"] = []byte("# not needed") // and s.files is compared below, so it must not be asked for
	var last, total int64
	got, err := store.Pull(t.Context(), s.client(nil), whole, PullOptions{Progress: func(d, n int64, _ string) { last, total = d, n }})
	delete(s.files, "README.md")
	pulled(t, s, store, got, err)
	want := int64(len(s.files["config.json"]) + len(s.files["model.safetensors"]))
	if got.Bytes != want || got.Fetched != want || last != want || total != want || got.Commit != commit || len(got.Files) != 2 {
		t.Errorf("%+v; progress %d of %d, want %d", got, last, total, want)
	}
	before := len(s.requests)
	again, err := store.Pull(t.Context(), s.client(nil), whole, PullOptions{Verify: true})
	pulled(t, s, store, again, err)
	if again.Fetched != 0 || len(s.requests) != before+1 {
		t.Errorf("a second pull fetched %d bytes in %d requests", again.Fetched, len(s.requests)-before)
	}
	if at, err := store.Find(whole); err != nil || at != got.Path {
		t.Errorf("found at %q (%v), pulled to %q", at, err, got.Path)
	}
}

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
		"always cut at once": {err: "model.safetensors: no answer: EOF (6 attempts)", setup: func(s *server) {
			s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
				if name == weights {
					hijack(w, r, s.files[name], start(r), 0)
				}
				return false
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
		"too many bytes": {err: "more than the 300000 bytes", setup: func(s *server) {
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
		"busy for hours": {err: "asks to wait 10h0m0s", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool {
				w.Header().Set("Retry-After", "36000")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
		}},
		"fails and fails": {err: "the hub fails (500) (6 attempts)", setup: func(s *server) {
			s.list = func(_ int, w http.ResponseWriter) bool { w.WriteHeader(500); return true }
		}},
		"stalls": {err: "nothing came for", setup: func(s *server) {
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
		"redirect loop": {err: "more than 10 redirects", setup: func(s *server) {
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
		"a list that is cut": {err: "unexpected end of JSON", setup: func(s *server) {
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
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Fatalf("error %v, want one with %q", err, c.err)
			}
			if _, err := store.Find(whole); !errors.Is(err, ErrAbsent) {
				t.Errorf("a failed pull left a model: %v", err)
			}
		})
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

// An interrupted pull goes on where it stopped, in another process too.
func TestResume(t *testing.T) {
	s, store := newServer(t), Store{t.TempDir()}
	ctx, stop := context.WithCancelCause(t.Context())
	broken := errors.New("interrupted")
	s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
		if name == "model.safetensors" {
			w.Header().Set("Content-Length", "300000")
			w.Write(s.files[name][:120_000])
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
			stop(broken)
			panic(http.ErrAbortHandler)
		}
		return false
	}
	if _, err := store.Pull(ctx, s.client(nil), whole, PullOptions{}); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	s.file, s.requests = nil, nil
	got, err := store.Pull(t.Context(), s.client(nil), whole, PullOptions{})
	pulled(t, s, store, got, err)
	if got.Fetched != 180_000 && got.Fetched != 180_000+int64(len(s.files["config.json"])) {
		t.Errorf("%d bytes fetched again: %v", got.Fetched, s.requests)
	}
}

// Bytes kept from an earlier run that are damaged are fetched once more.
func TestDamagedPart(t *testing.T) {
	s, store := newServer(t), Store{t.TempDir()}
	blobs := filepath.Join(store.Dir, folder("org/name"), "blobs")
	os.MkdirAll(blobs, 0o755)
	hash := fmt.Sprintf("%x", sha256.Sum256(s.files["model.safetensors"]))
	os.WriteFile(filepath.Join(blobs, hash+incomplete), make([]byte, 1000), 0o644)
	got, err := store.Pull(t.Context(), s.client(nil), whole, PullOptions{})
	pulled(t, s, store, got, err)
	// And a blob that was damaged later is found by Verify.
	os.WriteFile(filepath.Join(blobs, hash), make([]byte, 300_000), 0o644)
	got, err = store.Pull(t.Context(), s.client(nil), whole, PullOptions{Verify: true})
	pulled(t, s, store, got, err)
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

func TestChoose(t *testing.T) {
	for _, c := range []struct{ files, want, err, file string }{
		{files: "config.json tokenizer.json model.safetensors pytorch_model.bin tf_model.h5 README.md onnx/model.onnx", want: "config.json tokenizer.json model.safetensors"},
		{files: "config.json consolidated.safetensors model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json",
			want: "config.json model.safetensors.index.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors"},
		{files: "config.json pytorch_model.bin training_args.bin vocab.txt", want: "config.json vocab.txt pytorch_model.bin"},
		{files: "a.gguf README.md", want: "a.gguf"},
		{files: "m.Q4_K_M.gguf m.Q8_0.gguf", err: "2 GGUF files"},
		{files: "m.Q4_K_M.gguf m.Q8_0.gguf", file: "q8_0", want: "m.Q8_0.gguf"},
		{files: "m.Q4_K_M.gguf m.Q4_K_S.gguf", file: "Q4_K", err: "2 files"},
		{files: "m.Q4_K_M.gguf", file: "Q6_K", err: "has no file"},
		{files: "README.md", err: "no weights"},
		{err: "no files"},
	} {
		var all []remote
		for _, f := range strings.Fields(c.files) {
			all = append(all, remote{Name: f})
		}
		got, err := choose(Ref{Repo: "org/name", File: c.file}, all, false)
		var names []string
		for _, f := range got {
			names = append(names, f.Name)
		}
		if strings.Join(names, " ") != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("of %q: %v (%v), want %q %q", c.files, names, err, c.want, c.err)
		}
	}
}

func TestParseRef(t *testing.T) {
	for s, want := range map[string]Ref{
		"gpt2": {Repo: "gpt2"}, "org/name": {Repo: "org/name"}, "org/na.me:sub/x.gguf": {Repo: "org/na.me", File: "sub/x.gguf"},
		"org/name@v1.0:Q4_K_M": {Repo: "org/name", Revision: "v1.0", File: "Q4_K_M"}, "org/name@refs/pr/1": {Repo: "org/name", Revision: "refs/pr/1"},
	} {
		if got, err := ParseRef(s); err != nil || got != want || got.String() != s {
			t.Errorf("%q is %+v (%v), want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "/", "a/b/c", "../x", "a/..", "a--b/c", "a/b:", "a/b@", "a/b:../x", "a/b:/x", "a b/c", "-a/b", "a/b@../x", "a/b:x\x00", "a/b.git", `a\b`, "a/b:c/../../d", "a/b:C:x"} {
		if got, err := ParseRef(s); err == nil {
			t.Errorf("%q is %+v", s, got)
		}
	}
}

func TestListAndRemove(t *testing.T) {
	s, store := newServer(t), Store{t.TempDir()}
	if list, err := (Store{filepath.Join(store.Dir, "absent")}).List(); err != nil || len(list) != 0 {
		t.Fatalf("of no store: %v, %v", list, err)
	}
	s.files["small.gguf"] = []byte("GGUF")
	if _, err := store.Pull(t.Context(), s.client(nil), whole, PullOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Pull(t.Context(), s.client(nil), Ref{Repo: "org/name", File: "small.gguf"}, PullOptions{}); err != nil {
		t.Fatal(err)
	}
	list, err := store.List()
	if err != nil || len(list) != 1 || list[0].Repo != "org/name" || list[0].Bytes != 300_000+23+4 || len(list[0].Snapshots) != 1 ||
		!slices.Equal(list[0].Snapshots[0].Revisions, []string{"main"}) || len(list[0].Snapshots[0].Files) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if n, err := store.Remove(Ref{Repo: "org/name", File: "small.gguf"}); n != 4 || err != nil {
		t.Errorf("a file: %d bytes freed, %v", n, err)
	}
	if _, err := store.Find(Ref{Repo: "org/name", File: "small.gguf"}); !errors.Is(err, ErrAbsent) {
		t.Errorf("the removed file: %v", err)
	}
	if _, err := store.Find(whole); err != nil {
		t.Error(err)
	}
	if n, err := store.Remove(Ref{Repo: "org/name", Revision: "main"}); n != 300_000+23 || err != nil {
		t.Errorf("a revision: %d bytes freed, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(store.Dir, folder("org/name"))); !os.IsNotExist(err) {
		t.Errorf("the empty model is left: %v", err)
	}
	store.Pull(t.Context(), s.client(nil), whole, PullOptions{})
	if n, err := store.Remove(whole); n != 300_000+23 || err != nil {
		t.Errorf("a model: %d bytes freed, %v", n, err)
	}
	if _, err := store.Remove(whole); !errors.Is(err, ErrAbsent) {
		t.Errorf("a removed model: %v", err)
	}
}

// Links in the store that point elsewhere are not followed.
func TestStoreIsClosed(t *testing.T) {
	store := Store{t.TempDir()}
	dir := filepath.Join(store.Dir, folder("org/name"))
	snap := filepath.Join(dir, "snapshots", commit)
	os.MkdirAll(snap, 0o755)
	os.MkdirAll(filepath.Join(dir, "refs"), 0o755)
	os.WriteFile(filepath.Join(dir, "refs", "main"), []byte(commit), 0o644)
	secret := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(secret, []byte("secret"), 0o644)
	if err := os.Symlink(secret, filepath.Join(snap, "config.json")); err != nil {
		t.Skip(err)
	}
	list, err := store.List()
	if err != nil || len(list) != 1 || len(list[0].Snapshots[0].Files) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := store.Remove(whole); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error("the file outside is gone")
	}
}

func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600)
	env := map[string]string{"HF_HOME": home, "HF_ENDPOINT": "http://mirror"}
	get := func(k string) string { return env[k] }
	s, c, err := Environment(get)
	if err != nil || s.Dir != filepath.Join(home, "hub") || c.Token != "hf_file" || c.Endpoint != "http://mirror" {
		t.Errorf("%+v %+v %v", s, c, err)
	}
	env["HF_TOKEN"], env["HF_HUB_CACHE"] = "hf_env", "/elsewhere"
	if s, c, _ = Environment(get); s.Dir != "/elsewhere" || c.Token != "hf_env" {
		t.Errorf("%+v %+v", s, c)
	}
	env["HF_HUB_OFFLINE"] = "1"
	if _, c, _ = Environment(get); c != nil {
		t.Error("a client although offline")
	}
}

// Foreign answers never panic, and give an error or files that are safe.
func FuzzListing(f *testing.F) {
	s := &server{files: map[string][]byte{"config.json": []byte("{}")}, lfs: map[string]bool{}}
	seed, _ := json.Marshal(s.listing())
	f.Add(seed)
	f.Add([]byte(`{"sha":"` + commit + `","siblings":[{"rfilename":"a/../b","size":1,"blobId":"` + commit + `","lfs":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Client{Endpoint: "http://hub.test", Wait: func(context.Context, time.Duration) error { return nil }}
		c.HTTP.Transport = answer(data)
		got, files, err := c.listing(t.Context(), whole)
		if err != nil {
			return
		}
		if !isCommit(got) {
			t.Errorf("commit %q", got)
		}
		for _, f := range files {
			if !filepath.IsLocal(f.Name) || !isHash(f.Hash) || f.Size < 0 {
				t.Errorf("file %+v", f)
			}
		}
	})
}

type answer []byte

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}
