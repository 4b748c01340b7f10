package serve_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/serve"
)

// FuzzWithoutLong leaves texts out of what may be JSON: it is right before as after.
func FuzzWithoutLong(f *testing.F) {
	for _, text := range []string{``, `"`, `""`, `"abcdefgh"`, `"abcdefgh`, `{"a":"abcdefghi","b":["",1,"\"abcdefgh"]}`, "\"abcdefg\x1f\"", "\"abcdefgh\x00ijklmnop\"", `"abcdefgh\"`, `"abc\defgh"`, `\"abcdefgh"`,
		"\"abcdefg\x7f\x80\xff\"", `["abcdefgh" "abcdefgh"]`, `{abcdefgh":"abcdefgh"}`, `"abcdefgh":1`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		short := serve.WithoutLong(bytes.Clone(b), 4)
		if json.Valid(short) != json.Valid(b) {
			t.Fatalf("%q is right: %t; %q: %t", b, json.Valid(b), short, json.Valid(short))
		}
		if len(short) > len(b) {
			t.Fatalf("%q is longer than %q", short, b)
		}
	})
}

// FuzzRoomy reads bodies by functions of our own and by encoding/json alone: both say the same of them.
func FuzzRoomy(f *testing.F) {
	long := dataURL(bytes.Repeat([]byte("picture"), 400))
	for _, text := range []string{`{}`, `null`, `[]`, `1`, ``, `{`, `{}x`, `{"input":"a"}`, ` { "input" : [ "a" , "b" ] , "model" : "m" } `, `{"Input":"a"}`, `{"input":null}`, `{"input":[[1,2],[3]]}`, `{"nothing":1}`, `{"model":1}`,
		`{"input":1}`, `{"input":{"image":"` + long + `"},"user":"` + long + `"}`, `{"input":[{"text":"` + strings.Repeat("a ", 2000) + `"},{"image_url":{"url":"` + long + `"}}],"dimensions":3,"encoding_format":"float"}`,
		`{"input":"` + long + `","modality":"image"}`, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + long + `"}}]}]}`, `{"messages":[{"role":"user","content":"a"},{"role":1}]}`,
		`{"messages":[]}`, `{"messages":{}}`, `{"messages":null}`, `{"messages":[null,1]}`, `{"messages":[{"role":"user","content":"` + long + `\u0041","x":1}]}`, `{"input":"a","input":"b"}`, `{"\u0069nput":"a"}`, `{"input":"` + long + "\n" + `"}`,
		`{"input":"` + long + `"`, `{"input":"` + long, `{"input":"` + long + `"]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want, wantErr := serve.ReadEmbeddings(b, true)
		got, err := serve.ReadEmbeddings(b, false)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Fatalf("%.300q: %.300s, %v; want %.300s, %v", b, got, err, want, wantErr)
		}
	})
}
