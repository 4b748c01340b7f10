package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Texts and pictures of requests. A picture may have megabytes, which encoding/json would look through a few times more than these functions: they divide JSON that it has
// looked through already.

// linked is a picture as OpenAI's content parts have it: an object with a URL, or the URL.
type linked struct{ picture }

// part is an object that is a text or a picture. Jina's have no type, OpenAI's and vLLM's one that says which field there is.
type part struct {
	Type     string   `json:"type" doc:"text, image or image_url; may be left out"`
	Text     *string  `json:"text"`
	Image    *picture `json:"image" doc:"a data: URL or base64, or an address where the server fetches pictures"`
	ImageURL *linked  `json:"image_url" doc:"an object with url, or the URL"`
}

// read reads an object.
func (p *part) read(b []byte) error {
	return members(b, func(name string, value []byte) error {
		if string(value) == "null" {
			return nil
		}
		switch name {
		case "type":
			return field(name, value, &p.Type)
		case "text":
			return field(name, value, &p.Text)
		case "image":
			p.Image = readPicture(value)
			return nil
		case "image_url":
			p.ImageURL = &linked{}
			return p.ImageURL.read(value)
		}
		return badRequest(clip(name, 100), "this field is not known")
	})
}

func (l *linked) read(b []byte) error {
	if b[0] != '{' {
		l.picture = *readPicture(b)
		return nil
	}
	var detail *string
	found := false
	err := members(b, func(name string, value []byte) error {
		switch name {
		case "url":
			l.picture, found = *readPicture(value), true
			return nil
		case "detail":
			return field("image_url.detail", value, &detail)
		}
		return badRequest("image_url."+clip(name, 100), "this field is not known")
	})
	if err == nil && !found {
		err = badRequest("image_url.url", "it is missing")
	}
	return err
}

// field reads the value of a small field.
func field(name string, b []byte, v any) error {
	if json.Unmarshal(b, v) != nil {
		return badRequest(name, "want a text")
	}
	return nil
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
		if err := p.read(b); err != nil {
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

// elements calls each for the elements of a list, or with -1 for the value itself, until that is an error.
func elements(b []byte, each func(i int, b []byte) error) error {
	if b[0] != '[' {
		return each(-1, b)
	}
	n := 0
	return split(b, func(one []byte) error {
		n++
		return each(n-1, one)
	})
}

// members calls each for the members of an object, until that is an error.
func members(b []byte, each func(name string, value []byte) error) error {
	return split(b, func(one []byte) error {
		name, value, err := member(one)
		if err != nil {
			return err
		}
		return each(name, value)
	})
}

// member divides a member of an object.
func member(b []byte) (name string, value []byte, err error) {
	end := textEnd(b, 0)
	err = json.Unmarshal(b[:end], &name)
	return name, bytes.TrimSpace(bytes.TrimSpace(b[end:])[1:]), err // behind the colon
}

// split calls each for what stands between the outer commas of a list or an object.
func split(b []byte, each func(one []byte) error) error {
	depth, begin := 0, 1
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = textEnd(b, i) - 1
			continue
		case '[', '{':
			depth++
			continue
		case ']', '}':
			depth--
		case ',':
		default:
			continue
		}
		if depth > 1 || depth == 1 && b[i] != ',' {
			continue
		}
		if one := bytes.TrimSpace(b[begin:i]); len(one) > 0 { // nothing: there is none
			if err := each(one); err != nil {
				return err
			}
		}
		begin = i + 1
	}
	return nil
}

// textEnd is where the text that begins at i ends; -1: it does not.
func textEnd(b []byte, i int) int {
	for end := i + 1; ; {
		n := bytes.IndexByte(b[end:], '"')
		if n < 0 {
			return -1
		}
		end += n + 1
		escapes := 0
		for b[end-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end
		}
	}
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
