package hub

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Ref names a published model: a repository, one of its files where it is only that, and a revision.
type Ref struct {
	Repo     string // "org/name", or "name" for the oldest ones
	File     string // path within the repository, or a part that only one file's name has ("Q4_K_M"); empty: the whole model
	Revision string // branch, tag or commit; empty: main
}

var (
	repoName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)
	revision = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$`)
	commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)
	blobHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// ParseRef reads "org/name", "org/name:file" or "org/name@revision:file".
func ParseRef(s string) (Ref, error) {
	var r Ref
	repo, file, has := strings.Cut(s, ":")
	if r.File = file; has && file == "" {
		return r, fmt.Errorf("hub: %q names no file behind the colon", s)
	}
	repo, rev, has := strings.Cut(repo, "@")
	if r.Repo, r.Revision = repo, rev; has && rev == "" {
		return r, fmt.Errorf("hub: %q names no revision behind the @", s)
	}
	return r, r.check()
}

func (r Ref) check() error {
	parts := strings.Split(r.Repo, "/")
	if len(parts) > 2 {
		return fmt.Errorf("hub: %q is no repository: want org/name", r.Repo)
	}
	for _, p := range parts {
		if !repoName.MatchString(p) || strings.Contains(p, "--") || strings.Contains(p, "..") || strings.HasSuffix(p, ".git") {
			return fmt.Errorf("hub: %q is no repository: want org/name of letters, digits, '.', '_' and single '-'", r.Repo)
		}
	}
	if r.Revision != "" && (!revision.MatchString(r.Revision) || strings.Contains(r.Revision, "..") || !filepath.IsLocal(r.Revision)) {
		return fmt.Errorf("hub: %q is no revision", r.Revision)
	}
	if r.File != "" {
		return checkPath(r.File)
	}
	return nil
}

func (r Ref) revision() string {
	if r.Revision == "" {
		return "main"
	}
	return r.Revision
}

// String is the form that ParseRef reads.
func (r Ref) String() string {
	s := r.Repo
	if r.Revision != "" {
		s += "@" + r.Revision
	}
	if r.File != "" {
		s += ":" + r.File
	}
	return s
}

// checkPath refuses a file name from a server or a user that could leave its folder, on any system.
func checkPath(name string) error {
	bad := len(name) > 512 || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\:\x00") || strings.Contains(name, "//") || strings.HasSuffix(name, "/")
	for _, part := range strings.Split(name, "/") {
		bad = bad || part == "." || part == ".."
	}
	for _, c := range name {
		bad = bad || c < ' ' || c == 0x7f
	}
	if bad {
		return fmt.Errorf("hub: %q is no safe file name", name)
	}
	return nil
}
