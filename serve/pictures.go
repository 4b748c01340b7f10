package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/media"
)

// Bounds of the pictures of requests. By the defaults a request takes less than 64 MiB for its bytes, for decoding one picture, and for all that are decoded.
const (
	maxPictures    = 64      // of a request
	maxViewers     = 2       // requests that hold decoded pictures at once
	defaultPixels  = 1 << 21 // of a picture
	defaultBytes   = 8 << 20 // of its file
	pixelsTogether = 2       // how many pictures of the most pixels a request may have
	maxPreamble    = 256     // bytes of a data: URL in front of its comma
)

// picture is one of a request's: the bytes of a file, or the address of one.
type picture struct {
	file  []byte
	url   string
	param string // the field that it stands in
	err   error  // what is wrong with what stands there
}

// readPicture reads a text in JSON: a data: URL, base64, or an address. What is wrong is kept for who knows the field's name.
func readPicture(b []byte) *picture {
	if b[0] != '"' {
		return &picture{err: errors.New("want a text: a data: URL, base64 or an address")}
	}
	text := b[1 : len(b)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return &picture{err: err}
		}
		text = []byte(s)
	}
	p := &picture{}
	p.err = p.read(text)
	return p
}

// read takes a picture as requests have it.
func (p *picture) read(text []byte) error {
	scheme, _, named := strings.Cut(strings.ToLower(string(text[:min(len(text), len("https:"))])), ":")
	if !named {
		scheme = ""
	}
	switch {
	case len(text) == 0:
		return errors.New("it is empty")
	case scheme == "http" || scheme == "https":
		if len(text) > maxAddress {
			return fmt.Errorf("an address of %d bytes, at most %d", len(text), maxAddress)
		}
		p.url = string(text)
		return nil
	case scheme == "data":
		preamble, rest, ok := bytes.Cut(text, []byte(","))
		if !ok || len(preamble) > maxPreamble || !strings.HasSuffix(strings.ToLower(string(preamble)), ";base64") {
			return errors.New("want data:TYPE;base64, with the bytes of the picture behind it")
		}
		text = rest
	}
	text = bytes.TrimRight(text, "=")
	code := base64.RawStdEncoding
	if bytes.IndexByte(text, '-') >= 0 || bytes.IndexByte(text, '_') >= 0 {
		code = base64.RawURLEncoding
	}
	p.file = make([]byte, code.DecodedLen(len(text)))
	n, err := code.Decode(p.file, text)
	if err != nil {
		return fmt.Errorf("neither a data: URL, base64, nor an http or https address: %v", err)
	}
	p.file = p.file[:n]
	return nil
}

// fault is what is wrong with the field of a picture.
func (p *picture) fault() error {
	if p.err == nil {
		return nil
	}
	return badRequest(p.param, "%v", p.err)
}

// see decodes the pictures of a request and calls f when it is the request's turn for the model. Few requests at once hold decoded pictures: others wait, or are refused where
// too many do.
func (s *Server) see(ctx context.Context, m *Model, list []*picture, f func([]*media.Image) error) error {
	if len(list) > maxPictures {
		return badRequest("input", "%d pictures, at most %d", len(list), maxPictures)
	}
	if err := s.open(); err != nil {
		return err
	}
	if err := s.fetchAll(ctx, list); err != nil {
		return err
	}
	s.metrics.seen(m, len(list))
	return s.viewers.take(ctx, func() error {
		images, pixels := make([]*media.Image, len(list)), 0
		for i, p := range list {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			image, err := media.Preprocess{Ground: m.Ground}.Decode(bytes.NewReader(p.file), s.o.Images)
			p.file = nil
			if err != nil {
				return badRequest(p.param, "%s", clip(strings.TrimPrefix(err.Error(), "media: "), 300))
			}
			if pixels += image.W * image.H; pixels > pixelsTogether*s.o.Images.Pixels {
				return badRequest("input", "the pictures of a request may have %d pixels together: send them in several", pixelsTogether*s.o.Images.Pixels)
			}
			images[i] = image
		}
		return m.turn.take(ctx, func() error { return f(images) }) // the server may be about to stop by now
	})
}
