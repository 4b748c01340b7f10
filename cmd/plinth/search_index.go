package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/index"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
)

// folderChanges is what an update of an index found.
type folderChanges struct {
	New     int          `json:"new"`
	Changed int          `json:"changed"`
	Deleted int          `json:"deleted"`
	Bad     []badPicture `json:"not_read"`
}

// folderIndex follows the pictures of a folder with an index, whose keys are their paths in it, with slashes, and whose notes are stamps.
type folderIndex struct {
	c     *common
	d     *embed.Dual
	dir   string
	path  string // of the index
	cache bool   // the path is not the user's but ours: what lies there and is no index may go
	how   decoding
	index *index.Index
	folderChanges
}

// stamp is what tells whether a picture is the one whose vector there is: size and time without reading it, the hash where they differ.
type stamp struct {
	size, time int64
	hash       string
}

func (s stamp) String() string { return fmt.Sprintf("%d %d %s", s.size, s.time, s.hash) }

func parseStamp(note string) (s stamp) {
	fmt.Sscanf(note, "%d %d %s", &s.size, &s.time, &s.hash) // of another note it is no picture's
	return s
}

// saveEvery is how many vectors are made before they are saved, so that a run that is interrupted is not lost; of a large index more.
const saveEvery = 2048

// update opens the index, or makes it, and brings it up to date with the files of the folder. Where none of them can be read that is an error, and the
// folder has no index if it had none.
func (f *folderIndex) update(ctx context.Context, files []string) error {
	home := filepath.Dir(f.path)
	if _, err := os.Stat(home); errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(home, 0o755); err != nil {
			return err
		}
		defer func() {
			if f.index == nil || f.index.Len() == 0 {
				os.Remove(f.path + ".lock")
				os.Remove(home)
			}
		}()
	}
	unlock, err := file.Lock(f.path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.open(ctx); err != nil {
		return err
	}
	rows, hashes := map[string]int{}, map[string]int{}
	for i := range f.index.Len() {
		rows[f.index.Key(i)] = i
		hashes[parseStamp(f.index.NoteOf(i)).hash] = i
	}
	var change index.Change // what costs nothing: stamps, and pictures that were moved or copied
	var fresh []unseen
	for _, path := range files {
		rel, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		row, had := rows[key]
		if !had && isOwnSheet(path) {
			continue
		}
		delete(rows, key)
		var before stamp
		if had {
			before = parseStamp(f.index.NoteOf(row))
		}
		now, err := f.stamp(path, before)
		if err != nil {
			f.Bad = append(f.Bad, badPicture{path, err.Error()})
			if had {
				change.Delete = append(change.Delete, key)
			}
			continue
		}
		same, known := hashes[now.hash]
		switch {
		case had && now == before:
			continue
		case had && now.hash != before.hash:
			f.Changed++
		case !had:
			f.New++
		}
		e := index.Entry{Key: key, Note: now.String()}
		if known {
			e.Vector = append([]float32{}, f.index.Vector(same)...) // Save ends what it is a view of
			change.Put = append(change.Put, e)
		} else {
			fresh = append(fresh, unseen{e, had})
		}
	}
	for key := range rows {
		change.Delete = append(change.Delete, key)
		f.Deleted++
	}
	if err := f.see(ctx, &change, fresh); err != nil {
		return err
	}
	sayBad(f.c, f.Bad)
	if err := f.save(&change); err != nil {
		return err
	}
	if f.index.Len() == 0 {
		return errors.Join(errNoneRead, f.index.Close())
	}
	return nil
}

// unseen is a picture that still has no vector; had tells that the index has one of an earlier picture in its place.
type unseen struct {
	index.Entry
	had bool
}

