package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// Metadata is what a file says besides its tensors, in its order. A value is a uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32,
// float64, bool or string, or a slice of one of these.
type Metadata []Pair

// Pair is a key and its value.
type Pair struct {
	Key   string
	Value any
}

// Get returns the value of key, nil where it is absent.
func (m Metadata) Get(key string) any {
	for _, p := range m {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// Set gives key a value, in place or at the end.
func (m *Metadata) Set(key string, value any) {
	for i := range *m {
		if (*m)[i].Key == key {
			(*m)[i].Value = value
			return
		}
	}
	*m = append(*m, Pair{key, value})
}

// Lookup returns the value of key as a T, and whether it is there; an error where it has another type. Whole numbers of every width become int, as long
// as they fit; a float32 becomes the shortest decimal that is it, as float64. So T is int, float64, bool, string, or a slice of a type that Metadata names.
func Lookup[T any](m Metadata, key string) (v T, ok bool, err error) {
	raw := m.Get(key)
	if raw == nil {
		return v, false, nil
	}
	if v, ok = plain(raw).(T); !ok {
		return v, false, fmt.Errorf("gguf: metadata %q is a %T, want %T", key, raw, v)
	}
	return v, true, nil
}

// plain widens a number.
func plain(v any) any {
	switch v := v.(type) {
	case uint8:
		return int(v)
	case int8:
		return int(v)
	case uint16:
		return int(v)
	case int16:
		return int(v)
	case uint32:
		return int(v)
	case int32:
		return int(v)
	case int64:
		return int(v)
	case uint64:
		if v <= math.MaxInt {
			return int(v)
		}
	case float32:
		d, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
		return d
	}
	return v
}

func (m Metadata) alignment() (int, error) {
	switch v := m.Get(alignmentKey).(type) {
	case nil:
		return defaultAlignment, nil
	case uint32:
		if v == 0 || v&(v-1) != 0 || v > maxAlignment {
			return 0, fmt.Errorf("metadata %q: %d is not a power of two up to %d", alignmentKey, v, maxAlignment)
		}
		return int(v), nil
	default:
		return 0, fmt.Errorf("metadata %q is a %T, want uint32", alignmentKey, v)
	}
}

// kinds are the type numbers of Go's kinds.
var kinds = map[reflect.Kind]int{reflect.Uint8: typeU8, reflect.Int8: typeI8, reflect.Uint16: typeU16, reflect.Int16: typeI16, reflect.Uint32: typeU32,
	reflect.Int32: typeI32, reflect.Float32: typeF32, reflect.Bool: typeBool, reflect.String: typeString, reflect.Uint64: typeU64, reflect.Int64: typeI64,
	reflect.Float64: typeF64}

// appendPair encodes a key and its value.
func appendPair(out []byte, p Pair) ([]byte, error) {
	out = appendString(out, p.Key)
	v := reflect.ValueOf(p.Value)
	kind, array := v.Kind(), v.Kind() == reflect.Slice
	if array {
		kind = v.Type().Elem().Kind()
		out = binary.LittleEndian.AppendUint32(out, typeArray)
	}
	id, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("metadata %q: a %T cannot be stored", p.Key, p.Value)
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(id))
	if array {
		out = binary.LittleEndian.AppendUint64(out, uint64(v.Len()))
	}
	switch v := p.Value.(type) {
	case string:
		return appendString(out, v), nil
	case []string:
		for _, s := range v {
			out = appendString(out, s)
		}
		return out, nil
	}
	return binary.Append(out, binary.LittleEndian, p.Value)
}

func appendString(out []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(out, uint64(len(s))), s...)
}
