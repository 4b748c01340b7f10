package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Folder is a folder whose files are opened by names that foreign files may have given: nothing outside it is reached, links followed. A snapshot in
// Hugging Face's cache, models--X/snapshots/COMMIT, holds links to models--X/blobs: there the bound is models--X.
type Folder struct {
	root *os.Root
	dir  string // root's path
	at   string // the folder within root
}

var snapshot = regexp.MustCompile(`(^|/)models--[^/]+/snapshots/[0-9a-f]{40}$`)

// OpenFolder opens a folder.
func OpenFolder(dir string) (*Folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	f := &Folder{dir: dir, at: "."}
	if snapshot.MatchString(filepath.ToSlash(abs)) {
		f.at = "snapshots/" + filepath.Base(abs)
		f.dir = filepath.Dir(filepath.Dir(abs))
	}
	if f.root, err = os.OpenRoot(f.dir); err != nil {
		return nil, err
	}
	return f, nil
}

// within is a name seen from root.
func (f *Folder) within(name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("%q: path escapes from its folder", name)
	}
	return path.Join(f.at, filepath.ToSlash(name)), nil
}

// Open opens a regular file. A pipe is not opened, for that could wait for ever.
func (f *Folder) Open(name string) (*os.File, error) {
	at, err := f.within(name)
	if err != nil {
		return nil, err
	}
	info, err := f.root.Stat(at)
	if err != nil {
		return nil, Plain(f.dir, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", filepath.Join(f.dir, f.at, name))
	}
	in, err := f.root.Open(at)
	return in, Plain(f.dir, err)
}

// Read reads a regular file of at most limit bytes whole; see Read.
func (f *Folder) Read(name string, limit int) ([]byte, error) {
	in, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return ReadFrom(in, filepath.Join(f.dir, f.at, name), limit)
}

// Map maps a file.
func (f *Folder) Map(name string) (*Mapping, error) {
	in, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return MapFile(in)
}

// Has tells whether there is something of that name.
func (f *Folder) Has(name string) bool {
	at, err := f.within(name)
	if err != nil {
		return false
	}
	_, err = f.root.Lstat(at)
	return err == nil
}

// ReadDir lists a folder in it.
func (f *Folder) ReadDir(name string) ([]fs.DirEntry, error) {
	at, err := f.within(name)
	if err != nil {
		return nil, err
	}
	list, err := fs.ReadDir(f.root.FS(), at)
	return list, Plain(f.dir, err)
}

// Plain makes err, which a method of an os.Root opened at dir gave, tell its file as others do: those name system calls (statat) and paths seen from the
// root. It changes the error found in err's chain, which os makes anew each time.
func Plain(dir string, err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		p.Op, p.Path = plainOp(p.Op), under(dir, p.Path)
	case errors.As(err, &l):
		l.Op, l.Old, l.New = plainOp(l.Op), under(dir, l.Old), under(dir, l.New)
	}
	return err
}

func plainOp(op string) string {
	if name, ok := strings.CutSuffix(op, "at"); ok && name != "st" && name != "lst" {
		return name
	}
	return op
}

func under(dir, name string) string {
	if filepath.IsAbs(name) || strings.HasPrefix(name, dir+string(filepath.Separator)) {
		return name
	}
	return filepath.Join(dir, name)
}

// Close closes the folder; files that were opened stay open.
func (f *Folder) Close() error { return f.root.Close() }
