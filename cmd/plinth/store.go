package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/hub"
	"github.com/plinth-ml/plinth/model/zoo"
)

// modelPath is where the model is that a --model flag names: a folder or a GGUF file, or else a model of the store, such as org/name or org/name:FILE, or its
// address on the hub. A file of a model's folder stands for the folder.
func modelPath(name string) (string, error) {
	path, err := findPath(name)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() || zoo.IsGGUF(path) {
		return path, adapterAlone(path)
	}
	dir := filepath.Dir(path)
	if !zoo.IsModelDir(dir) && zoo.IsTensors(path) {
		return "", fmt.Errorf("%s holds tensors, but %s that says what model they are of is not beside it; plinth show %s lists them", name, zoo.ConfigFile, name)
	}
	if !zoo.IsModelDir(dir) {
		return "", fmt.Errorf("%s is no model: want a folder with %s, tokenizer and weights, or a file whose name ends in .gguf", name, zoo.ConfigFile)
	}
	return dir, nil
}

// adapterAlone refuses a folder that adapt wrote without a model: what it made stands in OUT/adapter, for the model that it was made from.
func adapterAlone(dir string) error {
	adapter := filepath.Join(dir, adapterFolder)
	_, err := os.Stat(filepath.Join(dir, zoo.ConfigFile))
	if _, e := os.Stat(filepath.Join(adapter, adapt.AdapterConfig)); e != nil || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s has no %s, only an adapter: --model is the model that it was trained on, with --adapter %s", dir, zoo.ConfigFile, adapter)
}

// findPath is the file or folder of that name, here or in the store.
func findPath(name string) (string, error) {
	if name == "" {
		return "", usagef("the name of the model is empty")
	}
	_, err := os.Stat(name)
	if err == nil {
		return name, nil
	}
	ref, refErr := parseRef(name)
	if refErr != nil && strings.Contains(name, "://") {
		return "", usageError{refErr}
	}
	if refErr != nil || strings.HasPrefix(name, ".") || !errors.Is(err, os.ErrNotExist) && !strings.Contains(name, "://") {
		return "", err
	}
	store, _, envErr := hub.Environment(os.Getenv)
	if envErr != nil {
		return "", envErr
	}
	path, findErr := store.Find(ref)
	if errors.Is(findErr, hub.ErrAbsent) {
		return "", fmt.Errorf("%s is no folder or file here, and no model of the store (plinth list shows it; plinth pull %s would fetch it)", name, ref)
	}
	return path, findErr
}

// parseRef reads a model's name or its address on the hub in use.
func parseRef(name string) (hub.Ref, error) {
	if endpoint := os.Getenv("HF_ENDPOINT"); endpoint != "" {
		return hub.ParseRef(name, endpoint)
	}
	return hub.ParseRef(name)
}

type pullCmd struct {
	Model    string `arg:"" help:"Repository on the hub, with a file or a part of its name where one is enough, and a revision: org/name, org/name:Q4_K_M, org/name@v1.0:model.gguf; or its address there." placeholder:"ORG/NAME[@REV][:FILE]"`
	All      bool   `help:"Every file, not only configuration, tokenizer and one form of the weights."`
	Verify   bool   `help:"Read files that are there already and check their hashes."`
	Parallel int    `default:"4" help:"Files at once." placeholder:"N"`
}

func (*pullCmd) Help() string {
	return `Models go into Hugging Face's own cache (HF_HOME, HF_HUB_CACHE), where its tools find them too. HF_ENDPOINT names another hub, HF_TOKEN the token for
private and gated models. An interrupted pull goes on where it stopped. Example: plinth pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m`
}

func (p *pullCmd) Run(ctx context.Context, c *common) error {
	ref, err := parseRef(p.Model)
	if err != nil {
		return usageError{err}
	}
	if p.Parallel < 1 || p.Parallel > 64 {
		return usagef("--parallel %d is not within 1 to 64", p.Parallel)
	}
	store, client, err := hub.Environment(os.Getenv)
	if err != nil {
		return err
	}
	if client == nil {
		return fmt.Errorf("HF_HUB_OFFLINE is set: nothing may be fetched")
	}
	meter := &meter{progress: newProgress(c.err)}
	got, err := store.Pull(ctx, client, ref, hub.PullOptions{Parallel: p.Parallel, All: p.All, Verify: p.Verify, Progress: meter.show})
	meter.clear()
	if err != nil {
		return err
	}
	return c.finish(got, fmt.Sprintf("%s\n%s, %sB, of which %sB came now; use it as --model %s\n", got.Path, plural(len(got.Files), "file"), count(got.Bytes), count(got.Fetched), ref))
}

