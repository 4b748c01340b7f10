package data

import (
	"context"
	"go/parser"
	"go/token"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.\r?$`)

// GoRoot finds a Go distribution on this machine, "" if there is none.
func GoRoot(ctx context.Context) string {
	list := []string{os.Getenv("GOROOT")}
	if bin, err := exec.LookPath("go"); err == nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if out, err := exec.CommandContext(ctx, bin, "env", "GOROOT").Output(); err == nil {
			list = append(list, strings.TrimSpace(string(out)))
		}
	}
	list = append(list, "/usr/local/go", "/usr/lib/go", "/usr/lib/golang", "/opt/homebrew/opt/go/libexec", `C:\Program Files\Go`)
	for _, root := range list {
		if root != "" {
			if _, err := os.Stat(filepath.Join(root, "src", "fmt", "print.go")); err == nil {
				return root
			}
		}
	}
	return ""
}

// GoSource reads the .go files below root, such as GOROOT/src, without generated files (counted), vendor and testdata folders, and, unless
// tests is set, without _test.go files. Group is the package's folder, as in Documents.
func GoSource(ctx context.Context, root string, tests bool, o ReadOptions) iter.Seq2[Document, error] {
	if o.Skipped == nil {
		o.Skipped = new(Skips)
	}
	o.keep = func(rel string) bool {
		p := "/" + rel
		return strings.HasSuffix(p, ".go") && !strings.Contains(p, "/vendor/") && !strings.Contains(p, "/testdata/") && (tests || !strings.HasSuffix(p, "_test.go"))
	}
	return func(yield func(Document, error) bool) {
		for d, err := range Documents(ctx, []string{root}, o) {
			if err == nil && generated.Match(d.Text) {
				o.Skipped.Generated++
				continue
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// StripGoHeader returns src from behind its package clause and imports, without what stands before them. Source whose header
// does not parse comes back as it is.
func StripGoHeader(src []byte) []byte {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "", src, parser.ImportsOnly)
	if err != nil {
		return src
	}
	end := f.Name.End()
	for _, d := range f.Decls {
		end = max(end, d.End())
	}
	rest := src[set.File(f.FileStart).Offset(end):]
	for len(rest) > 0 && strings.IndexByte(" \t\r\n;", rest[0]) >= 0 {
		rest = rest[1:]
	}
	return rest
}
