package zoo

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tokenizer"
)

// TaskModel is a model with a head for a task, as a folder holds it: Hugging Face's ...ForSequenceClassification and its like.
type TaskModel interface {
	Stored
	model.Tasked
}

// suffixes are the ends of the names in config.json's architectures that say what a head is for.
var suffixes = map[model.Task]string{
	model.SequenceTask: "ForSequenceClassification", model.TokenTask: "ForTokenClassification", model.SpanTask: "ForQuestionAnswering",
}

// Labels are what config.json says about the scores of a head.
type Labels struct {
	Names   []string // of the classes, by number
	Problem string   // problem_type: single_label_classification, multi_label_classification, regression, or ""
}

// taskConfig are the keys of config.json about a head.
type taskConfig struct {
	Architectures []string          `json:"architectures"`
	ID2Label      map[string]string `json:"id2label"`
	NumLabels     int               `json:"num_labels"`
	Problem       string            `json:"problem_type"`
	Pooling       string            `json:"classifier_pooling"`
}

// task returns what the head is for; ok is false for a model without.
func (c taskConfig) task() (kind model.Task, ok bool) {
	if len(c.Architectures) == 0 {
		return 0, false
	}
	for kind, suffix := range suffixes {
		if strings.HasSuffix(c.Architectures[0], suffix) {
			return kind, true
		}
	}
	return 0, false
}

// labels returns the names, LABEL_0, LABEL_1 where the file names none, as transformers does.
func (c taskConfig) labels() (Labels, error) {
	n := len(c.ID2Label)
	if n == 0 {
		n = max(c.NumLabels, 2*btoi(c.NumLabels == 0))
	}
	if n > 1<<20 {
		return Labels{}, fmt.Errorf("config.json: num_labels is %d", n)
	}
	l := Labels{Names: make([]string, n), Problem: c.Problem}
	for i := range l.Names {
		name, ok := c.ID2Label[strconv.Itoa(i)]
		if len(c.ID2Label) > 0 && !ok {
			return l, fmt.Errorf("config.json: id2label has %d labels, but none for %d", n, i)
		}
		if !ok {
			name = "LABEL_" + strconv.Itoa(i)
		}
		l.Names[i] = name
	}
	return l, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// withHead returns the decoder with the head that its config.json names; other models have their heads already.
func withHead(m Stored, config []byte) (Stored, error) {
	var c taskConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	d, isDecoder := m.(Model)
	kind, ok := c.task()
	if !isDecoder || !ok {
		return m, nil
	}
	l, err := c.labels()
	if err != nil {
		return nil, err
	}
	return newHeaded(d, kind, len(l.Names), c.Pooling == model.MeanPooling)
}

// headed is a decoder with a head.
type headed struct {
	*model.Headed
	base Model
}

func newHeaded(d Model, kind model.Task, k int, mean bool) (*headed, error) {
	if kind == model.SpanTask && k != 2 {
		return nil, fmt.Errorf("a head for answers has 2 scores, not %d", k)
	}
	pool := model.Last
	if mean {
		pool = model.Mean
	}
	return &headed{model.NewHeaded(d, kind, pool, k, kind != model.SequenceTask || mean), d}, nil
}

// reader is a decoder below a head for answers whose class in transformers calls it transformer where others call it model.
type reader struct {
	Model `name:""`
}

// readsAnswers says whether a decoder is one of those.
func readsAnswers(d Model) bool {
	l, ok := d.(*llama.Model)
	return ok && slices.Contains([]string{"llama", "qwen2", "qwen3"}, l.Config.ModelType)
}

// Places are the decoder's, first under the other name.
func (r reader) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	places := r.Model.Places(s, param)
	var own []checkpoint.Place
	for _, p := range places {
		if rest, ok := strings.CutPrefix(p.Name, "model."); ok && s == checkpoint.HuggingFace {
			p.Name = "transformer." + rest
			own = append(own, p)
		}
	}
	return append(own, places...)
}

// ConfigJSON is the decoder's, with the head in architectures.
func (h *headed) ConfigJSON() ([]byte, error) {
	b, err := h.base.ConfigJSON()
	if err != nil {
		return nil, err
	}
	var c taskConfig
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	name := "Decoder"
	if len(c.Architectures) > 0 {
		name = strings.TrimSuffix(strings.TrimSuffix(c.Architectures[0], "LMHeadModel"), "ForCausalLM")
	}
	more := map[string]any{"architectures": []string{name + suffixes[h.Kind]}}
	if h.Kind == model.SequenceTask && h.Pool == model.Mean {
		more["classifier_pooling"] = model.MeanPooling
	}
	return patch(b, more)
}

