package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A device without an end is named, wherever a file is read whole.
func TestEndlessFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no /dev/zero")
	}
	world(t)
	const zero = "/dev/zero"
	want := "is not a regular file"
	for _, name := range []string{"config.json", "tokenizer.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(shared.model)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(zero, path); err != nil {
			t.Fatal(err)
		}
		fails(t, 1, name+" "+want, "chat", "--model", dir, "--template", "chatml", "hello")
	}
	for _, flag := range []string{"--grammar", "--json-schema"} {
		fails(t, 1, zero+" "+want, "generate", "--model", shared.model, flag, zero, "one")
	}
	fails(t, 1, zero+" "+want, "chat", "--model", shared.model, "--template", zero, "one")
	fails(t, 1, zero+" "+want, "chat", "--model", shared.model, "--template", "chatml", "--tools", zero, "one")
}
