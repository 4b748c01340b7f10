package file

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorder is the real file system with a log of what a power loss may undo. It leaves out the syncs that drop names.
type recorder struct {
	osFS
	root string
	drop string // "", "fsync", "dir fsync"
	log  []op
}

// op is one step. Kinds: create and mkdir make the name at, write appends data to it, rename moves it to to, sync makes the content of
// the file at durable, dirsync the names in the folder at.
type op struct {
	kind, at, to string
	data         []byte
}

func (r *recorder) note(kind, at, to string, data []byte) {
	rel := func(p string) string {
		if p == "" {
			return ""
		}
		s, err := filepath.Rel(r.root, p)
		if err != nil {
			panic(err)
		}
		return s
	}
	r.log = append(r.log, op{kind, rel(at), rel(to), bytes.Clone(data)})
}

type recorded struct {
	handle
	r *recorder
}

func (f recorded) Write(p []byte) (int, error) {
	f.r.note("write", f.Name(), "", p)
	return f.handle.Write(p)
}

func (f recorded) Sync() error {
	if f.r.drop != "fsync" {
		f.r.note("sync", f.Name(), "", nil)
	}
	return f.handle.Sync()
}

func (r *recorder) opened(h handle, err error) (handle, error) {
	if err != nil {
		return nil, err
	}
	r.note("create", h.Name(), "", nil)
	return recorded{h, r}, nil
}

func (r *recorder) CreateTemp(dir, pattern string) (handle, error) {
	return r.opened(r.osFS.CreateTemp(dir, pattern))
}
func (r *recorder) Create(path string) (handle, error) { return r.opened(r.osFS.Create(path)) }

func (r *recorder) MkdirTemp(dir, pattern string) (string, error) {
	tmp, err := r.osFS.MkdirTemp(dir, pattern)
	r.note("mkdir", tmp, "", nil)
	return tmp, err
}

func (r *recorder) SyncFile(path string) error {
	if r.drop != "fsync" {
		r.note("sync", path, "", nil)
	}
	return r.osFS.SyncFile(path)
}

func (r *recorder) SyncDir(path string) error {
	if r.drop != "dir fsync" {
		r.note("dirsync", path, "", nil)
	}
	return r.osFS.SyncDir(path)
}

func (r *recorder) Rename(from, to string) error {
	r.note("rename", from, to, nil)
	return r.osFS.Rename(from, to)
}

// inode is a file or folder. Its content may come back as it was synced last or as any later stage.
type inode struct {
	dir    bool
	names  map[string]*inode // durable names of a folder
	stages [][]byte          // content of a file: as synced, then after each write since
}

func (n *inode) stage() []byte { return n.stages[len(n.stages)-1] }

// change is a name in a folder set, or removed with a nil node, and not yet synced.
type change struct {
	in   *inode
	name string
	node *inode
}

// crashes calls visit with every tree (file names to contents) that a power loss after the first n operations may leave: each
// unsynced change of a name is there or not, alone (a rename may lose either half), and each file has any stage of its content or
// zeros of its length. It returns their number.
func crashes(log []op, start map[string]string, visit func(tree map[string]string)) int {
	root := &inode{dir: true, names: map[string]*inode{}}
	for name, content := range start {
		root.names[name] = &inode{stages: [][]byte{[]byte(content)}}
	}
	live := map[string]*inode{".": root} // by path, as a running program sees it
	for name, n := range root.names {
		live[name] = n
	}
	var pending []change
	var files []*inode
	set := func(path string, n *inode) {
		pending = append(pending, change{live[filepath.Dir(path)], filepath.Base(path), n})
	}
	for _, o := range log {
		switch o.kind {
		case "create":
			live[o.at] = &inode{stages: [][]byte{nil}}
			files = append(files, live[o.at])
			set(o.at, live[o.at])
		case "mkdir":
			live[o.at] = &inode{dir: true, names: map[string]*inode{}}
			set(o.at, live[o.at])
		case "write":
			n := live[o.at]
			whole := append(bytes.Clone(n.stage()), o.data...)
			n.stages = append(n.stages, whole[:len(whole)-len(o.data)/2], whole)
		case "sync":
			live[o.at].stages = [][]byte{live[o.at].stage()}
		case "dirsync":
			var rest []change
			for _, c := range pending {
				if c.in != live[o.at] {
					rest = append(rest, c)
				} else if c.node == nil {
					delete(c.in.names, c.name)
				} else {
					c.in.names[c.name] = c.node
				}
			}
			pending = rest
		case "rename":
			moved := map[string]*inode{}
			for path, n := range live {
				if path == o.at || strings.HasPrefix(path, o.at+string(filepath.Separator)) {
					moved[o.to+path[len(o.at):]] = n
					delete(live, path)
				}
			}
			maps.Copy(live, moved)
			set(o.to, live[o.to])
			set(o.at, nil)
		}
	}
	count := 0
	for mask := range 1 << len(pending) {
		names := map[*inode]map[string]*inode{}
		for i, c := range pending {
			if mask>>i&1 == 0 {
				continue
			}
			if names[c.in] == nil {
				names[c.in] = maps.Clone(c.in.names)
			}
			if names[c.in][c.name] = c.node; c.node == nil {
				delete(names[c.in], c.name)
			}
		}
		choice := map[*inode][]byte{}
		var choose func(i int)
		choose = func(i int) {
			if i < len(files) {
				n := files[i]
				for _, s := range n.stages {
					choice[n] = s
					choose(i + 1)
				}
				if len(n.stages) > 1 {
					choice[n] = make([]byte, len(n.stage()))
					choose(i + 1)
				}
				return
			}
			tree := map[string]string{}
			var walk func(prefix string, n *inode)
			walk = func(prefix string, n *inode) {
				if !n.dir {
					if content, ok := choice[n]; ok {
						tree[prefix] = string(content)
					} else {
						tree[prefix] = string(n.stage())
					}
					return
				}
				list, ok := names[n]
				if !ok {
					list = n.names
				}
				for name, child := range list {
					walk(filepath.Join(prefix, name), child)
				}
			}
			walk("", root)
			count++
			visit(tree)
		}
		choose(0)
	}
	return count
}

