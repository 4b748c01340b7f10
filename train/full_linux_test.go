package train

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plinth-ml/plinth/internal/file"
)

// On a full disk the run stops with an error, every checkpoint before is whole, and with room again it goes on to the same bits.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skip("may not mount: ", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	o := Options{Steps: 60, Batch: 2, SaveEvery: 1, Keep: 100, RunDir: dir}
	r, err := loop(t, tiny.source(), o, Hooks{}).Run(t.Context())
	if !errors.Is(err, file.ErrDiskFull) || !strings.Contains(err.Error(), "can be resumed from step-") {
		t.Fatalf("after %d steps: %v", r.Steps, err)
	}
	list, err := listStates(dir)
	if err != nil || len(list) < 3 || list[len(list)-1].step != r.Steps-1 {
		t.Fatalf("%v after step %d, %v", list, r.Steps, err)
	}
	for _, c := range list {
		if err := file.VerifyDir(c.path(dir)); err != nil {
			t.Error(err)
		}
	}
	for _, c := range list[:len(list)-2] {
		if err := os.RemoveAll(c.path(dir)); err != nil {
			t.Fatal(err)
		}
	}
	o.Resume, o.Keep = true, 2
	l := loop(t, tiny.source(), o, Hooks{})
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.RunDir, o.Resume = "", false
	whole := loop(t, tiny.source(), o, Hooks{})
	if _, err := whole.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if digest(l) != digest(whole) {
		t.Error("other bits")
	}
}
