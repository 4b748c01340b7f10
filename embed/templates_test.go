package embed_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// The sets that are there by name are those that open_clip publishes.
func TestTemplates(t *testing.T) {
	want := map[string][]string{}
	testkit.Ask(t, "testdata/templates.py", []string{"open_clip"}, nil, &want)
	for _, name := range embed.TemplateSets {
		got, err := embed.Templates(name)
		if err != nil || !reflect.DeepEqual(got, want[name]) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want[name])
		}
	}
}

func TestTemplateFiles(t *testing.T) {
	for name, n := range map[string]int{"imagenet80": 80, "best7": 7} {
		if list, err := embed.Templates(name); err != nil || len(list) != n {
			t.Errorf("%s: %d templates, %v", name, len(list), err)
		}
	}
	path := filepath.Join(t.TempDir(), "own.txt")
	for text, want := range map[string]string{"a {}\n\n the {} \n": "", "a {}\nnothing\n": "line 2", "\n": "no template"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := embed.Templates(path)
		if want == "" && (err != nil || !reflect.DeepEqual(list, []string{"a {}", "the {}"})) || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%q: %q, %v; want %s", text, list, err, want)
		}
	}
	if _, err := embed.Templates("imagenet79"); err == nil || !strings.Contains(err.Error(), "imagenet80") {
		t.Errorf("a set that is not there: %v", err)
	}
}
