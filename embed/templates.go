package embed

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
)

//go:embed templates/*.txt
var templateFiles embed.FS

// TemplateSets are the names of published sets of templates: the 80 that OpenAI wrote for ImageNet, and the 7 of them that do best together.
var TemplateSets = []string{"imagenet80", "best7"}

// Templates reads a set of templates: one of TemplateSets, or a file with a template in each line that is not empty. Each has {} for the label.
func Templates(name string) ([]string, error) {
	const most = 1 << 20
	var all string
	var err error
	if slices.Contains(TemplateSets, name) {
		var b []byte
		b, err = templateFiles.ReadFile("templates/" + name + ".txt")
		all = string(b)
	} else {
		all, err = file.ReadText(name, most)
	}
	if err != nil {
		return nil, fmt.Errorf("embed: templates: %w; sets by name are %s", err, strings.Join(TemplateSets, " and "))
	}
	var list []string
	line := 0
	for text := range strings.Lines(all) {
		line++
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if !strings.Contains(text, "{}") {
			return nil, fmt.Errorf("embed: %s: line %d: %q has no {} for the label", name, line, text)
		}
		list = append(list, text)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("embed: %s has no template", name)
	}
	return list, nil
}
