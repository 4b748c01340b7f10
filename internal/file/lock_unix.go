//go:build unix

package file

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	return err
}

// canHold says that hold tells the living from the dead.
const canHold = true

// hold takes the lock of the temporary file or folder at path; it is given back by release or with the end of the process. The error is errTaken when
// another holds or has removed it; with other errors there is no lock to be had.
func hold(path string) (release func(), err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errTaken
	}
	if err != nil {
		return nil, err
	}
	if err = lock(f); errors.Is(err, ErrLocked) {
		err = errTaken
	}
	if err == nil && !isAt(f, path) {
		err = errTaken
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// isAt tells whether f is still what path names.
func isAt(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}
