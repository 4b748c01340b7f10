package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Folder is the path of a folder whose files are opened by names that foreign files, such as an index of shards, may have given. A name stays within the
// folder: it is relative and has no "..". Symbolic links are followed wherever they lead, for they are made by who keeps the folder, not by what is in its files.
type Folder string

// Within is the path of a file; a name that leads out of the folder is an error.
func (f Folder) Within(name string) (string, error) {
	name = filepath.FromSlash(name)
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q: path escapes from its folder", name)
	}
	return filepath.Join(string(f), name), nil
}

// Read reads a regular file of at most limit bytes whole; see Read.
func (f Folder) Read(name string, limit int) ([]byte, error) {
	path, err := f.Within(name)
	if err != nil {
		return nil, err
	}
	return Read(path, limit)
}

// Map maps a file.
func (f Folder) Map(name string) (*Mapping, error) {
	path, err := f.Within(name)
	if err != nil {
		return nil, err
	}
	return Map(path)
}

// Has tells whether there is something of that name.
func (f Folder) Has(name string) bool {
	path, err := f.Within(name)
	if err != nil {
		return false
	}
	_, err = os.Lstat(path)
	return err == nil
}

// ReadDir lists a folder in it.
func (f Folder) ReadDir(name string) ([]fs.DirEntry, error) {
	path, err := f.Within(name)
	if err != nil {
		return nil, err
	}
	return os.ReadDir(path)
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
