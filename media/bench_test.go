package media

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkPhotos decodes each photo and makes CLIP's input of it.
func BenchmarkPhotos(b *testing.B) {
	files, _ := filepath.Glob("../../shared/data/images/photos/*.[jp][pn]g")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		m, err := Decode(bytes.NewReader(data), Limits{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(file)+"/decode", func(b *testing.B) {
			for b.Loop() {
				Decode(bytes.NewReader(data), Limits{})
			}
		})
		b.Run(filepath.Base(file)+"/apply", func(b *testing.B) {
			x := make([]float32, 3*224*224)
			for b.Loop() {
				CLIP(224).Apply(x, m)
			}
		})
	}
}
