package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