// headName is the head's first name in files of this family: GPT-2's and NeoX's taggers have another than Llama's.
func (h *headed) headName() string {
	if h.Kind == model.SpanTask {
		return "qa_outputs."
	}
	for _, p := range h.base.Params() {
		if h.Kind == model.TokenTask && (strings.HasPrefix(p.Name, "transformer.") || strings.HasPrefix(p.Name, "gpt_neox.")) {
			return "classifier."
		}
	}
	return "score."
}

func (h *headed) Places(s checkpoint.Scheme, param string) []checkpoint.Place {
	if rest, ok := strings.CutPrefix(param, "score."); ok {
		return []checkpoint.Place{{Name: h.headName() + rest}}
	}
	places := h.body().Places(s, param)
	if readsAnswers(h.base) && h.Kind != model.SpanTask { // from a folder with a head for answers, too
		places = append(slices.Clone(places), reader{h.base}.Places(s, param)[0])
	}
	return places
}

// body is the decoder as files with this head name it.
func (h *headed) body() Model {
	if h.Kind == model.SpanTask && readsAnswers(h.base) {
		return reader{h.base}
	}
	return h.base
}

func (h *headed) Ignored(s checkpoint.Scheme, tensor string) bool { return h.base.Ignored(s, tensor) }

func (h *headed) Cost(seq int) model.Cost { return h.base.Cost(seq) }

// headable is a family whose own classes have heads.
type headable interface {
	// WithTask returns a model of the same configuration with a fresh head of k scores: shapes only.
	WithTask(kind model.Task, k int) (model.Tasked, error)
}

// OpenTask reads a model with its head and what its scores mean.
func OpenTask(dir string, o Options) (TaskModel, Labels, error) {
	m, err := OpenAny(dir, o)
	if err != nil {
		return nil, Labels{}, err
	}
	t, ok := m.(TaskModel)
	if !ok {
		return nil, Labels{}, fmt.Errorf("%s has no head for a task: give it one with plinth adapt", dir)
	}
	_, l, err := readTaskConfig(dir)
	if err != nil {
		return nil, Labels{}, err
	}
	return t, l, nil
}

// readTaskConfig reads what a folder's config.json says of its head.
func readTaskConfig(dir string) (taskConfig, Labels, error) {
	var c taskConfig
	path := filepath.Join(dir, ConfigFile)
	b, err := file.Read(path, maxConfig)
	if err != nil {
		return c, Labels{}, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, Labels{}, fmt.Errorf("%s: %w", path, err)
	}
	l, err := c.labels()
	if err != nil {
		return c, Labels{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, l, nil
}

// NewTaskLike is NewTask with a fresh head of the kind that the config.json of the folder dir describes, as SaveTaskConfig wrote it beside an adapter.
func NewTaskLike(path, dir string, o Options) (TaskModel, Labels, error) {
	c, l, err := readTaskConfig(dir)
	if err != nil {
		return nil, l, err
	}
	kind, ok := c.task()
	if !ok {
		return nil, l, fmt.Errorf("%s describes no model with a head for a task", filepath.Join(dir, ConfigFile))
	}
	o.MeanPool = c.Pooling == model.MeanPooling
	m, err := NewTask(path, kind, len(l.Names), 0, o)
	return m, l, err
}

// NewTask reads the body of a pre-trained model and gives it a fresh head of k scores, drawn with seed. What the folder has of other heads is left
// out.
func NewTask(path string, kind model.Task, k int, seed uint64, o Options) (TaskModel, error) {
	src, m, scheme, err := openSource(path)
	if err != nil {
		return nil, err
	}
	t, err := freshHead(m, kind, k, o.MeanPool)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), src.Close())
	}
	own := o.Train || o.F32 || needsF32(t, scheme)
	if own {
		nn.Alloc(t.Params(), o.Train)
	}
	isHead := map[string]bool{}
	for _, p := range drawn(src, scheme, t) {
		isHead[p.Name] = true
	}
	bindings := slices.DeleteFunc(Bindings(t, scheme), func(b checkpoint.Binding) bool { return isHead[b.Name] })
	used := map[string]bool{}
	for _, b := range bindings {
		for _, p := range b.Places {
			used[p.Name] = true
		}
	}
	err = checkpoint.LoadStrict(src, bindings, func(name string) bool {
		return !used[name] && (t.Ignored(scheme, name) || isOldHead(m, t, scheme, name))
	})
	if own || err != nil {
		err = errors.Join(err, src.Close())
	}
	if err != nil {
		return nil, err
	}
	nn.Init(slices.DeleteFunc(t.Params(), func(p nn.Named) bool { return !isHead[p.Name] }), seed, o.Train)
	return t, nil
}