// see adds the vectors of pictures, and saves now and then.
func (f *folderIndex) see(ctx context.Context, change *index.Change, fresh []unseen) error {
	const batch = 256
	began := time.Now()
	for done := 0; done < len(fresh); {
		part := fresh[done:min(len(fresh), done+batch)]
		names := make([]string, len(part))
		for i, e := range part {
			names[i] = filepath.Join(f.dir, filepath.FromSlash(e.Key))
		}
		vectors, bad, err := pictureVectors(ctx, f.d, names, f.how)
		if err != nil {
			return errors.Join(err, f.save(change))
		}
		f.Bad = append(f.Bad, bad...)
		for i, e := range part {
			switch e.Vector = vectors[i]; {
			case e.Vector != nil:
				change.Put = append(change.Put, e.Entry)
			case e.had:
				change.Delete = append(change.Delete, e.Key)
				f.Changed--
			default:
				f.New--
			}
		}
		done += len(part)
		if len(fresh) > batch {
			f.c.say("%d of %d pictures, %.1f a second", done, len(fresh), float64(done)/time.Since(began).Seconds())
		}
		if len(change.Put) >= max(saveEvery, f.index.Len()/2) {
			if err := f.save(change); err != nil {
				return err
			}
		}
	}
	return nil
}

// save writes a change, where there is one, and empties it.
func (f *folderIndex) save(change *index.Change) error {
	if len(change.Put) == 0 && len(change.Delete) == 0 {
		return nil
	}
	err := f.index.Save(f.path, *change)
	*change = index.Change{}
	return err
}

// stamp returns a picture's stamp. The file is read only where its size or time is not that of before.
func (f *folderIndex) stamp(path string, before stamp) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, plainError(err)
	}
	s := stamp{info.Size(), info.ModTime().UnixNano(), before.hash}
	if s == before {
		return s, nil
	}
	in, err := file.Open(path)
	if err != nil {
		return stamp{}, plainError(err)
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return stamp{}, plainError(err)
	}
	s.hash = hex.EncodeToString(sum.Sum(nil)[:16])
	return s, nil
}

// plainError is an error about a file without its name.
func plainError(err error) error {
	if path := new(fs.PathError); errors.As(err, &path) {
		return path.Err
	}
	return err
}

// open reads the index. One that another model made is made anew, and so is a damaged one that is not the user's own file.
func (f *folderIndex) open(ctx context.Context) error {
	mark, err := f.mark(ctx)
	if err != nil {
		return err
	}
	x, err := index.Open(f.path)
	if err == nil {
		if err = x.Verify(); err != nil {
			x.Close()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, index.ErrFormat) && f.cache:
		f.c.say("note: %v; it is made anew", err)
	case err != nil:
		return fmt.Errorf("%w; delete it, and it is made anew", err)
	case x.Dim() == f.d.Size() && sameMark(x.Note, mark):
		f.index = x
	default:
		f.c.say("note: %s is of another model, or of another --ground, and is made anew", f.path)
		if err := x.Close(); err != nil {
			return err
		}
	}
	if f.index == nil {
		if f.index, err = index.New(f.d.Size(), true); err != nil {
			return err
		}
		f.index.Note = mark
	}
	f.index.Threads = f.c.Threads
	return nil
}

// mark tells what made an index: the model, and the ground.
func (f *folderIndex) mark(ctx context.Context) (string, error) {
	mark, err := modelMark(ctx, f.d)
	if f.how.ground != nil {
		mark += " over " + hex.EncodeToString(f.how.ground[:])
	}
	return mark, err
}

// modelMark is what a model sees in a picture of its own: by it what was made with a model is told from what another made.
func modelMark(ctx context.Context, d *embed.Dual) (string, error) {
	m := media.NewImage(d.Prepare.Size, d.Prepare.Size)
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i / 7)
	}
	v, err := d.Images(ctx, 1, func(int) (*media.Image, error) { return m, nil })
	if err != nil {
		return "", err
	}
	b, err := binary.Append(nil, binary.LittleEndian, v[0])
	return base64.StdEncoding.EncodeToString(b), err
}

// sameMark compares marks: vectors that were made on another processor differ in their last bits.
func sameMark(a, b string) bool {
	var rest [2]string
	var v [2][]float32
	for i, m := range []string{a, b} {
		text := ""
		text, rest[i], _ = strings.Cut(m, " ")
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return false
		}
		v[i] = make([]float32, len(raw)/4)
		if _, err := binary.Decode(raw, binary.LittleEndian, v[i]); err != nil {
			return false
		}
	}
	return rest[0] == rest[1] && len(v[0]) == len(v[1]) && task.Cosine(v[0], v[1]) > 0.9999
}
