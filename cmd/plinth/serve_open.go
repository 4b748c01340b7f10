package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/eval"
	"github.com/plinth-ml/plinth/eval/task"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/serve"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
)

// openKind opens a model with all that it can do: write, make vectors, of pictures too, classify, rank.
func (s *serveCmd) openKind(ctx context.Context, c *common, name, path string, o zoo.Options) (*serve.Model, error) {
	if embed.IsSentenceTransformer(path) {
		return s.openEmbedder(c, path, o)
	}
	if probe, err := openProbe(ctx, c, path); err != nil || probe != nil {
		return probe.served(), err
	}
	m, err := zoo.Describe(path)
	if err != nil {
		return nil, err
	}
	if _, ok := m.(*clip.Model); ok {
		return s.openDual(c, path, o)
	}
	if _, ok := m.(zoo.TaskModel); ok {
		return s.openClassifier(c, path, o)
	}
	if _, err := zoo.AsDecoder(m); err != nil {
		return s.openEmbedder(c, path, o)
	}
	return s.openWriter(ctx, c, name, path, "", o)
}

// weightBytes is the memory of a model's parameters, the file's or their own; packed: and of the copies that an engine makes of those in float32.
func weightBytes(list []nn.Named, packed bool) (n int64) {
	for _, p := range list {
		data := p.T().Data
		size := int64(len(data.Bytes()))
		if n += size; packed && data.DType() == kernel.F32 {
			n += size
		}
	}
	return n
}

func (s *serveCmd) openEmbedder(c *common, path string, o zoo.Options) (*serve.Model, error) {
	e, err := embed.Open(path, o)
	if err != nil {
		return nil, err
	}
	size := e.Model.Sizes()
	one := &serve.Model{Tokenizer: e.Tokenizer, Vocab: size.Vocab, Context: size.Context, Bytes: weightBytes(e.Model.Params(), false)}
	if e.Limit > 0 {
		one.Context = min(e.Limit, size.Context)
	}
	addEmbedding(one, c, e)
	return one, nil
}

// addEmbedding lets a model make vectors, and rank by them.
func addEmbedding(one *serve.Model, c *common, e *embed.Embedder) {
	e.Threads = c.Threads
	one.Dimensions = e.Size()
	one.Embed = func(ctx context.Context, texts []string, kind string) ([][]float32, int, error) {
		vectors, cut, err := e.Embed(ctx, texts, promptKind(e, kind))
		return vectors, cut, refused(ctx, "input", err)
	}
	one.EmbedIDs = func(ctx context.Context, ids [][]int32) ([][]float32, int, error) {
		vectors, cut, err := e.EmbedIDs(ctx, ids)
		return vectors, cut, refused(ctx, "input", err)
	}
	one.Rerank = serve.ByCosine(one.Embed)
}

// refused is an error that comes of what a request holds, unless the request is gone.
func refused(ctx context.Context, field string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return serve.Refuse(field, err)
}

// openClassifier opens a model with a head: one for numbers also ranks pairs of a query and a document.
func (s *serveCmd) openClassifier(c *common, path string, o zoo.Options) (*serve.Model, error) {
	m, labels, err := zoo.OpenTask(path, o)
	if err != nil {
		return nil, err
	}
	if m.Task() != model.SequenceTask {
		return nil, fmt.Errorf("%s has a head for %ss, which no route is for", path, m.Task())
	}
	tok, err := zoo.Tokenizer(path, nil)
	if err != nil {
		return nil, err
	}
	t := tensor.Evaluation(c.kernels())
	head := func() *headClassifier {
		return &headClassifier{m, labels, textsFor(m, tok), t}
	}
	one := &serve.Model{Tokenizer: tok, Vocab: m.Sizes().Vocab, Context: m.Sizes().Context, Bytes: weightBytes(m.Params(), false)}
	number := labels.Problem == string(adapt.Regression)
	one.Labels = labels.Names
	if number {
		one.Labels = []string{}
	}
	classes, noEntailment := task.EntailmentOf(labels.Names)
	one.Classify = func(ctx context.Context, texts [][]string, own *serve.OwnLabels) (*serve.Classes, error) {
		if own == nil {
			return classesOf(ctx, head(), one.Labels, texts)
		}
		switch {
		case noEntailment != nil:
			return nil, serve.Refuse("labels", noEntailment)
		case own.Calibrate:
			return nil, serve.Refuse("calibrate", errors.New("it is for models that write text"))
		}
		e, err := newEntailed(m, classes, tok, t, own.Names, own.Template, own.Multi)
		if err != nil {
			return nil, serve.Refuse("template", err)
		}
		return classesOf(ctx, e, own.Names, texts)
	}
	if len(labels.Names) == 1 {
		one.Rerank = func(ctx context.Context, query string, documents []string) ([]float64, int, error) {
			h := head()
			scores, err := h.relevance(ctx, query, documents)
			if !number { // sentence-transformers' cross-encoders with one score: its sigmoid
				for i, z := range scores {
					scores[i] = 1 / (1 + math.Exp(-z))
				}
			}
			return scores, h.texts.Cut, refused(ctx, "documents", err)
		}
	}
	return one, nil
}

