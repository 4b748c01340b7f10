package serve_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/serve"
)

// document is the server's description of itself.
func document(t *testing.T, url string) (doc map[string]any) {
	t.Helper()
	_, b, _ := send(t, "GET", url+"/openapi.json", "")
	if err := json.Unmarshal([]byte(b), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOpenAPI: each field of the document is known to the server, and a field that is not in it is refused.
func TestOpenAPI(t *testing.T) {
	_, url := start(t, serve.Options{Models: []*serve.Model{reader(t)}}, generate.EngineOptions{})
	doc := document(t, url)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	fields := 0
	for path, methods := range doc["paths"].(map[string]any) {
		o, ok := methods.(map[string]any)["post"].(map[string]any)
		if !ok {
			continue
		}
		ref := o["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any)["$ref"].(string)
		request := schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
		if request["additionalProperties"] != false {
			t.Errorf("%s: other fields are allowed", path)
		}
		if _, body, _ := post(t, url+path, `{"no_such_field":1}`); !strings.Contains(body, "no_such_field") {
			t.Errorf("%s: %s", path, body)
		}
		for name := range request["properties"].(map[string]any) {
			fields++
			if _, body, _ := post(t, url+path, `{"`+name+`":{"no":{"no":[]}}}`); strings.Contains(body, name+": this field is not known") {
				t.Errorf("%s: %s", path, body)
			}
		}
	}
	if fields < 100 {
		t.Errorf("only %d fields", fields)
	}
	for _, want := range []string{"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/responses/{id}", "/v1/messages", "/v1/embeddings", "/v1/classify", "/v1/rerank", "/v1/models/{name}", "/tokenize", "/health", "/metrics", "/openapi.json"} {
		if doc["paths"].(map[string]any)[want] == nil {
			t.Errorf("no path %s", want)
		}
	}
}

// TestOpenAPIIsValid asks the validator of the specification.
func TestOpenAPIIsValid(t *testing.T) {
	_, url := start(t, serve.Options{}, generate.EngineOptions{})
	var errs []string
	testkit.Ask(t, "testdata/openapi.py", []string{"openapi_spec_validator"}, document(t, url), &errs)
	if len(errs) > 0 {
		t.Errorf("%q", errs)
	}
}
