//go:build linux || darwin

package checkpoint

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plinth-ml/plinth/internal/file"
)

// TestNoSpace asks for more than any disk has, in memory that would fault if it were read.
func TestNoSpace(t *testing.T) {
	const size = 1 << 46
	data, err := unix.Mmap(-1, 0, size, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		t.Skip("no address space: ", err)
	}
	defer unix.Munmap(data)
	dir := t.TempDir()
	path := filepath.Join(dir, WeightsFile)
	list := []Tensor{{"x", U8, []int{size}, data}}
	for _, err := range []error{Write(path, list, nil), WriteSharded(dir, list, size, nil)} {
		if !errors.Is(err, file.ErrDiskFull) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), " needs 7036874417") || !strings.Contains(err.Error(), " has ") {
			t.Error(err)
		}
	}
}