// relevance is the head's one score of each pair of the query and a document.
func (h *headClassifier) relevance(ctx context.Context, query string, documents []string) ([]float64, error) {
	var pairs []adapt.Example
	for _, d := range documents {
		e, err := h.texts.Example(query, d)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, e)
	}
	list, err := adapt.Scores(ctx, h.t, h.m, pairs)
	scores := make([]float64, len(list))
	for i, z := range list {
		scores[i] = float64(z[0])
	}
	return scores, err
}

// classesOf asks a classifier.
func classesOf(ctx context.Context, m classifier, labels []string, texts [][]string) (*serve.Classes, error) {
	rows := make([]tableRow, len(texts))
	for i, some := range texts {
		rows[i] = tableRow{where: "input", texts: some}
	}
	p, err := m.probabilities(ctx, rows)
	if err != nil {
		return nil, refused(ctx, "input", err)
	}
	cut, _ := m.cut()
	return &serve.Classes{Labels: labels, Probabilities: p, Cut: cut}, nil
}

// openWriter opens a model that writes text, with the adapter of a folder unless that is "". It also makes vectors, and classifies by what it holds for
// likely.
func (s *serveCmd) openWriter(ctx context.Context, c *common, name, path, adapter string, o zoo.Options) (*serve.Model, error) {
	m, tok, err := openWriter(path, o)
	if err != nil {
		return nil, err
	}
	if adapter != "" {
		if err := notMerged(path, adapter); err != nil {
			return nil, err
		}
		if _, err := adapt.OpenLoRA(c.kernels(), adapter, m, nil); err != nil {
			return nil, err
		}
	}
	engine, err := s.engine(c, m, tok, s.Slots)
	if err != nil {
		return nil, err
	}
	one := &serve.Model{Engine: engine, Tokenizer: tok, Vocab: m.Sizes().Vocab, Context: s.Context, Bytes: weightBytes(m.Params(), true)}
	if one.Context == 0 {
		one.Context = m.Sizes().Context
	}
	if eos, ok := tok.EOS(); ok {
		one.Stops = []int32{eos}
	}
	source, err := chatSource(path, tok, m.Sizes().Vocab)
	if err != nil {
		return nil, err
	}
	template, err := s.template(source)
	switch {
	case errors.Is(err, chat.ErrNoTemplate):
		c.say("note: %s has no chat template: it only continues texts (--template NAME)", name)
	case err != nil:
		return nil, err
	default:
		one.Dialogue = chat.NewDialogue(ctx, source, template, tok)
	}
	encoder, err := embed.AsEncoder(m)
	if err != nil {
		return nil, err
	}
	addEmbedding(one, c, &embed.Embedder{Model: encoder, Tokenizer: tok})
	addLikelihoods(one, c, m, tok)
	return one, nil
}

// addLikelihoods lets a model that writes classify by labels of a request's own.
func addLikelihoods(one *serve.Model, c *common, m model.Decoder, tok *tokenizer.Tokenizer) {
	var answers *eval.Likelihoods // made when first asked for
	one.Classify = func(ctx context.Context, texts [][]string, own *serve.OwnLabels) (*serve.Classes, error) {
		switch {
		case own.Multi:
			return nil, serve.Refuse("multi_label", errors.New("it is for a model with a head for entailment"))
		case len(own.Names) < 2:
			return nil, serve.Refuse("labels", errors.New("a single label is always right"))
		}
		p, err := newPrompted(own.Template, true, own.Calibrate)
		if err != nil {
			return nil, serve.Refuse("template", err)
		}
		if answers == nil {
			answers = eval.NewLikelihoods(m, tok, c.kernels())
		}
		p.use(answers, tok, m.Sizes().Context, own.Names)
		return classesOf(ctx, p, own.Names, texts)
	}
}

// template is the model's, or that of --template.
func (s *serveCmd) template(source *chat.Source) (*chat.Template, error) {
	if s.Template != "" {
		return chat.Named(s.Template, source.BOS, source.EOS)
	}
	return source.Open(false)
}
