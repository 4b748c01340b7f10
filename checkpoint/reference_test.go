package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// member is one key of a JSON object in the order of the text.
type member struct {
	key   string
	value any // []member, []any, string, json.Number, bool, nil
}

func tree(d *json.Decoder) any {
	tok, err := d.Token()
	if err != nil {
		panic(err)
	}
	switch tok {
	case json.Delim('{'):
		list := []member{}
		for d.More() {
			list = append(list, member{tree(d).(string), tree(d)})
		}
		d.Token()
		return list
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, tree(d))
		}
		d.Token()
		return list
	}
	return tok
}

var escapes = regexp.MustCompile(`\\(\\|u[0-9a-fA-F]{4}|.)`)

// loneSurrogate looks at the escapes of valid JSON one after the other.
func loneSurrogate(text string) bool {
	high := -1 // where the low half must follow
	for _, m := range escapes.FindAllStringSubmatchIndex(text, -1) {
		e := text[m[0]:m[1]]
		if high >= 0 && m[0] != high {
			return true
		}
		v, _ := strconv.ParseUint(strings.TrimPrefix(e, `\u`), 16, 16)
		low := len(e) == 6 && v>>10 == 0xdc00>>10
		if low != (high >= 0) {
			return true
		}
		if high = -1; len(e) == 6 && v>>10 == 0xd800>>10 {
			high = m[1]
		}
	}
	return high >= 0
}

