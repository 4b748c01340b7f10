package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ManifestName is the file that WriteDirAtomic adds to a directory.
const ManifestName = "manifest.json"

// maxManifest bounds the manifest that VerifyDir reads.
const maxManifest = 16 << 20

type entry struct {
	Length int64  `json:"length"`
	SHA256 string `json:"sha256"`
}

// DamageError says which file of a directory differs from its manifest, and how.
type DamageError struct{ Dir, File, What string }

func (e *DamageError) Error() string { return fmt.Sprintf("file: %s: %s %s", e.Dir, e.File, e.What) }

// WriteDirAtomic creates dir as one unit from what fill writes into the folder tmp. dir must not exist. Every file is synced,
// read back for a manifest with lengths and SHA-256 sums, which is written and synced, then the folder renamed. On any error, fill's
// too, before the rename the temporary folder is removed. fill writes as it likes and need not sync, but must return the errors of its
// writes. Of two writers of one dir at once, at most one succeeds. What writers of dir left behind that were killed is removed, but for on Windows.
func WriteDirAtomic(dir string, fill func(tmp string) error) error {
	return writeDirAtomic(osFS{}, dir, fill)
}

func writeDirAtomic(sys fsys, dir string, fill func(tmp string) error) (err error) {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("file: write %s: %w", dir, fs.ErrExist)
	}
	parent := filepath.Dir(dir)
	var tmp string
	release, err := makeTemp(dir, func(pattern string) (string, error) {
		tmp, err = sys.MkdirTemp(parent, pattern)
		return tmp, err
	})
	if err != nil {
		return diskFull(fmt.Errorf("file: write %s: %w", dir, err), dir, 0)
	}
	defer release()
	defer func() {
		if err != nil {
			sys.RemoveAll(tmp) // gone already once renamed
			err = diskFull(fmt.Errorf("file: write %s: %w", dir, err), dir, 0)
		}
	}()
	if err = fill(tmp); err != nil {
		return err
	}
	manifest, folders := map[string]entry{}, []string{}
	err = walk(tmp, func(rel string, d fs.DirEntry) error {
		path := filepath.Join(tmp, rel)
		if d.IsDir() {
			folders = append(folders, path)
			return nil
		}
		if err := sys.SyncFile(path); err != nil {
			return err
		}
		e, err := sum(path)
		manifest[filepath.ToSlash(rel)] = e
		return err
	})
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(manifest, "", " ")
	if err != nil {
		return err
	}
	if err = writePlain(sys, filepath.Join(tmp, ManifestName), data); err != nil {
		return err
	}
	for i := len(folders) - 1; i >= 0; i-- {
		if err = sys.SyncDir(folders[i]); err != nil {
			return err
		}
	}
	if err = sys.Rename(tmp, dir); err != nil {
		return err
	}
	return sys.SyncDir(parent)
}

func writePlain(sys fsys, path string, data []byte) error {
	f, err := sys.Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// walk visits the folders and regular files under root by relative name, root itself as "."; anything else is an error.
func walk(root string, visit func(rel string, d fs.DirEntry) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return visit(rel, d)
	})
}

func sum(path string) (entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return entry{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return entry{n, hex.EncodeToString(h.Sum(nil))}, err
}

// VerifyDir compares dir with its manifest. A missing, added or changed file gives a *DamageError.
func VerifyDir(dir string) error {
	f, err := os.Open(filepath.Join(dir, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return &DamageError{dir, ManifestName, "is missing"}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return err
	}
	if len(data) > maxManifest {
		return &DamageError{dir, ManifestName, fmt.Sprintf("is longer than %d bytes", maxManifest)}
	}
	var manifest map[string]entry
	if err := json.Unmarshal(data, &manifest); err != nil {
		return &DamageError{dir, ManifestName, "is not a manifest: " + err.Error()}
	}
	if again, err := json.MarshalIndent(manifest, "", " "); err != nil || !bytes.Equal(again, data) {
		return &DamageError{dir, ManifestName, "is not as it was written"}
	}
	err = walk(dir, func(rel string, d fs.DirEntry) error {
		rel = filepath.ToSlash(rel)
		if d.IsDir() || rel == ManifestName {
			return nil
		}
		want, ok := manifest[rel]
		if !ok {
			return &DamageError{dir, rel, "is not in the manifest"}
		}
		delete(manifest, rel)
		got, err := sum(filepath.Join(dir, filepath.FromSlash(rel)))
		switch {
		case err != nil:
			return err
		case got.Length != want.Length:
			return &DamageError{dir, rel, fmt.Sprintf("has %d bytes, want %d", got.Length, want.Length)}
		case got.SHA256 != want.SHA256:
			return &DamageError{dir, rel, fmt.Sprintf("has SHA-256 %s, want %s", got.SHA256, want.SHA256)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name := range manifest {
		return &DamageError{dir, name, "is missing"}
	}
	return nil
}
