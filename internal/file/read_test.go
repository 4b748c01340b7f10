package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What is read whole is a regular file of bounded size: a device without an end and a folder are named, not read.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := Read(path, 5); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Read(filepath.Join(dir, "absent"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	cases := map[string]string{path: "config.json has more than 4 bytes", dir: "is not a regular file"}
	if runtime.GOOS != "windows" {
		link := filepath.Join(dir, "zero")
		if err := os.Symlink("/dev/zero", link); err != nil {
			t.Fatal(err)
		}
		cases[link] = "zero is not a regular file"
	}
	for at, want := range cases {
		if b, err := Read(at, 4); err == nil || !strings.Contains(err.Error(), want) || b != nil {
			t.Errorf("%s: %q, %v; want %s", at, b, err, want)
		}
	}
	if runtime.GOOS == "linux" { // its size is told as 0
		if _, err := Read("/proc/self/status", 10); err == nil || !strings.Contains(err.Error(), "more than 10 bytes") {
			t.Errorf("%v", err)
		}
	}
}

func TestReadText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.txt")
	for text, want := range map[string]string{"\ufeffcat\n": "cat\n", "": "", "grüße": "grüße", "\xff\xfec\x00": "UTF-8", "a\x00b": "UTF-8", "12345678901": "more than 10 bytes"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadText(path, 10); got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}
