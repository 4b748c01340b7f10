package zoo_test

import (
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/scaling"
)

// published are the parameters of the models that were released, as their files have them; for those that were not, what the papers round.
var published = map[string]int64{
	"llama2-7b": 6738415616, "llama2-13b": 13015864320, "llama2-70b": 68976648192, "llama3-8b": 8030261248, "llama3-70b": 70553706496,
	"llama3.2-1b": 1235814400, "mistral-7b": 7241732096, "mixtral-8x7b": 46702792704, "qwen2.5-0.5b": 494032768, "qwen2.5-7b": 7615616512,
	"qwen3-0.6b": 596049920, "phi3-mini": 3821079552,
	"gemma-2b": 2506172416, "gemma-7b": 8537680896, "gemma2-2b": 2614341888, "gemma2-9b": 9241705984, "gemma3-1b": 999885952,
	"pythia-70m": 70426624, "pythia-160m": 162322944, "pythia-410m": 405334016, "pythia-1b": 1011781632, "pythia-1.4b": 1414647808,
	"pythia-2.8b": 2775208960, "pythia-6.9b": 6857302016, "pythia-12b": 11846072320, "gpt-neox-20b": 20554567680, "gpt-j-6b": 6050882784,
	"t5-small": 60506624, "t5-base": 222903552, "t5-large": 737668096, "t5-3b": 2851598336, "t5-11b": 11307321344,
	"t5-v1_1-small": 76961152, "t5-v1_1-base": 247577856, "t5-v1_1-large": 783150080, "t5-v1_1-xl": 2849757184, "t5-v1_1-xxl": 11135332352,
}

// Named sizes have the published numbers of parameters, and count what they build.
func TestPublishedCounts(t *testing.T) {
	var found []string
	for _, s := range zoo.Sizes() {
		m, err := s.New(s.Vocab, s.Context, -1)
		if err != nil {
			t.Errorf("%s %s: %v", s.Family, s.Name, err)
			continue
		}
		n := nn.Count(m.Params())
		if want, ok := published[s.Name]; ok && n != want {
			t.Errorf("%s has %d parameters, published %d", s.Name, n, want)
		}
		if got := m.Cost(1).Params; got != n {
			t.Errorf("%s %s counts %d parameters and builds %d", s.Family, s.Name, got, n)
		}
		found = append(found, s.Name)
	}
	for name := range published {
		if !slices.Contains(found, name) {
			t.Errorf("%s is no size", name)
		}
	}
	for _, name := range []string{"palm-8b", "palm-62b", "palm-540b"} { // 8.63, 62.50 and 540.35 billion (table 1)
		s, err := zoo.SizeByName("palm", name)
		if err != nil {
			t.Fatal(err)
		}
		paper, err := scaling.ModelByName(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.New(s.Vocab, s.Context, -1)
		if err != nil {
			t.Fatal(err)
		}
		n := float64(nn.Count(m.Params()))
		if r := n / paper.Params; r < 0.9995 || r > 1.0005 {
			t.Errorf("%s has %.0f parameters, published %v", name, n, paper.Params)
		}
		if n != float64(paper.Shape.Params().Total()) {
			t.Errorf("%s: the scaling table's shape has %d parameters, the model %.0f", name, paper.Shape.Params().Total(), n)
		}
	}
}
