package hub

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

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

// A file of a snapshot may be a link to another disk; it is shown, and what it leads to is never deleted.
func TestLinkedFile(t *testing.T) {
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
	if err != nil || len(list) != 1 || len(list[0].Snapshots[0].Files) != 1 || list[0].Snapshots[0].Files[0].Bytes != 6 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := store.Remove(whole); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error("the file outside is gone")
	}
}

// A model whose folder lies on another disk, a link in the store, is listed, found, pulled into and removed: of the whole model only the link.
func TestLinkedModel(t *testing.T) {
	s, store, disk := newServer(t), Store{t.TempDir()}, t.TempDir()
	at := store.path("org/name")
	if err := os.Symlink(disk, at); err != nil {
		t.Skip(err)
	}
	if _, err := store.Pull(t.Context(), s.client(nil), whole, PullOptions{}); err != nil {
		t.Fatal(err)
	}
	list, err := store.List()
	if err != nil || len(list) != 1 || list[0].Link != disk || list[0].Bytes != 300_000+23 || len(list[0].Snapshots[0].Files) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	dir, err := store.Find(whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		t.Error(err)
	}
	if n, err := store.Remove(whole); n != 0 || err != nil {
		t.Errorf("%d bytes freed, %v", n, err)
	}
	if _, err := os.Lstat(at); !os.IsNotExist(err) {
		t.Errorf("the link is left: %v", err)
	}
	if list, err := os.ReadDir(filepath.Join(disk, "blobs")); err != nil || len(list) != 2 {
		t.Errorf("what it led to: %v, %v", list, err)
	}
	if err := os.Symlink(filepath.Join(disk, "gone"), at); err != nil {
		t.Fatal(err)
	}
	if list, err := store.List(); err != nil || len(list) != 1 || list[0].Link != filepath.Join(disk, "gone") {
		t.Errorf("a link to nothing: %v, %v", list, err)
	}
	if _, err := store.Find(whole); !errors.Is(err, ErrAbsent) {
		t.Errorf("behind a link to nothing: %v", err)
	}
	if _, err := store.Remove(whole); err != nil {
		t.Errorf("a link to nothing: %v", err)
	}
}
