package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestExamples builds the programs, trains a tiny model with one and uses it with the others.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	program := func(name string, args ...string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if runtime.GOOS == "windows" {
			path += ".exe"
		}
		if _, err := os.Stat(path); err != nil {
			if out, err := exec.Command("go", "build", "-o", path, "../"+name).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		out, err := exec.Command(path, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("the cat sat on the mat.\nthe dog lay on the log.\n", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(dir, "run")
	trained := program("train", text, model)
	if loss := number(t, trained, `loss ([\d.]+) nats`); loss > 1 {
		t.Errorf("loss %v after training on a text that repeats itself: %s", loss, trained)
	}
	if out := program("generate", model, "the cat"); !strings.HasPrefix(out, "the cat") || len(out) < 20 {
		t.Errorf("generated %q", out)
	}
	out := program("score", model, "the cat sat on the mat.", "mat the on tac .sat the")
	lines := strings.Split(out, "\n")
	if right, wrong := number(t, lines[0], `(-[\d.]+)`), number(t, lines[1], `(-[\d.]+)`); !(right > wrong) {
		t.Errorf("a sentence of the text scores %v, its words in disorder %v", right, wrong)
	}
}

func number(t *testing.T, text, pattern string) float64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%q has no %s", text, pattern)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
