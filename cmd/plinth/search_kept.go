package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/index"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/media"
)

// keptIndex is an index on disk that follows what is searched.
type keptIndex struct {
	c     *common
	path  string
	cache bool // the path is not the user's but ours: what lies there and is no index may go
	index *index.Index
}

// errEmpty is an index of nothing, which is not kept.
var errEmpty = errors.New("the index is empty")

// update opens the index of vectors of dim numbers, or makes it, and calls follow, which brings it up to date. mark tells what makes the vectors. Other runs on the
// index wait. One that may not be written is searched as it is. Where it is empty then that is errEmpty, and a folder made for it is removed.
func (k *keptIndex) update(ctx context.Context, dim int, mark string, follow func() error) error {
	home := filepath.Dir(k.path)
	if _, err := os.Stat(home); errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(home, 0o755); err != nil {
			return fmt.Errorf("no place for the index: %w (--index FILE keeps it elsewhere)", err)
		}
		defer func() {
			if k.index == nil || k.index.Len() == 0 {
				os.Remove(k.path + ".lock")
				os.Remove(home)
			}
		}()
	}
	unlock, locked := k.lock(ctx)
	if locked == nil {
		defer unlock()
	} else if !readOnly(locked) {
		return locked
	}
	if err := k.open(dim, mark); err != nil {
		return err
	}
	switch {
	case locked == nil:
		if err := follow(); err != nil {
			return errors.Join(err, k.index.Close())
		}
	case k.index.Len() > 0:
		k.c.say("note: %s may not be written: what is new, changed or deleted since it was is not seen", k.path)
	default:
		return fmt.Errorf("%w (--index FILE keeps the index elsewhere)", locked)
	}
	if k.index.Len() == 0 {
		return errors.Join(errEmpty, k.index.Close())
	}
	return nil
}

// readOnly says whether an error is that nothing may be written.
func readOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// lock takes the index for this run, as soon as no other has it.
func (k *keptIndex) lock(ctx context.Context) (unlock func() error, err error) {
	for said := false; ; said = true {
		unlock, err := file.Lock(k.path + ".lock")
		switch {
		case err == nil:
			return unlock, nil
		case !errors.Is(err, file.ErrLocked):
			return nil, err
		case !said:
			k.c.say("another run brings %s up to date: waiting for it", k.path)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// open reads the index. One that another model made is made anew, and so is a damaged one that is not the user's own file.
func (k *keptIndex) open(dim int, mark string) error {
	x, err := index.Open(k.path)
	if err == nil {
		if err = x.Verify(); err != nil {
			x.Close()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, index.ErrFormat) && k.cache:
		k.c.say("note: %v; it is made anew", err)
	case err != nil:
		return fmt.Errorf("%w; delete it, and it is made anew", err)
	case x.Dim() == dim && sameMark(x.Note, mark):
		k.index = x
	default:
		k.c.say("note: %s is of another model, or of other flags, and is made anew", k.path)
		if err := x.Close(); err != nil {
			return err
		}
	}
	if k.index == nil {
		if k.index, err = index.New(dim, true); err != nil {
			return err
		}
		k.index.Note = mark
	}
	k.index.Threads = k.c.Threads
	return nil
}

// saveEvery is how many vectors are made before they are saved, so that a run that is interrupted is not lost; of a large index more.
const saveEvery = 2048

// saveSome is save of a change that is large enough.
func (k *keptIndex) saveSome(change *index.Change) error {
	if len(change.Put) < max(saveEvery, k.index.Len()/2) {
		return nil
	}
	return k.save(change)
}

// save writes a change, where there is one, and empties it.
func (k *keptIndex) save(change *index.Change) error {
	if len(change.Put) == 0 && len(change.Delete) == 0 {
		return nil
	}
	err := k.index.Save(k.path, *change)
	*change = index.Change{}
	return err
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
	return markOf(v[0])
}

// markOf is a vector as a mark.
func markOf(vector []float32) (string, error) {
	b, err := binary.Append(nil, binary.LittleEndian, vector)
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
