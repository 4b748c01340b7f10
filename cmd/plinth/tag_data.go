package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/file"
)

// readTagged calls f with every text of a file: plain, or as words with the tags that the file has of them. text is the column of a table that holds them;
// tags is the column of their tags, "" for one that need not be there.
func readTagged(ctx context.Context, path string, o data.TableOptions, text, tags string, f func(where, text string, s task.Sentence) error) error {
	format := o.Format
	if format == "" && path != "-" {
		switch ext := strings.ToLower(filepath.Ext(strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst"))); ext {
		case ".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet":
		case ".txt":
			format = "text"
		default:
			format = "conll"
		}
	}
	switch {
	case format == "text":
		return readLines(path, f)
	case format == "conll":
		return readCoNLL(path, f)
	}
	return readWordTable(ctx, path, o, text, tags, f)
}

// openFile opens a file, or for "-" standard input.
func openFile(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}

func readLines(path string, f func(where, text string, s task.Sentence) error) error {
	in, err := openFile(path)
	if err != nil {
		return err
	}
	defer in.Close()
	b, err := file.ReadFrom(in, path, maxText)
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		where := fmt.Sprintf("%s:%d", path, n)
		if !utf8.ValidString(line) {
			return fmt.Errorf("%s is not UTF-8", where)
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := f(where, line, task.Sentence{}); err != nil {
			return err
		}
	}
	return nil
}

func readCoNLL(path string, f func(where, text string, s task.Sentence) error) error {
	in, err := openFile(path)
	if err != nil {
		return err
	}
	defer in.Close()
	sentences, err := task.ReadCoNLL(in)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, s := range sentences {
		if err := f(fmt.Sprintf("%s:%d", path, s.Line), "", s); err != nil {
			return err
		}
	}
	return nil
}

// readWordTable reads a table whose column holds texts, or JSON lists of words.
func readWordTable(ctx context.Context, path string, o data.TableOptions, text, tags string, f func(where, text string, s task.Sentence) error) error {
	var columns []data.Column
	choose := func(table *data.Table) []data.Column {
		if text == "" {
			if text = "text"; table.Has("words") {
				text = "words"
			}
		}
		columns = []data.Column{{For: "--text", Name: text}}
		if tags != "" {
			columns = append(columns, data.Column{For: "--tags", Name: tags})
		} else if table.Has("tags") && text == "words" {
			columns = append(columns, data.Column{Name: "tags", Optional: true})
		}
		return columns
	}
	return records(ctx, path, o, choose, func(row data.Row) error {
		var s task.Sentence
		plain := row.Fields[0]
		if strings.TrimSpace(plain) == "" {
			return fmt.Errorf("%s: column %q is empty: no text", row.Name, text)
		}
		if words, ok := wordList(plain); ok {
			s.Words, plain = words, ""
		} else if tags != "" {
			return fmt.Errorf("%s: %s is no list of words such as [\"Ada\", \"lived\"]", row.Name, text)
		}
		if len(row.Fields) > 1 && row.Fields[1] != "" {
			tags, ok := wordList(row.Fields[1])
			if !ok {
				return fmt.Errorf("%s: %s is no list of tags such as [\"B-person\", \"O\"]", row.Name, columns[1].Name)
			}
			if len(tags) != len(s.Words) {
				return fmt.Errorf("%s: %d words and %d tags", row.Name, len(s.Words), len(tags))
			}
			s.Tags = tags
		}
		return f(row.Name, plain, s)
	})
}

// wordList reads a JSON list of strings.
func wordList(field string) (list []string, ok bool) {
	if !strings.HasPrefix(strings.TrimSpace(field), "[") {
		return nil, false
	}
	err := json.Unmarshal([]byte(field), &list)
	return list, err == nil
}
