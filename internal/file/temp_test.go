package file

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestMain is also the program that TestKilledWriter kills: it begins to write where STUCK_WRITER says, and never ends.
func TestMain(m *testing.M) {
	if kind, path, ok := strings.Cut(os.Getenv("STUCK_WRITER"), " "); ok {
		stuck := func(name string) error {
			os.Stdout.WriteString(name + "\n")
			select {}
		}
		if kind == "file" {
			WriteAtomic(path, 0o644, func(w io.Writer) error { io.WriteString(w, "half"); return stuck("") })
		}
		WriteDirAtomic(path, stuck)
	}
	os.Exit(m.Run())
}

// What a killed writer leaves is removed by the next writer to that place, and what one at work has is not.
func TestKilledWriter(t *testing.T) {
	if !canHold {
		t.Skip("this system cannot tell")
	}
	for _, kind := range []string{"file", "folder"} {
		dir := t.TempDir()
		path, other := filepath.Join(dir, "x"), filepath.Join(dir, "x.tmp-other")
		if err := os.WriteFile(other, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		writer := exec.Command(os.Args[0])
		writer.Env = append(os.Environ(), "STUCK_WRITER="+kind+" "+path)
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		bufio.NewReader(out).ReadString('\n')
		write := func() {
			t.Helper()
			if err := WriteFile(path, []byte("whole"), 0o644); err != nil {
				t.Error(err)
			}
		}
		write()
		noTemps(t, dir, 3)
		writer.Process.Kill()
		writer.Wait()
		write()
		noTemps(t, dir, 2)
		if err := WriteDirAtomic(filepath.Join(dir, "x"), fill); err == nil {
			t.Error("a folder replaces a file")
		}
	}
}

// Writers that remove what they take for dead do not take each other's.
func TestWritersDoNotClean(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if err := WriteFile(path, []byte("whole"), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	noTemps(t, filepath.Dir(path), 1)
}