// meter is a line that tells how a download goes.
type meter struct {
	*progress
	begin time.Time
	from  int64 // bytes that were there at first
}

func (m *meter) show(done, total int64, files string) {
	now := time.Now()
	if m.begin.IsZero() {
		if m.begin, m.from = now, done; !m.terminal {
			m.last = now // a log has no use for the line of the beginning
		}
	}
	if now.Sub(m.last) < m.every {
		return
	}
	m.last = now
	text := fmt.Sprintf("%sB of %sB", count(done), count(total))
	if s := now.Sub(m.begin).Seconds(); s > 0.5 && done > m.from {
		rate := float64(done-m.from) / s
		text += fmt.Sprintf("  %sB/s  %v left", count(rate), (time.Duration(float64(total-done)/rate) * time.Second).Round(time.Second))
	}
	if len(files) > 60 {
		files = files[:57] + "..."
	}
	m.status(text + "  " + files)
}

type listCmd struct {
	Files bool `help:"Also the files of each model."`
}

func (*listCmd) Help() string {
	return "The models in the store (HF_HOME, HF_HUB_CACHE), whoever fetched them. Example: plinth list --files"
}

func (l *listCmd) Run(c *common) error {
	store, _, err := hub.Environment(os.Getenv)
	if err != nil {
		return err
	}
	models, err := store.List()
	if err != nil {
		return err
	}
	if models == nil {
		models = []hub.Model{}
	}
	var b strings.Builder
	total := int64(0)
	for _, m := range models {
		total += m.Bytes
		fmt.Fprintf(&b, "%-50s %10sB", m.Repo, count(m.Bytes))
		if m.Partial > 0 {
			fmt.Fprintf(&b, ", of which %sB of downloads that are not finished", count(m.Partial))
		}
		if m.Link != "" {
			fmt.Fprintf(&b, ", in %s", m.Link)
		}
		b.WriteByte('\n')
		for _, s := range m.Snapshots {
			fmt.Fprintf(&b, "  %-12s %s, %s, fetched %s\n", strings.Join(s.Revisions, ", "), s.Commit[:12], plural(len(s.Files), "file"), s.Fetched.Format("2006-01-02"))
			for _, f := range s.Files {
				if l.Files {
					fmt.Fprintf(&b, "    %-60s %10sB\n", f.Name, count(f.Bytes))
				}
			}
		}
	}
	fmt.Fprintf(&b, "%s, %sB in %s\n", plural(len(models), "model"), count(total), store.Dir)
	return c.finish(map[string]any{"store": store.Dir, "bytes": total, "models": models}, b.String())
}

type rmCmd struct {
	Model []string `arg:"" help:"What to delete: a model with all its revisions, one revision, or one file." placeholder:"ORG/NAME[@REV][:FILE]"`
}

func (*rmCmd) Help() string {
	return "Deletes models from the store; bytes that another revision needs stay. Example: plinth rm org/name:Q8_0"
}

func (r *rmCmd) Run(c *common) error {
	store, _, err := hub.Environment(os.Getenv)
	if err != nil {
		return err
	}
	var refs []hub.Ref
	for _, name := range r.Model {
		ref, err := parseRef(name)
		if err != nil {
			return usageError{err}
		}
		refs = append(refs, ref)
	}
	freed := int64(0)
	for _, ref := range refs {
		link := store.Link(ref.Repo)
		n, err := store.Remove(ref)
		if err != nil {
			return err
		}
		if link != "" && ref.File == "" && ref.Revision == "" {
			c.say("%s was a link in the store, which is deleted; its files stay in %s", ref, link)
		}
		freed += n
	}
	return c.finish(map[string]any{"removed": r.Model, "freed_bytes": freed}, fmt.Sprintf("%sB freed\n", count(freed)))
}
