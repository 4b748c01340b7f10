package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// faulty fails its nth operation.
type faulty struct {
	osFS
	n, at int
	err   error
	op    string // the failed operation
}

func (s *faulty) step(op string) error {
	s.n++
	if s.n == s.at {
		s.op = op
		return s.err
	}
	return nil
}

type faultyFile struct {
	handle
	s *faulty
}

func (s *faulty) wrap(h handle, err error) (handle, error) {
	if err != nil {
		return nil, err
	}
	return faultyFile{h, s}, nil
}

func (s *faulty) CreateTemp(dir, pattern string) (handle, error) {
	if err := s.step("create"); err != nil {
		return nil, err
	}
	return s.wrap(s.osFS.CreateTemp(dir, pattern))
}

func (s *faulty) Create(path string) (handle, error) {
	if err := s.step("create"); err != nil {
		return nil, err
	}
	return s.wrap(s.osFS.Create(path))
}

func (s *faulty) MkdirTemp(dir, pattern string) (string, error) {
	if err := s.step("mkdir"); err != nil {
		return "", err
	}
	return s.osFS.MkdirTemp(dir, pattern)
}

func (s *faulty) SyncFile(path string) error {
	return errors.Join(s.step("fsync"), s.osFS.SyncFile(path))
}

func (s *faulty) SyncDir(path string) error {
	return errors.Join(s.step("dir fsync"), s.osFS.SyncDir(path))
}

func (s *faulty) Rename(from, to string) error {
	if err := s.step("rename"); err != nil {
		return err
	}
	return s.osFS.Rename(from, to)
}

func (f faultyFile) Write(p []byte) (int, error) {
	if err := f.s.step("write"); err != nil {
		n, _ := f.handle.Write(p[:len(p)/2])
		return n, err
	}
	return f.handle.Write(p)
}

func (f faultyFile) Sync() error  { return errors.Join(f.s.step("fsync"), f.handle.Sync()) }
func (f faultyFile) Close() error { return errors.Join(f.handle.Close(), f.s.step("close")) }

func TestEveryFaultKeepsAWholeFile(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		seen := map[string]bool{}
		for at := 1; ; at++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			if err := os.WriteFile(path, []byte("old content"), 0o640); err != nil {
				t.Fatal(err)
			}
			s := &faulty{at: at, err: fault}
			err := writeAtomic(s, path, 0o600, func(w io.Writer) error {
				for range 3 {
					if _, err := io.WriteString(w, "new "); err != nil {
						return err
					}
				}
				return nil
			})
			if s.op == "" {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			seen[s.op] = true
			if !errors.Is(err, fault) || errors.Is(err, ErrDiskFull) != errors.Is(fault, syscall.ENOSPC) {
				t.Errorf("%s %d: error %v", s.op, at, err)
			}
			want := "old content"
			if s.op == "dir fsync" {
				want = "new new new "
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s %d: %q, %v", s.op, at, got, err)
			}
			noTemps(t, dir, 1)
		}
		for _, op := range []string{"create", "write", "fsync", "close", "rename", "dir fsync"} {
			if !seen[op] {
				t.Errorf("%s never failed", op)
			}
		}
	}
}

func noTemps(t *testing.T, dir string, want int) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != want {
		t.Errorf("%s holds %v, %v; want %d names", dir, list, err, want)
	}
}

func fill(tmp string) error {
	if err := os.Mkdir(filepath.Join(tmp, "sub"), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(tmp, "a"), []byte("alpha"), 0o644),
		os.WriteFile(filepath.Join(tmp, "sub", "b"), []byte("beta"), 0o644))
}

func TestEveryFaultLeavesNoHalfDirectory(t *testing.T) {
	for at := 1; ; at++ {
		parent := t.TempDir()
		s := &faulty{at: at, err: syscall.EIO}
		dir := filepath.Join(parent, "step-1")
		err := writeDirAtomic(s, dir, fill)
		if s.op == "" {
			if err != nil || at < 8 {
				t.Fatalf("%d operations, %v", at, err)
			}
			break
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s %d: %v", s.op, at, err)
		}
		if _, err := os.Stat(dir); err == nil {
			if err := VerifyDir(dir); err != nil {
				t.Error(err)
			}
			noTemps(t, parent, 1)
		} else {
			noTemps(t, parent, 0)
		}
	}
}

func TestVerifyDirFindsEveryFlip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := WriteDirAtomic(dir, fill); err != nil {
		t.Fatal(err)
	}
	if err := VerifyDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := WriteDirAtomic(dir, fill); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second write: %v", err)
	}
	for _, name := range []string{"a", "sub/b", ManifestName} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := func(data []byte, what string) {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			var damage *DamageError
			if err := VerifyDir(dir); !errors.As(err, &damage) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
		for i := range whole {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 1
			bad(flipped, fmt.Sprint("flip ", i))
			bad(whole[:i], fmt.Sprint("cut ", i))
		}
		os.WriteFile(path, whole, 0o644)
	}
	os.WriteFile(filepath.Join(dir, "extra"), nil, 0o644)
	if VerifyDir(dir) == nil {
		t.Error("added file not seen")
	}
}

func TestMapCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	data := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	if err := WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got := make([]byte, len(data))
	if err := m.CopyFrom(got, 0); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("copy: %v", err)
	}
	if m.CopyFrom(got, 1) == nil || m.CopyFrom(got[:1], -1) == nil {
		t.Error("copy out of range")
	}
	if !m.mapped {
		t.Skip("not mapped here")
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Skip("a mapped file cannot be cut here: ", err)
	}
	if err := m.CopyFrom(got, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("copy from a cut file: %v", err)
	}
}

// TestMapCutInALoop cuts a file while it is copied from its map, and again before: right bytes, zeros or an error, never a fault.
func TestMapCutInALoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	data := bytes.Repeat([]byte{7}, 1<<16)
	if err := WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if !m.mapped {
		t.Skip("not mapped here")
	}
	racing, after := make([]byte, len(data)), make([]byte, len(data))
	for i := range 400 {
		done := make(chan error)
		go func() { done <- m.CopyFrom(racing, 0) }()
		cut := i * 131 % len(data)
		if err := os.Truncate(path, int64(cut)); err != nil {
			<-done
			t.Skip("a mapped file cannot be cut here: ", err)
		}
		if err := <-done; err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		if bytes.Count(racing, []byte{7})+bytes.Count(racing, []byte{0}) != len(racing) {
			t.Error("other bytes than were written")
		}
		if err := m.CopyFrom(after, 0); cut < len(data)-os.Getpagesize() && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d: %v", cut, err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := m.CopyFrom(after, 0); err != nil || !bytes.Equal(after, data) {
			t.Fatalf("restored: %v", err)
		}
	}
}

// TestFillFails has a full disk, or another error, met inside fill.
func TestFillFails(t *testing.T) {
	for _, fault := range []error{&fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}, io.ErrClosedPipe} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "step-2")
		if err := WriteDirAtomic(filepath.Join(parent, "step-1"), fill); err != nil {
			t.Fatal(err)
		}
		err := WriteDirAtomic(dir, func(tmp string) error { return errors.Join(fill(tmp), fmt.Errorf("weights: %w", fault)) })
		if !errors.Is(err, fault) || errors.Is(err, ErrDiskFull) != isFull(fault) || !strings.Contains(err.Error(), dir) {
			t.Error(err)
		}
		noTemps(t, parent, 1)
		if err := VerifyDir(filepath.Join(parent, "step-1")); err != nil {
			t.Error(err)
		}
	}
	// The same from a write through the seam.
	dir := filepath.Join(t.TempDir(), "d")
	err := writeDirAtomic(&faulty{}, dir, func(tmp string) error {
		return writeAtomic(&faulty{at: 2, err: syscall.ENOSPC}, filepath.Join(tmp, "a"), 0o644, func(w io.Writer) error {
			_, err := w.Write([]byte("alpha"))
			return err
		})
	})
	if !errors.Is(err, ErrDiskFull) {
		t.Error(err)
	}
	noTemps(t, filepath.Dir(dir), 0)
}

func TestOneOfManyWriters(t *testing.T) {
	parent := t.TempDir()
	dir, path := filepath.Join(parent, "d"), filepath.Join(parent, "x")
	made := make(chan error)
	for i := range 8 {
		go func() {
			if err := WriteFile(path, bytes.Repeat([]byte{byte(i)}, 10_000), 0o644); err != nil {
				t.Error(err)
			}
			made <- WriteDirAtomic(dir, fill)
		}()
	}
	won := 0
	for range 8 {
		if <-made == nil {
			won++
		}
	}
	data, err := os.ReadFile(path)
	if won != 1 || VerifyDir(dir) != nil || err != nil || !bytes.Equal(data, bytes.Repeat(data[:1], 10_000)) {
		t.Errorf("%d writers of one folder succeeded, %v; file of %d bytes, %v", won, VerifyDir(dir), len(data), err)
	}
	noTemps(t, parent, 2)
}

func TestCleanTempsAndSpace(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{"a.tmp-1", "keep", "keep.tmp-", "keep.tmp-x1", "keep.tmp-1.txt"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"x.safetensors.tmp-123", "keep.tmp-notes", "tmp-1"} {
		if err := os.WriteFile(filepath.Join(parent, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What an interrupted write leaves has such a name.
	f, err := osFS{}.CreateTemp(parent, "y.tmp-*")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := CleanTemps(parent); err != nil {
		t.Fatal(err)
	}
	noTemps(t, parent, 6)
	for _, path := range []string{parent, filepath.Join(parent, "new")} {
		if err := NeedSpace(path, 1<<62); !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), path+" needs 4611686018427387904 bytes, has ") {
			t.Error(err)
		}
		if err := NeedSpace(path, 1); err != nil {
			t.Error(err)
		}
	}
	if err := Remove(filepath.Join(parent, "tmp-1")); err != nil {
		t.Error(err)
	}
	noTemps(t, parent, 5)
}
