package data

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	slashpath "path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Document is one text of a corpus. Text belongs to the receiver.
type Document struct {
	Name  string // file, with :line for a record of a file
	Group string // folder of the file, from the name of the folder given down: src/net/http for a file below /usr/src
	Text  []byte // valid UTF-8
}

// Skips counts what a reader left out.
type Skips struct {
	Hidden    int `json:"hidden"`
	Binary    int `json:"binary"`
	Bad       int `json:"bad"`
	Generated int `json:"generated"`
}

// ReadOptions are the settings of Documents.
type ReadOptions struct {
	Field    string // field of JSON lines and column of CSV; "": text
	OnBad    string // "" or "error": stop at bad input; "skip": leave it out and count it
	MaxBytes int    // of one document or record; 0: 64 MiB
	Skipped  *Skips // where to count; nil: nowhere

	keep func(rel string) bool // files in folders to read, by slash path below the folder; nil: all
}

var errTooLong = errors.New("longer than the limit")

type reader struct {
	ctx   context.Context
	o     ReadOptions
	yield func(Document, error) bool
	group string // of the file being read
}

var errStop = errors.New("stop")

// Documents reads files and folders in the order given, folders in lexical order, without following links inside them. A .jsonl or .csv file
// holds a document per record, any other a single one; .gz and .zst are unpacked. Hidden and binary files in folders are left
// out and counted. An error names file and line, and ends the sequence. Under OnBad "skip" a record that is not JSON, has no such field,
// is too long or not UTF-8 is left out; of a damaged archive, and of a .csv file with a record that is too long, all that follows is, as one.
func Documents(ctx context.Context, paths []string, o ReadOptions) iter.Seq2[Document, error] {
	if o.Field == "" {
		o.Field = "text"
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.Skipped == nil {
		o.Skipped = new(Skips)
	}
	return func(yield func(Document, error) bool) {
		r := &reader{ctx: ctx, o: o, yield: yield}
		if o.OnBad != "" && o.OnBad != "error" && o.OnBad != "skip" {
			yield(Document{}, fmt.Errorf("data: OnBad %q is neither error nor skip", o.OnBad))
			return
		}
		for _, root := range paths {
			named, err := filepath.Abs(root)
			if err != nil {
				yield(Document{}, fmt.Errorf("data: %w", err))
				return
			}
			if to, err := filepath.EvalSymlinks(root); err == nil {
				root = to // a link is followed where it is named
			}
			err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return err
				}
				if path != root && strings.HasPrefix(d.Name(), ".") {
					o.Skipped.Hidden++
					if d.IsDir() {
						return filepath.SkipDir
					}
					return nil
				}
				if d.IsDir() {
					return nil
				}
				if path == root {
					r.group = filepath.Base(filepath.Dir(named))
					return r.file(path)
				}
				rel, err := filepath.Rel(root, path)
				if err != nil {
					return err
				}
				if rel = filepath.ToSlash(rel); !d.Type().IsRegular() || o.keep != nil && !o.keep(rel) {
					return nil
				}
				r.group = slashpath.Join(filepath.Base(named), slashpath.Dir(rel))
				return r.file(path)
			})
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(Document{}, fmt.Errorf("data: %w", err))
				return
			}
		}
	}
}

// bad reports or counts one bad input.
func (r *reader) bad(name string, err error) error {
	if r.o.OnBad == "skip" {
		r.o.Skipped.Bad++
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func (r *reader) emit(name string, text []byte) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if len(text) > r.o.MaxBytes {
		return r.bad(name, errTooLong)
	}
	if !utf8.Valid(text) {
		return r.bad(name, errors.New("not valid UTF-8"))
	}
	if !r.yield(Document{name, r.group, text}, nil) {
		return errStop
	}
	return nil
}

func (r *reader) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.read(path, f)
}

// unpack returns what stands in the file path unpacked, if it ends in .gz or .zst, the path in lower case without that ending, and what
// to call when all is read.
func unpack(path string, in io.Reader) (_ io.Reader, base string, done func(), err error) {
	base = strings.ToLower(path)
	switch ext := filepath.Ext(base); ext {
	case ".gz":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, "", nil, err
		}
		return z, strings.TrimSuffix(base, ext), func() { z.Close() }, nil
	case ".zst":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, "", nil, err
		}
		return z, strings.TrimSuffix(base, ext), z.Close, nil
	}
	return in, base, func() {}, nil
}

// read reads the documents of what stands in the file path.
func (r *reader) read(path string, in io.Reader) error {
	in, base, done, err := unpack(path, in)
	if err != nil {
		return r.bad(path, err)
	}
	defer done()
	switch filepath.Ext(base) {
	case ".jsonl":
		return r.jsonl(path, in)
	case ".csv":
		return r.csv(path, in)
	}
	text, err := io.ReadAll(io.LimitReader(in, int64(r.o.MaxBytes)+1))
	if err != nil {
		return r.bad(path, err)
	}
	if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
		r.o.Skipped.Binary++
		return nil
	}
	return r.emit(path, text)
}

// line reads one line of at most limit bytes; of a longer one it drops the rest and returns errTooLong.
func line(in *bufio.Reader, limit int) ([]byte, error) {
	var text []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if long = long || len(text)+len(part) > limit; !long {
			text = append(text, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && err != io.EOF:
			return nil, err
		case long:
			return nil, errTooLong
		}
		return text, err
	}
}

func (r *reader) jsonl(path string, src io.Reader) error {
	in := bufio.NewReaderSize(src, 64<<10)
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s:%d", path, n)
		raw, err := line(in, r.o.MaxBytes)
		if err == errTooLong {
			if err := r.bad(name, err); err != nil {
				return err
			}
			continue
		}
		if err != nil && err != io.EOF {
			return r.bad(name, err)
		}
		if n == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(raw)) > 0 {
			if e := r.record(name, raw); e != nil {
				return e
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

func (r *reader) record(name string, raw []byte) error {
	if !utf8.Valid(raw) {
		return r.bad(name, errors.New("not valid UTF-8"))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return r.bad(name, err)
	}
	var text *string
	field, ok := fields[r.o.Field]
	if !ok {
		return r.bad(name, fmt.Errorf("field %q is missing", r.o.Field))
	}
	if err := json.Unmarshal(field, &text); err != nil || text == nil {
		return r.bad(name, fmt.Errorf("field %q is no string", r.o.Field))
	}
	return r.emit(name, []byte(*text))
}

// bounded fails once more than left bytes were read since left was last set.
type bounded struct {
	in   io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (r *reader) csv(path string, src io.Reader) error {
	in := &bounded{src, r.o.MaxBytes + 64<<10}
	c := csv.NewReader(in)
	head, err := c.Read()
	if err != nil {
		return r.bad(path+":1", fmt.Errorf("header: %w", err))
	}
	col := -1
	for i, name := range head {
		if strings.TrimPrefix(name, "\ufeff") == r.o.Field {
			col = i
		}
	}
	if col < 0 {
		return r.bad(path+":1", fmt.Errorf("no column %q; there are %q: name that of the text (--field), or leave such files out (--on-bad skip)", r.o.Field, head[:min(len(head), 12)]))
	}
	for last := 1; ; {
		in.left = r.o.MaxBytes + 64<<10
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) && parse.Err != errTooLong {
			if err := r.bad(fmt.Sprintf("%s:%d", path, parse.Line), err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return r.bad(fmt.Sprintf("%s: record after line %d", path, last), err)
		}
		last, _ = c.FieldPos(col)
		if err := r.emit(fmt.Sprintf("%s:%d", path, last), []byte(row[col])); err != nil {
			return err
		}
	}
}
