package task

import (
	"fmt"
	"strings"
)

// HasScheme says whether labels are tags of a scheme: O, or a letter of one of the schemes, a dash and a type.
func HasScheme(labels []string) bool {
	schemed := false
	for _, l := range labels {
		if l == "O" {
			continue
		}
		if len(l) < 3 || strings.IndexByte("BIESLU", l[0]) < 0 || l[1] != '-' {
			return false
		}
		schemed = true
	}
	return schemed
}

// Groups reads the tags of words as entities: with a scheme as ReadTags does, otherwise runs of equal labels, O left out. For IOB2 it is what
// transformers' pipeline for token classification makes of words.
func Groups(tags []string, scheme bool) []Entity {
	if scheme {
		return ReadTags(tags)
	}
	var out []Entity
	for i, tag := range tags {
		switch last := len(out) - 1; {
		case tag == "O":
		case last >= 0 && out[last].End == i && out[last].Type == tag:
			out[last].End++
		default:
			out = append(out, Entity{tag, i, i + 1})
		}
	}
	return out
}

// ReadTags is Entities for tags of any scheme, BILOU's L and U included.
func ReadTags(tags []string) []Entity {
	plain := make([]string, len(tags))
	for i, tag := range tags {
		switch {
		case strings.HasPrefix(tag, "L-"):
			tag = "E" + tag[1:]
		case strings.HasPrefix(tag, "U-"):
			tag = "S" + tag[1:]
		}
		plain[i] = tag
	}
	return Entities(plain)
}

// CheckIOB2 returns the place of the first tag that is not IOB2, and what is wrong with it; -1 where all are.
func CheckIOB2(tags []string) (int, error) {
	before := "O"
	for i, tag := range tags {
		switch {
		case tag == "O":
		case len(tag) < 3 || tag[1] != '-' || tag[0] != 'B' && tag[0] != 'I':
			return i, fmt.Errorf("tag %q is not IOB2: want O, B-TYPE or I-TYPE", tag)
		case tag[0] == 'I' && (before == "O" || before[2:] != tag[2:]):
			return i, fmt.Errorf("tag %s after %s is not IOB2: the first word of an entity has B-%s", tag, before, tag[2:])
		}
		before = tag
	}
	return -1, nil
}
