package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A name stays in its folder; a link leads where it leads, as those of a published model's snapshot do, and those of a user whose weights are on another disk.
func TestFolder(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "snapshot")
	for name, text := range map[string]string{"secret": "s", "disk/blob": "blob", "snapshot/plain": "p", "snapshot/sub/own": "o"} {
		path := filepath.Join(base, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"relative": "../disk/blob", "absolute": filepath.Join(base, "disk", "blob"), "disk": "../disk", "gone": "../disk/gone"} {
		if err := os.Symlink(filepath.FromSlash(to), filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for _, c := range []struct{ name, want, err string }{
		{"plain", "p", ""}, {"sub/own", "o", ""}, {"relative", "blob", ""}, {"absolute", "blob", ""}, {"disk/blob", "blob", ""},
		{"../secret", "", "escapes"}, {"sub/../../secret", "", "escapes"}, {filepath.Join(base, "secret"), "", "escapes"}, {"", "", "escapes"},
		{"absent", "", filepath.Join(dir, "absent")}, {"gone", "", filepath.Join(dir, "gone")}, {".", "", "is not a regular file"}, {"disk", "", "is not a regular file"},
	} {
		m, err := Folder(dir).Map(c.name)
		b, readErr := Folder(dir).Read(c.name, 10)
		if c.err != "" {
			for _, err := range []error{err, readErr} {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%q: %v, want %s", c.name, err, c.err)
				}
			}
			continue
		}
		if err != nil || readErr != nil || string(m.Bytes()) != c.want || string(b) != c.want {
			t.Errorf("%q: %q, %v, %v, want %q", c.name, b, err, readErr, c.want)
			continue
		}
		m.Close()
	}
	if f := Folder(dir); f.Has("absent") || !f.Has("gone") || !f.Has("sub") || f.Has("../secret") {
		t.Error("Has")
	}
}
