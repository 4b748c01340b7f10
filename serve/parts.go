package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// linked is a picture as OpenAI's content parts have it: an object with a URL, or the URL.
type linked struct{ picture }

func (l *linked) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return l.picture.UnmarshalJSON(b)
	}
	var o struct {
		URL    *picture `json:"url"`
		Detail string   `json:"detail"`
	}
	if err := object(b, &o, "url", "detail"); err != nil {
		return within(err, "image_url")
	}
	if o.URL == nil {
		return badRequest("image_url.url", "it is missing")
	}
	l.picture = *o.URL
	return nil
}

// part is an object that is a text or a picture. Jina's have no type, OpenAI's and vLLM's one that says which field there is.
type part struct {
	Type     string   `json:"type" doc:"text, image or image_url; may be left out"`
	Text     *string  `json:"text"`
	Image    *picture `json:"image" doc:"a data: URL or base64, or an address where the server fetches pictures"`
	ImageURL *linked  `json:"image_url" doc:"an object with url, or the URL"`
}

// item is a text, a pair of texts, or a picture.
type item struct {
	texts   []string
	picture *picture // nil: it is no picture
}

// items are those of a request.
type items []item

// read reads an item that stands in a field; alone: a pair is no item.
func (i *item) read(param string, b []byte, alone bool) error {
	*i = item{}
	switch b[0] {
	case '"':
		i.texts = make([]string, 1)
		return json.Unmarshal(b, &i.texts[0])
	case '[':
		if alone || json.Unmarshal(b, &i.texts) != nil || len(i.texts) < 1 || len(i.texts) > 2 {
			return badRequest(param, "want one text or two")
		}
		return nil
	case '{':
		var p part
		if err := object(b, &p, "type", "text", "image", "image_url"); err != nil {
			return within(err, param)
		}
		return i.take(&p, param)
	}
	return badRequest(param, "neither a text nor an object with a text or a picture")
}

// take takes what a part holds: one thing, and that of its type.
func (i *item) take(p *part, param string) error {
	kind, n := "", 0
	for _, f := range []struct {
		kind string
		has  bool
	}{{"text", p.Text != nil}, {"image", p.Image != nil}, {"image_url", p.ImageURL != nil}} {
		if f.has {
			kind = f.kind
			n++
		}
	}
	if n != 1 || p.Type != "" && p.Type != kind {
		return badRequest(param, "want one of text, image and image_url, that of the type where there is one")
	}
	switch kind {
	case "text":
		i.texts = []string{*p.Text}
		return nil
	case "image":
		i.picture = p.Image
	default:
		i.picture = &p.ImageURL.picture
	}
	i.picture.param = param + "." + kind
	return i.picture.fault()
}

// object reads an object that has no fields but those named. What its fields read by themselves is not copied.
func object(b []byte, v any, names ...string) error {
	var all map[string]anything
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for _, name := range names {
		delete(all, name)
	}
	for name := range all {
		return badRequest(clip(name, 100), "this field is not known")
	}
	err := json.Unmarshal(b, v)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return badRequest(kind.Field, "a JSON %s where %s is wanted", clip(kind.Value, 40), wanted(kind.Type.String()))
	}
	return err
}

// anything is JSON that is passed over.
type anything struct{}

func (anything) UnmarshalJSON([]byte) error { return nil }

// elements calls each for the elements of a list, or for the value itself, until that is an error; b is JSON.
func elements(b []byte, each func(i int, b []byte) error) error {
	if b[0] != '[' {
		return each(-1, b)
	}
	depth, quoted, begin, n := 0, false, 1, 0
	for i, c := 0, byte(0); i < len(b); i++ {
		switch c = b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}' || c == ',' && depth == 1:
			if c != ',' {
				depth--
			}
			if c == ',' || depth == 0 {
				if one := bytes.TrimSpace(b[begin:i]); len(one) > 0 { // nothing: the list is empty
					if err := each(n, one); err != nil {
						return err
					}
				}
				begin, n = i+1, n+1
			}
		}
	}
	return nil
}

// errFound ends elements.
var errFound = errors.New("found")

// hasObject says whether JSON is an object or a list that has one.
func hasObject(b []byte) bool {
	return elements(b, func(_ int, b []byte) error {
		if b[0] == '{' {
			return errFound
		}
		return nil
	}) != nil
}

// list reads a value or a list of values, at most so many.
func (i items) list(param string, b []byte, most int, alone bool) (items, error) {
	err := elements(b, func(k int, b []byte) error {
		if k == most {
			return badRequest(param, "more than %d", most)
		}
		at := param
		if k >= 0 {
			at = fmt.Sprintf("%s[%d]", param, k)
		}
		var one item
		err := one.read(at, b, alone)
		i = append(i, one)
		return err
	})
	return i, err
}

// divide is the texts of items, and the pictures.
func (i items) divide() (texts []string, pictures []*picture) {
	for _, one := range i {
		if one.picture != nil {
			pictures = append(pictures, one.picture)
		}
		texts = append(texts, one.texts...)
	}
	return texts, pictures
}
