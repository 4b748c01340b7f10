package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/internal/file"
)

// ErrAbsent is what errors of a model, or a file of it, that the store does not hold wrap.
var ErrAbsent = errors.New("is not in the store")

// Store is a folder of models in Hugging Face's cache layout. It need not exist yet.
type Store struct{ Dir string }

// Model is a repository in the store.
type Model struct {
	Repo      string     `json:"repo"`
	Snapshots []Snapshot `json:"snapshots"`
	Bytes     int64      `json:"bytes"`   // on disk, a blob that two snapshots share once
	Partial   int64      `json:"partial"` // of these, bytes of downloads that were not finished
}

// Snapshot is one commit of a model.
type Snapshot struct {
	Commit    string    `json:"commit"`
	Revisions []string  `json:"revisions"` // branches and tags that stand for it
	Dir       string    `json:"dir"`
	Files     []File    `json:"files"`
	Fetched   time.Time `json:"fetched"`
}

// File is a file of a snapshot.
type File struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	blob  string // its blob's name; empty where the snapshot holds the bytes themselves
}

const prefix = "models--"

// folder is the name of a repository's folder.
func folder(repo string) string { return prefix + strings.ReplaceAll(repo, "/", "--") }

// repoOf is the repository of a folder.
func repoOf(folder string) (string, bool) {
	name, ok := strings.CutPrefix(folder, prefix)
	repo := strings.Replace(name, "--", "/", 1)
	return repo, ok && Ref{Repo: repo}.check() == nil
}

// open opens the store's folder; everything is then reached within it.
func (s Store) open() (*os.Root, error) { return os.OpenRoot(s.Dir) }

// List returns every model of the store by name.
func (s Store) List() ([]Model, error) {
	models, err := s.list()
	return models, file.Plain(s.Dir, err)
}

func (s Store) list() ([]Model, error) {
	root, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	var list []Model
	for _, e := range entries {
		if repo, ok := repoOf(e.Name()); ok && e.IsDir() {
			m, err := s.read(root, repo)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
	}
	return list, nil
}

// read lists one model.
func (s Store) read(root *os.Root, repo string) (Model, error) {
	m, dir := Model{Repo: repo}, folder(repo)
	blobs, err := readDir(root, path.Join(dir, "blobs"))
	if err != nil {
		return m, fmt.Errorf("hub: %w", err)
	}
	for _, b := range blobs {
		if info, err := b.Info(); err == nil && info.Mode().IsRegular() {
			m.Bytes += info.Size()
			if strings.HasSuffix(b.Name(), incomplete) {
				m.Partial += info.Size()
			}
		}
	}
	revisions := map[string][]string{}
	err = fs.WalkDir(root.FS(), path.Join(dir, "refs"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return ignoreAbsent(err)
		}
		commit, err := readRef(root, p)
		if err == nil {
			revisions[commit] = append(revisions[commit], strings.TrimPrefix(p, path.Join(dir, "refs")+"/"))
		}
		return nil // a damaged reference names nothing
	})
	if err != nil {
		return m, fmt.Errorf("hub: %w", err)
	}
	commits, err := readDir(root, path.Join(dir, "snapshots"))
	if err != nil {
		return m, fmt.Errorf("hub: %w", err)
	}
	for _, c := range commits {
		if !c.IsDir() || !isCommit(c.Name()) {
			continue
		}
		snap := Snapshot{Commit: c.Name(), Revisions: revisions[c.Name()], Dir: filepath.Join(s.Dir, dir, "snapshots", c.Name()), Files: []File{}}
		slices.Sort(snap.Revisions)
		if info, err := c.Info(); err == nil {
			snap.Fetched = info.ModTime()
		}
		at := path.Join(dir, "snapshots", c.Name())
		err := fs.WalkDir(root.FS(), at, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			f := File{Name: strings.TrimPrefix(p, at+"/")}
			if to, err := root.Readlink(p); err == nil {
				f.blob = path.Base(filepath.ToSlash(to))
			}
			if info, err := root.Stat(p); err == nil {
				if f.Bytes = info.Size(); f.blob == "" {
					m.Bytes += f.Bytes // a copy: the system has no links
				}
				snap.Files = append(snap.Files, f)
			}
			return nil // a link to a blob that is gone is no file
		})
		if err != nil {
			return m, fmt.Errorf("hub: %w", err)
		}
		m.Snapshots = append(m.Snapshots, snap)
	}
	return m, nil
}

