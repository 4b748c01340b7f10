package main

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

// adapterFlags are those of verbs whose model may be a pre-trained one with an adapter beside it.
type adapterFlags struct {
	Adapter string `help:"Folder of an adapter, such as OUT/adapter of plinth adapt --method lora or prompt: --model is then the model that it was trained on." placeholder:"DIR"`
}

// adapterFolder is the folder of the adapter within a folder that adapt writes.
const adapterFolder = "adapter"

// openHead opens a model with a head of a kind and the meaning of its scores. With --adapter path is the model below.
func (f adapterFlags) openHead(c *common, path string, kind model.Task) (m zoo.TaskModel, l zoo.Labels, err error) {
	where := path
	if f.Adapter == "" {
		m, l, err = zoo.OpenTask(path, zoo.Options{})
	} else if err = notMerged(path, f.Adapter); err == nil {
		where = f.Adapter
		if m, l, err = zoo.NewTaskLike(path, f.Adapter, zoo.Options{}); err == nil {
			body, head := zoo.Parts(m)
			_, err = adapt.Open(c.kernels(), f.Adapter, body, head)
		}
	}
	if err == nil && m.Task() != kind {
		verb := map[model.Task]string{model.SequenceTask: "classify", model.TokenTask: "tag", model.SpanTask: "ask"}[m.Task()]
		err = fmt.Errorf("%s has a head for %ss, not for %ss: plinth %s is the verb for it", where, m.Task(), kind, verb)
	}
	return m, l, err
}

// notMerged refuses an adapter that the model has in its weights already, as the folder that adapt writes has: it would count twice.
func notMerged(path, dir string) error {
	merged, err := file.Map(filepath.Join(path, adapterFolder, adapt.AdapterWeights))
	if err != nil {
		return nil // no such folder
	}
	defer merged.Close()
	beside, err := file.Map(filepath.Join(dir, adapt.AdapterWeights))
	if err != nil {
		return nil // opening it says what is wrong
	}
	defer beside.Close()
	if !bytes.Equal(merged.Bytes(), beside.Bytes()) {
		return nil
	}
	return fmt.Errorf("--adapter %s: it is merged into the weights of %s already: leave the flag out, or give the model that it was trained on", dir, path)
}

// textsFor makes the examples of a model that is open, behind its virtual tokens where it has some.
func textsFor(m zoo.Sized, tok *tokenizer.Tokenizer) *adapt.Texts {
	return &adapt.Texts{Tokenizer: tok, Limit: m.Sizes().Context, Virtual: m.Sizes().VirtualIDs()}
}

// attach puts --adapter, where it is given, beside the model of path, which writes text.
func (f adapterFlags) attach(c *common, path string, m zoo.Stored) error {
	if f.Adapter == "" {
		return nil
	}
	if err := notMerged(path, f.Adapter); err != nil {
		return err
	}
	_, err := adapt.Open(c.kernels(), f.Adapter, m, nil)
	return err
}

// open is openHead for the model of a name, with its tokenizer.
func (f adapterFlags) open(c *common, name string, kind model.Task) (zoo.TaskModel, *tokenizer.Tokenizer, zoo.Labels, error) {
	path, err := modelPath(name)
	if err != nil {
		return nil, nil, zoo.Labels{}, err
	}
	m, l, err := f.openHead(c, path, kind)
	if err != nil {
		return nil, nil, l, err
	}
	tok, err := zoo.Tokenizer(path, nil)
	return m, tok, l, err
}
