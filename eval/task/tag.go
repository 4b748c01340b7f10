package task

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Entity is a run of tokens [Start, End) of a type.
type Entity struct {
	Type       string
	Start, End int
}

// split returns a tag's prefix and type: B-PER is B and PER, O is O and _.
func split(tag string) (prefix byte, kind string) {
	if tag == "" {
		return 'O', "_"
	}
	kind = strings.TrimPrefix(tag[1:], "-")
	if kind == "" {
		kind = "_"
	}
	return tag[0], kind
}

// Entities reads tags of any of the schemes, forgiving as conlleval and seqeval's default: an entity ends where prefix or type says so, and
// begins at any tag that cannot go on with the one before.
func Entities(tags []string) []Entity {
	var out []Entity
	before, kindBefore, begin := byte('O'), "", 0
	for i := range len(tags) + 1 {
		prefix, kind := byte('O'), "_"
		if i < len(tags) {
			prefix, kind = split(tags[i])
		}
		other := kindBefore != kind
		ended := before == 'E' || before == 'S' || (before == 'B' || before == 'I') && (prefix == 'B' || prefix == 'S' || prefix == 'O') ||
			before != 'O' && before != '.' && other
		begun := prefix == 'B' || prefix == 'S' || (before == 'E' || before == 'S' || before == 'O') && (prefix == 'E' || prefix == 'I') ||
			prefix != 'O' && prefix != '.' && other
		if ended {
			out = append(out, Entity{kindBefore, begin, i})
		}
		if begun {
			begin = i
		}
		before, kindBefore = prefix, kind
	}
	return out
}

// Schemes are the tagging schemes that StrictEntities knows.
var Schemes = slices.Sorted(maps.Keys(schemes))

// transition is a condition on two neighbouring tags: prefixes before and after, and whether the types must be equal ('='), differ ('!') or neither.
type transition struct {
	before, after string
	kind          byte
}

// scheme says which neighbours begin an entity, go on with it, and close it well.
type scheme struct {
	prefixes         string
	start, on, close []transition
}

// schemes are seqeval's.
var schemes = map[string]scheme{
	"IOB1": {"IOB",
		[]transition{{"O", "I", 0}, {"I", "I", '!'}, {"B", "I", 0}, {"I", "B", '='}, {"B", "B", '='}},
		[]transition{{"BI", "I", '='}},
		[]transition{{"I", "I", '!'}, {"I", "OB", 0}, {"B", "O", 0}, {"B", "I", '!'}, {"B", "B", '='}}},
	"IOB2": {"IOB",
		[]transition{{"IOB", "B", 0}},
		[]transition{{"BI", "I", '='}},
		[]transition{{"IB", "OB", 0}, {"IB", "I", '!'}}},
	"IOE2": {"IOE",
		[]transition{{"OE", "IE", 0}, {"I", "IE", '!'}},
		[]transition{{"I", "EI", '='}},
		[]transition{{"E", "IOE", 0}}},
	"IOBES": {"IOBES",
		[]transition{{"IOBES", "BS", 0}},
		[]transition{{"BI", "IE", '='}},
		[]transition{{"SE", "IOBES", 0}}},
	"BILOU": {"BILOU",
		[]transition{{"BILOU", "BU", 0}},
		[]transition{{"BI", "IL", '='}},
		[]transition{{"UL", "BILOU", 0}}},
}

func holds(conditions []transition, before byte, kindBefore string, after byte, kind string) bool {
	return slices.ContainsFunc(conditions, func(c transition) bool {
		return strings.IndexByte(c.before, before) >= 0 && strings.IndexByte(c.after, after) >= 0 &&
			(c.kind == 0 || (c.kind == '=') == (kindBefore == kind))
	})
}

// StrictEntities reads tags of one scheme, as seqeval's strict mode: an entity that is not formed as the scheme says is none.
func StrictEntities(tags []string, name string) ([]Entity, error) {
	s, ok := schemes[name]
	if !ok {
		return nil, fmt.Errorf("task: scheme %q is none of %s", name, strings.Join(Schemes, ", "))
	}
	prefix, kind := make([]byte, len(tags)+1), make([]string, len(tags)+1)
	prefix[len(tags)], kind[len(tags)] = 'O', "_"
	for i, tag := range tags {
		prefix[i], kind[i] = split(tag)
		if kind[i] = strings.Trim(kind[i], "-"); kind[i] == "" {
			kind[i] = "_"
		}
		if strings.IndexByte(s.prefixes, prefix[i]) < 0 {
			return nil, fmt.Errorf("task: tag %q is none of scheme %s", tag, name)
		}
	}
	var out []Entity
	before, kindBefore := byte('O'), "_"
	for i := 0; i <= len(tags); {
		if !holds(s.start, before, kindBefore, prefix[i], kind[i]) {
			before, kindBefore = prefix[i], kind[i]
			i++
			continue
		}
		end := i + 1
		for end <= len(tags) && holds(s.on, prefix[end-1], kind[end-1], prefix[end], kind[end]) {
			end++
		}
		if holds(s.close, prefix[end-1], kind[end-1], prefix[end], kind[end]) {
			out = append(out, Entity{kind[i], i, end})
		}
		before, kindBefore = prefix[end-1], kind[end-1]
		i = end
	}
	return out, nil
}

// IOB2 writes n tags: the first token of an entity is B-TYPE, the others I-TYPE, the rest O. With Entities it turns any scheme into IOB2.
func IOB2(entities []Entity, n int) []string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = "O"
	}
	for _, e := range entities {
		for i := e.Start; i < e.End; i++ {
			tags[i] = "I-" + e.Type
		}
		tags[e.Start] = "B-" + e.Type
	}
	return tags
}

// TagScores are the scores of tagged sentences.
type TagScores struct {
	Types    []string // sorted
	Counts   []Counts // of each type's entities
	Averages Averages
	Accuracy float64 // share of tags that are equal
}

// Tags scores the entities of sentences: right is what has the same type and tokens. scheme "" reads as Entities does, another strictly.
func Tags(gold, predicted [][]string, scheme string) (TagScores, error) {
	var s TagScores
	if err := paired(len(gold), len(predicted)); err != nil {
		return s, err
	}
	read := func(tags []string) ([]Entity, error) {
		if scheme == "" {
			return Entities(tags), nil
		}
		return StrictEntities(tags, scheme)
	}
	counts := map[string]Counts{}
	equal, total := 0, 0
	for i, tags := range gold {
		if len(predicted[i]) != len(tags) {
			return s, fmt.Errorf("task: sentence %d has %d tags, %d predicted", i, len(tags), len(predicted[i]))
		}
		for j, tag := range tags {
			equal += bit(tag == predicted[i][j])
		}
		total += len(tags)
		want, err := read(tags)
		if err != nil {
			return s, fmt.Errorf("sentence %d: %w", i, err)
		}
		got, err := read(predicted[i])
		if err != nil {
			return s, fmt.Errorf("sentence %d, predicted: %w", i, err)
		}
		for _, e := range want {
			c := counts[e.Type]
			c.Gold++
			counts[e.Type] = c
		}
		for _, e := range got {
			c := counts[e.Type]
			c.Predicted++
			c.Right += bit(slices.Contains(want, e))
			counts[e.Type] = c
		}
	}
	s.Types = slices.Sorted(maps.Keys(counts))
	for _, t := range s.Types {
		s.Counts = append(s.Counts, counts[t])
	}
	s.Averages, s.Accuracy = Average(s.Counts), ratio(equal, total)
	return s, nil
}
