package serve_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/serve"
)

// sdkJob is what the scripts that drive a server with an official client are told.
type sdkJob struct {
	Base string `json:"base"`
	Key  string `json:"key"`
}

// sdkServer is a server for them, with a model that says known words, one that reads, one that sees and one that says anything.
func sdkServer(t *testing.T) sdkJob {
	t.Helper()
	const key = "key-of-the-client"
	_, url := start(t, serve.Options{Keys: []string{key}, Models: []*serve.Model{taught(t, generate.EngineOptions{}), reader(t), seer(t)}}, generate.EngineOptions{})
	return sdkJob{url + "/v1", key}
}

// passed reports which checks a script has passed: all that it has, or it would have failed.
func passed(t *testing.T, checks []string) {
	t.Helper()
	if len(checks) < 8 {
		t.Errorf("only these checks ran: %q", checks)
	}
	t.Logf("passed: %q", checks)
}

func TestPythonSDK(t *testing.T) {
	var checks []string
	testkit.Ask(t, "testdata/openai_sdk.py", []string{"openai"}, sdkServer(t), &checks)
	passed(t, checks)
}

// TestLangChain: LangChain's chat models, tools, structured outputs, completions and embeddings.
func TestLangChain(t *testing.T) {
	var checks []string
	testkit.Ask(t, "testdata/langchain.py", []string{"langchain_openai"}, sdkServer(t), &checks)
	passed(t, checks)
}

// TestNodeSDK wants node, and PLINTH_NODE_MODULES: a folder node_modules with openai in it.
func TestNodeSDK(t *testing.T) {
	modules := os.Getenv("PLINTH_NODE_MODULES")
	node, err := exec.LookPath("node")
	if err != nil || modules == "" {
		t.Skipf("no Node with openai (PLINTH_NODE_MODULES names a folder node_modules): %v", err)
	}
	c := exec.Command(node, "testdata/openai_sdk.mjs", filepath.Join(modules, "openai", "index.mjs"))
	passed(t, runSDK(t, c))
}

// TestGoSDK builds the program of tools/sdk-go, a module of its own, from the cache of modules.
func TestGoSDK(t *testing.T) {
	dir, program := filepath.Join(testkit.Root(), "tools", "sdk-go"), filepath.Join(t.TempDir(), "sdk")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("module lookup disabled")) {
			t.Skipf("openai-go is not in the cache of modules: (cd %s && go mod download) fetches it", dir)
		}
		t.Fatalf("%v: %s", err, out)
	}
	passed(t, runSDK(t, exec.Command(program)))
}

// runSDK gives a program the job on its standard input, and returns the checks that it prints.
func runSDK(t *testing.T, c *exec.Cmd) (checks []string) {
	t.Helper()
	in, err := json.Marshal(sdkServer(t))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdin, c.Stderr = bytes.NewReader(in), os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal(out, &checks); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return checks
}
