package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/media/sheet"
	"github.com/plinth-ml/plinth/model/zoo"
)

// badPicture is a file that is no picture that can be read.
type badPicture struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// openPairs opens a model of pictures and texts for this run.
func openPairs(c *common, name string) (*embed.Dual, error) {
	path, err := modelPath(name)
	if err != nil {
		return nil, err
	}
	d, err := embed.OpenDual(path, zoo.Options{})
	if err != nil {
		return nil, fmt.Errorf("%w: pictures want a CLIP", err)
	}
	d.Threads = c.Threads
	return d, nil
}

// pictureNames are the endings of files that are taken for pictures.
var pictureNames = []string{".jpg", ".jpeg", ".png", ".webp", ".gif"}

// picturesIn lists the pictures of files and folders, those of a folder by their names and without hidden ones. A file that is named is taken whatever its name.
func picturesIn(ctx context.Context, flag string, paths []string) (files []string, err error) {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			switch hidden := strings.HasPrefix(d.Name(), ".") && path != root; {
			case hidden && d.IsDir():
				return fs.SkipDir
			case d.IsDir() || hidden:
			case path == root || slices.Contains(pictureNames, strings.ToLower(filepath.Ext(path))):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
	}
	return files, nil
}

// groundFlags say what transparent pictures are laid over.
type groundFlags struct {
	Ground string `help:"Colour, six hexadecimal digits, that transparent pictures are laid over, as in training; without it their alpha is dropped." placeholder:"RRGGBB" group:"Pictures"`
}

// colour is that of --ground, nil without it.
func (g *groundFlags) colour() (*[3]uint8, error) {
	if g.Ground == "" {
		return nil, nil
	}
	var c [3]uint8
	if b, err := hex.DecodeString(strings.TrimPrefix(g.Ground, "#")); err != nil || copy(c[:], b) != 3 || len(b) != 3 {
		return nil, usagef("--ground %q: want six hexadecimal digits, such as ffffff", g.Ground)
	}
	return &c, nil
}

// readPicture decodes a file, laid over a ground where there is one. Errors name it.
func readPicture(path string, ground *[3]uint8) (m *media.Image, err error) {
	f, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if ground != nil {
		m, err = media.DecodeOver(f, media.Limits{}, *ground)
	} else {
		m, err = media.Decode(f, media.Limits{})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// pictureVectors are those of the pictures in files. Where one cannot be read its vector is nil and it is among the bad ones.
func pictureVectors(ctx context.Context, d *embed.Dual, files []string, ground *[3]uint8) ([][]float32, []badPicture, error) {
	failed := make([]error, len(files))
	vectors, err := d.Images(ctx, len(files), func(i int) (*media.Image, error) {
		m, err := readPicture(files[i], ground)
		if err != nil {
			failed[i], m = err, media.NewImage(1, 1)
		}
		return m, nil
	})
	if err != nil {
		return nil, nil, err
	}
	var bad []badPicture
	for i, err := range failed {
		if err == nil {
			continue
		}
		vectors[i] = nil
		bad = append(bad, badPicture{files[i], strings.TrimPrefix(plainError(err).Error(), files[i]+": ")})
	}
	return vectors, bad, nil
}

// sayBad names the pictures that could not be read, the first of many.
func sayBad(c *common, bad []badPicture) {
	for i, b := range bad {
		if i == 10 {
			c.say("... and %d more", len(bad)-i)
			break
		}
		c.say("not read: %s: %s", b.File, b.Error)
	}
}

// isSheet says whether a file's name is that of a contact sheet.
func isSheet(path string) bool { return strings.EqualFold(filepath.Ext(path), ".png") }

// pictureCell is a file's cell of a contact sheet.
func pictureCell(path, note string) sheet.Cell {
	return sheet.Cell{Name: filepath.Base(path), Note: note, Open: func() (*media.Image, error) { return readPicture(path, &sheet.Paper) }}
}

// writeSheet draws a contact sheet; where there is not room for all cells it says so.
func writeSheet(c *common, path string, s *sheet.Sheet) error {
	if n := len(s.Cells); n > sheet.MaxCells {
		c.say("note: %s shows the first %d of %d pictures", path, sheet.MaxCells, n)
	}
	return file.WriteAtomic(path, 0o644, s.PNG)
}
