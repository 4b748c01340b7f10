package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// reader is a model that writes nothing: its vectors count letters, its labels are true of texts that contain them.
func reader(t testing.TB) *serve.Model {
	m := tiny(t, generate.EngineOptions{})
	m.Name, m.Engine, m.Dialogue, m.Context = "reader", nil, nil, 20
	m.Dimensions = 3
	m.Embed = func(_ context.Context, texts []string, kind string) ([][]float32, int, error) {
		var v [][]float32
		for _, x := range texts {
			v = append(v, []float32{float32(strings.Count(x, "a")), float32(strings.Count(x, "b")), float32(len(kind))})
		}
		return v, strings.Count(strings.Join(texts, ""), "cut"), nil
	}
	m.EmbedIDs = func(_ context.Context, ids [][]int32) ([][]float32, int, error) {
		var v [][]float32
		for _, x := range ids {
			v = append(v, []float32{float32(len(x)), float32(x[0]), 0})
		}
		return v, 0, nil
	}
	m.Rerank = serve.ByCosine(func(ctx context.Context, texts []string, _ string) ([][]float32, int, error) {
		return m.Embed(ctx, texts, "")
	})
	m.Labels = []string{"a", "b"}
	m.Classify = func(_ context.Context, texts [][]string, own *serve.OwnLabels) (*serve.Classes, error) {
		c := &serve.Classes{Labels: m.Labels, Cut: strings.Count(fmt.Sprint(texts), "cut")}
		if own != nil {
			if c.Labels = own.Names; own.Template == "bad" {
				return nil, serve.Refuse("template", errors.New("it is bad"))
			}
		}
		for _, some := range texts {
			p := make([]float64, len(c.Labels))
			for i, l := range c.Labels {
				p[i] = float64(strings.Count(strings.Join(some, ""), l))
			}
			c.Probabilities = append(c.Probabilities, p)
		}
		return c, nil
	}
	return m
}

// TestInputs asks for vectors, labels and ranks.
func TestInputs(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{reader(t)}}, generate.EngineOptions{})
	for _, c := range []struct{ path, body, want string }{
		{"embeddings", `"input":"aab"`, `"data":[{"object":"embedding","index":0,"embedding":[2,1,0]}],"model":"reader","usage":{"prompt_tokens":3,"total_tokens":3}`},
		{"embeddings", `"input":["a","b"],"input_type":"query"`, `[1,0,5]},{"object":"embedding","index":1,"embedding":[0,1,5]`},
		{"embeddings", `"input":"aaaabbbaab","dimensions":2,"input_type":"document"`, `[0.8320503,0.5547002]`},
		{"embeddings", `"input":[[100,100],[7]]`, `"embedding":[2,100,0]},{"object":"embedding","index":1,"embedding":[1,7,0]}],"model":"reader","usage":{"prompt_tokens":3,`},
		{"embeddings", `"input":[7,8,9]`, `"embedding":[3,7,0]}],"model":"reader","usage":{"prompt_tokens":3,`},
		{"embeddings", `"input":["ab"],"encoding_format":"base64"`, `"embedding":"AACAPwAAgD8AAAAA"`},
		{"embeddings", `"input":"cut ` + strings.Repeat("ab", 40) + `","truncate":true`, `"truncated":1`},
		{"classify", `"input":"abb"`, `"data":[{"index":0,"label":"b","num_classes":2,"probs":[1,2],"labels":[{"label":"b","probability":2},{"label":"a","probability":1}]}]`},
		{"classify", `"input":["ab",["a","aab"]],"top_n":1`, `{"index":1,"label":"a","num_classes":2,"probs":[3,1],"labels":[{"label":"a","probability":3}]}`},
		{"classify", `"input":["xx"],"labels":["x","y","z"],"top_n":1`, `{"index":0,"label":"x","num_classes":3,"probs":[2,0,0],"labels":[{"label":"x","probability":2}]}`},
	} {
		if code, body, _ := post(t, url+"/v1/"+c.path, `{"model":"reader",`+c.body+`}`); code != 200 || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s, want %s", c.path, c.body, code, body, c.want)
		}
	}
	_, body, _ := post(t, url+"/v1/rerank", `{"query":"a","documents":["b",{"text":"a"},"ab"],"top_n":2}`)
	var r struct {
		Results []struct {
			Index    int
			Score    float64 `json:"relevance_score"`
			Document *struct{ Text string }
		}
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil || len(r.Results) != 2 || r.Results[0].Index != 1 || r.Results[0].Score != 1 || r.Results[1].Index != 2 || r.Results[1].Document.Text != "ab" {
		t.Errorf("%v %s", err, body)
	}
	if _, body, _ = post(t, url+"/v1/rerank", `{"query":"a","documents":["b"],"return_documents":false}`); strings.Contains(body, "document") {
		t.Error(body)
	}
}

