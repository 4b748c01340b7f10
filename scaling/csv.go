package scaling

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Columns names the columns of a CSV; an empty name stands for the first of the usual ones that the file has.
type Columns struct{ Name, N, D, C, Loss, Diverged string }

// usual are common names of each column, as plain makes them, the most telling first.
var usual = map[string][]string{
	"name":     {"name", "run", "model"},
	"n":        {"n", "params", "parameters", "n_params", "num_params", "model_size", "model_parameters", "n_non_embedding", "n_no_emb"},
	"d":        {"d", "tokens", "train_tokens", "training_tokens", "n_tokens", "num_tokens", "tokens_trained"},
	"c":        {"c", "flops", "flop", "training_flops", "training_flop", "train_flops", "compute", "compute_budget"},
	"loss":     {"loss", "val_loss", "validation_loss", "eval_loss", "test_loss", "final_loss"},
	"diverged": {"diverged"},
}

// Set is what a source of runs holds.
type Set struct {
	Runs       []Run    // finished runs, diverged ones too
	Curves     []Run    // checkpoints of training curves, the last ones too, where the source has them: what FitEnvelope takes
	Convention string   // AllParams or NonEmbedding, as far as the source tells: AllParams where it does not
	Notes      []string // what was made of the source
}

// Add takes the runs of another set in. It is an error where the two count N by different conventions.
func (s *Set) Add(t *Set) error {
	if s.Convention == "" {
		s.Convention = t.Convention
	}
	if s.Convention != t.Convention {
		return fmt.Errorf("scaling: one source counts %s parameters, another %s", s.Convention, t.Convention)
	}
	s.Runs = append(s.Runs, t.Runs...)
	s.Curves = append(s.Curves, t.Curves...)
	s.Notes = append(s.Notes, t.Notes...)
	return nil
}

// ReadCSVFile is ReadCSV of a file.
func ReadCSVFile(path string, cols Columns, skipBad bool) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadCSV(f, path, cols, skipBad)
}

// ReadCSV reads runs from a CSV with a header, separated by commas, semicolons or tabs: a loss and at least two of N, D and C; the third is
// made by C = 6ND, and the notes say so. A row whose column of divergence says true (1, yes) needs no loss. Numbers that are not positive
// and finite are errors that name line and column; with skipBad those rows are left out and counted in the notes.
func ReadCSV(in io.Reader, name string, cols Columns, skipBad bool) (*Set, error) {
	buffered := bufio.NewReader(in)
	if bom, _ := buffered.Peek(3); string(bom) == "\ufeff" {
		buffered.Discard(3)
	}
	r := csv.NewReader(buffered)
	r.Comma = separator(buffered)
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: empty, not even a header", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t, err := newTable(name, slices.Clone(header), cols)
	if err != nil {
		return nil, err
	}
	s := &Set{Convention: AllParams}
	if t.n >= 0 {
		if n := plain(t.header[t.n]); strings.Contains(n, "non_emb") || strings.Contains(n, "no_emb") {
			s.Convention = NonEmbedding
		}
	}
	bad := 0
	var firstBad error
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		run, err := t.run(row)
		if err == nil {
			s.Runs = append(s.Runs, run)
			continue
		}
		err = fmt.Errorf("%s: line %d: %w", name, line, err)
		if !skipBad {
			return nil, err
		}
		if bad++; firstBad == nil {
			firstBad = err
		}
	}
	if len(s.Runs) == 0 {
		return nil, errors.Join(fmt.Errorf("%s: no run", name), firstBad)
	}
	s.Notes = append(s.Notes, t.String())
	if bad > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s: %d bad rows left out, the first: %v", name, bad, firstBad))
	}
	return s, nil
}

// separator is the most frequent of comma, semicolon and tab in the header.
func separator(r *bufio.Reader) rune {
	head, _ := r.Peek(r.Size())
	line, _, _ := strings.Cut(string(head), "\n")
	best := ','
	for _, c := range ";\t" {
		if strings.Count(line, string(c)) > strings.Count(line, string(best)) {
			best = c
		}
	}
	return best
}

// plain is a column's name in lower case with everything but letters and digits as single underscores.
func plain(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }), "_")
}

// table knows which column holds what; -1 stands for none.
type table struct {
	file                          string
	header                        []string
	name, n, d, c, loss, diverged int
}

