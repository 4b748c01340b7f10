package imagetext

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/plinth-ml/plinth/internal/file"
)

const (
	maxCaption = 1 << 20 // bytes of a member with a caption
	maxName    = 4096    // bytes of a member's name
)

// shard adds the samples of a tar file as WebDataset writes them: members of the same name up to the first dot of its last part, one after the other, are
// a sample: a picture (.jpg, .jpeg, .png, .webp, .gif) with a .txt, or a .json that holds the caption. Other members are left out. Names are foreign: they
// tell samples apart and stand in errors, but no file is opened by them.
func (g *gathered) shard(ctx context.Context, name string, o ReadOptions) error {
	f, err := file.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return g.samples(ctx, name, f, info.Size(), o)
}

// sample is one while its members come.
type sample struct {
	base string
	row  Row
}

// samples adds those of a shard of the given size.
func (g *gathered) samples(ctx context.Context, name string, in io.ReadSeeker, size int64, o ReadOptions) error {
	members := tar.NewReader(in)
	var s sample
	for {
		h, err := members.Next()
		if err == io.EOF {
			return g.sample(name, s)
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("%s, behind %q: %w", name, s.base, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		base, kind := cut(h.Name)
		if len(h.Name) > maxName {
			return fmt.Errorf("%s: a member's name has %d bytes, at most %d are read", name, len(h.Name), maxName)
		}
		if base != s.base {
			if err := g.sample(name, s); err != nil {
				return err
			}
			s = sample{base: base, row: Row{Name: fmt.Sprintf("%s: %q", name, base), path: name}}
		}
		switch {
		case isPicture(h.Name):
			at, err := in.Seek(0, io.SeekCurrent) // the member's bytes begin here: the reader takes whole blocks only
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			switch {
			case s.row.size > 0:
				return fmt.Errorf("%s has two pictures", s.row.Name)
			case h.Size < 1 || h.Size > size-at:
				return fmt.Errorf("%s: a picture of %d bytes where the shard has %d left", s.row.Name, h.Size, size-at)
			case h.Size > limit(o.Limits):
				return fmt.Errorf("%s: a picture of %d bytes, at most %d are read", s.row.Name, h.Size, limit(o.Limits))
			}
			s.row.offset, s.row.size = at, h.Size
		case kind == "txt" || kind == "json":
			if h.Size > maxCaption {
				return fmt.Errorf("%s: a .%s of %d bytes, at most %d are read", s.row.Name, kind, h.Size, maxCaption)
			}
			text, err := io.ReadAll(members)
			if err != nil {
				return fmt.Errorf("%s: %w", s.row.Name, err)
			}
			if err := s.caption(kind, text, o.Caption); err != nil {
				return fmt.Errorf("%s: %w", s.row.Name, err)
			}
		}
	}
}

// cut splits a member's name at the first dot of its last part.
func cut(name string) (base, kind string) {
	dir, last := path.Split(name)
	last, kind, _ = strings.Cut(last, ".")
	return dir + last, strings.ToLower(kind)
}

// caption takes over what a member says. A .json without the key is left out: it may hold what else is known of the picture.
func (s *sample) caption(kind string, text []byte, key string) error {
	if kind == "txt" {
		if t := strings.TrimSpace(string(text)); t != "" {
			s.row.Captions = append(s.row.Captions, t)
		}
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return fmt.Errorf(".json: %w", err)
	}
	raw, ok := fields[key]
	if !ok {
		return nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		s.row.Captions = append(s.row.Captions, one)
		return nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf(".json: key %q holds %.60s, neither a text nor a list of them", key, raw)
	}
	s.row.Captions = append(s.row.Captions, list...)
	return nil
}

// sample adds one whose members are all there; one of neither picture nor caption is left out.
func (g *gathered) sample(name string, s sample) error {
	switch {
	case s.row.size == 0 && len(s.row.Captions) == 0:
		return nil
	case s.row.size == 0:
		return fmt.Errorf("%s has a caption and no picture", s.row.Name)
	}
	return g.add(name+"\x00"+s.base, s.row)
}