// TestInputsRefused has what must not be answered, and the field to blame.
func TestInputsRefused(t *testing.T) {
	number := reader(t)
	number.Name, number.Labels = "unlabelled", nil
	_, url := start(t, serve.Options{Models: []*serve.Model{reader(t), number}}, generate.EngineOptions{})
	long := strings.Repeat("ab", 40)
	many := `["a"` + strings.Repeat(`,"a"`, 2048) + `]`
	for _, c := range []struct{ path, body, field string }{
		{"embeddings", ``, "input"}, {"embeddings", `"input":7`, "input"}, {"embeddings", `"input":[]`, "input"}, {"embeddings", `"input":""`, "input"}, {"embeddings", `"input":` + many, "input"},
		{"embeddings", `"input":"` + long + `"`, "input"}, {"embeddings", `"input":[[9999]]`, "input"}, {"embeddings", `"input":"a","dimensions":0`, "dimensions"}, {"embeddings", `"input":"a","dimensions":4`, "dimensions"},
		{"embeddings", `"input":"a","encoding_format":"hex"`, "encoding_format"}, {"embeddings", `"input":"a","input_type":"x"`, "input_type"}, {"embeddings", `"input":"a","normalize":true`, "normalize"},
		{"embeddings", `"input":[7],"input_type":"query"`, "input_type"}, {"embeddings", `"input":[[7],[]]`, "input"}, {"embeddings", `"input":[-1]`, "input"}, {"embeddings", `"input":[[` + strings.Repeat("1,", 20) + `1]]`, "input"},
		{"embeddings", `"input":"cut"`, "input"}, {"classify", `"input":"cut"`, "input"}, {"rerank", `"query":"a","documents":["cut"]`, "documents"},
		{"embeddings", `"input":"a","model":"tiny"`, "model"}, {"chat/completions", `"messages":[{"role":"user","content":"a"}]`, "model"}, {"completions", `"prompt":"a"`, "model"},
		{"classify", ``, "input"}, {"classify", `"input":[["a","b","c"]]`, "input[0]"}, {"classify", `"input":[[]]`, "input[0]"}, {"classify", `"input":"a","labels":["a","a"]`, "labels[1]"}, {"classify", `"input":"a","labels":[""]`, "labels[0]"},
		{"classify", `"input":"a","multi_label":true`, "labels"}, {"classify", `"input":"a","top_n":0`, "top_n"}, {"classify", `"input":"` + long + `"`, "input[0]"}, {"classify", `"input":[["a","b"]],"labels":["x"]`, "input[0]"},
		{"classify", `"input":"a","labels":["a"],"template":"bad"`, "template"}, {"classify", `"input":"a","model":"unlabelled"`, "labels"},
		{"rerank", `"documents":["a"]`, "query"}, {"rerank", `"query":"a"`, "documents"}, {"rerank", `"query":"a","documents":[{"x":1}]`, "documents"}, {"rerank", `"query":"a","documents":[""]`, "documents"},
		{"rerank", `"query":"a","documents":["a"],"top_n":-1`, "top_n"}, {"rerank", `"query":"a","documents":["` + long + `"]`, "documents"},
	} {
		model := `"model":"reader",`
		if strings.Contains(c.body, `"model"`) {
			model = ""
		}
		code, body, _ := post(t, url+"/v1/"+c.path, "{"+strings.TrimSuffix(model+c.body, ",")+"}")
		var e struct {
			Error struct{ Message, Param string }
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || code != 400 || e.Error.Param != c.field {
			t.Errorf("%s %.80s: %d %s, want %q", c.path, c.body, code, body, c.field)
		}
	}
}
