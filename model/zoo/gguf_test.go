package zoo_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/tokenizer"
)

// stories makes a run folder of llama2.c's trained model of 260,000 parameters: grouped key heads, a tied head, pieces with scores.
func stories(t *testing.T) string {
	t.Helper()
	weights, err := os.ReadFile(testkit.Data(t, "models/stories260k/stories260K.bin"))
	if err != nil {
		t.Fatal(err)
	}
	vocabulary, err := os.ReadFile(testkit.Data(t, "models/stories260k/tok512.bin"))
	if err != nil {
		t.Fatal(err)
	}
	size := func(i int) int { return int(binary.LittleEndian.Uint32(weights[4*i:])) }
	C, F, L, H, K, V, T := size(0), size(1), size(2), size(3), size(4), size(5), size(6)
	D, at := C/H, 28
	take := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(weights[at+4*i:]))
		}
		at += 4 * n
		return x
	}
	var list []checkpoint.Tensor
	add := func(name string, x []float32, shape ...int) {
		list = append(list, checkpoint.FromFloat32("model."+name+".weight", shape, x))
	}
	each := func(name string, rows, cols, heads int) { // llama2.c rotates pairs: heads > 0 puts the rows into Hugging Face's order
		for l := range L {
			x := take(rows * cols)
			if heads > 0 {
				y := make([]float32, len(x))
				for r := range rows {
					h, i := r/D*D, r%D
					copy(y[(h+i%2*(D/2)+i/2)*cols:][:cols], x[r*cols:])
				}
				x = y
			}
			if rows == 1 {
				add(fmt.Sprintf("layers.%d.%s", l, name), x, cols)
			} else {
				add(fmt.Sprintf("layers.%d.%s", l, name), x, rows, cols)
			}
		}
	}
	add("embed_tokens", take(V*C), V, C)
	each("input_layernorm", 1, C, 0)
	each("self_attn.q_proj", C, C, H)
	each("self_attn.k_proj", K*D, C, K)
	each("self_attn.v_proj", K*D, C, 0)
	each("self_attn.o_proj", C, C, 0)
	each("post_attention_layernorm", 1, C, 0)
	each("mlp.gate_proj", F, C, 0)
	each("mlp.down_proj", C, F, 0)
	each("mlp.up_proj", F, C, 0)
	add("norm", take(C), C)
	dir := t.TempDir()
	config := fmt.Sprintf(`{"model_type":"llama","vocab_size":%d,"hidden_size":%d,"intermediate_size":%d,"num_hidden_layers":%d,"num_attention_heads":%d,
		"num_key_value_heads":%d,"max_position_embeddings":%d,"rms_norm_eps":1e-5,"tie_word_embeddings":true,"bos_token_id":1,"eos_token_id":2}`, V, C, F, L, H, K, T)
	if err := os.WriteFile(filepath.Join(dir, zoo.ConfigFile), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Write(filepath.Join(dir, zoo.WeightsFile), list, nil); err != nil {
		t.Fatal(err)
	}
	// The tokenizer comes from a GGUF of one tensor, as the file's pieces and scores stand there.
	tokens, scores, types := make([]string, V), make([]float32, V), slices.Repeat([]int32{1}, V)
	for i, b := 0, vocabulary[4:]; i < V; i++ {
		n := binary.LittleEndian.Uint32(b[4:])
		scores[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
		tokens[i] = string(b[8 : 8+n])
		b = b[8+n:]
	}
	_ = types
	writeTokenizer(t, dir, tokens, scores)
	return dir
}

// writeTokenizer writes a tokenizer.json of SentencePiece's kind.
func writeTokenizer(t *testing.T, dir string, tokens []string, scores []float32) {
	t.Helper()
	tokens[1], tokens[2] = "<s>", "</s>"
	types := slices.Repeat([]int32{1}, len(tokens))
	types[0], types[1], types[2] = 2, 3, 3
	for i := range tokens {
		if i >= 3 && i < 3+256 {
			types[i] = 6
		} else if i >= 3+256 {
			tokens[i] = replaceSpaces(tokens[i])
		}
	}
	data, err := zoo.TokenizerJSON(gguf.Metadata{{Key: "tokenizer.ggml.model", Value: "llama"}, {Key: "tokenizer.ggml.tokens", Value: tokens},
		{Key: "tokenizer.ggml.scores", Value: scores}, {Key: "tokenizer.ggml.token_type", Value: types}, {Key: "tokenizer.ggml.bos_token_id", Value: uint32(1)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, zoo.TokenizerFile), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func replaceSpaces(s string) string {
	out := ""
	for _, r := range s {
		if r == ' ' {
			r = '▁'
		}
		out += string(r)
	}
	return out
}

// A folder becomes a GGUF of F32 and a folder again with the same bits, and all three give the same logits.
func TestConvert(t *testing.T) {
	dir := stories(t)
	file, back := filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "back")
	if _, err := zoo.WriteGGUF(t.Context(), dir, file, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
		t.Fatal(err)
	}
	if err := zoo.WriteDir(t.Context(), file, back, zoo.DirOptions{DType: checkpoint.F32}); err != nil {
		t.Fatal(err)
	}
	sameTensors(t, dir, back)
	var logits [][]float32
	for _, path := range []string{dir, file, back} {
		m, err := zoo.Open(path, zoo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := zoo.Tokenizer(path, m)
		if err != nil {
			t.Fatal(err)
		}
		const text = "Once upon a time, there was a little girl"
		ids := tok.EncodeSpecial(text)
		if got := tok.DecodeText(ids); got != text {
			t.Errorf("%s: %v decode to %q", path, ids, got)
		}
		x, _ := lastLogits(t, m, append([]int32{1}, tok.Encode(text)...))
		logits = append(logits, x)
	}
	if !slices.Equal(logits[0], logits[2]) {
		t.Error("the logits of the folder changed")
	}
	testkit.Close(t, "logits", logits[1], logits[0], 1e-6, 0)
}

// sameTensors compares the weights and configurations of two folders.
func sameTensors(t *testing.T, a, b string) {
	t.Helper()
	x, err := checkpoint.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := checkpoint.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if !slices.Equal(x.Names(), y.Names()) {
		t.Fatalf("tensors %v, want %v", y.Names(), x.Names())
	}
	for i, info := range x.Infos() {
		if !slices.Equal(info.Shape, y.Infos()[i].Shape) || !slices.Equal(x.Mapped(i), y.Mapped(i)) {
			t.Errorf("%s changed", info.Name)
		}
	}
	p, err := zoo.Describe(a)
	if err != nil {
		t.Fatal(err)
	}
	q, err := zoo.Describe(b)
	if err != nil {
		t.Fatal(err)
	}
	if c, d := config(t, p), config(t, q); c != d {
		t.Errorf("config.json was %s, is %s", c, d)
	}
}

func config(t *testing.T, m zoo.Stored) string {
	t.Helper()
	b, err := m.ConfigJSON()
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	b, err = json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The tokenizer.json of every vocabulary that llama.cpp ships encodes as the tokenizer of the GGUF file itself.
func TestTokenizerJSON(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testkit.Data(t, "tokenizers/llama.cpp"), "ggml-vocab-*.gguf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vocabularies: %v", err)
	}
	for _, path := range files {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := zoo.TokenizerJSON(f.Meta)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		own, err := zoo.Tokenizer(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		read, err := tokenizer.Load(data)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, text := range []string{"Hello  World 2026!\n\tit's ünïcode 日本語 🙂", "", " lead", "<s>x</s>"} {
			if a, b := own.AddSpecial(own.Encode(text)), read.AddSpecial(read.Encode(text)); !slices.Equal(a, b) {
				t.Errorf("%s: %q is %v by tokenizer.json, want %v", filepath.Base(path), text, b, a)
			} else if own.DecodeText(a) != read.DecodeText(a) {
				t.Errorf("%s: %q decodes in two ways", filepath.Base(path), text)
			}
		}
	}
}
