package zoo_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/checkpoint/gguf"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/llama"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
)

// llamaTool returns the path of one of llama.cpp's programs, which stand in PLINTH_LLAMA.
func llamaTool(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("PLINTH_LLAMA")
	if dir == "" {
		t.Skip("PLINTH_LLAMA names no folder with llama.cpp's programs")
	}
	return filepath.Join(dir, name)
}

// Every mixture has the types and the bytes of llama-quantize's, fallbacks for rows that are not whole blocks of 256 among them.
func TestLlamaQuantize(t *testing.T) {
	tool := llamaTool(t, "llama-quantize")
	c, err := llama.Parse([]byte(`{"model_type":"llama","vocab_size":300,"hidden_size":256,"intermediate_size":352,"num_hidden_layers":9,"num_attention_heads":4,
		"num_key_value_heads":2,"max_position_embeddings":64,"tie_word_embeddings":false}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	dir := t.TempDir()
	if err := zoo.Save(dir, m, nil); err != nil {
		t.Fatal(err)
	}
	untied := filepath.Join(dir, "untied.gguf")
	if _, err := zoo.WriteGGUF(dir, untied, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{stories(t), untied} {
		in := filepath.Join(t.TempDir(), "in.gguf")
		if _, err := zoo.WriteGGUF(source, in, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
			t.Fatal(err)
		}
		for _, kind := range zoo.Mixtures() {
			ours, theirs := filepath.Join(t.TempDir(), "ours.gguf"), filepath.Join(t.TempDir(), "theirs.gguf")
			if _, err := zoo.Quantize(source, ours, kind, 0); err != nil {
				t.Fatal(err)
			}
			name := strings.ToUpper(kind)
			if kind == "q4_k" {
				name = "Q4_K_S"
			}
			if out, err := exec.Command(tool, in, theirs, name).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			sameGGUF(t, filepath.Base(source)+" "+kind, ours, theirs)
		}
	}
}

// sameGGUF compares the tensors of two files.
func sameGGUF(t *testing.T, what, a, b string) {
	t.Helper()
	x, err := gguf.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := gguf.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if len(x.Infos()) != len(y.Infos()) {
		t.Fatalf("%s: %d tensors, want %d", what, len(x.Infos()), len(y.Infos()))
	}
	for i, p := range x.Infos() {
		if q := y.Infos()[i]; p.Name != q.Name || p.DType != q.DType {
			t.Errorf("%s: %s is %s, want %s %s", what, p.Name, p.DType, q.Name, q.DType)
		} else if !bytes.Equal(x.Mapped(i), y.Mapped(i)) {
			t.Errorf("%s: %s of %s differs", what, p.Name, p.DType)
		}
	}
}

// greedy continues a prompt with the likeliest tokens and returns all of them and their text.
func greedy(t *testing.T, path, prompt string, n int) ([]int32, string) {
	t.Helper()
	m, err := zoo.Open(path, zoo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := zoo.Tokenizer(path, m)
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.AddSpecial(tok.Encode(prompt))
	out, err := generate.New(m, cpu.New(cpu.Options{Threads: 1}), generate.EngineOptions{}).Generate(t.Context(), []generate.Request{{Prompt: ids, Options: generate.Options{MaxTokens: n}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids = append(ids, out[0].IDs...)
	return ids, tok.DecodeText(ids)
}

// llama.cpp loads what is written here and continues a prompt with the same text: 200 tokens in F32, 64 in Q8_0; TestLlamaQ8 says why not more.
func TestLlamaGreedy(t *testing.T) {
	tool := llamaTool(t, "llama-simple")
	gpt2, tok := trained(t, gpt.TypeGPT2)
	random := t.TempDir()
	if err := zoo.Save(random, gpt2, tok); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir, prompt string
		tokens            int
	}{{"stories", stories(t), "Once upon a time", 200}, {"gpt2", random, "func main() {", 16}} {
		for _, d := range []checkpoint.DType{checkpoint.F32, checkpoint.Q8_0} {
			if d == checkpoint.Q8_0 {
				c.tokens = min(c.tokens, 64)
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			if _, err := zoo.WriteGGUF(c.dir, path, 0, 0, zoo.PickType(d)); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(tool, "-m", path, "-n", fmt.Sprint(c.tokens), c.prompt).Output()
			if err != nil {
				t.Fatalf("%s %s: %v\n%s", c.name, d, err, err.(*exec.ExitError).Stderr)
			}
			theirs := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(out)), "<s>"))
			_, ours := greedy(t, path, c.prompt, c.tokens)
			ours = strings.TrimSpace(ours)
			if n := min(len(ours), len(theirs)); n < len(c.prompt)+c.tokens/2 || ours[:n] != theirs[:n] {
				t.Errorf("%s %s: ours\n%q\ntheirs\n%q", c.name, d, ours, theirs)
			}
		}
	}
}

// For products with Q8_0, llama.cpp rounds the scales of activations to half precision, and for those with F16 (here the way out of the MLP, whose
// rows are not whole blocks) the activations; Plinth rounds neither. Rounding to codes makes much of little, so logits are some hundredths apart:
// of 200 tokens all are the same where the first is ahead of the second by 0.1.
func TestLlamaQ8(t *testing.T) {
	llamaTool(t, "llama-simple")
	path := filepath.Join(t.TempDir(), "m.gguf")
	if _, err := zoo.WriteGGUF(stories(t), path, 0, 0, zoo.PickType(checkpoint.Q8_0)); err != nil {
		t.Fatal(err)
	}
	ids, _ := greedy(t, path, "Once upon a time", 200)
	ours, theirs := allLogits(t, path, ids), llamaLogits(t, []question{{path, ids}})[0]
	if largest, far := apart(t, ours, theirs); far > 0.03*largest {
		t.Errorf("logits are %g apart, the largest is %g", far, largest)
	}
	const vocab = 512
	ahead := 0
	for at := range ids {
		first, second := leaders(ours[at*vocab:][:vocab])
		if margin := ours[at*vocab+first] - ours[at*vocab+second]; margin < 0.1 {
			continue
		}
		ahead++
		if other, _ := leaders(theirs[at*vocab:][:vocab]); other != first {
			t.Errorf("behind %d tokens: %d, llama.cpp %d", at+1, first, other)
		}
	}
	if ahead < 180 {
		t.Errorf("only %d of %d tokens were ahead by 0.1", ahead, len(ids))
	}
}

// leaders are the places of the two largest values.
func leaders(x []float32) (first, second int) {
	first, second = 0, 1
	if x[1] > x[0] {
		first, second = 1, 0
	}
	for i := 2; i < len(x); i++ {
		if x[i] > x[first] {
			first, second = i, first
		} else if x[i] > x[second] {
			second = i
		}
	}
	return first, second
}

// Random texts become the same tokens by the tokenizer of a GGUF file here and in llama.cpp, of GPT-2's and of Llama 2's kind.
func TestLlamaTokens(t *testing.T) {
	lib, python := filepath.Dir(llamaTool(t, "llama-simple")), testkit.Python(t, "llama_cpp")
	gpt2, tok := trained(t, gpt.TypeGPT2)
	dir := t.TempDir()
	if err := zoo.Save(dir, gpt2, tok); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{" ", "  ", "\n", "\t", "a", "e", "the", "and", "Once", " upon", "'s", "func", "(", ")", "{", "0", "42", ".", "é", "ß", "日本", "🙂", "\u00a0", "\u0301", "_", "==", "▁", "<", ">", "\r\n", "Ω"}
	texts := make([]string, 2000)
	for i := range texts {
		for range 1 + r.IntN(20) {
			texts[i] += alphabet[r.IntN(len(alphabet))]
		}
	}
	for name, dir := range map[string]string{"gpt2": dir, "stories": stories(t)} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := zoo.WriteGGUF(dir, path, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
			t.Fatal(err)
		}
		in, err := json.Marshal(map[string]any{"file": path, "texts": texts})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(python, filepath.Join(testkit.Root(), "tools", "golden", "llama_tokens.py"))
		cmd.Env, cmd.Stdin = append(os.Environ(), "LLAMA_CPP_LIB_PATH="+lib), bytes.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("llama_tokens.py: %v\n%s", err, err.(*exec.ExitError).Stderr)
		}
		var theirs [][]int32
		if err := json.Unmarshal(out, &theirs); err != nil {
			t.Fatal(err)
		}
		tok, err := zoo.Tokenizer(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for i, text := range texts {
			if ours := tok.Encode(text); !slices.Equal(ours, theirs[i]) {
				if wrong++; wrong <= 5 {
					t.Errorf("%s: %q is %v, want %v", name, text, ours, theirs[i])
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%s: %d of %d texts differ", name, wrong, len(texts))
		}
	}
}
