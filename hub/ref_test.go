package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct{ files, want, err, file string }{
		{files: "config.json tokenizer.json model.safetensors pytorch_model.bin tf_model.h5 README.md onnx/model.onnx", want: "config.json tokenizer.json model.safetensors"},
		{files: "config.json consolidated.safetensors model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json",
			want: "config.json model.safetensors.index.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors"},
		{files: "config.json pytorch_model.bin training_args.bin vocab.txt", want: "config.json vocab.txt pytorch_model.bin"},
		{files: "a.gguf README.md", want: "a.gguf"},
		{files: "m.Q4_K_M.gguf m.Q8_0.gguf", err: "2 GGUF files"},
		{files: "m.Q4_K_M.gguf m.Q8_0.gguf", file: "q8_0", want: "m.Q8_0.gguf"},
		{files: "m.Q4_K_M.gguf m.Q4_K_S.gguf", file: "Q4_K", err: "2 files"},
		{files: "m.Q4_K_M.gguf", file: "Q6_K", err: "has no file"},
		{files: "README.md", err: "no weights"},
		{err: "no files"},
	} {
		var all []remote
		for _, f := range strings.Fields(c.files) {
			all = append(all, remote{Name: f})
		}
		got, err := choose(Ref{Repo: "org/name", File: c.file}, all, false)
		var names []string
		for _, f := range got {
			names = append(names, f.Name)
		}
		if strings.Join(names, " ") != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("of %q: %v (%v), want %q %q", c.files, names, err, c.want, c.err)
		}
	}
}

func TestParseRef(t *testing.T) {
	for s, want := range map[string]Ref{
		"gpt2": {Repo: "gpt2"}, "org/name": {Repo: "org/name"}, "org/na.me:sub/x.gguf": {Repo: "org/na.me", File: "sub/x.gguf"},
		"org/name@v1.0:Q4_K_M": {Repo: "org/name", Revision: "v1.0", File: "Q4_K_M"}, "org/name@refs/pr/1": {Repo: "org/name", Revision: "refs/pr/1"},
	} {
		if got, err := ParseRef(s); err != nil || got != want || got.String() != s {
			t.Errorf("%q is %+v (%v), want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "/", "a/b/c", "../x", "a/..", "a--b/c", "a/b:", "a/b@", "a/b:../x", "a/b:/x", "a b/c", "-a/b", "a/b@../x", "a/b:x\x00", "a/b.git", `a\b`, "a/b:c/../../d", "a/b:C:x"} {
		if got, err := ParseRef(s); err == nil {
			t.Errorf("%q is %+v", s, got)
		}
	}
}

func TestParseAddress(t *testing.T) {
	const hub = "http://mirror:8080/hf/"
	for s, want := range map[string]string{
		"https://huggingface.co/org/name":                                              "org/name",
		"https://huggingface.co/org/name/?library=x#files":                             "org/name",
		"https://www.huggingface.co/gpt2":                                              "gpt2",
		"HTTPS://HuggingFace.co/org/name/tree/main":                                    "org/name",
		"https://huggingface.co/org/name/tree/refs%2Fpr%2F1":                           "org/name@refs/pr/1",
		"https://huggingface.co/org/name/blob/main/sub/x.gguf":                         "org/name:sub/x.gguf",
		"https://huggingface.co/org/name/resolve/v1.0/a%20b.safetensors?download=true": "org/name@v1.0:a b.safetensors",
		"https://huggingface.co/org/name/raw/" + commit + "/config.json":               "org/name@" + commit + ":config.json",
		"hf.co/org/name-GGUF:Q4_K_M":                                                   "org/name-GGUF:Q4_K_M",
		"huggingface.co/org/name":                                                      "org/name",
		"http://mirror:8080/hf/org/name/resolve/main/model.safetensors":                "org/name:model.safetensors",
		"mirror:8080/hf/org/name":                                                      "org/name",
	} {
		if got, err := ParseRef(s, hub); err != nil || got.String() != want {
			t.Errorf("%q is %v (%v), want %s", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"https://example.com/org/name":                          "HF_ENDPOINT",
		"https://huggingface.co.example.com/org/name":           "HF_ENDPOINT",
		"http://mirror:8080/org/name":                           "HF_ENDPOINT",
		"https://huggingface.co":                                "HF_ENDPOINT",
		"https://huggingface.co/":                               "no repository",
		"https://huggingface.co/datasets/org/name":              "datasets, not a model",
		"https://huggingface.co/org/name/tree/main/sub":         "blob/main/file",
		"https://huggingface.co/org/name/discussions/1":         "blob/main/file",
		"https://huggingface.co/org/name/blob/main":             "blob/main/file",
		"https://huggingface.co/org/name/blob/main/..%2F..%2Fx": "safe file name",
		"https://huggingface.co/../name":                        "no repository",
		"https://huggingface.co/org/name/blob/main/%zz":         "invalid URL escape",
		"https://huggingface.co/org/name/tree/..%2Fx":           "no revision",
	} {
		if got, err := ParseRef(s, hub); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %+v, error %v, want %q", s, got, err, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600)
	env := map[string]string{"HF_HOME": home, "HF_ENDPOINT": "http://mirror"}
	get := func(k string) string { return env[k] }
	s, c, err := Environment(get)
	if err != nil || s.Dir != filepath.Join(home, "hub") || c.Token != "hf_file" || c.Endpoint != "http://mirror" {
		t.Errorf("%+v %+v %v", s, c, err)
	}
	env["HF_TOKEN"], env["HF_HUB_CACHE"] = "hf_env", "/elsewhere"
	if s, c, _ = Environment(get); s.Dir != "/elsewhere" || c.Token != "hf_env" {
		t.Errorf("%+v %+v", s, c)
	}
	env["HF_HUB_OFFLINE"] = "1"
	if _, c, _ = Environment(get); c != nil {
		t.Error("a client although offline")
	}
}
