package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/media/sheet"
	"github.com/plinth-ml/plinth/model/zoo"
)

// badFile is a file that cannot be read, as a picture or as text.
type badFile struct {
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

// picturesIn lists the pictures of files and folders: see filesIn. None at all is an error. Contact sheets of ours in folders are left out, but with
// sheets, which spares a look into each PNG file.
func picturesIn(ctx context.Context, flag string, paths []string, sheets bool) (files []string, bad []badFile, err error) {
	files, bad, err = filesIn(ctx, flag, paths, func(path string) bool {
		return slices.Contains(pictureNames, strings.ToLower(filepath.Ext(path))) && (sheets || !isOwnSheet(path))
	})
	if err == nil && len(files)+len(bad) == 0 {
		err = fmt.Errorf("%s: no picture (%s) in %s", flag, strings.Join(pictureNames, ", "), strings.Join(paths, " "))
	}
	return files, bad, err
}

// filesIn lists files, and those of folders, and of the folders in them, that take accepts, by their names and without hidden ones. A file that is named is
// listed whatever take says of it; one that is not there is an error. Folders below that cannot be listed are bad.
func filesIn(ctx context.Context, flag string, paths []string, take func(path string) bool) (files []string, bad []badFile, err error) {
	bad = []badFile{}
	for _, root := range paths {
		if info, err := os.Stat(root); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", flag, err)
		} else if info.IsDir() {
			root += string(filepath.Separator) // of a link the folder behind it
		}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			hidden := path != root && strings.HasPrefix(d.Name(), ".")
			switch {
			case hidden && d.IsDir():
				return fs.SkipDir
			case err != nil:
				bad = append(bad, badFile{filepath.Clean(path), plainError(err).Error()})
			case d.IsDir() || hidden:
			case path == root || take(path):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", flag, err)
		}
	}
	return files, bad, nil
}

// errNoneRead ends a verb that found pictures, none of which is one.
var errNoneRead = errors.New("no picture could be read")

// unread ends a verb that has told what it found in the pictures it could read, with the exit code 1 where others are bad.
func unread(bad []badFile) error {
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("%s could not be read; the rest is done", plural(len(bad), "file"))
}

// checkOut says what is wrong with a file that is to be written: there is no folder for it, nothing may be written there, or it is one of those that are read.
func checkOut(flag, path string, inputs []string) error {
	dir := filepath.Dir(path)
	if at, err := os.Stat(dir); err != nil || !at.IsDir() {
		return fmt.Errorf("%s %s: there is no folder %s", flag, path, dir)
	}
	probe, err := os.CreateTemp(dir, filepath.Base(path)+".tmp-*") // as it will be written
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, path, err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("%s %s: %w", flag, path, err)
	}
	before, err := os.Stat(path)
	if err != nil {
		return nil // nothing is there
	}
	if before.IsDir() {
		return fmt.Errorf("%s %s is a folder", flag, path)
	}
	for _, p := range inputs {
		if at, err := os.Stat(p); err == nil && os.SameFile(at, before) {
			return usagef("%s %s is one of the files that are read, and would be lost", flag, path)
		}
	}
	return nil
}

// decodeFlags say how pictures are decoded.
type decodeFlags struct {
	Ground    string `help:"Colour, six hexadecimal digits, that transparent pictures are laid over, as in training; without it what the model's folder says, or their alpha is dropped." placeholder:"RRGGBB" group:"Pictures"`
	MaxPixels int    `default:"33554432" help:"Most pixels of a picture; larger ones are not read. Decoding takes up to 19 bytes for each, on every thread." placeholder:"N" group:"Pictures"`
}

// decoding is how pictures are decoded: what they are laid over, nil where the model's folder is to say it, and the limits.
type decoding struct {
	ground  *[3]uint8
	limits  media.Limits
	dropped *atomic.Int64 // counts pictures whose alpha is dropped, where there is no ground
}

// decoding are the flags.
func (f *decodeFlags) decoding() (o decoding, err error) {
	if f.MaxPixels < 1 || f.MaxPixels > 1<<28 {
		return o, usagef("--max-pixels %d is not within 1 to %d", f.MaxPixels, 1<<28)
	}
	o.dropped = new(atomic.Int64)
	o.limits = media.Limits{Pixels: f.MaxPixels, Bytes: max(16<<20, f.MaxPixels/2), Side: max(1<<14, f.MaxPixels>>11)} // as for 1<<25 pixels, and more in proportion
	if f.Ground == "" {
		return o, nil
	}
	o.ground = new([3]uint8)
	if b, err := hex.DecodeString(strings.TrimPrefix(f.Ground, "#")); err != nil || copy(o.ground[:], b) != 3 || len(b) != 3 {
		return o, usagef("--ground %q: want six hexadecimal digits, such as ffffff", f.Ground)
	}
	return o, nil
}

