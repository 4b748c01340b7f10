package spm

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// published are the model files of the test data.
var published = []string{"hf-test_sentencepiece_bpe.model", "llama2.tokenizer.model", "seqio.model", "t5.spiece.model", "test_model.model"}

func open(t testing.TB, name string) ([]byte, *Model) {
	t.Helper()
	data, err := os.ReadFile(testkit.Data(t, filepath.Join("tokenizers", "sentencepiece", name)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(data)
	if err != nil {
		t.Fatal(name, err)
	}
	return data, m
}

func TestPublished(t *testing.T) {
	for _, name := range published {
		_, m := open(t, name)
		back, err := Parse(m.Marshal())
		if err != nil {
			t.Fatal(name, err)
		}
		if !reflect.DeepEqual(m, back) {
			t.Errorf("%s changes when it is written and read", name)
		}
		t.Log(name, len(m.Pieces), m.Trainer.ModelType, m.Normalizer.Name, len(m.Merges()))
	}
}
