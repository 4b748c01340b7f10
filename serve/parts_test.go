package serve_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/serve"
)

// FuzzPicture reads JSON texts: what is a picture's bytes is the same when it is written again, as data: URL and as base64.
func FuzzPicture(f *testing.F) {
	for _, text := range []string{onePixel, "", "data:", "dAtA", "data:;base64,", "data:,a", "DATA:image/png;charset=utf-8;BASE64,AA==", "data:x;base64,AA=\nA", "AAAA", "_-8", "A", "====", "http://a", "HTTPS:", "https", "file:x", `\u0041AAA`, `\`, "data:;base64,\u00e9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Skip(err)
		}
		file, url, err := serve.ReadPicture(quoted)
		switch {
		case err != nil:
			if file != nil && url != "" || err.Error() == "" {
				t.Fatalf("%q: %q, %q beside %v", text, file, url, err)
			}
		case url != "":
			if url != strings.ToValidUTF8(text, "\ufffd") || !strings.HasPrefix(strings.ToLower(url), "http") {
				t.Fatalf("%q is the address %q", text, url)
			}
		default:
			for _, again := range []string{dataURL(file), in64(file)} {
				if back, _, err := serve.ReadPicture([]byte(`"` + again + `"`)); len(file) > 0 && (err != nil || !bytes.Equal(back, file)) {
					t.Fatalf("%q: %q, then %q: %v", text, file, back, err)
				}
			}
		}
	})
}

// FuzzElements compares the elements of a list, or the members of an object, with those that encoding/json finds.
func FuzzElements(f *testing.F) {
	for _, text := range []string{`[]`, `[ ]`, `[1]`, `[1,2]`, `["a,b]","\"]",[1,[2]],{"a":[1,"}"],"b":2} , null]`, `[[[]],[{}]]`, `["\\",3]`, `{}`, `{ "a" : [1,{"b":2}] , "\"}," :"\\", "a":3 }`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var raw []json.RawMessage
		b = bytes.TrimSpace(b)
		var object map[string]json.RawMessage
		if json.Unmarshal(b, &object) == nil && object != nil {
			got := serve.Members(b)
			for name, value := range object {
				if got[name] != string(value) {
					t.Fatalf("%s: %q is %q, want %q", b, name, got[name], value)
				}
			}
			if len(got) != len(object) {
				t.Fatalf("%s: %q", b, got)
			}
			return
		}
		if json.Unmarshal(b, &raw) != nil || raw == nil {
			t.Skip()
		}
		var want []string
		for _, r := range raw {
			want = append(want, string(r))
		}
		if got := serve.Elements(b); !slices.Equal(got, want) {
			t.Fatalf("%s: %q, want %q", b, got, want)
		}
	})
}
