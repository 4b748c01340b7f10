package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConstraintFlags: generate keeps within a regular expression, a grammar and a schema, and names the flag of one that is wrong.
func TestConstraintFlags(t *testing.T) {
	world(t)
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := func(args ...string) string {
		o := object(t, append([]string{"generate", "--model", shared.model, "--max-tokens", "40"}, args...)...)
		s := o["sequences"].([]any)[0].(map[string]any)
		if s["finish_reason"] != "stop" {
			t.Errorf("%q ends for %v", args, s["finish_reason"])
		}
		return s["text"].(string)
	}
	if text := one("--regex", "(one|two){3}", "one"); len(text) != 9 {
		t.Errorf("--regex: %q", text)
	}
	if text := one("--grammar", write("g.gbnf", `root ::= "a" "b"{3}`), "one"); text != "abbb" {
		t.Errorf("--grammar: %q", text)
	}
	if text := one("--json-schema", write("s.json", `{"enum": ["three"]}`), "one"); text != `"three"` {
		t.Errorf("--json-schema: %q", text)
	}
	for pattern, cut := range map[string]bool{"[a-c]{9}": true, "[a-c]{2,9}": false} {
		verb := []string{"--model", shared.model, "--max-tokens", "3", "--ignore-eos", "--regex", pattern, "one"}
		code, _, said := plinth(append([]string{"generate"}, verb...)...)
		s := object(t, append([]string{"generate"}, verb...)...)["sequences"].([]any)[0].(map[string]any)
		if code != 0 || strings.Contains(said, "(length) before it was all that --regex asks for") != cut || (s["unfinished"] == true) != cut || s["finish_reason"] != "length" {
			t.Errorf("%s cut: exit code %d, %q, %v", pattern, code, said, s)
		}
	}
	fails(t, 2, "--regex", "generate", "--model", shared.model, "--regex", "(", "one")
	fails(t, 2, "--regex is empty", "generate", "--model", shared.model, "--regex", "", "one")
	fails(t, 1, "--json-schema: ", "generate", "--model", shared.model, "--json-schema", "", "one")
	bad := write("bad.json", "{bad")
	fails(t, 2, "--json-schema "+bad, "generate", "--model", shared.model, "--json-schema", bad, "one")
	fails(t, 2, "line 1, column 1", "generate", "--model", shared.model, "--grammar", write("g.gbnf", "="), "one")
	fails(t, 2, "#/not", "generate", "--model", shared.model, "--json-schema", write("s.json", `{"not": {}}`), "one")
	fails(t, 2, "--regex", "generate", "--model", shared.model, "--regex", "a", "--grammar", "x", "one")
}
