package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// TestDeploy: the program takes the arguments that the files of deploy/ start it with, and fails at nothing but the model that is not there.
func TestDeploy(t *testing.T) {
	deploy := filepath.Join(testkit.Root(), "deploy")
	part := func(file, pattern string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(deploy, file))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(b)
		if m == nil {
			t.Fatalf("%s has no %s", file, pattern)
		}
		return string(m[1])
	}
	list := func(text string) (words []string) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return words
	}
	image := list(part("Dockerfile", `ENTRYPOINT (\[.*\])`))[1:]
	t.Setenv("PLINTH_API_KEYS", "key-of-ada,key-of-bob")
	for name, flags := range map[string][]string{
		"Dockerfile":      append(image, strings.Fields(part("Dockerfile", `# docker run .* plinth (.*)`))...),
		"kubernetes":      append(image, list(part("kubernetes/plinth.yaml", `args: (\[.*\])`))...),
		"systemd":         append(strings.Fields(part("plinth.service", `ExecStart=\S*plinth (.*) \$PLINTH_SERVE`)), strings.Fields(part("plinth.service", `PLINTH_SERVE="(.*)"`))...),
		"a wrong --drain": append(image, "--model", "/models/chat.gguf", "--drain", "x"),
	} {
		code, want := 1, "chat.gguf"
		if strings.HasPrefix(name, "a wrong") {
			code, want = 2, "--drain"
		}
		if got, _, err := plinth(flags...); got != code || !strings.Contains(err, want) {
			t.Errorf("%s: plinth %q: exit code %d, %s", name, flags, got, err)
		}
	}

	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not there")
	}
	unit, err := os.ReadFile(filepath.Join(deploy, "plinth.service"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "plinth.service") // with a program that is there
	if err := os.WriteFile(copied, []byte(strings.Replace(string(unit), "/usr/local/bin/plinth", "/bin/true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(verify, "verify", copied).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v %s", err, out)
	}
}
