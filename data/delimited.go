package data

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// delimited reads CSV, or lines of fields between tabs. Every record must have as many fields as the first.
type delimited struct {
	name  string
	limit int
	csv   *csv.Reader // or lines
	bound *bounded
	lines *bufio.Reader
	line  int // read so far, of lines
	width int
}

func (d *delimited) next() (record, error) {
	r, err := d.read()
	if err != nil {
		return record{}, err
	}
	if d.width == 0 {
		d.width = len(r.fields)
	}
	switch n := len(r.fields); {
	case n > maxColumns:
		return record{}, fmt.Errorf("%s:%d: %d columns, at most %d are read", d.name, r.line, n, maxColumns)
	case n != d.width:
		return record{}, fmt.Errorf("%s:%d: %d fields where the first record has %d", d.name, r.line, n, d.width)
	}
	for i, f := range r.fields {
		if at := invalid(f); at >= 0 {
			return record{}, fmt.Errorf("%s:%d: field %d is not UTF-8 (byte 0x%02x after %q): convert the file, as with iconv -f latin1 -t utf-8", d.name, r.line, i+1, f[at], clip(f[:at]))
		}
	}
	return r, nil
}

func (d *delimited) read() (record, error) {
	if d.lines != nil {
		for {
			d.line++
			text, err := line(d.lines, d.limit)
			if err != nil && err != io.EOF {
				return record{}, fmt.Errorf("%s:%d: %w", d.name, d.line, err)
			}
			ended := err == io.EOF
			text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
			if len(text) > 0 {
				return record{line: d.line, fields: strings.Split(string(text), "\t")}, nil
			}
			if ended {
				return record{}, io.EOF
			}
		}
	}
	d.bound.left = d.limit + 64<<10 // the reader reads ahead by less than that
	fields, err := d.csv.Read()
	var parse *csv.ParseError
	switch {
	case err == io.EOF:
		return record{}, io.EOF
	case errors.As(err, &parse) && parse.Err == csv.ErrFieldCount: // next says it better
	case errors.As(err, &parse):
		return record{}, fmt.Errorf("%s:%d: %w", d.name, parse.Line, parse.Err)
	case err != nil:
		return record{}, fmt.Errorf("%s: record after line %d: %w", d.name, d.line, err)
	}
	d.line, _ = d.csv.FieldPos(0)
	return record{line: d.line, fields: fields}, nil
}

// invalid returns where s stops to be UTF-8, or -1.
func invalid(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if _, n := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && n == 1 {
			return i
		}
	}
	return -1
}

// jsonLines reads an object a line. Its columns are the keys seen so far, in order of appearance; once frozen, others are left out.
type jsonLines struct {
	name  string
	in    *bufio.Reader
	limit int
	line  int
	keys  []string
	read  int // records
}

func (j *jsonLines) next() (record, error) {
	for {
		j.line++
		raw, err := line(j.in, j.limit)
		if err != nil && err != io.EOF {
			return record{}, fmt.Errorf("%s:%d: %w", j.name, j.line, err)
		}
		if len(bytes.TrimSpace(raw)) > 0 {
			r, err := j.object(raw)
			if err != nil {
				return record{}, fmt.Errorf("%s:%d: %w", j.name, j.line, err)
			}
			j.read++
			return r, nil
		}
		if err == io.EOF {
			return record{}, io.EOF
		}
	}
}

func (j *jsonLines) object(raw []byte) (record, error) {
	if at := invalid(string(raw)); at >= 0 {
		return record{}, fmt.Errorf("not UTF-8 (byte 0x%02x at %d)", raw[at], at)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return record{}, err
	}
	if values == nil {
		return record{}, errors.New("null is no object")
	}
	if j.read < ahead {
		if err := j.learn(raw); err != nil {
			return record{}, err
		}
	}
	r := record{line: j.line, fields: make([]string, len(j.keys)), absent: make([]bool, len(j.keys)), nested: make([]bool, len(j.keys))}
	for i, key := range j.keys {
		v, ok := values[key]
		if r.absent[i] = !ok || string(v) == "null"; r.absent[i] {
			continue
		}
		r.nested[i] = v[0] == '[' || v[0] == '{'
		if r.fields[i] = string(v); v[0] == '"' {
			if err := json.Unmarshal(v, &r.fields[i]); err != nil {
				return record{}, err
			}
		}
	}
	return r, nil
}

// learn adds the keys of an object to the columns, in its own order.
func (j *jsonLines) learn(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.Token() // {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if name := key.(string); !slices.Contains(j.keys, name) {
			j.keys = append(j.keys, name)
		}
		if len(j.keys) > maxColumns {
			return fmt.Errorf("more than %d keys", maxColumns)
		}
	}
	return nil
}