func readDir(root *os.Root, name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(root.FS(), name)
	return list, ignoreAbsent(err)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readRef reads the commit that a reference stands for.
func readRef(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := file.ReadFrom(f, name, 64)
	if err != nil {
		return "", err
	}
	if commit := strings.TrimSpace(string(data)); isCommit(commit) {
		return commit, nil
	}
	return "", fmt.Errorf("hub: %s holds no commit", name)
}

// Find returns the path of a model's folder, or of the one file that the reference names.
func (s Store) Find(r Ref) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	root, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("hub: %s %w", r, ErrAbsent)
	}
	if err != nil {
		return "", fmt.Errorf("hub: %w", err)
	}
	defer root.Close()
	m, err := s.read(root, r.Repo)
	if err != nil {
		return "", file.Plain(s.Dir, err)
	}
	for _, snap := range m.Snapshots {
		if snap.Commit != r.revision() && !slices.Contains(snap.Revisions, r.revision()) {
			continue
		}
		if r.File == "" {
			return snap.Dir, nil
		}
		name, err := match(r, snap.Files)
		if err != nil {
			return "", err
		}
		return filepath.Join(snap.Dir, filepath.FromSlash(name)), nil
	}
	return "", fmt.Errorf("hub: %s %w", r, ErrAbsent)
}

// match returns the file that r.File names: its whole path, or else the only one whose name contains it, whatever the case.
func match(r Ref, files []File) (string, error) {
	var like, all []string
	for _, f := range files {
		if f.Name == r.File {
			return f.Name, nil
		}
		if strings.Contains(strings.ToLower(path.Base(f.Name)), strings.ToLower(r.File)) {
			like = append(like, f.Name)
		}
		all = append(all, f.Name)
	}
	switch {
	case len(like) == 1:
		return like[0], nil
	case len(like) > 1:
		return "", fmt.Errorf("hub: %d files of %s match %q: %s", len(like), r.Repo, r.File, some(like))
	}
	return "", fmt.Errorf("hub: file %q of %s %w; there are %s", r.File, r.Repo, ErrAbsent, some(all))
}

// some lists the first names.
func some(names []string) string {
	if len(names) > 12 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:12], ", "), len(names)-12)
	}
	return strings.Join(names, ", ")
}

// Remove deletes a model, or the one snapshot of a revision, or one file, with the blobs that nothing else needs, and returns the bytes freed.
func (s Store) Remove(r Ref) (int64, error) {
	freed, err := s.remove(r)
	return freed, file.Plain(s.Dir, err)
}

func (s Store) remove(r Ref) (int64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	root, err := s.open()
	if err != nil {
		return 0, fmt.Errorf("hub: %s %w", r, ErrAbsent)
	}
	defer root.Close()
	if _, err := root.Stat(folder(r.Repo)); err != nil {
		return 0, fmt.Errorf("hub: %s %w", r, ErrAbsent)
	}
	unlock, err := s.lock(r.Repo)
	if err != nil {
		return 0, err
	}
	defer unlock()
	m, err := s.read(root, r.Repo)
	if err != nil {
		return 0, err
	}
	if r.File == "" && r.Revision == "" {
		// Renamed first, so that a model that is half deleted is never found.
		gone := "removing-" + folder(r.Repo)
		if err := root.RemoveAll(gone); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
		if err := root.Rename(folder(r.Repo), gone); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
		if err := root.RemoveAll(gone); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
		return m.Bytes, nil
	}
	if err := s.removePart(root, r, m); err != nil {
		return 0, err
	}
	left, err := s.read(root, r.Repo)
	if err != nil {
		return 0, err
	}
	if len(left.Snapshots) == 0 && left.Partial == 0 {
		if err := root.RemoveAll(folder(r.Repo)); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
	}
	return m.Bytes - left.Bytes, nil
}

// removePart deletes a snapshot or one file of it, and then the blobs without a name.
func (s Store) removePart(root *os.Root, r Ref, m Model) error {
	dir := folder(r.Repo)
	i := slices.IndexFunc(m.Snapshots, func(n Snapshot) bool { return n.Commit == r.revision() || slices.Contains(n.Revisions, r.revision()) })
	if i < 0 {
		return fmt.Errorf("hub: %s %w", r, ErrAbsent)
	}
	snap := m.Snapshots[i]
	drop := snap.Files
	if r.File != "" {
		name, err := match(r, snap.Files)
		if err != nil {
			return err
		}
		drop = slices.DeleteFunc(slices.Clone(snap.Files), func(f File) bool { return f.Name != name })
	}
	for _, f := range drop {
		if err := root.Remove(path.Join(dir, "snapshots", snap.Commit, f.Name)); err != nil {
			return fmt.Errorf("hub: %w", err)
		}
	}
	if len(drop) == len(snap.Files) {
		for _, rev := range snap.Revisions {
			if err := root.Remove(path.Join(dir, "refs", rev)); err != nil {
				return fmt.Errorf("hub: %w", err)
			}
		}
		if err := root.RemoveAll(path.Join(dir, "snapshots", snap.Commit)); err != nil {
			return fmt.Errorf("hub: %w", err)
		}
	}
	left, err := s.read(root, r.Repo)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, n := range left.Snapshots {
		for _, f := range n.Files {
			used[f.blob] = true
		}
	}
	for _, f := range drop {
		if f.blob != "" && !used[f.blob] {
			if err := ignoreAbsent(root.Remove(path.Join(dir, "blobs", f.blob))); err != nil {
				return fmt.Errorf("hub: %w", err)
			}
		}
	}
	return nil
}
