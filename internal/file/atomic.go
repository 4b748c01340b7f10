package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrDiskFull is wrapped by every error of this package that a full disk causes.
var ErrDiskFull = errors.New("disk full")

// WriteAtomic replaces path by what write puts out. An existing file keeps its mode, a new one gets perm. On any error before
// the rename the old content stays and the temporary file is removed; an error of the directory sync after it means that the
// new content is in place but may not survive a power loss. Writers of one path at once do not mix: the last rename wins. What
// writers of path left behind that were killed is removed, but for on Windows.
func WriteAtomic(path string, perm fs.FileMode, write func(w io.Writer) error) error {
	return writeAtomic(osFS{}, path, perm, write)
}

// WriteFile is WriteAtomic of data.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	err := WriteAtomic(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return diskFull(err, path, uint64(len(data)))
}

func writeAtomic(sys fsys, path string, perm fs.FileMode, write func(w io.Writer) error) (err error) {
	if old, err := os.Stat(path); err == nil {
		perm = old.Mode().Perm()
	}
	dir := filepath.Dir(path)
	var f handle
	release, err := makeTemp(path, func(pattern string) (string, error) {
		if f != nil {
			f.Close()
		}
		if f, err = sys.CreateTemp(dir, pattern); err != nil {
			return "", err
		}
		return f.Name(), nil
	})
	if err != nil {
		return diskFull(fmt.Errorf("file: write %s: %w", path, err), path, 0)
	}
	defer release()
	closed, counted := false, &counter{w: f}
	defer func() {
		if err == nil {
			return
		}
		if !closed {
			f.Close()
		}
		sys.RemoveAll(f.Name()) // gone already once renamed
		err = diskFull(fmt.Errorf("file: write %s: %w", path, err), path, counted.n)
	}()
	if err = write(counted); err != nil {
		return err
	}
	if err = f.Chmod(perm); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	closed = true
	if err = f.Close(); err != nil {
		return err
	}
	if err = sys.Rename(f.Name(), path); err != nil {
		return err
	}
	return sys.SyncDir(dir)
}

// counter counts the bytes that a writer was asked to take.
type counter struct {
	w io.Writer
	n uint64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += uint64(len(p))
	return c.w.Write(p)
}

// diskFull rewords err when a full disk caused it. need is the least number of bytes wanted.
func diskFull(err error, path string, need uint64) error {
	if err == nil || !isFull(err) || errors.Is(err, ErrDiskFull) {
		return err
	}
	have, ferr := FreeSpace(filepath.Dir(path))
	if ferr != nil {
		return fmt.Errorf("%w: %s needs at least %d bytes: %w", ErrDiskFull, path, need, err)
	}
	return fmt.Errorf("%w: %s needs at least %d bytes, has %d: %w", ErrDiskFull, path, need, have, err)
}

// NeedSpace returns an error that wraps ErrDiskFull when fewer than need bytes are free where path, which may not exist yet, lies.
func NeedSpace(path string, need uint64) error {
	at := path
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		at = filepath.Dir(path)
	}
	have, err := FreeSpace(at)
	if err != nil {
		return fmt.Errorf("file: free space of %s: %w", path, err)
	}
	if have < need {
		return fmt.Errorf("%w: %s needs %d bytes, has %d", ErrDiskFull, path, need, have)
	}
	return nil
}

// Remove removes the file path and syncs its directory, so that it stays removed after a power loss.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return osFS{}.SyncDir(filepath.Dir(path))
}
