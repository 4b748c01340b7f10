package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

var (
	helpVerb = regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)?)(?:  |$)`)
	helpFlag = regexp.MustCompile(`(?m)^ +(?:-\w, )?--(?:\[no-\])?([a-z0-9-]+)`)
	pageLink = regexp.MustCompile(`\]\(([a-z0-9-]+\.md)`)
	pageFlag = regexp.MustCompile(`--(?:no-)?([a-z0-9-]*[a-z0-9])`)
)

// TestVerbPages: README.md leads to the page of each verb; the page, or one that it links to, names each of the verb's flags; and every flag that a page names is one of some verb.
func TestVerbPages(t *testing.T) {
	docs := filepath.Join(testkit.Root(), "docs")
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	readme := read(filepath.Join(testkit.Root(), "README.md"))
	_, list, _ := strings.Cut(ok(t, "--help"), "\nCommands:\n")
	verbs := helpVerb.FindAllStringSubmatch(list, -1)
	if len(verbs) < 20 {
		t.Fatalf("plinth --help shows %d verbs", len(verbs))
	}
	flags := map[string]bool{"na-prob-file": true} // of SQuAD's script
	pages := map[string]bool{}
	for _, m := range verbs {
		verb, page := m[1], pageOf(m[1])
		help := ok(t, append(strings.Fields(verb), "--help")...)
		text := readme // which has the flags of all verbs
		if page != "" {
			pages[page] = true
			text += read(filepath.Join(docs, page))
			for _, l := range pageLink.FindAllStringSubmatch(text, -1) {
				text += read(filepath.Join(docs, l[1]))
			}
			if !strings.Contains(readme, "](docs/"+page+")") {
				t.Errorf("README.md does not lead to docs/%s, the page of %s", page, verb)
			}
		}
		named := map[string]bool{}
		for _, f := range pageFlag.FindAllStringSubmatch(text, -1) {
			named[f[1]] = true
		}
		for _, f := range helpFlag.FindAllStringSubmatch(help, -1) {
			flags[f[1]], flags[strings.TrimPrefix(f[1], "no-")] = true, true
			if !named[strings.TrimPrefix(f[1], "no-")] {
				t.Errorf("docs/%s does not name --%s of plinth %s", page, f[1], verb)
			}
		}
	}
	for page := range pages {
		for _, f := range pageFlag.FindAllStringSubmatch(read(filepath.Join(docs, page)), -1) {
			if !flags[f[1]] {
				t.Errorf("docs/%s names --%s, which no verb has", page, f[1])
			}
		}
	}
}

// pageOf is the page of a verb, "" for version, which README.md describes.
func pageOf(verb string) string {
	first, _, _ := strings.Cut(verb, " ")
	switch first {
	case "version":
		return ""
	case "list", "rm":
		return "pull.md"
	case "scale":
		return strings.ReplaceAll(verb, " ", "-") + ".md"
	}
	return first + ".md"
}
