package file

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// temp is how os.CreateTemp and os.MkdirTemp name what an atomic write makes first.
var temp = regexp.MustCompile(`.\.tmp-\d+$`)

// errTaken says that a temporary file is not the caller's: it was taken for dead before it was held, or its maker lives.
var errTaken = errors.New("held by another or removed")

// makeTemp calls create with the pattern of the names of path's temporary files, and holds what it made until release: others tell by the lock, which ends with
// the process, whether its maker lives. What dead makers left is removed first.
func makeTemp(path string, create func(pattern string) (name string, err error)) (release func(), err error) {
	dir, base := filepath.Split(path)
	if canHold {
		// A folder that cannot be listed, or a file that cannot be removed, is no reason not to write.
		_ = cleanTemps(filepath.Clean(dir), base+".tmp-")
	}
	for {
		name, err := create(base + ".tmp-*")
		if err != nil {
			return nil, err
		}
		release, err := hold(name)
		switch {
		case err == nil:
			return release, nil
		case !errors.Is(err, errTaken): // no locks here: then nobody takes it for dead
			return func() {}, nil
		}
	}
}

// CleanTemps removes the files and folders in parent that an interrupted WriteAtomic or WriteDirAtomic left behind: those whose name
// ends in .tmp- and digits. On Windows it cannot tell them from those of a write at work, so there no other write into parent may be under way.
func CleanTemps(parent string) error { return cleanTemps(parent, "") }

// cleanTemps is CleanTemps of names that begin with prefix.
func cleanTemps(parent, prefix string) error {
	list, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, d := range list {
		if !strings.HasPrefix(d.Name(), prefix) || !temp.MatchString(d.Name()) || !d.IsDir() && !d.Type().IsRegular() {
			continue
		}
		path := filepath.Join(parent, d.Name())
		release, err := hold(path)
		if err != nil {
			continue
		}
		err = os.RemoveAll(path)
		release()
		if err != nil {
			return err
		}
	}
	return nil
}
