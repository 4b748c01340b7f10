package testkit

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// Ask runs a Python script with job as JSON on its standard input and decodes the JSON on its standard output into answer. The
// test is skipped where Python or one of the modules is missing (see Python).
func Ask(t testing.TB, script string, modules []string, job, answer any) {
	t.Helper()
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(Python(t, modules...), script)
	c.Stdin, c.Stderr = bytes.NewReader(in), os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	if err := json.Unmarshal(out, answer); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}
