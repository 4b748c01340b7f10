package plinth

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// families are the packages of model families.
var families = []string{"model/bert", "model/clip", "model/gemma", "model/gpt", "model/gptj", "model/llama", "model/neox", "model/palm", "model/t5", "model/vision"}

// layers is the drawing of docs/architecture.md: a package may import packages of lower layers only, and of its own layer where
// the right-hand side says so.
var layers = [][]string{
	{"internal/pool", "internal/pages", "internal/gemm", "internal/vec", "internal/quant", "internal/kernel", "internal/kernel/ref", "internal/kernel/cpu", "internal/file", "internal/random", "internal/optimize", "internal/pixel"},
	{"chat/jinja", "tokenizer/split", "tokenizer/trie", "tokenizer/learn", "tokenizer/charsmap", "tokenizer/tidy", "generate/constrain"},
	{"tokenizer/wordpiece", "tokenizer/unigram", "tokenizer/spm"},
	{"chat", "tokenizer"},
	{"tensor", "media", "media/sheet", "index"},
	{"nn", "checkpoint", "checkpoint/gguf", "checkpoint/pickle", "data", "hub"},
	{"model", "eval/task", "data/imagetext"},
	families,
	{"model/zoo", "train", "generate"},
	{"adapt", "embed", "pretrain", "eval", "serve"},
	{"quickstart", "scaling"},
	{"cmd/plinth"},
}

// sideways are the imports inside one layer that are allowed.
var sideways = map[string][]string{
	"internal/gemm":       {"internal/pool", "internal/pages", "internal/vec", "internal/quant"},
	"internal/quant":      {"internal/vec"},
	"internal/kernel":     {"internal/pages", "internal/random"},
	"internal/kernel/ref": {"internal/kernel", "internal/quant"},
	"internal/kernel/cpu": {"internal/kernel", "internal/pool", "internal/gemm", "internal/vec", "internal/quant"},
	"chat":                {"tokenizer"},
	"media/sheet":         {"media"},
	"model/clip":          {"model/vision"},
	"checkpoint/gguf":     {"checkpoint"},
	"checkpoint/pickle":   {"checkpoint"},
}

// barred are imports that the layers would allow but the design does not.
var barred = map[string][]string{
	"train":      append([]string{"tokenizer", "generate"}, families...),
	"generate":   append([]string{"tokenizer", "data", "checkpoint"}, families...),
	"tokenizer":  {"internal/kernel", "internal/gemm", "internal/vec"},
	"checkpoint": {"tokenizer"},
}

// tests are packages that only tests may import.
var tests = []string{"internal/testkit", "internal/kernel/suite"}

func TestImportRules(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	rank := map[string]int{}
	for i, l := range layers {
		for _, p := range l {
			rank[p] = i
		}
	}
	const module = "github.com/plinth-ml/plinth"
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
		if pkg == "" || slices.Contains(tests, pkg) || strings.HasPrefix(pkg, "examples/") || strings.HasPrefix(pkg, "tools/") || strings.HasPrefix(pkg, "bench") {
			continue
		}
		if _, ok := rank[pkg]; !ok {
			t.Errorf("%s stands in no layer: add it to the drawing", pkg)
			continue
		}
		for _, dep := range fields[1:] {
			dep, ours := strings.CutPrefix(dep, module+"/")
			if !ours {
				continue
			}
			switch r, ok := rank[dep]; {
			case slices.Contains(tests, dep):
				t.Errorf("%s imports %s, which is for tests", pkg, dep)
			case !ok, r > rank[pkg], r == rank[pkg] && !slices.Contains(sideways[pkg], dep), slices.Contains(barred[pkg], dep):
				t.Errorf("%s must not import %s", pkg, dep)
			}
		}
	}
}
