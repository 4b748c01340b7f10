package bert

import (
	"fmt"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Tasked is a BERT with a head for a task: see model.Tasked.
type Tasked struct {
	*Model `name:""` // its layers are the model's, under the same paths
}

var tasks = map[Head]model.Task{Classification: model.SequenceTask, Tagging: model.TokenTask, Answers: model.SpanTask}

// HasTask says whether the configuration has a head for a task.
func (c Config) HasTask() bool { _, ok := tasks[c.Head]; return ok }

// WithTask returns a model of the same configuration with a fresh head of k scores: shapes only.
func (m *Model) WithTask(task model.Task, k int) (model.Tasked, error) {
	c := m.Config
	for head, t := range tasks {
		if t == task {
			c.Head, c.Labels = head, k
		}
	}
	if c.Head == Answers && k != 2 {
		return nil, fmt.Errorf("bert: a head for answers has 2 scores, not %d", k)
	}
	n, err := New(c)
	if err != nil {
		return nil, err
	}
	return Tasked{n}, nil
}

// Task is what the head is for.
func (m Tasked) Task() model.Task { return tasks[m.Config.Head] }

// Read returns what the head reads: of a SequenceTask the pooler's vectors [B, C], or with MeanPool what takes their place; otherwise the features [N, C].
func (m Tasked) Read(t *tensor.Tape, in model.Input) *tensor.Tensor {
	x, drop := m.Encode(t, in), m.Config.headDropout()
	switch {
	case m.Config.Head == Answers:
		return x
	case m.Config.Head == Tagging:
	case m.Config.ModelType == TypeBERT && m.Config.MeanPool:
		x = m.text(t, x, in.Seqs)
	case m.Config.ModelType == TypeBERT:
		x = m.Pool(t, m.text(t, x, in.Seqs))
	case m.Config.ModelType == TypeRoBERTa:
		x = m.Dense.Forward(t, t.Dropout(m.text(t, x, in.Seqs), drop), tensor.Tanh, nil)
	default: // DistilBERT
		x = m.Dense.Forward(t, m.text(t, x, in.Seqs), tensor.ReLU, nil)
	}
	return t.Dropout(x, drop)
}

// text returns one row of features for each text [B, C]: the first token's, or the mean.
func (m Tasked) text(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs) *tensor.Tensor {
	if m.Config.MeanPool {
		return t.SeqMean(x, model.Mean.Spans(nil, seqs))
	}
	return m.first(t, x, seqs)
}

// Scorer maps what is read to scores.
func (m Tasked) Scorer() nn.Head {
	l := m.Scores
	if m.Answer != nil {
		l = m.Answer
	}
	return nn.Head{Weight: l.Weight.T(), Bias: l.Bias.T()}
}

// HeadParams lists the parameters that a pre-trained body does not have.
func (m Tasked) HeadParams() []nn.Named {
	var list []nn.Named
	for _, p := range m.Params() {
		for _, l := range []*nn.Linear{m.Dense, m.Scores, m.Answer} {
			if l != nil && (p.Param == l.Weight || p.Param == l.Bias) {
				list = append(list, p)
			}
		}
	}
	return list
}

// MayLack lists the parameters that a pre-trained body may have or not: the pooler, which a model of masked tokens alone goes without.
func (m Tasked) MayLack() []nn.Named {
	var list []nn.Named
	for _, p := range m.Params() {
		if l := m.Bert.Pooler; l != nil && (p.Param == l.Weight || p.Param == l.Bias) {
			list = append(list, p)
		}
	}
	return list
}