// everyCrash runs crashes for every prefix of log; done says that all of it has happened.
func everyCrash(log []op, start map[string]string, visit func(tree map[string]string, done bool)) int {
	states := 0
	for n := range len(log) + 1 {
		states += crashes(log[:n], start, func(tree map[string]string) { visit(tree, n == len(log)) })
	}
	return states
}

func TestPowerLossFile(t *testing.T) {
	for _, old := range []string{"old content", ""} {
		for _, drop := range []string{"", "fsync", "dir fsync"} {
			r := &recorder{root: t.TempDir(), drop: drop}
			path, start := filepath.Join(r.root, "x"), map[string]string{}
			if old != "" {
				start["x"] = old
				if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := writeAtomic(r, path, 0o644, func(w io.Writer) error {
				for _, s := range []string{"new ", "and ", "whole"} {
					if _, err := io.WriteString(w, s); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			bad, sawOld, sawNew := 0, false, false
			states := everyCrash(r.log, start, func(tree map[string]string, done bool) {
				got, ok := tree["x"]
				isOld, isNew := ok == (old != "") && got == old, ok && got == "new and whole"
				sawOld, sawNew = sawOld || isOld, sawNew || isNew
				if !isNew && (!isOld || done) {
					bad++
				}
			})
			t.Logf("old %q, left out %q: %d of %d states bad", old, drop, bad, states)
			if (bad > 0) != (drop != "") || !sawOld || !sawNew {
				t.Errorf("old %q, left out %q: %d of %d states bad, saw old %t, new %t", old, drop, bad, states, sawOld, sawNew)
			}
		}
	}
}

func TestPowerLossDirectory(t *testing.T) {
	for _, drop := range []string{"", "fsync", "dir fsync"} {
		r := &recorder{root: t.TempDir(), drop: drop}
		dir := filepath.Join(r.root, "step-1")
		files := map[string]string{"a": "alpha", filepath.Join("sub", "b"): "beta"}
		err := writeDirAtomic(r, dir, func(tmp string) error {
			if err := os.Mkdir(filepath.Join(tmp, "sub"), 0o755); err != nil {
				return err
			}
			r.note("mkdir", filepath.Join(tmp, "sub"), "", nil)
			for _, name := range slices.Sorted(maps.Keys(files)) {
				path := filepath.Join(tmp, name)
				if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
					return err
				}
				r.note("create", path, "", nil)
				r.note("write", path, "", []byte(files[name]))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		verdicts, bad := map[string]bool{}, 0
		states := everyCrash(r.log, nil, func(tree map[string]string, done bool) {
			var key strings.Builder
			for _, name := range slices.Sorted(maps.Keys(tree)) {
				if strings.HasPrefix(name, "step-1"+string(filepath.Separator)) {
					fmt.Fprintf(&key, "%s=%q ", name, tree[name])
				}
			}
			if key.Len() == 0 { // not there, as before
				if done {
					bad++
				}
				return
			}
			whole, ok := verdicts[key.String()]
			if !ok {
				whole = verifies(t, tree)
				verdicts[key.String()] = whole
			}
			if !whole {
				bad++
			}
		})
		t.Logf("left out %q: %d of %d states bad, %d kinds", drop, bad, states, len(verdicts))
		if (bad > 0) != (drop != "") || len(verdicts) == 0 || slices.Contains(slices.Collect(maps.Values(verdicts)), false) != (drop != "") {
			t.Errorf("left out %q: %d of %d states bad, %d kinds", drop, bad, states, len(verdicts))
		}
	}
}

// verifies puts tree on disk and says whether step-1 verifies.
func verifies(t *testing.T, tree map[string]string) bool {
	t.Helper()
	root := t.TempDir()
	for name, content := range tree {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), fs.FileMode(0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return VerifyDir(filepath.Join(root, "step-1")) == nil
}
