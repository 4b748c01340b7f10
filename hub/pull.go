package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/plinth-ml/plinth/internal/file"
)

// PullOptions bound a download. The zero value is good.
type PullOptions struct {
	Parallel int                                   // files at once; 0: 4
	All      bool                                  // every file, not only what a model needs
	Verify   bool                                  // read files that are there again and check their hashes
	Progress func(done, total int64, files string) // called now and then, from one goroutine at a time: bytes that are there, and what is being fetched
}

// Pulled is what Pull did.
type Pulled struct {
	Path    string `json:"path"` // the snapshot's folder, or the file that was asked for
	Repo    string `json:"repo"`
	Commit  string `json:"commit"`
	Files   []File `json:"files"`
	Bytes   int64  `json:"bytes"`   // of all files
	Fetched int64  `json:"fetched"` // of these, what came over the network now
}

// Pull brings a model into the store and returns its path. What is there already is not fetched again, and what was fetched in part goes on where it
// stopped. Nothing is in the store under its name before its hash was checked.
func (s Store) Pull(ctx context.Context, c *Client, r Ref, o PullOptions) (Pulled, error) {
	got, err := s.pull(ctx, c, r, o)
	return got, file.Plain(s.path(r.Repo), err)
}

func (s Store) pull(ctx context.Context, c *Client, r Ref, o PullOptions) (Pulled, error) {
	if err := r.check(); err != nil {
		return Pulled{}, err
	}
	commit, all, err := c.listing(ctx, r)
	if err != nil {
		return Pulled{}, err
	}
	files, err := choose(r, all, o.All)
	if err != nil {
		return Pulled{}, err
	}
	p := &pull{store: s, client: c, ref: r, commit: commit, options: o}
	for _, d := range []string{"blobs", "refs", path.Join("snapshots", commit)} {
		if err := os.MkdirAll(filepath.Join(s.path(r.Repo), d), 0o755); err != nil {
			return Pulled{}, fmt.Errorf("hub: %w", err)
		}
	}
	if p.root, err = s.open(r.Repo); err != nil {
		return Pulled{}, fmt.Errorf("hub: %w", err)
	}
	defer p.root.Close()
	unlock, err := s.lock(r.Repo)
	if err != nil {
		return Pulled{}, err
	}
	defer unlock()
	if err := p.fetchAll(ctx, files); err != nil {
		return Pulled{}, err
	}
	out := Pulled{Repo: r.Repo, Commit: commit, Bytes: p.total, Fetched: p.fetched.Load(), Path: filepath.Join(s.path(r.Repo), "snapshots", commit)}
	for _, f := range files {
		if err := p.link(f); err != nil {
			return Pulled{}, fmt.Errorf("hub: %s: %w", f.Name, err)
		}
		out.Files = append(out.Files, File{Name: f.Name, Bytes: f.Size})
	}
	if r.File != "" {
		out.Path = filepath.Join(out.Path, filepath.FromSlash(files[0].Name))
	}
	return out, p.name()
}

// pull is one run of Pull.
type pull struct {
	store   Store
	client  *Client
	ref     Ref
	commit  string
	options PullOptions
	root    *os.Root // the model's folder

	total   int64
	fetched atomic.Int64

	mu     sync.Mutex
	done   int64
	active []string
}

// lock keeps other processes of ours from the repository.
func (s Store) lock(repo string) (func() error, error) {
	dir := filepath.Join(s.Dir, ".locks", folder(repo))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	unlock, err := file.Lock(filepath.Join(dir, "plinth.lock"))
	if err != nil {
		return nil, fmt.Errorf("hub: %s is being pulled or removed: %w", repo, err)
	}
	return unlock, nil
}

