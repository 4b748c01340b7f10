package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

const (
	maxIndex  = 16 << 20
	maxShards = 1 << 12
	maxDepth  = 32
)

// parseIndex reads an index and returns the shard of each tensor by name. Its metadata is checked to be JSON and dropped, for
// published indexes count their bytes in several ways.
func parseIndex(data []byte) (map[string]string, error) {
	if len(data) > maxIndex {
		return nil, fmt.Errorf("more than %d bytes", maxIndex)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("index is not UTF-8")
	}
	s := &scanner{text: string(data)}
	var weights map[string]string
	sawMeta := false
	s.object(func(key string) {
		switch {
		case key == "metadata" && !sawMeta:
			sawMeta = true
			s.skip(0)
		case key == "weight_map" && weights == nil:
			weights = map[string]string{}
			s.object(func(name string) {
				if _, ok := weights[name]; ok {
					s.fail("duplicate tensor %q", name)
				}
				if weights[name] = s.str(); len(weights) > maxTensors {
					s.fail("more than %d tensors", maxTensors)
				}
			})
		case key == "metadata" || key == "weight_map":
			s.fail("duplicate key %q", key)
		default:
			s.fail("unknown key %q", key)
		}
	})
	s.end()
	if s.err == nil && weights == nil {
		s.err = errors.New("index has no weight_map")
	}
	if s.err == nil && len(weights) == 0 {
		s.err = errors.New("weight_map is empty")
	}
	return weights, s.err
}

// skip reads any value.
func (s *scanner) skip(depth int) {
	s.space()
	switch {
	case s.err != nil:
	case depth > maxDepth:
		s.fail("nested deeper than %d", maxDepth)
	case s.pos == len(s.text):
		s.fail("want a value")
	case s.text[s.pos] == '{':
		seen := map[string]bool{}
		s.object(func(key string) {
			if seen[key] {
				s.fail("duplicate key %q", key)
			}
			seen[key] = true
			if s.keys++; s.keys > maxMetadata {
				s.fail("more than %d metadata keys", maxMetadata)
			}
			s.skip(depth + 1)
		})
	case s.text[s.pos] == '[':
		s.pos++
		s.list(']', func() { s.skip(depth + 1) })
	case s.text[s.pos] == '"':
		s.str()
	default: // a number, true, false or null
		start := s.pos
		for s.pos < len(s.text) && (s.text[s.pos] >= 'a' && s.text[s.pos] <= 'z' || s.text[s.pos] >= '+' && s.text[s.pos] <= '9' && s.text[s.pos] != ',' || s.text[s.pos] == 'E') {
			s.pos++
		}
		if !json.Valid([]byte(s.text[start:s.pos])) {
			s.fail("want a value")
		}
	}
}