// by is how pictures are decoded for a model.
func (o decoding) by(d *embed.Dual) decoding {
	o.ground = cmp.Or(o.ground, d.Prepare.Ground)
	return o
}

// hint names the flag in an error about a limit.
func hint(err error) error {
	if errors.Is(err, media.ErrLimit) {
		return fmt.Errorf("%w (see --max-pixels)", err)
	}
	return err
}

// read decodes a file, laid over the ground where there is one. Errors name it.
func (o decoding) read(path string) (m *media.Image, err error) {
	f, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if o.ground != nil {
		m, err = media.DecodeOver(f, o.limits, *o.ground)
	} else {
		m, err = o.drop(f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, hint(err))
	}
	return m, nil
}

// drop decodes a picture without its alpha, and counts it where it has one.
func (o decoding) drop(f io.Reader) (*media.Image, error) {
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	m, err := media.Decode(io.MultiReader(bytes.NewReader(head[:n]), f), o.limits)
	if err == nil && o.dropped != nil && media.HasAlpha(head[:n]) {
		o.dropped.Add(1)
	}
	return m, err
}

// sayDropped tells of pictures whose alpha was dropped.
func (o decoding) sayDropped(c *common) {
	if n := o.dropped.Load(); n > 0 {
		c.say("note: of %s with transparency the alpha was dropped: neither --ground nor the model's folder says what lies behind it", plural(int(n), "picture"))
	}
}

// pictureVectors are those of the pictures in files. Where one cannot be read its vector is nil and it is among the bad ones.
func pictureVectors(ctx context.Context, d *embed.Dual, files []string, o decoding) ([][]float32, []badFile, error) {
	o = o.by(d)
	return vectorsOf(ctx, d, len(files), func(i int) string { return files[i] }, func(i int) (*media.Image, error) { return o.read(files[i]) })
}

// vectorsOf are the vectors of n pictures. Where open fails the vector is nil and the picture, whose name the error may begin with, is among the bad ones.
func vectorsOf(ctx context.Context, d *embed.Dual, n int, name func(i int) string, open func(i int) (*media.Image, error)) ([][]float32, []badFile, error) {
	failed := make([]error, n)
	vectors, err := d.Images(ctx, n, func(i int) (*media.Image, error) {
		m, err := open(i)
		if err != nil {
			failed[i], m = err, media.NewImage(1, 1)
		}
		return m, nil
	})
	if err != nil {
		return nil, nil, err
	}
	bad := []badFile{}
	for i, err := range failed {
		if err == nil {
			continue
		}
		vectors[i] = nil
		bad = append(bad, badFile{name(i), strings.TrimPrefix(plainError(err).Error(), name(i)+": ")})
	}
	return vectors, bad, nil
}

// sayBad names the files that could not be read, the first of many.
func sayBad(c *common, bad []badFile) {
	for i, b := range bad {
		if i == 10 {
			c.say("... and %d more", len(bad)-i)
			break
		}
		c.say("not read: %s: %s", oneLine(b.File), b.Error)
	}
}

// isSheet says whether a file's name is that of a contact sheet.
func isSheet(path string) bool { return strings.EqualFold(filepath.Ext(path), ".png") }

// isOwnSheet says whether a file is a contact sheet that was drawn here.
func isOwnSheet(path string) bool {
	if !isSheet(path) {
		return false
	}
	f, err := file.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return sheet.Is(f)
}

// cell is a file's cell of a contact sheet.
func (o decoding) cell(path, note string) sheet.Cell {
	o.ground = &sheet.Paper
	return sheet.Cell{Name: filepath.Base(path), Note: note, Open: func() (*media.Image, error) { return o.read(path) }}
}

// writeSheet draws a contact sheet; where there is not room for all cells it says so.
func writeSheet(c *common, path string, s *sheet.Sheet) error {
	if n := len(s.Cells); n > sheet.MaxCells {
		c.say("note: %s shows the first %d of %d pictures", path, sheet.MaxCells, n)
	}
	return file.WriteAtomic(path, 0o644, s.PNG)
}