// choose picks the files that a model needs: texts of configuration and tokenizer, and one form of weights.
func choose(r Ref, all []remote, everything bool) ([]remote, error) {
	if r.File != "" {
		var list []File
		for _, f := range all {
			list = append(list, File{Name: f.Name})
		}
		name, err := match(r, list)
		if errors.Is(err, ErrAbsent) {
			err = fmt.Errorf("hub: %s has no file %q; there are %s", r.Repo, r.File, some(weights(all)))
		}
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(slices.Clone(all), func(f remote) bool { return f.Name != name }), nil
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("hub: %s has no files", r.Repo)
	}
	if everything {
		return all, nil
	}
	var texts []remote
	forms := map[string][]remote{} // weights by extension
	named := false                 // there is model*.safetensors beside others
	for _, f := range all {
		if strings.Contains(f.Name, "/") {
			continue // other forms of the model: onnx/, original/
		}
		switch ext := path.Ext(f.Name); ext {
		case ".json", ".txt", ".model", ".jinja", ".tiktoken":
			texts = append(texts, f)
		case ".safetensors", ".bin", ".pth", ".pt", ".gguf":
			forms[ext] = append(forms[ext], f)
			named = named || ext == ".safetensors" && strings.HasPrefix(f.Name, "model")
		}
	}
	if named {
		forms[".safetensors"] = slices.DeleteFunc(forms[".safetensors"], func(f remote) bool { return !strings.HasPrefix(f.Name, "model") })
	}
	forms[".bin"] = slices.DeleteFunc(forms[".bin"], func(f remote) bool { return !strings.HasPrefix(f.Name, "pytorch_model") })
	for _, ext := range []string{".safetensors", ".bin", ".pth", ".pt"} {
		if len(forms[ext]) > 0 {
			return append(texts, forms[ext]...), nil
		}
	}
	if g := forms[".gguf"]; len(g) == 1 {
		return append(texts, g...), nil
	} else if len(g) > 1 {
		return nil, fmt.Errorf("hub: %s has %d GGUF files; name one: plinth pull %s:FILE with FILE one of %s", r.Repo, len(g), r.Repo, some(weights(g)))
	}
	return nil, fmt.Errorf("hub: %s has no weights in a form that is read here (safetensors, PyTorch, GGUF); it has %d files, --all fetches them", r.Repo, len(all))
}

// weights lists names, the largest file first.
func weights(files []remote) []string {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b remote) int { return cmp.Compare(b.Size, a.Size) })
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

// fetchAll makes every file's blob be there, the largest first, a few at once. The first error ends the others.
func (p *pull) fetchAll(ctx context.Context, files []remote) error {
	queue := slices.Clone(files)
	slices.SortStableFunc(queue, func(a, b remote) int { return cmp.Compare(b.Size, a.Size) })
	seen := map[string]bool{} // two files of equal bytes are one blob
	queue = slices.DeleteFunc(queue, func(f remote) bool { was := seen[f.Hash]; seen[f.Hash] = true; return was })
	need := int64(0)
	for _, f := range queue {
		p.total += f.Size
		need += f.Size
		for _, name := range []string{f.Hash, f.Hash + incomplete} {
			if info, err := p.root.Stat(p.blob(name)); err == nil {
				need -= min(info.Size(), f.Size)
				break
			}
		}
	}
	if need > 0 {
		if err := file.NeedSpace(p.store.path(p.ref.Repo), uint64(need)); err != nil {
			return fmt.Errorf("hub: %s: %w", p.ref, err)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan remote)
	workers := p.options.Parallel
	if workers <= 0 {
		workers = 4
	}
	var group sync.WaitGroup
	for range min(workers, len(queue)) {
		group.Go(func() {
			for f := range work {
				if ctx.Err() != nil {
					continue
				}
				if err := p.fetch(ctx, f); err != nil {
					cancel(fmt.Errorf("hub: %s: %s: %w", p.ref.Repo, f.Name, err))
				}
			}
		})
	}
	for _, f := range queue {
		work <- f
	}
	close(work)
	group.Wait()
	return context.Cause(ctx)
}

// link gives the blob its name in the snapshot; a copy where the system has no links.
func (p *pull) link(f remote) error {
	name := path.Join("snapshots", p.commit, f.Name)
	if err := p.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	to := strings.Repeat("../", strings.Count(f.Name, "/")+2) + "blobs/" + f.Hash
	if was, err := p.root.Readlink(name); err == nil && filepath.ToSlash(was) == to {
		return nil
	}
	tmp := name + incomplete
	if err := ignoreAbsent(p.root.Remove(tmp)); err != nil {
		return err
	}
	err := p.root.Symlink(filepath.FromSlash(to), tmp)
	if err != nil && runtime.GOOS == "windows" {
		err = p.root.Link(p.blob(f.Hash), tmp) // symbolic links need a right there
	}
	if err != nil {
		return err
	}
	return p.root.Rename(tmp, name)
}

// name makes the revision stand for the commit: everything that was asked for is there.
func (p *pull) name() error {
	if p.ref.revision() == p.commit {
		return nil
	}
	at := filepath.Join(p.store.path(p.ref.Repo), "refs", filepath.FromSlash(p.ref.revision()))
	if err := p.root.MkdirAll(path.Dir(path.Join("refs", p.ref.revision())), 0o755); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	return file.WriteFile(at, []byte(p.commit), 0o644)
}

func (p *pull) blob(name string) string { return path.Join("blobs", name) }
