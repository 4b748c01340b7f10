package main

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStore pulls a model from a hub of our own, looks at it, uses it by name and deletes it.
func TestStore(t *testing.T) {
	world(t)
	const commit = "0123456789abcdef0123456789abcdef01234567"
	files := map[string][]byte{}
	var list []string
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(shared.model, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
		id := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(b)), b...))
		list = append(list, fmt.Sprintf(`{"rfilename": %q, "size": %d, "blobId": "%x"}`, name, len(b), id))
	}
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/models/org/tiny/revision/main" {
			fmt.Fprintf(w, `{"sha": %q, "siblings": [%s]}`, commit, strings.Join(list, ","))
			return
		}
		b, ok := files[strings.TrimPrefix(r.URL.Path, "/org/tiny/resolve/"+commit+"/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	}))
	defer hub.Close()
	t.Setenv("HF_ENDPOINT", hub.URL)
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Setenv("HF_HUB_OFFLINE", "")

	fails(t, 2, "plinth pull org/tiny would fetch it", "show", "org/tiny")
	fails(t, 1, "no such model", "pull", "org/other")
	fails(t, 2, "want org/name", "pull", "../../etc")
	fails(t, 2, "--parallel", "pull", "org/tiny", "--parallel", "0")
	o := object(t, "pull", "org/tiny")
	keys(t, o, "path repo commit files bytes fetched")
	if o["commit"] != commit || o["fetched"] != o["bytes"] {
		t.Errorf("%v", o)
	}
	if again := object(t, "pull", "org/tiny"); again["fetched"] != 0.0 || again["path"] != o["path"] {
		t.Errorf("pulled again: %v", again)
	}
	if o := object(t, "show", "org/tiny"); o["layers"] != 2.0 || o["family"] != "gpt2" {
		t.Errorf("%v", o)
	}
	if models := object(t, "list")["models"].([]any); len(models) != 1 || models[0].(map[string]any)["repo"] != "org/tiny" {
		t.Errorf("%v", models)
	}
	if out := ok(t, "list", "--files"); !strings.Contains(out, "model.safetensors") || !strings.Contains(out, "main") {
		t.Errorf("list prints %q", out)
	}
	if n := object(t, "rm", "org/tiny")["freed_bytes"]; n != o["bytes"] {
		t.Errorf("%v bytes freed of %v", n, o["bytes"])
	}
	fails(t, 1, "not in the store", "rm", "org/tiny")
	t.Setenv("HF_HUB_OFFLINE", "1")
	fails(t, 1, "HF_HUB_OFFLINE", "pull", "org/tiny")
}
