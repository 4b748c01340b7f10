package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A folder is closed, but for a snapshot's links to the blobs of its own model.
func TestFolder(t *testing.T) {
	base := t.TempDir()
	commit := "0123456789abcdef0123456789abcdef01234567"
	snap := filepath.Join(base, "models--org--name", "snapshots", commit)
	for path, text := range map[string]string{"secret": "s", "models--org--name/blobs/b": "blob", "models--org--name/snapshots/" + commit + "/plain": "p", "plain/own": "o"} {
		path = filepath.Join(base, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{filepath.Join(snap, "link"): "../../blobs/b", filepath.Join(snap, "out"): "../../../secret", filepath.Join(base, "plain", "out"): "../secret"} {
		if err := os.Symlink(to, link); err != nil {
			t.Skip(err)
		}
	}
	for _, c := range []struct {
		dir, name, want string
	}{
		{snap, "plain", "p"}, {snap, "link", "blob"}, {snap, "out", ""}, {snap, "../../blobs/b", ""}, {snap, "absent", ""}, {snap, ".", ""},
		{filepath.Join(base, "plain"), "own", "o"}, {filepath.Join(base, "plain"), "out", ""}, {filepath.Join(base, "plain"), "../secret", ""},
	} {
		f, err := OpenFolder(c.dir)
		if err != nil {
			t.Fatal(err)
		}
		m, err := f.Map(c.name)
		if (err == nil) != (c.want != "") || err == nil && string(m.Bytes()) != c.want {
			t.Errorf("%s in %s: %v, want %q", c.name, c.dir, err, c.want)
		}
		if err == nil {
			m.Close()
		} else if c.name == "absent" && !strings.HasPrefix(err.Error(), "stat "+filepath.Join(snap, "absent")+": ") {
			t.Errorf("%v", err)
		}
		f.Close()
	}
}
