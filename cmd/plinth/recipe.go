package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/plinth-ml/plinth/internal/file"
)

// recipeFile is the name of the resolved recipe in a run directory.
const recipeFile = "recipe.yaml"

// notInRecipe are flags that say how a command runs, not what it makes.
var notInRecipe = []string{"help", "config", "resume", "json", "threads"}

// recipe are flags from a YAML file; those of the command line win.
type recipe struct {
	file   string
	values map[string]any
}

// openRecipe reads what --config names, for kong.
func openRecipe(r io.Reader) (kong.Resolver, error) {
	name := "recipe"
	if f, ok := r.(*os.File); ok {
		name = f.Name()
	}
	b, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("--config %s: %w", name, err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(b, &values); err != nil && len(bytes.TrimSpace(b)) > 0 {
		return nil, fmt.Errorf("--config %s: %w", name, err)
	}
	return &recipe{name, values}, nil
}

// Validate refuses keys that are no flags of train.
func (r *recipe) Validate(app *kong.Application) error {
	var known []string
	for _, n := range app.Children {
		if n.Name == "train" {
			for _, group := range n.AllFlags(false) {
				for _, f := range group {
					known = append(known, f.Name)
				}
			}
		}
	}
	for key, v := range r.values {
		if !slices.Contains(known, key) || key == "help" || key == "config" {
			return fmt.Errorf("%s: %q is no flag of plinth train", r.file, key)
		}
		if _, ok := v.(map[string]any); ok || v == nil {
			return fmt.Errorf("%s: %s has no value, or more than a list", r.file, key)
		}
	}
	return nil
}

// Resolve returns the value of a flag, nil where the file has none.
func (r *recipe) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	v, ok := r.values[flag.Name]
	if _, list := v.([]any); !ok || list {
		return v, nil
	}
	return fmt.Sprint(v), nil
}

// saveRecipe writes the flags of the verb that ran, as they came out, to dir, but for those that another family has alone.
func saveRecipe(k *kong.Context, dir, family string) error {
	var items yaml.MapSlice
	for _, f := range k.Flags() {
		v := f.Target.Interface()
		if slices.Contains(notInRecipe, f.Name) || family != "clip" && forClip(f) || !f.HasDefault && reflect.ValueOf(v).IsZero() {
			continue
		}
		items = append(items, yaml.MapItem{Key: f.Name, Value: v})
	}
	slices.SortFunc(items, func(a, b yaml.MapItem) int { return strings.Compare(a.Key.(string), b.Key.(string)) })
	b, err := yaml.Marshal(items)
	if err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, recipeFile), b, 0o644)
}
