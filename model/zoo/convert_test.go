package zoo_test

import (
	"path/filepath"
	"testing"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/model/zoo"
)

// A folder made of a GGUF file says the same in chat as the file, tokens that the template names included.
func TestTemplateTravels(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain.gguf")
	if _, err := zoo.WriteGGUF(t.Context(), stories(t), plain, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Meta.Set("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")
	var list []gguf.Tensor
	for i, info := range f.Infos() {
		list = append(list, gguf.Tensor{Info: info, Data: func() ([]byte, error) { return f.Mapped(i), nil }})
	}
	path, dir := filepath.Join(t.TempDir(), "chat.gguf"), filepath.Join(t.TempDir(), "dir")
	if err := gguf.Write(path, f.Meta, list); err != nil {
		t.Fatal(err)
	}
	if err := zoo.WriteDir(t.Context(), path, dir, zoo.DirOptions{DType: checkpoint.F32}); err != nil {
		t.Fatal(err)
	}
	want, err := zoo.ChatTemplate(path)
	if err != nil || want.BOS == "" || want.EOS == "" {
		t.Fatalf("the file has %+v, %v", want, err)
	}
	source, err := chat.FromDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	template, err := source.Open(false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := template.Render(t.Context(), []chat.Message{{Role: "user", Content: chat.Text("hi")}}, nil, chat.Options{})
	if err != nil || text != want.BOS+"hi"+want.EOS {
		t.Errorf("the folder renders %q, %v; tokens are %q and %q", text, err, want.BOS, want.EOS)
	}
	again := filepath.Join(t.TempDir(), "again.gguf")
	if _, err := zoo.WriteGGUF(t.Context(), dir, again, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
		t.Fatal(err)
	}
	if got, err := zoo.ChatTemplate(again); got != want || err != nil {
		t.Errorf("there and back: %+v, %v; want %+v", got, err, want)
	}
}

// A tensor without dimensions is one number.
func TestConvertScalar(t *testing.T) {
	in, out := filepath.Join(t.TempDir(), "in.gguf"), filepath.Join(t.TempDir(), "out.gguf")
	var meta gguf.Metadata
	meta.Set("general.architecture", "llama")
	meta.Set("llama.block_count", uint32(1))
	scalar := checkpoint.FromFloat32("x.weight", nil, []float32{7})
	info := checkpoint.Info{Name: scalar.Name, DType: scalar.DType, Shape: []int{}}
	if err := gguf.Write(in, meta, []gguf.Tensor{{Info: info, Data: func() ([]byte, error) { return scalar.Data, nil }}}); err != nil {
		t.Fatal(err)
	}
	if _, err := zoo.Quantize(t.Context(), in, out, "q4_k", 0); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Mapped(0); string(got) != string(scalar.Data) {
		t.Errorf("%v, want %v", got, scalar.Data)
	}
}
