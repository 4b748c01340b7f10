//go:build linux || darwin

package data

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDiskFull prepares in a child process that may write only files of a few thousand bytes, so that the shard fails in one and the plan in the other.
func TestDiskFull(t *testing.T) {
	if limit := os.Getenv("DATA_TEST_FILE_LIMIT"); limit != "" {
		signal.Ignore(syscall.SIGXFSZ)
		var n uint64
		fmt.Sscan(limit, &n)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			fmt.Println("limit:", err)
			os.Exit(3)
		}
		_, err := Prepare(t.Context(), all(texts(400)), testTokenizer(t), os.Getenv("DATA_TEST_OUT"), PrepareOptions{Seq: 8})
		fmt.Println("prepare:", err)
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := prepared(t, 400, PrepareOptions{Seq: 8})
	failed := map[string]bool{}
	names := []string{"train-00000.bin", "train.plan"}
	for _, name := range names {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		cmd := exec.Command(self, "-test.run", "^TestDiskFull$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("DATA_TEST_FILE_LIMIT=%d", st.Size()-1), "DATA_TEST_OUT="+filepath.Join(folder, "set"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "prepare: data: prepare "+folder) || !strings.Contains(string(out), "file too large") {
			t.Errorf("files below %d bytes: %v, %s", st.Size(), err, out)
		}
		for _, name := range names {
			if strings.Contains(string(out), name+": file too large") {
				failed[name] = true
			}
		}
		leftNothing(t, folder)
	}
	if len(failed) < 2 {
		t.Errorf("only %v failed", failed)
	}
}
