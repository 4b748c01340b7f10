package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// table reads columns of a file with the given text.
func table(t testing.TB, name, text string, o TableOptions, columns ...Column) (names []string, fields [][]string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return readTable(path, o, columns...)
}

func readTable(path string, o TableOptions, columns ...Column) (names []string, fields [][]string, err error) {
	x, err := OpenTable(path, o)
	if err != nil {
		return nil, nil, err
	}
	defer x.Close()
	rows, err := x.Select(context.Background(), columns...)
	if err != nil {
		return nil, nil, err
	}
	for row, err := range rows {
		if err != nil {
			return names, fields, err
		}
		names, fields = append(names, strings.TrimPrefix(row.Name, path+":")), append(fields, row.Fields)
	}
	return names, fields, nil
}

func columns(names ...string) (c []Column) {
	for _, n := range names {
		c = append(c, Column{For: "--" + n, Name: n})
	}
	return c
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		name, text string
		o          TableOptions
		columns    []Column
		want       string
	}{
		{"a.csv", "id,text,label\n1,\"a, \"\"b\"\"\nc\",x\n2,d,y\n", TableOptions{}, columns("label", "text"), `2 [x|a, "b"` + "\n" + `c] 4 [y|d] `},
		{"a.csv", "\ufefftext,label\r\na,x\r\n\r\nb,y", TableOptions{}, columns("text"), `2 [a] 4 [b] `},
		{"a.csv", "a;b\n1,5;2\n", TableOptions{Delimiter: ';'}, columns("b", "a"), `2 [2|1,5] `},
		{"a.csv", "\"x\";y\n1,5;\"2;3\"\n", TableOptions{}, columns("x", "y"), `2 [1,5|2;3] `},
		{"a.csv", "1;a\n", TableOptions{NoHeader: true}, columns("1"), `1 [1;a] `},
		{"a.csv", "1,a\n2,b\n3,c\n4,d\n5,e\n", TableOptions{NoHeader: true}, columns("2"), `1 [a] 2 [b] 3 [c] 4 [d] 5 [e] `},
		{"a.tsv", "text\tlabel\n\"quoted\" and \"\t1\n\nb\t0\r\n", TableOptions{}, columns("text", "2"), `2 ["quoted" and "|1] 4 [b|0] `},
		{"a.tsv", "text\tlabel\n\"a\tb\"\t1\n", TableOptions{Quoted: true}, columns("text"), "2 [a\tb] "},
		{"a.TAB", "x\ty\n1\t\n", TableOptions{}, columns("x", "y"), `2 [1|] `},
		{"a.jsonl", "{\"text\":\"a\\n\",\"n\":1.50,\"l\":[\"x\", 2]}\n\n{\"n\":true,\"text\":\"b\",\"l\":{}}", TableOptions{}, columns("text", "n", "l"), "1 [a\n|1.50|[\"x\", 2]] 3 [b|true|{}] "},
		{"a.jsonl", "\ufeff{\"a\":null}\n{\"a\":\"x\"}\n{}\n{\"c\":1}\n", TableOptions{}, []Column{{Name: "a", Optional: true}}, `1 [] 2 [x] 3 [] 4 [] `},
		{"a.txt", "a\n1\n", TableOptions{Format: "csv"}, columns("a"), `2 [1] `},
		{"a.csv", "a,b\n", TableOptions{}, columns("a"), ``},
	} {
		names, fields, err := table(t, c.name, c.text, c.o, c.columns...)
		got := ""
		for i := range names {
			got += fmt.Sprintf("%s [%s] ", names[i], strings.Join(fields[i], "|"))
		}
		if err != nil || got != c.want {
			t.Errorf("%q: %s %v, want %s", c.text, got, err, c.want)
		}
	}
}

func TestTableErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		o          TableOptions
		want       []string
	}{
		{"a.csv", "sentence,label\nfine,1\n", TableOptions{}, []string{`a.csv: no column "text" for --text`, `there are "sentence", "label"`, `line 2: "fine" "1"`}},
		{"a.csv", "Texts,label\n", TableOptions{}, []string{`perhaps "Texts"?`}},
		{"a.csv", "text|label\na|1\n", TableOptions{}, []string{"is the delimiter another one?"}},
		{"a.csv", "text,b\n1,2\n1,2\n1,2\n1,2,3\n", TableOptions{}, []string{"a.csv:5: 3 fields where the first record has 2"}},
		{"a.csv", "text\n\"open\n", TableOptions{}, []string{"a.csv:", `"`}},
		{"a.csv", "text\ngar\xe7on\n", TableOptions{}, []string{"a.csv:2: field 1 is not UTF-8 (byte 0xe7 after \"gar\")", "latin1"}},
		{"a.csv", "text,text\n", TableOptions{}, []string{"a.csv:1: columns 1 and 2 are both called"}},
		{"a.csv", "", TableOptions{}, []string{"empty"}},
		{"a.tsv", "text\n" + strings.Repeat("x", 200) + "\n", TableOptions{MaxBytes: 100}, []string{"a.tsv:2: longer than the limit"}},
		{"a.csv", "text\n\"" + strings.Repeat("x", 200<<10) + "\"\n", TableOptions{MaxBytes: 100}, []string{"longer than the limit"}},
		{"a.tsv", "\xff\xfet\x00", TableOptions{}, []string{"UTF-16"}},
		{"a.jsonl", "{\"text\":\"a\"}\n{\"text\":}\n", TableOptions{}, []string{"a.jsonl:2: "}},
		{"a.jsonl", "{\"text\":\"a\"}\n{\"text\":null}\n", TableOptions{}, []string{`a.jsonl:2: no value for "text"`}},
		{"a.jsonl", "[1]\n", TableOptions{}, []string{"a.jsonl:1: "}},
		{"a.jsonl", "{\"text\":\"\xe7\"}\n", TableOptions{}, []string{"a.jsonl:1: not UTF-8"}},
		{"a.doc", "text\n", TableOptions{}, []string{"does not tell the format", "parquet"}},
		{"a.csv", "text\n", TableOptions{Format: "xml"}, []string{`format "xml"`}},
		{"a.parquet", "PAR1 and nothing", TableOptions{}, []string{"a.parquet: "}},
	} {
		_, _, err := table(t, c.name, c.text, c.o, columns("text")...)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", c.text[:min(len(c.text), 40)], err, want)
			}
		}
	}
	if _, err := OpenTable("-", TableOptions{}); err == nil || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("standard input without a format: %v", err)
	}
}

func TestTableStdin(t *testing.T) {
	_, fields, err := readTable("-", TableOptions{Format: "csv", Stdin: strings.NewReader("a,b\n1,2\n")}, columns("b")...)
	if err != nil || !reflect.DeepEqual(fields, [][]string{{"2"}}) {
		t.Errorf("%v %v", fields, err)
	}
}

