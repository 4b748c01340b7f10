package file

import (
	"errors"
	"fmt"
	"os"
)

// ErrLocked is wrapped by the error of Lock where another process holds the lock.
var ErrLocked = errors.New("held by another process")

// Lock takes the lock file at path for this process, making it where it is absent, and returns the function that gives it back. A lock
// that another process holds is an error at once; one whose process died is free.
func Lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("file: lock %s: %w", path, err)
	}
	return f.Close, nil
}
