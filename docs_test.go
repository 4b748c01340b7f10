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

// TestDocLinks: a relative link of a page leads to a file that is there, and to a heading of it where it names one.
func TestDocLinks(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		text := readPage(t, page)
		for _, m := range docLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			file, section, _ := strings.Cut(m[1], "#")
			to := page
			if file != "" {
				to = filepath.Join(filepath.Dir(page), filepath.FromSlash(file))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: (%s) leads nowhere", page, m[1])
			} else if section != "" && !headings(readPage(t, to))[section] {
				t.Errorf("%s: (%s): %s has no such heading", page, m[1], to)
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links found", links)
	}
}

// pages are the Markdown files of the project, without those of node modules and test data.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"docs", "bench", "deploy", "tools"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".md" {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return docCode.ReplaceAllString(string(b), "")
}

// headings are the anchors that GitHub gives a page's headings: lower case, spaces as hyphens, without other punctuation.
func headings(text string) map[string]bool {
	anchors := map[string]bool{}
	for _, m := range docHeading.FindAllStringSubmatch(text, -1) {
		s := notInSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), "")
		anchors[strings.ReplaceAll(s, " ", "-")] = true
	}
	return anchors
}
