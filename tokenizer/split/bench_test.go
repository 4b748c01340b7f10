package split

import (
	"bytes"
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkCut reads books where the data folder is, and Go's own source.
func BenchmarkCut(b *testing.B) {
	texts := map[string][]byte{}
	root := os.Getenv("PLINTH_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	for name, path := range map[string]string{"english": "gutenberg/austen-emma.txt", "verse": "tinyshakespeare.txt", "chinese": "zh/*.txt"} {
		if found, _ := filepath.Glob(filepath.Join(root, "corpora", path)); len(found) > 0 {
			text, err := os.ReadFile(found[0])
			if err != nil {
				b.Fatal(err)
			}
			texts[name] = text
		}
	}
	files, _ := filepath.Glob(filepath.Join(build.Default.GOROOT, "src/net/http/*.go"))
	for _, f := range files {
		s, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		texts["go"] = append(texts["go"], s...)
	}
	texts["mixed"] = bytes.Repeat([]byte(strings.Join(randomTexts(1000, 20, anyRune), " ")), 10)
	ends := make([]int, 1024)
	for _, p := range []*Pattern{GPT2, CL100K, O200K} {
		for name, text := range texts {
			b.Run(p.Name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					for at := 0; at < len(text); {
						at = ends[p.Cut(ends, text, at)-1]
					}
				}
			})
		}
	}
}
