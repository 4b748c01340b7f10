package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/data"
)

// tableFlags say where in a table the texts stand.
type tableFlags struct {
	Text     string `default:"text" help:"Column of the text: its name, or its number from 1; ${default} where nothing else is said." placeholder:"COL" group:"Table"`
	Format   string `enum:",csv,tsv,jsonl,parquet,conll,squad" default:"" help:"Format of the files; without it their names tell it. conll is for tags, squad for questions." placeholder:"NAME" group:"Table"`
	NoHeader bool   `help:"The first record is data: columns go by their numbers." group:"Table"`
}

// pairFlags say where second texts stand.
type pairFlags struct {
	Pair string `help:"Column of a second text: pairs are read." placeholder:"COL" group:"Table"`
}

// columnFlags say where the labels stand too.
type columnFlags struct {
	tableFlags
	pairFlags
	Label string `default:"label" help:"Column of the label; ${default} where nothing else is said." placeholder:"COL" group:"Table"`
	Multi string `help:"A text has several labels, which stand in the column with this between them, or of JSON lines and Parquet as a list." placeholder:"SEP" group:"Table"`
}

// rows calls f with the texts and, where label is not "", the labels of each record of a table: one, or with --multi any number.
func (t *columnFlags) rows(ctx context.Context, path string, label string, f func(where string, texts, labels []string) error) error {
	columns := []data.Column{{For: "--text", Name: t.Text}}
	if t.Pair != "" {
		columns = append(columns, data.Column{For: "--pair", Name: t.Pair})
	}
	texts := len(columns)
	if label != "" {
		columns = append(columns, data.Column{For: "--label", Name: label, Optional: t.Multi != ""})
	}
	return records(ctx, path, data.TableOptions{Format: t.Format, NoHeader: t.NoHeader}, func(*data.Table) []data.Column { return columns }, func(row data.Row) error {
		if err := t.filled(row, texts); err != nil {
			return err
		}
		if label == "" {
			return f(row.Name, row.Fields[:texts], nil)
		}
		labels, err := t.labels(row.Fields[texts], row.Nested[texts])
		if err != nil {
			return fmt.Errorf("%s: column %q %w", row.Name, label, err)
		}
		return f(row.Name, row.Fields[:texts], labels)
	})
}

// labels are those of a field: its text, or with --multi the texts between separators, or those of a list of JSON or Parquet.
func (t *columnFlags) labels(field string, nested bool) ([]string, error) {
	var list []string
	switch {
	case nested && t.Multi == "":
		return nil, fmt.Errorf("holds %.60s, not one label: a list of labels is for --multi", field)
	case nested:
		if err := json.Unmarshal([]byte(field), &list); err != nil {
			return nil, fmt.Errorf("holds %.60s: --multi wants a list of texts", field)
		}
	case t.Multi != "":
		list = strings.Split(field, t.Multi)
	default:
		list = []string{field}
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	if t.Multi != "" {
		list = slices.DeleteFunc(list, func(l string) bool { return l == "" })
	}
	return list, nil
}

// filled refuses a record whose first fields, the texts, are not all there.
func (t *columnFlags) filled(row data.Row, texts int) error {
	for i, name := range []string{t.Text, t.Pair}[:texts] {
		if strings.TrimSpace(row.Fields[i]) == "" {
			return fmt.Errorf("%s: column %q is empty: no text", row.Name, name)
		}
	}
	return nil
}

// noneEmpty refuses texts of the command line that are not there.
func noneEmpty(texts []string) error {
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return usagef("text %d is empty", i+1)
		}
	}
	return nil
}

// records calls f with every record of a table; columns says what of it is read.
func records(ctx context.Context, path string, o data.TableOptions, columns func(*data.Table) []data.Column, f func(data.Row) error) error {
	table, err := data.OpenTable(path, o)
	if err != nil {
		return err
	}
	defer table.Close()
	rows, err := table.Select(ctx, columns(table)...)
	if err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}
