//go:build ignore

// Gen packs the repository's code and documents into corpus.tar.gz.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		log.Fatal(err)
	}
	t := tar.NewWriter(z)
	total := 0
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if strings.HasPrefix(name, ".") && name != ".." || name == "testdata" || name == "quickstart" || name == "tools" {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext != ".go" && ext != ".md" || name == "tables.go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		if total += len(text); total > 1_000_000 {
			return fs.SkipAll
		}
		if err := t.WriteHeader(&tar.Header{Name: filepath.ToSlash(rel), Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		_, err = t.Write(text)
		return err
	})
	if err == nil {
		err = t.Close()
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = os.WriteFile("corpus.tar.gz", out.Bytes(), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%d bytes of text, %d packed", total, out.Len())
}
