package hub

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// What we fetch, huggingface_hub finds, and what it fetches, we find.
func TestPeerSharesTheStore(t *testing.T) {
	python := testkit.Python(t, "huggingface_hub")
	run := func(store Store, code string, env ...string) string {
		t.Helper()
		cmd := exec.Command(python, "-c", "import huggingface_hub as h; "+code)
		cmd.Env = append(os.Environ(), append(env, "HF_HUB_CACHE="+store.Dir, "HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1")...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return lines[len(lines)-1]
	}
	s, ours := newServer(t), Store{t.TempDir()}
	got, err := ours.Pull(t.Context(), s.client(nil), whole, PullOptions{})
	pulled(t, s, ours, got, err)
	if at := run(ours, `print(h.snapshot_download("org/name", local_files_only=True))`); at != got.Path {
		t.Errorf("huggingface_hub finds %s, we pulled to %s", at, got.Path)
	}
	if n := run(ours, `print([(r.repo_id, r.size_on_disk) for r in h.scan_cache_dir().repos])`); n != "[('org/name', 300023)]" {
		t.Errorf("huggingface_hub's scan: %s", n)
	}

	theirs := Store{t.TempDir()}
	s.file = func(n int, name string, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("X-Repo-Commit", commit)
		w.Header().Set("ETag", `"`+gitID(s.files[name])+`"`)
		return false
	}
	at := run(theirs, `print(h.snapshot_download("org/name"))`, "HF_ENDPOINT="+s.URL)
	found, err := theirs.Find(whole)
	if err != nil || found != at {
		t.Fatalf("we find %s (%v), huggingface_hub downloaded to %s", found, err, at)
	}
	if data, err := os.ReadFile(filepath.Join(found, "model.safetensors")); err != nil || string(data) != string(s.files["model.safetensors"]) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if n, err := theirs.Remove(whole); err != nil || n != 300_023 {
		t.Errorf("%d bytes freed, %v", n, err)
	}
}
