package bert_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/model/bert"
	"github.com/plinth-ml/plinth/nn"
)

// Parameters as published: of the encoder with its pooler, and with the heads of pre-training.
func TestParameterCounts(t *testing.T) {
	published := map[string][2]int64{
		"bert-tiny": {4385920}, "bert-mini": {11170560}, "bert-small": {28763648}, "bert-medium": {41373184},
		"bert-base": {109482240, 110106428}, "bert-large": {335141888, 336226108}, "bert-base-cased": {108310272}, "bert-large-cased": {333579264},
		"roberta-base": {124645632}, "roberta-large": {355359744}, "distilbert": {66362880}, "minilm-l6": {22713216}, "minilm-l12": {33360000},
	}
	if len(published) != len(bert.Sizes) {
		t.Errorf("%d counts for %d sizes", len(published), len(bert.Sizes))
	}
	for _, s := range bert.Sizes {
		full, err := bert.New(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		c := s.Config
		c.Head = bert.Body
		body, err := bert.New(c)
		if err != nil {
			t.Fatal(err)
		}
		want := published[s.Name]
		if got := nn.Count(body.Params()); got != want[0] {
			t.Errorf("%s: %d parameters, want %d", s.Name, got, want[0])
		}
		if got := nn.Count(full.Params()); want[1] != 0 && got != want[1] {
			t.Errorf("%s: %d parameters with heads, want %d", s.Name, got, want[1])
		}
		for _, m := range []*bert.Model{full, body} {
			if got, want := m.Config.Shape().Params().Total(), nn.Count(m.Params()); got != want {
				t.Errorf("%s: the shape counts %d parameters, the model has %d", s.Name, got, want)
			}
		}
	}
	c := bert.Sizes[4].Config
	c.Head = bert.Tagging // no pooler
	m, err := bert.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := nn.Count(m.Params()) - nn.Count(bert.Tasked{Model: m}.HeadParams()); got != 108891648 {
		t.Errorf("the encoder of bert-base has %d parameters, want 108891648", got)
	}
}

func TestConfigRoundTrip(t *testing.T) {
	for _, s := range bert.Sizes {
		b, err := s.Config.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		c, err := bert.Parse(b)
		if err != nil {
			t.Fatalf("%s: %v\n%s", s.Name, err, b)
		}
		if !reflect.DeepEqual(c, s.Config) {
			t.Errorf("%s: %+v became %+v", s.Name, s.Config, c)
		}
	}
}

// A key or a value that would change the arithmetic is an error that names it.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, names string }{
		{`{"model_type": "bert", "mystery": 2}`, "mystery"},
		{`{"model_type": "bert", "position_embedding_type": "relative_key"}`, "position_embedding_type"},
		{`{"model_type": "bert", "is_decoder": true}`, "is_decoder"},
		{`{"model_type": "bert", "tie_word_embeddings": false}`, "tie_word_embeddings"},
		{`{"model_type": "bert", "hidden_size": 100, "num_attention_heads": 3}`, "num_attention_heads"},
		{`{"model_type": "bert", "hidden_act": "maxout"}`, "maxout"},
		{`{"model_type": "bert", "hidden_dropout_prob": 1.5}`, "dropout"},
		{`{"model_type": "bert", "type_vocab_size": 0}`, "type_vocab_size"},
		{`{"model_type": "bert", "architectures": ["BertForMultipleChoice"]}`, "BertForMultipleChoice"},
		{`{"model_type": "roberta", "architectures": ["RobertaForPreTraining"]}`, "RobertaForPreTraining"},
		{`{"model_type": "roberta", "pad_token_id": 511}`, "pad_token_id"},
		{`{"model_type": "distilbert", "hidden_size": 64}`, "hidden_size"},
		{`{"model_type": "distilbert", "type_vocab_size": 2}`, "type_vocab_size"},
		{`{"model_type": "electra"}`, "electra"},
		{`{"model_type": "bert", "vocab_size": "many"}`, "vocab_size"},
		{`{`, "config.json"},
	} {
		if _, err := bert.Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}
