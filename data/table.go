package data

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// TableOptions say how a table is read. The zero value takes the format from the file's ending and the columns' names from its first record.
type TableOptions struct {
	Format    string    // csv, tsv, jsonl or parquet; "": the file's ending says it
	Delimiter rune      // between the fields of CSV; 0: a comma, or a semicolon where the names of the columns have semicolons and no comma
	NoHeader  bool      // the first record of CSV or TSV is data: the columns are called 1, 2, ...
	Quoted    bool      // fields of TSV may stand in double quotes as in CSV; by default a quote is a letter like any other
	MaxBytes  int       // of one record; 0: 16 MiB
	Stdin     io.Reader // what the path "-" reads; nil: os.Stdin
}

// Formats are the formats of tables.
var Formats = []string{"csv", "tsv", "jsonl", "parquet"}

// Table is a file of records with named columns, read as a stream.
type Table struct {
	Name    string   // the file
	Columns []string // of JSON lines: the keys of the first records

	format string
	src    records
	head   []record // records that were read ahead
	err    error    // what reading them ended with
	close  []func()
}

// record is one record of a table.
type record struct {
	line   int // of the file, from 1; of Parquet the number of the record
	fields []string
	absent []bool // fields that are missing or null; nil: none
	nested []bool // fields that are a list or an object; nil: none
}

// records is a stream of records: io.EOF ends it.
type records interface {
	next() (record, error)
}

// Row is the selected fields of one record.
type Row struct {
	Name   string   // file:line
	Fields []string // in the order of the selection. A number or a list of JSON or Parquet is its JSON text
	Nested []bool   // fields that are a list or an object, and not a text that looks like one
}

// Column is a column that a caller needs.
type Column struct {
	For      string // what the caller calls it, for errors: --text
	Name     string // the column's name, or its number from 1
	Optional bool   // a field that is missing or null is "" instead of an error
}

// ahead is the number of records that are read when a table is opened: an error about columns shows them, and their keys are the columns of JSON lines.
const ahead = 3

// most columns of a table.
const maxColumns = 4096

// OpenTable opens a file, .gz and .zst unpacked, or standard input ("-", where Format must be given).
func OpenTable(path string, o TableOptions) (*Table, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 16 << 20
	}
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	t := &Table{Name: path}
	if err := t.open(path, o); err != nil {
		t.Close()
		return nil, err
	}
	for len(t.head) < ahead && t.err == nil {
		var r record
		if r, t.err = t.src.next(); t.err == nil {
			t.head = append(t.head, r)
		}
	}
	if keyed, ok := t.src.(*jsonLines); ok {
		t.Columns = keyed.keys // of all records so far
	}
	if len(t.Columns) == 0 && len(t.head) > 0 {
		for i := range t.head[0].fields {
			t.Columns = append(t.Columns, strconv.Itoa(i+1))
		}
	}
	if len(t.head) == 0 && t.err != io.EOF {
		t.Close()
		return nil, t.err
	}
	return t, nil
}

func (t *Table) open(path string, o TableOptions) error {
	in, base := o.Stdin, ""
	if path == "-" {
		t.Name = "standard input"
	} else {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("data: %w", err)
		}
		t.close = append(t.close, func() { f.Close() })
		if t.format = o.Format; t.format == "" && strings.EqualFold(filepath.Ext(path), ".parquet") {
			t.format = "parquet"
		}
		if t.format == "parquet" {
			return t.openParquet(f, o)
		}
		var done func()
		if in, base, done, err = unpack(path, f); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		t.close = append(t.close, done)
	}
	if t.format = o.Format; t.format == "" {
		t.format = map[string]string{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}[filepath.Ext(base)]
	}
	if t.format == "" {
		return fmt.Errorf("%s: its name does not tell the format: give one of %s", t.Name, strings.Join(Formats, ", "))
	}
	return t.openText(in, o)
}

// openText opens the formats that are text.
func (t *Table) openText(in io.Reader, o TableOptions) error {
	text := bufio.NewReaderSize(in, 64<<10)
	switch mark, _ := text.Peek(3); {
	case string(mark) == "\ufeff":
		text.Discard(3)
	case len(mark) >= 2 && (mark[0] == 0xff && mark[1] == 0xfe || mark[0] == 0xfe && mark[1] == 0xff):
		return fmt.Errorf("%s:1: this is UTF-16: convert it to UTF-8", t.Name)
	}
	switch t.format {
	case "jsonl":
		t.src = &jsonLines{name: t.Name, in: text, limit: o.MaxBytes}
		return nil
	case "csv", "tsv":
		d := &delimited{name: t.Name, limit: o.MaxBytes}
		if t.format == "tsv" && !o.Quoted {
			d.lines = text
		} else {
			d.bound = &bounded{text, o.MaxBytes}
			d.csv = csv.NewReader(d.bound)
			if d.csv.Comma = '\t'; t.format == "csv" {
				if d.csv.Comma = o.Delimiter; o.Delimiter == 0 {
					d.csv.Comma = delimiter(text, o.NoHeader)
				}
			}
		}
		t.src = d
		if o.NoHeader {
			return nil
		}
		head, err := d.next()
		if err == io.EOF {
			return fmt.Errorf("%s: empty: not even a header", t.Name)
		}
		if err != nil {
			return err
		}
		for i, name := range head.fields {
			if at := slices.Index(head.fields, name); at < i {
				return fmt.Errorf("%s:%d: columns %d and %d are both called %q", t.Name, head.line, at+1, i+1, name)
			}
		}
		t.Columns = head.fields
		return nil
	case "parquet":
		return fmt.Errorf("%s: Parquet is read from a file that is not packed", t.Name)
	}
	return fmt.Errorf("%s: format %q is none of %s", t.Name, t.format, strings.Join(Formats, ", "))
}

