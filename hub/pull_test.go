package hub

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

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