// parquetFile holds two records: a text, an optional number, a list of texts and one of numbers in a group.
func parquetFile(t testing.TB) []byte {
	type group struct {
		At []int64 `parquet:"at,list"`
	}
	type record struct {
		Text  string   `parquet:"text"`
		N     *float64 `parquet:"n,optional"`
		Tags  []string `parquet:"tags,list"`
		Group group    `parquet:"group"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[record](&b)
	n := 1.5
	if _, err := w.Write([]record{{"a", &n, []string{"x", "\"y\""}, group{[]int64{3, 4}}}, {"b", nil, nil, group{}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParquet(t *testing.T) {
	want := [][]string{{"a", "1.5", `["x","\"y\""]`, "[3,4]"}, {"b", "", "[]", "[]"}}
	cols := []Column{{Name: "text"}, {Name: "n", Optional: true}, {Name: "tags"}, {Name: "group.at"}}
	_, fields, err := table(t, "a.parquet", string(parquetFile(t)), TableOptions{}, cols...)
	if err != nil || !reflect.DeepEqual(fields, want) {
		t.Errorf("%q %v", fields, err)
	}
	path := filepath.Join(t.TempDir(), "b.parquet")
	script := filepath.Join(testkit.Root(), "tools", "golden", "parquet.py")
	testkit.Ask(t, script, []string{"pyarrow"}, map[string]string{"path": path}, new(bool))
	_, fields, err = readTable(path, TableOptions{}, cols...)
	if err != nil || !reflect.DeepEqual(fields, want) {
		t.Errorf("written by pyarrow: %q %v", fields, err)
	}
}

// TestParquetCodecs: every codec is read, or refused by its name.
func TestParquetCodecs(t *testing.T) {
	type record struct {
		Text string `parquet:"text"`
	}
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd, &parquet.Lz4Raw} {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[record](&b, parquet.Compression(codec))
		_, err := w.Write([]record{{"one"}, {"two"}})
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		_, fields, err := table(t, "a.parquet", b.String(), TableOptions{}, Column{Name: "text"})
		if codec == compress.Codec(&parquet.Lz4Raw) {
			if err == nil || !strings.Contains(err.Error(), "a.parquet: column text is packed with LZ4_RAW") {
				t.Errorf("%v: %v", codec, err)
			}
		} else if err != nil || len(fields) != 2 || fields[1][0] != "two" {
			t.Errorf("%v: %q, %v", codec, fields, err)
		}
	}
}

// TestParquetDamage changes every fifth byte of a file: it is refused with its name, or gives records, without a panic.
func TestParquetDamage(t *testing.T) {
	whole, path := parquetFile(t), filepath.Join(t.TempDir(), "a.parquet")
	read := func() (rows int, err error) {
		x, err := OpenTable(path, TableOptions{})
		if err != nil {
			return 0, err
		}
		defer x.Close()
		all, err := x.Select(t.Context())
		if err != nil {
			return 0, err
		}
		for _, err := range all {
			if rows++; err != nil || rows == 1000 { // a number of records may be what was changed
				return rows, err
			}
		}
		return rows, nil
	}
	refused := 0
	for i := 0; i < len(whole); i += 5 {
		b := bytes.Clone(whole)
		b[i] ^= 0x55
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := read(); err != nil {
			if refused++; !strings.Contains(err.Error(), "a.parquet") {
				t.Errorf("byte %d: an error without the file: %v", i, err)
			}
		}
	}
	if refused < len(whole)/20 {
		t.Errorf("%d of %d changes are refused", refused, len(whole)/5)
	}
}

// readParquet reads at most 1000 records of bytes as a file, and returns what was allocated meanwhile.
func readParquet(t *testing.T, path string, b []byte) (allocated uint64, err error) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	defer func() {
		runtime.ReadMemStats(&behind)
		allocated = behind.TotalAlloc - before.TotalAlloc
	}()
	x, err := OpenTable(path, TableOptions{})
	if err != nil {
		return 0, err
	}
	defer x.Close()
	rows, err := x.Select(t.Context())
	if err != nil {
		return 0, err
	}
	n := 0
	for _, err := range rows {
		if n++; err != nil || n == 1000 {
			return 0, err
		}
	}
	return 0, nil
}

// TestParquetClaims: lengths and numbers that a file of some hundred bytes cannot hold are refused before they are allocated.
func TestParquetClaims(t *testing.T) {
	whole, path := parquetFile(t), filepath.Join(t.TempDir(), "a.parquet")
	footer := len(whole) - 8 - int(binary.LittleEndian.Uint32(whole[len(whole)-8:]))
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x07} // 2^31-1
	for name, b := range map[string][]byte{
		"a footer longer than the file": slices.Concat(whole[:len(whole)-8], []byte{0xff, 0xff, 0xff, 0x7f}, whole[len(whole)-4:]),
		"a list longer than the footer": foot(whole[:footer], []byte{0x15, 2, 0x19, 0xfc}, huge),                               // schema: structs
		"a list of numbers":             foot(whole[:footer], []byte{0x15, 2, 0x19, 0xf6}, huge),                               // of i64
		"a text longer than the footer": foot(whole[:footer], []byte{0x18}, huge, []byte("abc")),                               // binary
		"structs that are nothing":      foot(whole[:footer], []byte{0x15, 2, 0x19, 0xfc, 0x80, 0x80, 4}, make([]byte, 1<<16)), // 65,536 empty ones
		"a page larger than the file":   page(t, whole, []byte{0xfe, 0xff, 0xff, 0xff, 0x07}),                                  // 2^30
		"nesting":                       foot(whole[:footer], bytes.Repeat([]byte{0x1c}, 1000)),
		"a map":                         foot(whole[:footer], []byte{0x1b, 1, 0x55, 1, 1, 0}),
		"no footer at all":              whole[len(whole)-12:],
		"a number that does not end":    foot(whole[:footer], bytes.Repeat([]byte{0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 2)),
	} {
		allocated, err := readParquet(t, path, b)
		if err == nil || !strings.Contains(err.Error(), "a.parquet: damaged: ") {
			t.Errorf("%s: %v", name, err)
		}
		if limit := uint64(room(int64(len(b)))); allocated > limit {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, allocated, len(b))
		}
	}
	if allocated, err := readParquet(t, path, whole); err != nil || allocated > uint64(room(int64(len(whole)))) {
		t.Errorf("the file itself: %d bytes allocated, %v", allocated, err)
	}
}

// foot is a file that ends with a footer of parts.
func foot(data []byte, parts ...[]byte) []byte {
	footer := slices.Concat(parts...)
	return slices.Concat(data, footer, binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), []byte("PAR1"))
}

// page is a file whose first page claims to be so large when it is unpacked.
func page(t *testing.T, whole, size []byte) []byte {
	t.Helper()
	if whole[4] != 0x15 || whole[6] != 0x15 || whole[7]&0x80 != 0 && whole[8]&0x80 != 0 { // two fields of i32, the second of one or two bytes
		t.Fatalf("the first page begins with %x", whole[4:12])
	}
	n := 1 + int(whole[7]>>7)
	return slices.Concat(whole[:7], size, whole[7+n:])
}

// FuzzParquet reads any bytes as a Parquet file: no panic, and no more memory than a file may ask for, for each of some pages.
func FuzzParquet(f *testing.F) {
	whole := parquetFile(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	path := filepath.Join(f.TempDir(), "a.parquet")
	f.Fuzz(func(t *testing.T, b []byte) {
		allocated, err := readParquet(t, path, b)
		if err != nil && !strings.Contains(err.Error(), "a.parquet") {
			t.Fatalf("an error without the file: %v", err)
		}
		if limit := uint64(16 * room(int64(len(b)))); allocated > limit {
			t.Fatalf("%d bytes allocated for a file of %d", allocated, len(b))
		}
	})
}

// FuzzTable reads any bytes as each format of text: what it gives is UTF-8 and has the selected fields, and errors name the file.
func FuzzTable(f *testing.F) {
	for i, s := range []string{"text,b\n\"a\nb\",1\nc\n\"", "text\tb\n\"\t\xff\n\r\n\t\n", "{\"text\":\"a\"}\n{\"text\":7,\"b\":[1]}\n\n{"} {
		for flags := range 8 {
			f.Add(byte(i+3*flags), s)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		path := filepath.Join(dir, "file."+Formats[kind%3])
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		x, err := OpenTable(path, TableOptions{NoHeader: kind/3&1 != 0, Quoted: kind/3&2 != 0, MaxBytes: 1 << 12})
		if err == nil {
			defer x.Close()
			var cols []Column
			for _, name := range x.Columns {
				cols = append(cols, Column{Name: name, Optional: kind/3&4 != 0})
			}
			rows, e := x.Select(context.Background(), cols...)
			if err = e; err == nil {
				for row, e := range rows {
					if err = e; e != nil {
						break
					}
					for _, field := range row.Fields {
						if len(row.Fields) != len(cols) || !utf8.ValidString(field) {
							t.Fatalf("%q of %d columns", row.Fields, len(cols))
						}
					}
				}
			}
		}
		if err != nil && !strings.Contains(err.Error(), "file.") {
			t.Fatalf("an error without the file: %v", err)
		}
	})
}

// A list or an object is told from a text that looks like one.
func TestNested(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.jsonl":   `{"text": "[1]", "n": 1, "tags": ["x"], "group.at": {"y": 1}}` + "\n",
		"a.csv":     "text,n,tags,group.at\n[1],{},\"[\"\"x\"\"]\",3\n",
		"a.parquet": string(parquetFile(t)),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		table, err := OpenTable(path, TableOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		rows, err := table.Select(t.Context(), columns("tags", "text", "group.at", "n")...)
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range rows {
			list := name != "a.csv"
			if want := []bool{list, false, list, false}; err != nil || !reflect.DeepEqual(row.Nested, want) {
				t.Errorf("%s: %v, %v", name, row.Nested, err)
			}
			break
		}
	}
}
