package plinth

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	docCode    = regexp.MustCompile("(?s)```.*?```")
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestDocLinks: a relative link of a page leads to a file that is there, and to a heading of it where it names one; and README.md leads to every page, over others or at once.
func TestDocLinks(t *testing.T) {
	pages := map[string]string{"README.md": readPage(t, "README.md")}
	for _, dir := range []string{"docs", "bench"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".md" {
				pages[path] = readPage(t, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	to := map[string][]string{} // the pages that a page leads to
	for page, text := range pages {
		for _, m := range docLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, section, _ := strings.Cut(m[1], "#")
			path := page
			if file != "" {
				path = filepath.Join(filepath.Dir(page), filepath.FromSlash(file))
			}
			to[page] = append(to[page], path)
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: (%s) leads nowhere", page, m[1])
			} else if section != "" && !anchors(pages[path])[section] {
				t.Errorf("%s: (%s): %s has no such heading", page, m[1], path)
			}
		}
	}
	reached := map[string]bool{}
	for next := []string{"README.md"}; len(next) > 0; next = next[1:] {
		if page := next[0]; !reached[page] {
			reached[page] = true
			next = append(next, to[page]...)
		}
	}
	for page := range pages {
		if !reached[page] {
			t.Errorf("no link leads to %s", page)
		}
	}
}

// readPage reads a page without its fenced code.
func readPage(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return docCode.ReplaceAllString(string(b), "")
}

// anchors are the names that GitHub gives a page's headings: lower case, spaces as hyphens, without other punctuation.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, m := range docHeading.FindAllStringSubmatch(text, -1) {
		s := notInSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), "")
		names[strings.ReplaceAll(s, " ", "-")] = true
	}
	return names
}