// referenceBits are the sizes of elements in bits, of all dtypes the reference knows.
var referenceBits = map[string]uint64{"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
	"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}

// reference is a second, plain reading of the published rules. accept is what the published reader says; stricter names the rule of
// this package by which an accepted file is refused, empty where there is none.
func reference(file []byte) (accept bool, stricter string) {
	if len(file) < 8 {
		return false, ""
	}
	n := binary.LittleEndian.Uint64(file)
	if n > 100_000_000 || n > uint64(len(file)-8) {
		return false, ""
	}
	text, data := file[8:8+n], uint64(len(file)-8)-n
	if !utf8.Valid(text) || !json.Valid(text) || loneSurrogate(string(text)) {
		return false, ""
	}
	strict := func(rule string) {
		if stricter == "" {
			stricter = rule
		}
	}
	if text[0] != '{' {
		strict("leading space")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	root, ok := tree(d).([]member)
	if !ok {
		return false, ""
	}
	type info struct {
		name       string
		start, end uint64
		size       uint64
		fits       bool
	}
	last := map[string]info{} // of equal names the last counts
	sawMeta := false
	for _, m := range root {
		if m.key == "__metadata__" {
			if sawMeta {
				return false, ""
			}
			sawMeta = true
			if m.value == nil {
				strict("null metadata")
				continue
			}
			pairs, ok := m.value.([]member)
			if !ok {
				return false, ""
			}
			keys := map[string]bool{}
			for _, p := range pairs {
				if _, ok := p.value.(string); !ok {
					return false, ""
				}
				if keys[p.key] {
					strict("duplicate metadata key")
				}
				keys[p.key] = true
			}
			continue
		}
		fields, ok := m.value.([]member)
		if list, isList := m.value.([]any); isList && len(list) == 3 {
			strict("tensor as an array")
			fields, ok = []member{{"dtype", list[0]}, {"shape", list[1]}, {"data_offsets", list[2]}}, true
		}
		if !ok {
			return false, ""
		}
		got := map[string]any{}
		for _, f := range fields {
			switch _, dup := got[f.key]; {
			case f.key != "dtype" && f.key != "shape" && f.key != "data_offsets":
				strict("unknown key in a tensor")
				continue
			case dup:
				return false, ""
			}
			got[f.key] = f.value
		}
		name, ok1 := got["dtype"].(string)
		size, known := referenceBits[name]
		shape, ok2 := wholes(got["shape"])
		offsets, ok3 := wholes(got["data_offsets"])
		if !ok1 || !ok2 || !ok3 || !known || len(offsets) != 2 {
			return false, ""
		}
		if DType(name).Size() == 0 {
			strict("dtype")
		}
		if len(shape) > 64 {
			strict("rank")
		}
		if _, dup := last[m.key]; dup {
			strict("duplicate tensor")
		}
		elements, wide, fits := uint64(1), size/8, true
		for _, v := range shape {
			hi, lo := bits.Mul64(elements, v)
			fits = fits && hi == 0
			elements = lo
			if hi, wide = bits.Mul64(wide, v); hi != 0 || wide > math.MaxInt64 || v > math.MaxInt64 {
				strict("running size")
			}
		}
		hi, total := bits.Mul64(elements, size)
		last[m.key] = info{m.key, offsets[0], offsets[1], total, fits && hi == 0}
		if slices.Max(offsets) > math.MaxInt64 {
			strict("running size")
		}
	}
	var order []info
	for _, v := range last {
		order = append(order, v)
	}
	slices.SortFunc(order, func(a, b info) int {
		if a.start != b.start {
			return int(min(a.start-b.start, 1)) - 2*int(min(max(b.start, a.start)-a.start, 1))
		}
		return int(min(max(a.end, b.end)-b.end, 1)) - int(min(max(a.end, b.end)-a.end, 1))
	})
	at := uint64(0)
	for _, v := range order {
		if v.start != at || v.end < v.start || !v.fits || v.size%8 != 0 || v.end-v.start != v.size/8 {
			return false, ""
		}
		at = v.end
	}
	return at == data, stricter
}

func wholes(v any) ([]uint64, bool) {
	list, ok := v.([]any)
	out := make([]uint64, 0, len(list))
	for _, e := range list {
		n, isNumber := e.(json.Number)
		u, err := strconv.ParseUint(string(n), 10, 64)
		if !isNumber || err != nil {
			return nil, false
		}
		out = append(out, u)
	}
	return out, ok
}

// generated makes a header, mostly right in parts, and its data.
func generated(r *rand.Rand) []byte {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	rare := func(common string, others ...string) string {
		if r.IntN(40) > 0 {
			return common
		}
		return pick(others...)
	}
	var parts []string
	at := 0
	for range r.IntN(4) {
		name := pick("a", "b", "c", "d", "e", `\u0061`, "é", `\ud83d\ude00`, "x.0.w")
		name = rare(name, `\ud800`, `\udc00\ud800`, `\\ud800`, "\xff", `\x`, "__metadata__", "\ufffd", `\ud800\u0041`, "\n")
		dtype := rare(order2[r.IntN(len(order2))], "F4", "F6_E2M3", "F8_E8M0", "C64", "f32", "", "F8_E4M3FNUZ")
		shape, n := []string{}, int(referenceBits[dtype])
		for range r.IntN(3) {
			d := r.IntN(4)
			n *= d
			shape = append(shape, rare(strconv.Itoa(d), "-1", "1.0", "01", "1e0", "-0", `"1"`, "null", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616"))
		}
		start, end := at, at+(n+7)/8
		at = end
		if r.IntN(40) == 0 {
			start += r.IntN(3) - 1
		}
		if r.IntN(40) == 0 {
			end += r.IntN(3) - 1
		}
		fields := []string{
			fmt.Sprintf(`"dtype":"%s"`, dtype),
			fmt.Sprintf(`"shape":[%s]`, strings.Join(shape, rare(",", ", ", ",,"))),
			fmt.Sprintf(`"data_offsets":[%d,%d%s]`, start, end, rare("", ",1", ".0", " ")),
		}
		r.Shuffle(3, func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		switch r.IntN(60) {
		case 0:
			fields = append(fields, pick(`"extra":{"a":[1,null]}`, `"Dtype":"U8"`, fields[0]))
		case 1:
			fields = fields[:2]
		}
		value := "{" + strings.Join(fields, ",") + "}"
		if r.IntN(80) == 0 {
			value = pick(`["U8",[0],[0,0]]`, "null", "1", `"x"`, "[]", "true")
		}
		parts = append(parts, `"`+name+`":`+value)
	}
	if r.IntN(3) == 0 {
		parts = append(parts, `"__metadata__":`+rare(`{"format":"pt"}`, "{}", "null", `{"a":1}`, `{"a":"","a":"b"}`, "[]", `{"a":null}`, `{"\u0061":"","a":""}`, `"x"`))
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	text := rare("{", " {", "[", "") + strings.Join(parts, rare(",", " ,\n", ",,", "")) + rare("}", "}}", "} ", ",}", "", "}\t\r\n", "}\x00", "} x")
	if r.IntN(40) == 0 {
		at += r.IntN(3) - 1
	}
	out := raw(text, max(at, 0))
	if r.IntN(60) == 0 {
		out[r.IntN(len(out))] ^= 1 << r.IntN(8)
	}
	return out
}

var order2 = []string{"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64"}

// TestAgainstReference holds the reader against the plain one on generated files.
func TestAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	accepted, rules := 0, map[string]int{}
	for i := range 100_000 {
		data := generated(r)
		accept, stricter := reference(data)
		_, _, err := decode(data)
		if want := accept && stricter == ""; want != (err == nil) {
			t.Fatalf("%d: reference %t, stricter %q, here %v\n%q", i, accept, stricter, err, data)
		}
		if accept {
			accepted++
			rules[stricter]++
		}
	}
	t.Logf("%d accepted by the reference, by stricter rule %v", accepted, rules)
	for _, rule := range []string{"", "leading space", "null metadata", "duplicate metadata key", "tensor as an array", "unknown key in a tensor", "dtype", "duplicate tensor", "running size"} {
		if rules[rule] < 10 {
			t.Errorf("rule %q met %d times", rule, rules[rule])
		}
	}
}
