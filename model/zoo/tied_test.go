package zoo_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/zoo"
)

// A head in the file of a tied model is the embedding again, or an error.
func TestTiedHead(t *testing.T) {
	m, err := zoo.Open(filepath.Join(testkit.Root(), "internal", "testkit", "golden", "gpt2-tiny"), zoo.Options{F32: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change float32
		err    string
	}{{0, ""}, {1, "lm_head.weight differs"}} {
		dir := t.TempDir()
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		list, err := checkpoint.Tensors(zoo.Bindings(m, checkpoint.HuggingFace))
		if err != nil {
			t.Fatal(err)
		}
		w := m.Head().Weight
		head := append([]float32(nil), w.F32()...)
		head[len(head)-1] += c.change
		list = append(list, checkpoint.FromFloat32("lm_head.weight", w.Shape(), head))
		if err := checkpoint.Write(filepath.Join(dir, zoo.WeightsFile), list, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := zoo.Open(dir, zoo.Options{}); (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("a head that differs by %v: %v, want %q", c.change, err, c.err)
		}
	}
}
