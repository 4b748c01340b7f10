package hub

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Ref names a published model: a repository, one of its files where it is only that, and a revision.
type Ref struct {
	Repo     string // "org/name", or "name" for the oldest ones
	File     string // path within the repository, or a part that only one file's name has ("Q4_K_M"); empty: the whole model
	Revision string // branch, tag or commit; empty: main
}

// word tells whether s is 1 to most letters, digits, '_' and characters of more, beginning with none of these.
func word(s string, most int, more string) bool {
	for i, c := range []byte(s) {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !plain && (i == 0 || !strings.Contains(more, string(rune(c)))) {
			return false
		}
	}
	return len(s) > 0 && len(s) <= most
}

// hexadecimal tells whether s is n digits as hashes are written.
func hexadecimal(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

func isCommit(s string) bool { return hexadecimal(s, 40) }
func isHash(s string) bool   { return hexadecimal(s, 40) || hexadecimal(s, 64) }

// ParseRef reads "org/name", "org/name:file" or "org/name@revision:file", or the address of a model or of one of its files on the hub's web pages
// (see parseAddress), at DefaultEndpoint or at one of hubs.
func ParseRef(s string, hubs ...string) (Ref, error) {
	if r, ok, err := parseAddress(s, hubs); ok {
		return r, err
	}
	return parseName(s)
}

func parseName(s string) (Ref, error) {
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
		if !word(p, 96, ".-") || strings.Contains(p, "--") || strings.Contains(p, "..") || strings.HasSuffix(p, ".git") {
			return fmt.Errorf("hub: %q is no repository: want org/name of letters, digits, '.', '_' and single '-'", r.Repo)
		}
	}
	if r.Revision != "" && (!word(r.Revision, 200, "./-") || strings.Contains(r.Revision, "..") || !filepath.IsLocal(r.Revision)) {
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