func newTable(file string, header []string, cols Columns) (*table, error) {
	t := &table{file: file, header: header}
	for _, col := range []struct {
		key, given string
		at         *int
	}{{"name", cols.Name, &t.name}, {"n", cols.N, &t.n}, {"d", cols.D, &t.d}, {"c", cols.C, &t.c}, {"loss", cols.Loss, &t.loss}, {"diverged", cols.Diverged, &t.diverged}} {
		if *col.at = find(header, col.key, col.given); *col.at < 0 && col.given != "" {
			return nil, fmt.Errorf("%s: no column %q for %s; the columns are: %s", file, col.given, col.key, columns(header))
		}
	}
	missing := ""
	switch {
	case t.loss < 0:
		missing = "loss"
	case t.n < 0 && t.d < 0:
		missing = "n and none of d"
	case t.n < 0 && t.c < 0:
		missing = "n and none of c"
	case t.d < 0 && t.c < 0:
		missing = "d and none of c"
	}
	if missing != "" {
		return nil, fmt.Errorf("%s: no column of %s: loss and two of n (parameters), d (tokens) and c (FLOPs) are needed; the columns are: %s", file, missing,
			columns(header))
	}
	return t, nil
}

// find returns the index of the given column, or of a usual one.
func find(header []string, key, given string) int {
	if given != "" {
		if i := slices.Index(header, given); i >= 0 {
			return i
		}
		return slices.IndexFunc(header, func(h string) bool { return plain(h) == plain(given) })
	}
	for _, u := range usual[key] {
		if i := slices.IndexFunc(header, func(h string) bool { return plain(h) == u }); i >= 0 {
			return i
		}
	}
	return -1
}

// run reads a row.
func (t *table) run(row []string) (Run, error) {
	var r Run
	var err error
	number := func(at int) float64 {
		if at < 0 || err != nil {
			return 0
		}
		text := strings.TrimSpace(row[at])
		v, e := strconv.ParseFloat(text, 64)
		switch {
		case text == "":
			err = fmt.Errorf("column %s is empty", t.header[at])
		case e != nil && !errors.Is(e, strconv.ErrRange):
			err = fmt.Errorf("column %s: %q is no number", t.header[at], short(text))
		case !(v > 0) || math.IsInf(v, 0):
			err = fmt.Errorf("column %s: %s is not positive and finite", t.header[at], text)
		}
		return v
	}
	if t.name >= 0 {
		r.Name = row[t.name]
	}
	if t.diverged >= 0 {
		switch text := strings.ToLower(strings.TrimSpace(row[t.diverged])); text {
		case "true", "1", "yes":
			r.Diverged = true
		case "", "false", "0", "no":
		default:
			return r, fmt.Errorf("column %s: %q is neither true nor false", t.header[t.diverged], short(text))
		}
	}
	r.N, r.D, r.C = number(t.n), number(t.d), number(t.c)
	if r.Diverged {
		r.Loss = math.NaN()
	} else {
		r.Loss = number(t.loss)
	}
	if err != nil {
		return r, err
	}
	switch {
	case t.n < 0:
		r.N = r.C / 6 / r.D
	case t.d < 0:
		r.D = r.C / 6 / r.N
	case t.c < 0:
		r.C = 6 * r.N * r.D
	}
	for _, v := range []float64{r.N, r.D, r.C} {
		if v == 0 || math.IsInf(v, 0) {
			return r, fmt.Errorf("the row's N %g, D %g, C %g do not fit C = 6ND", r.N, r.D, r.C)
		}
	}
	return r, nil
}

// String says which columns were read.
func (t *table) String() string {
	of := func(at int, otherwise string) string {
		if at < 0 {
			return otherwise
		}
		return fmt.Sprintf("column %q", t.header[at])
	}
	return fmt.Sprintf("%s: N is %s, D is %s, C is %s, loss is %s", t.file, of(t.n, "C/6D"), of(t.d, "C/6N"), of(t.c, "6ND"), of(t.loss, ""))
}

// short cuts a value of a foreign file for a message.
func short(text string) string {
	if r := []rune(text); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return text
}

// columns lists a header for a message: quoted, since it is foreign text.
func columns(header []string) string {
	var list []string
	for i, h := range header {
		if i == 20 {
			return strings.Join(list, ", ") + fmt.Sprintf(" and %d more", len(header)-i)
		}
		list = append(list, strconv.Quote(short(h)))
	}
	return strings.Join(list, ", ")
}
