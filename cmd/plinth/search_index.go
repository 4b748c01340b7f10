package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/index"
	"github.com/plinth-ml/plinth/internal/file"
)

// folderChanges is what an update of an index found.
type folderChanges struct {
	New     int       `json:"new"`
	Changed int       `json:"changed"`
	Deleted int       `json:"deleted"`
	Bad     []badFile `json:"not_read"`
}

// folderIndex follows the pictures of a folder with an index, whose keys are their paths in it, with slashes, and whose notes are stamps.
type folderIndex struct {
	keptIndex
	d   *embed.Dual
	dir string
	how decoding
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

// update brings the index up to date with the files of the folder. Where none of them can be read that is an error, and the folder has no index if it had none.
func (f *folderIndex) update(ctx context.Context, files []string) error {
	mark, err := f.mark(ctx)
	if err != nil {
		return err
	}
	err = f.keptIndex.update(ctx, f.d.Size(), mark, func() error { return f.follow(ctx, files) })
	if errors.Is(err, errEmpty) {
		err = errNoneRead
	}
	return err
}

// follow is update of the index once it is open.
func (f *folderIndex) follow(ctx context.Context, files []string) error {
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
			f.Bad = append(f.Bad, badFile{path, err.Error()})
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
	f.how.sayDropped(f.c)
	return f.save(&change)
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
		if err := f.saveSome(change); err != nil {
			return err
		}
	}
	return nil
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

// mark tells what made an index: the model, and the ground.
func (f *folderIndex) mark(ctx context.Context) (string, error) {
	mark, err := modelMark(ctx, f.d)
	if f.how.ground != nil {
		mark += " over " + hex.EncodeToString(f.how.ground[:])
	}
	return mark, err
}