// Parts returns the model that a head stands on, and the parameters of the head beside it, under the names of Hugging Face's files: none where they are among
// the model's, as in a family whose own classes have heads.
func Parts(m TaskModel) (body Stored, head []nn.Named) {
	h, ok := m.(*headed)
	if !ok {
		return m, nil
	}
	for _, p := range h.HeadParams() {
		p.Name = m.Places(checkpoint.HuggingFace, p.Name)[0].Name
		head = append(head, p)
	}
	return h.body(), head
}

// Drawn lists the parameters that NewTask drew because the pre-trained model of path does not have them: those of the head, and what else it lacks.
func Drawn(path string, m TaskModel) ([]nn.Named, error) {
	src, _, scheme, err := openSource(path)
	if err != nil {
		return nil, err
	}
	return drawn(src, scheme, m), src.Close()
}

func drawn(src checkpoint.Source, s checkpoint.Scheme, m TaskModel) []nn.Named {
	list := m.HeadParams()
	if l, ok := m.(lacking); ok {
		for _, p := range l.MayLack() {
			if !holds(src, m.Places(s, p.Name)) {
				list = append(list, p)
			}
		}
	}
	return list
}

// lacking is a model some of whose parameters a pre-trained body may have or not; those that it has not are drawn as the head's are.
type lacking interface{ MayLack() []nn.Named }

// holds says whether a file has one of the places.
func holds(src checkpoint.Source, places []checkpoint.Place) bool {
	return slices.ContainsFunc(src.Infos(), func(i checkpoint.Info) bool {
		return slices.ContainsFunc(places, func(p checkpoint.Place) bool { return p.Name == i.Name })
	})
}

// isOldHead says whether a tensor belongs to a parameter of m that the model for the task has not: a head for another purpose.
func isOldHead(m Stored, t TaskModel, s checkpoint.Scheme, tensor string) bool {
	kept := map[string]bool{}
	for _, p := range t.Params() {
		kept[p.Name] = true
	}
	for _, p := range t.HeadParams() {
		kept[p.Name] = false
	}
	for _, p := range m.Params() {
		if !kept[p.Name] && slices.ContainsFunc(m.Places(s, p.Name), func(at checkpoint.Place) bool { return at.Name == tensor }) {
			return true
		}
	}
	return false
}

func freshHead(m Stored, kind model.Task, k int, mean bool) (TaskModel, error) {
	if h, ok := m.(*headed); ok {
		m = h.base
	}
	switch b := m.(type) {
	case *bert.Model:
		b.Config.MeanPool = mean
	case bert.Tasked:
		b.Config.MeanPool = mean
	}
	switch m := m.(type) {
	case headable:
		t, err := m.WithTask(kind, k)
		if err != nil {
			return nil, err
		}
		return t.(TaskModel), nil
	case Model:
		return newHeaded(m, kind, k, mean)
	}
	return nil, errors.New("this family has no heads for tasks")
}

// SaveTask is Save with the meaning of the scores in config.json.
func SaveTask(dir string, m TaskModel, tok *tokenizer.Tokenizer, l Labels) error {
	if err := Save(dir, m, tok); err != nil {
		return err
	}
	return SaveTaskConfig(dir, m, tok, l)
}

// SaveTaskConfig writes SaveTask's config.json alone, into a folder that exists: beside an adapter it says what the adapter's head is for.
func SaveTaskConfig(dir string, m TaskModel, tok *tokenizer.Tokenizer, l Labels) error {
	b, err := m.ConfigJSON()
	if err != nil {
		return err
	}
	id2label, label2id := map[string]string{}, map[string]int{}
	for i, name := range l.Names {
		id2label[strconv.Itoa(i)], label2id[name] = name, i
	}
	more := map[string]any{"id2label": id2label, "label2id": label2id}
	if l.Problem != "" {
		more["problem_type"] = l.Problem
	}
	if tok != nil {
		if end, ok := tok.EOS(); ok {
			more["pad_token_id"] = end // batches of transformers are padded; what it is does not matter, but there must be one
		}
	}
	if b, err = patch(b, more); err != nil {
		return err
	}
	return file.WriteFile(filepath.Join(dir, ConfigFile), b, 0o644)
}

// patch sets keys of a JSON object; the others stay as they are written. pad_token_id is set only where there is none.
func patch(object []byte, more map[string]any) ([]byte, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(object, &keys); err != nil {
		return nil, err
	}
	for key, v := range more {
		if old := string(keys[key]); key == "pad_token_id" && old != "" && old != "null" {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		keys[key] = b
	}
	b, err := json.MarshalIndent(keys, "", "  ")
	return append(b, '\n'), err
}
