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
	Bytes     int64      `json:"bytes"`          // on disk, a blob that two snapshots share once
	Partial   int64      `json:"partial"`        // of these, bytes of downloads that were not finished
	Link      string     `json:"link,omitempty"` // where its folder lies, where the store has only a symbolic link to that
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

// path is a model's folder, or a symbolic link to it, as is made where it lies on another disk.
func (s Store) path(repo string) string { return filepath.Join(s.Dir, folder(repo)) }

// open opens a model's folder, through a link where the store has that; what is written and deleted is then reached within the folder.
func (s Store) open(repo string) (*os.Root, error) { return os.OpenRoot(s.path(repo)) }

// Link is where a model's folder lies whose entry in the store is a symbolic link; empty where it is none.
func (s Store) Link(repo string) string {
	to, err := os.Readlink(s.path(repo))
	if err != nil {
		return ""
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(s.Dir, to)
	}
	return to
}

// List returns every model of the store by name.
func (s Store) List() ([]Model, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	var list []Model
	for _, e := range entries {
		// A link that leads nowhere is listed too: its disk may be away.
		if repo, ok := repoOf(e.Name()); ok && (e.IsDir() || s.Link(repo) != "") {
			m, err := s.read(repo)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
	}
	return list, nil
}

// read lists one model.
func (s Store) read(repo string) (Model, error) {
	m, dir := Model{Repo: repo, Link: s.Link(repo)}, s.path(repo)
	blobs, err := readDir(filepath.Join(dir, "blobs"))
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
	refs := os.DirFS(filepath.Join(dir, "refs"))
	err = fs.WalkDir(refs, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return ignoreAbsent(err)
		}
		commit, err := readRef(filepath.Join(dir, "refs", filepath.FromSlash(p)))
		if err == nil {
			revisions[commit] = append(revisions[commit], p)
		}
		return nil // a damaged reference names nothing
	})
	if err != nil {
		return m, fmt.Errorf("hub: %w", err)
	}
	commits, err := readDir(filepath.Join(dir, "snapshots"))
	if err != nil {
		return m, fmt.Errorf("hub: %w", err)
	}
	for _, c := range commits {
		if !c.IsDir() || !isCommit(c.Name()) {
			continue
		}
		snap := Snapshot{Commit: c.Name(), Revisions: revisions[c.Name()], Dir: filepath.Join(dir, "snapshots", c.Name()), Files: []File{}}
		slices.Sort(snap.Revisions)
		if info, err := c.Info(); err == nil {
			snap.Fetched = info.ModTime()
		}
		err := fs.WalkDir(os.DirFS(snap.Dir), ".", func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			f, at := File{Name: p}, filepath.Join(snap.Dir, filepath.FromSlash(p))
			if to, err := os.Readlink(at); err == nil {
				f.blob = path.Base(filepath.ToSlash(to))
			}
			if info, err := os.Stat(at); err == nil {
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

func readDir(name string) ([]fs.DirEntry, error) {
	list, err := os.ReadDir(name)
	return list, ignoreAbsent(err)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readRef reads the commit that a reference stands for.
func readRef(name string) (string, error) {
	data, err := file.Read(name, 64)
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
	m, err := s.read(r.Repo)
	if err != nil {
		return "", err
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

// Remove deletes a model, or the one snapshot of a revision, or one file, with the blobs that nothing else needs, and returns the bytes freed. Of a whole
// model that is a Link, the link is deleted and nothing freed.
func (s Store) Remove(r Ref) (int64, error) {
	freed, err := s.remove(r)
	return freed, file.Plain(s.path(r.Repo), err)
}

func (s Store) remove(r Ref) (int64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	at := s.path(r.Repo)
	link := s.Link(r.Repo)
	if _, err := os.Stat(at); err != nil && link == "" {
		return 0, fmt.Errorf("hub: %s %w", r, ErrAbsent)
	}
	unlock, err := s.lock(r.Repo)
	if err != nil {
		return 0, err
	}
	defer unlock()
	m, err := s.read(r.Repo)
	if err != nil {
		return 0, err
	}
	if r.File == "" && r.Revision == "" {
		// Renamed first, so that a model that is half deleted is never found.
		gone := filepath.Join(s.Dir, "removing-"+folder(r.Repo))
		if err := os.RemoveAll(gone); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
		if err := os.Rename(at, gone); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
		if err := os.RemoveAll(gone); err != nil { // of a link the link alone
			return 0, fmt.Errorf("hub: %w", err)
		}
		if link != "" {
			return 0, nil
		}
		return m.Bytes, nil
	}
	root, err := s.open(r.Repo)
	if err != nil {
		return 0, fmt.Errorf("hub: %w", err)
	}
	defer root.Close()
	if err := s.removePart(root, r, m); err != nil {
		return 0, err
	}
	left, err := s.read(r.Repo)
	if err != nil {
		return 0, err
	}
	if len(left.Snapshots) == 0 && left.Partial == 0 {
		if err := os.RemoveAll(at); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
	}
	return m.Bytes - left.Bytes, nil
}

// removePart deletes a snapshot or one file of it, and then the blobs without a name.
func (s Store) removePart(root *os.Root, r Ref, m Model) error {
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
		if err := root.Remove(path.Join("snapshots", snap.Commit, f.Name)); err != nil {
			return fmt.Errorf("hub: %w", err)
		}
	}
	if len(drop) == len(snap.Files) {
		for _, rev := range snap.Revisions {
			if err := root.Remove(path.Join("refs", rev)); err != nil {
				return fmt.Errorf("hub: %w", err)
			}
		}
		if err := root.RemoveAll(path.Join("snapshots", snap.Commit)); err != nil {
			return fmt.Errorf("hub: %w", err)
		}
	}
	left, err := s.read(r.Repo)
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
			if err := ignoreAbsent(os.Remove(filepath.Join(s.path(r.Repo), "blobs", f.blob))); err != nil {
				return fmt.Errorf("hub: %w", err)
			}
		}
	}
	return nil
}
