package data

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	meta "github.com/parquet-go/parquet-go/format"
)

// parquetRows reads the records of a Parquet file. A column is a leaf of the schema under its path, joined with dots; of a list the parts
// "list.element" are left out, and its field is a JSON array.
type parquetRows struct {
	name   string
	file   *os.File
	size   int64
	groups []parquet.RowGroup
	parts  []meta.RowGroup // what the footer says of groups
	rows   parquet.Rows
	leaves []parquet.LeafColumn
	buf    [1]parquet.Row
	read   int
	limit  int
}

// codecs are those that the library reads. Its LZ4_RAW loses pages that shrink to more than a third, and has no end on a damaged one.
var codecs = []meta.CompressionCodec{meta.Uncompressed, meta.Snappy, meta.Gzip, meta.Brotli, meta.Zstd}

func (t *Table) openParquet(f *os.File, o TableOptions) (err error) {
	defer caught(t.Name, &err)
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if err := checkFooter(f, info.Size()); err != nil {
		return fmt.Errorf("%s: damaged: %w", t.Name, err)
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	p := &parquetRows{name: t.Name, file: f, size: info.Size(), groups: file.RowGroups(), parts: file.Metadata().RowGroups, limit: o.MaxBytes}
	for _, g := range p.parts {
		for _, column := range g.Columns {
			if codec := column.MetaData.Codec; !slices.Contains(codecs, codec) {
				return fmt.Errorf("%s: column %s is packed with %v, which is not read: write the file with snappy, gzip, brotli or zstd",
					t.Name, strings.Join(column.MetaData.PathInSchema, "."), codec)
			}
		}
	}
	for _, path := range file.Schema().Columns() {
		leaf, _ := file.Schema().Lookup(path...)
		if leaf.MaxRepetitionLevel > 1 {
			return fmt.Errorf("%s: column %s is a list of lists", t.Name, strings.Join(path, "."))
		}
		p.leaves = append(p.leaves, leaf)
		name := strings.Join(path, ".")
		for _, list := range []string{".list.element", ".list.item", ".array", ".bag.array_element"} {
			if leaf.MaxRepetitionLevel == 1 {
				name = strings.TrimSuffix(name, list)
			}
		}
		t.Columns = append(t.Columns, name)
	}
	if len(t.Columns) > maxColumns {
		return fmt.Errorf("%s: %d columns, at most %d are read", t.Name, len(t.Columns), maxColumns)
	}
	t.src = p
	t.close = append(t.close, func() {
		if p.rows != nil {
			p.rows.Close()
		}
	})
	return nil
}

// caught turns a panic of the library on a damaged file into an error.
func caught(name string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: damaged: %v", name, r)
	}
}

func (p *parquetRows) next() (r record, err error) {
	defer caught(p.name, &err)
	for {
		if p.rows == nil {
			if len(p.groups) == 0 {
				return record{}, io.EOF
			}
			if err := checkGroup(p.file, p.size, &p.parts[0]); err != nil {
				return record{}, fmt.Errorf("%s: damaged: records from %d on: %w", p.name, p.read+1, err)
			}
			p.rows, p.groups, p.parts = p.groups[0].Rows(), p.groups[1:], p.parts[1:]
		}
		n, err := p.rows.ReadRows(p.buf[:])
		if n == 1 {
			p.read++
			return p.record()
		}
		if err != nil && err != io.EOF {
			return record{}, fmt.Errorf("%s: record %d: %w", p.name, p.read+1, err)
		}
		if err == io.EOF {
			p.rows.Close()
			p.rows = nil
		}
	}
}

func (p *parquetRows) record() (record, error) {
	r := record{line: p.read, fields: make([]string, len(p.leaves)), absent: make([]bool, len(p.leaves)), nested: make([]bool, len(p.leaves))}
	lists := make([][]any, len(p.leaves))
	size := 0
	for _, v := range p.buf[0] {
		c := v.Column()
		if c < 0 || c >= len(p.leaves) {
			return record{}, fmt.Errorf("%s: record %d: column %d of %d", p.name, p.read, c, len(p.leaves))
		}
		text := ""
		if !v.IsNull() {
			text = v.String()
		}
		if size += len(text); size > p.limit {
			return record{}, fmt.Errorf("%s: record %d: %w", p.name, p.read, errTooLong)
		}
		if at := invalid(text); at >= 0 {
			return record{}, fmt.Errorf("%s: record %d: column %q is not UTF-8", p.name, p.read, strings.Join(p.leaves[c].Path, "."))
		}
		switch list := p.leaves[c].MaxRepetitionLevel == 1; {
		case list && v.IsNull(): // an empty list, or an element without a value
		case list && (v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray):
			lists[c] = append(lists[c], text)
		case list:
			lists[c] = append(lists[c], json.RawMessage(text))
		case v.IsNull():
			r.absent[c] = true
		default:
			r.fields[c] = text
		}
	}
	for c, leaf := range p.leaves {
		if leaf.MaxRepetitionLevel == 0 {
			continue
		}
		if lists[c] == nil {
			lists[c] = []any{}
		}
		b, err := json.Marshal(lists[c])
		if err != nil {
			return record{}, fmt.Errorf("%s: record %d: %w", p.name, p.read, err)
		}
		r.fields[c], r.nested[c] = string(b), true
	}
	return r, nil
}
