package file

import (
	"io"
	"io/fs"
	"os"
	"runtime"
)

// handle is an open file being written.
type handle interface {
	io.Writer
	Name() string
	Chmod(fs.FileMode) error
	Sync() error
	Close() error
}

// fsys holds the file operations of a write, so that tests can make any of them fail.
type fsys interface {
	CreateTemp(dir, pattern string) (handle, error)
	MkdirTemp(dir, pattern string) (string, error)
	Create(path string) (handle, error)
	SyncFile(path string) error
	SyncDir(path string) error
	Rename(from, to string) error
	RemoveAll(path string) error
}

type osFS struct{}

func (osFS) CreateTemp(dir, pattern string) (handle, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// MkdirTemp makes a directory that others may read, as far as the umask of a plain directory would let them.
func (osFS) MkdirTemp(dir, pattern string) (string, error) {
	tmp, err := os.MkdirTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	return tmp, os.Chmod(tmp, 0o755)
}

func (osFS) Create(path string) (handle, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFS) SyncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (osFS) SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		d.Close()
		return err
	}
	return d.Close()
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) RemoveAll(path string) error  { return os.RemoveAll(path) }
