package main

import (
	"context"
	"strings"

	"github.com/plinth-ml/plinth/data"
)

// tableFlags say where in a table the texts stand.
type tableFlags struct {
	Text     string `default:"text" help:"Column of the text: its name, or its number from 1." placeholder:"COL" group:"Table"`
	Pair     string `help:"Column of a second text: pairs are classified." placeholder:"COL" group:"Table"`
	Format   string `enum:",csv,tsv,jsonl,parquet,conll,squad" default:"" help:"Format of the files; without it their names tell it. conll is for tags, squad for questions." placeholder:"NAME" group:"Table"`
	NoHeader bool   `help:"The first record is data: columns go by their numbers." group:"Table"`
}

// columnFlags say where the labels stand too.
type columnFlags struct {
	tableFlags
	Label string `default:"label" help:"Column of the label." placeholder:"COL" group:"Table"`
	Multi string `help:"A text has several labels, which stand in the column with this between them." placeholder:"SEP" group:"Table"`
}

// rows calls f with the texts and, where label is not "", the label of each record of a table.
func (t *columnFlags) rows(ctx context.Context, path string, label string, f func(where string, texts []string, label string) error) error {
	columns := []data.Column{{For: "--text", Name: t.Text}}
	if t.Pair != "" {
		columns = append(columns, data.Column{For: "--pair", Name: t.Pair})
	}
	texts := len(columns)
	if label != "" {
		columns = append(columns, data.Column{For: "--label", Name: label, Optional: t.Multi != ""})
	}
	return records(ctx, path, data.TableOptions{Format: t.Format, NoHeader: t.NoHeader}, func(*data.Table) []data.Column { return columns }, func(row data.Row) error {
		return f(row.Name, row.Fields[:texts], strings.Join(row.Fields[texts:], ""))
	})
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
