package task

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Sentence is words and a tag for each.
type Sentence struct {
	Words, Tags []string // no tags: they are not known
	Line        int      // of the file where it begins, from 1; the other words follow line by line
}

// ReadCoNLL reads a word a line with its columns between tabs, or else spaces: the first is the word, the last its tag. A file of one column has
// words alone. Lines without text end sentences, and so do -DOCSTART- lines. Errors name the line.
func ReadCoNLL(r io.Reader) ([]Sentence, error) {
	var out []Sentence
	var s Sentence
	end := func() {
		if len(s.Words) > 0 {
			out = append(out, s)
		}
		s = Sentence{}
	}
	in := bufio.NewScanner(r)
	n, alone := 0, false
	for in.Scan() {
		n++
		line := strings.TrimPrefix(in.Text(), "\ufeff")
		if strings.TrimSpace(line) == "" {
			end()
			continue
		}
		if !utf8.ValidString(line) {
			return nil, fmt.Errorf("task: CoNLL: line %d is not UTF-8", n)
		}
		columns := strings.Split(line, "\t")
		if len(columns) == 1 {
			columns = strings.Fields(line)
		}
		word, tag := columns[0], strings.TrimSpace(columns[len(columns)-1])
		if word == "-DOCSTART-" {
			end()
			continue
		}
		one := len(columns) == 1
		if len(out) == 0 && len(s.Words) == 0 {
			alone = one
		}
		if one != alone || tag == "" {
			return nil, fmt.Errorf("task: CoNLL: line %d is %q: want a word and a tag in every line, or words alone in all", n, line)
		}
		if len(s.Words) == 0 {
			s.Line = n
		}
		if s.Words = append(s.Words, word); !one {
			s.Tags = append(s.Tags, tag)
		}
	}
	end()
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("task: CoNLL: line %d is longer than %d bytes", n+1, bufio.MaxScanTokenSize)
	case err != nil:
		return nil, err
	}
	return out, nil
}
