package imagetext

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
)

// ReadOptions say where in the data pictures and captions stand. The zero value takes the defaults given with each field.
type ReadOptions struct {
	Image     string       // of tables, the column with the picture's file, relative to Folder; "image"
	Text      []string     // of tables, the columns with captions, each a text or a list of them; "text"
	Group     string       // of tables, a column: rows of the same value are one item; "": rows of the same picture are
	Folder    string       // of tables, where the pictures are; the table's own folder
	Caption   string       // of shards, the key of the caption in a .json member, a text or a list of them; "caption"
	Templates []string     // of class folders, captions with {} in the place of the class's name; "a photo of a {}."
	Limits    media.Limits // of pictures: members of shards that are larger are refused
}

// Read lists the pairs of all paths: a table (.csv, .tsv, .jsonl, .parquet; also .gz and .zst), a shard (.tar), or a folder. Of a folder it takes the shards
// in it, or else the one table in it, or else its subfolders as classes. No picture is decoded, and a path without a pair is an error. Errors name file and row.
func Read(ctx context.Context, paths []string, o ReadOptions) ([]Item, error) {
	if o.Image == "" {
		o.Image = "image"
	}
	if len(o.Text) == 0 {
		o.Text = []string{"text"}
	}
	if o.Caption == "" {
		o.Caption = "caption"
	}
	if len(o.Templates) == 0 {
		o.Templates = []string{"a photo of a {}."}
	}
	var g gathered
	for _, path := range paths {
		before := g.rows
		if err := g.read(ctx, path, o); err != nil {
			return nil, fmt.Errorf("imagetext: %w", err)
		}
		if g.rows == before {
			return nil, fmt.Errorf("imagetext: %s: %w", path, ErrNoPairs)
		}
	}
	return g.items, nil
}

func (g *gathered) read(ctx context.Context, path string, o ReadOptions) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return g.folder(ctx, path, o)
	case isShard(path):
		return g.shard(ctx, path, o)
	case isTable(path):
		return g.table(ctx, path, o)
	}
	return fmt.Errorf("%s is neither a table (.csv, .tsv, .jsonl, .parquet), nor a shard (.tar), nor a folder", path)
}

func isShard(path string) bool { return strings.EqualFold(filepath.Ext(path), ".tar") }

func isTable(path string) bool {
	path = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(path), ".gz"), ".zst")
	return slices.Contains([]string{".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet"}, filepath.Ext(path))
}

func isPicture(name string) bool {
	return slices.Contains([]string{".jpg", ".jpeg", ".png", ".webp", ".gif"}, strings.ToLower(filepath.Ext(name)))
}

func (g *gathered) folder(ctx context.Context, dir string, o ReadOptions) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var shards, tables, classes []string
	for _, d := range list {
		path := filepath.Join(dir, d.Name())
		info, err := os.Stat(path) // what a link leads to
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), "."):
		case info.IsDir():
			classes = append(classes, d.Name())
		case isShard(path):
			shards = append(shards, path)
		case isTable(path):
			tables = append(tables, path)
		}
	}
	switch {
	case len(shards) > 0:
		for _, path := range shards {
			if err := g.shard(ctx, path, o); err != nil {
				return err
			}
		}
		return nil
	case len(tables) > 1:
		return fmt.Errorf("%s holds several tables, %s and %s among them: name the one that is meant", dir, tables[0], tables[1])
	case len(tables) == 1:
		return g.table(ctx, tables[0], o)
	}
	for _, class := range classes {
		if err := g.class(ctx, dir, class, o); err != nil {
			return err
		}
	}
	return nil
}

// class adds the pictures below a folder, whose name, with spaces for _ and -, stands in the templates.
func (g *gathered) class(ctx context.Context, dir, class string, o ReadOptions) error {
	name := strings.TrimSpace(strings.NewReplacer("_", " ", "-", " ").Replace(class))
	captions := make([]string, len(o.Templates))
	for i, t := range o.Templates {
		if !strings.Contains(t, "{}") {
			return fmt.Errorf("template %q has no {} for the name of the class", t)
		}
		captions[i] = strings.ReplaceAll(t, "{}", name)
	}
	return filepath.WalkDir(filepath.Join(dir, class), func(path string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if d.IsDir() || !isPicture(path) {
			return nil
		}
		return g.add(path, Row{Name: path, Captions: slices.Clone(captions), path: path})
	})
}

func (g *gathered) table(ctx context.Context, path string, o ReadOptions) error {
	t, err := data.OpenTable(path, data.TableOptions{})
	if err != nil {
		return err
	}
	defer t.Close()
	columns := []data.Column{{For: "the picture", Name: o.Image}}
	for _, name := range o.Text {
		columns = append(columns, data.Column{For: "the caption", Name: name, Optional: len(o.Text) > 1})
	}
	if o.Group != "" {
		columns = append(columns, data.Column{For: "the group", Name: o.Group})
	}
	rows, err := t.Select(ctx, columns...)
	if err != nil {
		return err
	}
	dir := o.Folder
	if dir == "" {
		dir = filepath.Dir(path)
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		name := row.Fields[0]
		if name == "" {
			return fmt.Errorf("%s: no picture: column %q is empty", row.Name, o.Image)
		}
		at, err := file.Folder(dir).Within(name)
		if err != nil {
			return fmt.Errorf("%s: picture %w", row.Name, err)
		}
		r := Row{Name: row.Name + ": " + at, path: at}
		for i := range o.Text {
			list, err := captions(row.Fields[1+i], row.Nested[1+i])
			if err != nil {
				return fmt.Errorf("%s: column %q %w", row.Name, o.Text[i], err)
			}
			r.Captions = append(r.Captions, list...)
		}
		key := at
		if o.Group != "" {
			key = row.Fields[len(row.Fields)-1]
		}
		if err := g.add(key, r); err != nil {
			return err
		}
	}
	return nil
}

// captions are those of a field: its text, none where it is empty, or the texts of a list.
func captions(field string, nested bool) (list []string, err error) {
	switch {
	case nested:
		if err := json.Unmarshal([]byte(field), &list); err != nil {
			return nil, fmt.Errorf("holds %.60s, neither a text nor a list of them", field)
		}
		return list, nil
	case strings.TrimSpace(field) == "":
		return nil, nil
	}
	return []string{field}, nil
}