// delimiter is what stands between fields, told from the line of names: spreadsheets write semicolons where the comma is in numbers.
func delimiter(text *bufio.Reader, noHeader bool) rune {
	names, _ := text.Peek(text.Buffered())
	if i := bytes.IndexByte(names, '\n'); i >= 0 {
		names = names[:i]
	}
	if !noHeader && bytes.ContainsRune(names, ';') && !bytes.ContainsRune(names, ',') {
		return ';'
	}
	return ','
}

// Close closes the file.
func (t *Table) Close() {
	for _, f := range slices.Backward(t.close) {
		f()
	}
	t.close = nil
}

// Select returns the records' fields of the given columns, to be ranged over once. A column that is not there is an error that names those
// that are, the nearest one, and the first records. Later errors name file and line and end the sequence.
func (t *Table) Select(ctx context.Context, columns ...Column) (iter.Seq2[Row, error], error) {
	at := make([]int, len(columns))
	for i, c := range columns {
		if at[i] = t.find(c.Name); at[i] < 0 {
			return nil, t.noColumn(c)
		}
	}
	return func(yield func(Row, error) bool) {
		for i := 0; ; i++ {
			r, err := t.at(i)
			if err == io.EOF {
				return
			}
			if err == nil {
				err = ctx.Err()
			}
			row := Row{Name: t.Name + ":" + strconv.Itoa(r.line), Fields: make([]string, len(at)), Nested: make([]bool, len(at))}
			for j, col := range at {
				if err != nil {
					break
				}
				switch absent := col >= len(r.fields) || r.absent != nil && r.absent[col]; {
				case absent && !columns[j].Optional:
					err = fmt.Errorf("%s: no value for %q", row.Name, t.Columns[col])
				case !absent:
					row.Fields[j], row.Nested[j] = r.fields[col], r.nested != nil && r.nested[col]
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}, nil
}

// at returns record i; from the first that was not read ahead on they must be asked for in order.
func (t *Table) at(i int) (record, error) {
	if i < len(t.head) {
		return t.head[i], nil
	}
	if t.err != nil {
		return record{}, t.err
	}
	r, err := t.src.next()
	t.err = err
	return r, err
}

// find returns the index of a column by name, or by number from 1, or -1.
func (t *Table) find(name string) int {
	if i := slices.Index(t.Columns, name); i >= 0 {
		return i
	}
	if n, err := strconv.Atoi(name); err == nil && 1 <= n && n <= len(t.Columns) && t.format != "jsonl" {
		return n - 1
	}
	return -1
}

// Has says whether there is such a column.
func (t *Table) Has(name string) bool { return t.find(name) >= 0 }

func (t *Table) noColumn(c Column) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: no column %q", t.Name, c.Name)
	if c.For != "" {
		fmt.Fprintf(&b, " for %s", c.For)
	}
	b.WriteString(": there are ")
	for i, name := range t.Columns[:min(len(t.Columns), 20)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", clip(name))
	}
	if len(t.Columns) > 20 {
		fmt.Fprintf(&b, " and %d more", len(t.Columns)-20)
	}
	if near := nearest(c.Name, t.Columns); near != "" {
		fmt.Fprintf(&b, " (perhaps %q?)", near)
	}
	if len(t.Columns) == 1 && t.format != "parquet" && t.format != "jsonl" {
		b.WriteString("; is the delimiter another one?")
	}
	for _, r := range t.head {
		fmt.Fprintf(&b, "\n  line %d:", r.line)
		for _, f := range r.fields[:min(len(r.fields), 20)] {
			fmt.Fprintf(&b, " %q", clip(f))
		}
	}
	return errors.New(b.String())
}

// clip shortens a field for an error.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// nearest returns the name that is closest to the wanted one, if fewer than half of its letters differ.
func nearest(want string, names []string) string {
	best, least := "", len(want)/2+1
	for _, name := range names {
		if len(name) < 64 && len(want) < 64 {
			if d := distance(strings.ToLower(want), strings.ToLower(name)); d < least {
				best, least = name, d
			}
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace to turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
