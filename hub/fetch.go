package hub

import (
	"context"
	"crypto/sha1" // git's object ids, which is what the hub names small files by
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
)

// incomplete is the end of the name of a file that is being fetched.
const incomplete = ".plinth.incomplete"

// fetch makes the blob of f be there, with its hash checked.
func (p *pull) fetch(ctx context.Context, f remote) error {
	p.begin(f)
	defer p.end(f)
	if info, err := p.root.Stat(p.blob(f.Hash)); err == nil {
		if info.Size() == f.Size && (!p.options.Verify || p.verify(p.blob(f.Hash), f) == nil) {
			p.add(f.Size)
			return nil
		}
		if err := p.root.Remove(p.blob(f.Hash)); err != nil { // it was damaged
			return err
		}
	}
	part := p.blob(f.Hash + incomplete)
	// Bytes kept from an earlier run may be damaged: a file whose hash is wrong is fetched once more from its beginning.
	for again := false; ; again = true {
		resumed, err := p.download(ctx, part, f)
		if err != nil {
			return err
		}
		err = p.verify(part, f)
		if err == nil {
			break
		}
		if rm := p.root.Remove(part); rm != nil {
			return rm
		}
		p.add(-f.Size)
		if again || !resumed {
			return err
		}
	}
	return p.root.Rename(part, p.blob(f.Hash))
}

// download brings the missing bytes of part and syncs it; resumed tells that some were there.
func (p *pull) download(ctx context.Context, part string, f remote) (resumed bool, err error) {
	out, err := p.root.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return false, err
	}
	defer out.Close()
	at, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if at > f.Size {
		at = 0
	}
	if resumed = at > 0; !resumed {
		if err := out.Truncate(0); err != nil {
			return false, err
		}
	}
	p.add(at)
	most := at // a server that has to begin again and again brings bytes, but no progress
	err = p.client.retry(ctx, func() (int64, error) {
		if at == f.Size {
			return 0, nil
		}
		body, err := p.client.get(ctx, "/"+p.ref.Repo+"/resolve/"+p.commit+"/"+escape(f.Name), at)
		if errors.Is(err, errRange) && at > 0 { // it cannot go on: begin again
			p.add(-at)
			at = 0
			if err := out.Truncate(0); err != nil {
				return 0, err
			}
			return 0, temporary{err}
		}
		if err != nil {
			return 0, err
		}
		defer body.Close()
		if _, err := out.Seek(at, io.SeekStart); err != nil {
			return 0, err
		}
		n, err := io.Copy(&counter{p, out}, io.LimitReader(body, f.Size-at+1))
		if at += n; at > f.Size {
			p.add(f.Size - at)
			at = f.Size
			return 0, fmt.Errorf("%s sends more than the %d bytes that the hub lists", body.host, f.Size)
		}
		gained := max(0, at-most)
		most += gained
		switch {
		case err != nil && errors.As(err, new(*os.PathError)):
			return 0, err // our disk
		case err != nil:
			return gained, temporary{fmt.Errorf("%s: cut after %d of %d bytes: %w", body.host, at, f.Size, err)}
		case at < f.Size:
			return gained, temporary{fmt.Errorf("%s: cut after %d of %d bytes", body.host, at, f.Size)}
		}
		return 0, nil
	})
	if err != nil {
		return resumed, err
	}
	return resumed, out.Sync()
}

// counter writes and tells the progress.
type counter struct {
	p *pull
	w io.Writer
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.p.fetched.Add(int64(n))
	c.p.add(int64(n))
	return n, err
}

// escape makes a file's name part of an address.
func escape(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// verify reads a file and compares its hash with its name's.
func (p *pull) verify(name string, f remote) error {
	in, err := p.root.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	var h hash.Hash
	if len(f.Hash) == 64 {
		h = sha256.New()
	} else {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", f.Size)
	}
	if _, err := io.Copy(h, in); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.Hash {
		return fmt.Errorf("its hash is %s, the hub lists %s: what came is damaged or another file, and was deleted", got, f.Hash)
	}
	return nil
}

func (p *pull) begin(f remote) {
	p.mu.Lock()
	p.active = append(p.active, f.Name)
	p.mu.Unlock()
	p.add(0)
}

func (p *pull) end(f remote) {
	p.mu.Lock()
	p.active = slices.DeleteFunc(p.active, func(s string) bool { return s == f.Name })
	p.mu.Unlock()
}

// add moves the progress.
func (p *pull) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.options.Progress != nil {
		p.options.Progress(p.done, p.total, strings.Join(p.active, ", "))
	}
}
