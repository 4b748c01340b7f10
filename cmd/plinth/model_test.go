package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/zoo"
)

func sequences(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	o := object(t, append([]string{"generate", "--model", shared.model}, args...)...)
	keys(t, o, "model sequences stats")
	var s []map[string]any
	for _, x := range o["sequences"].([]any) {
		s = append(s, x.(map[string]any))
	}
	return s
}

func TestGenerate(t *testing.T) {
	world(t)
	gen := []string{"--max-tokens", "12", "--ignore-eos"}
	one := sequences(t, append(gen, "one and")...)
	keys(t, one[0], "prompt text ids finish_reason logprobs")
	if len(one) != 1 || len(one[0]["ids"].([]any)) != 12 || one[0]["finish_reason"] != "length" {
		t.Errorf("%v", one)
	}
	if again := sequences(t, append(gen, "one and", "--threads", "3")...); !reflect.DeepEqual(one, again) {
		t.Errorf("same seed, other text: %v, %v", one, again)
	}
	if other := sequences(t, append(gen, "one and", "--seed", "7")...); reflect.DeepEqual(one, other) {
		t.Error("seed 7 writes the text of seed 1")
	}
	both := sequences(t, append(gen, "--n", "2", "one and", "five")...)
	if len(both) != 4 || !reflect.DeepEqual(both[0], one[0]) {
		t.Errorf("beside others: %v, alone: %v", both, one)
	}
	second := sequences(t, append(gen, "--seed", "2", "five")...)
	second[0]["prompt"] = 1.0
	if !reflect.DeepEqual(both[3], second[0]) {
		t.Errorf("beside others: %v, alone: %v", both[3], second[0])
	}
	text := one[0]["text"].(string)
	if out := ok(t, append([]string{"generate", "--model", shared.model, "one and"}, gen...)...); out != text+"\n" {
		t.Errorf("streamed %q, with --json %q", out, text)
	}
	if out := ok(t, append([]string{"generate", "--echo", "--model", shared.model, "one and"}, gen...)...); out != "one and"+text+"\n" {
		t.Errorf("--echo prints %q", out)
	}
	stop := text[len(text)/2 : len(text)/2+2]
	cut := sequences(t, append(gen, "one and", "--stop", stop)...)
	if want, _, _ := strings.Cut(text, stop); cut[0]["text"] != want || cut[0]["finish_reason"] != "stop" {
		t.Errorf("--stop %q: %v, want text %q", stop, cut, want)
	}
	greedy := sequences(t, "--temperature", "0", "--max-tokens", "5", "--top-logprobs", "2", "--echo", "one and")[0]
	keys(t, greedy, "prompt text ids finish_reason logprobs top_logprobs prompt_ids prompt_logprobs prompt_top_logprobs")
	for i, top := range greedy["top_logprobs"].([]any) {
		best := top.([]any)[0].(map[string]any)
		if len(top.([]any)) != 2 || best["id"] != greedy["ids"].([]any)[i] || best["logprob"] != greedy["logprobs"].([]any)[i] {
			t.Errorf("token %d: %v is not the most probable of %v", i, greedy["ids"].([]any)[i], top)
		}
	}
	for flag, value := range map[string]string{"--temperature": "-1", "--top-p": "2", "--min-p": "-1", "--typical": "3", "--top-k": "-1", "--n": "0", "--max-tokens": "-2",
		"--context": "100000", "--lookup": "-1", "--draft-tokens": "0", "--kv": "q4_0", "--penalty-window": "-1", "--top-logprobs": "-1", "--logit-bias": "7", "--stop": "", "--presence-penalty": "nan"} {
		fails(t, 2, flag, "generate", "--model", shared.model, flag+"="+value, "x")
	}
	if least := sequences(t, "--top-p", "0", "--temperature", "1", "--max-tokens", "5", "one and")[0]; !reflect.DeepEqual(least["ids"], greedy["ids"]) {
		t.Errorf("--top-p 0 writes %v, the most probable tokens are %v", least["ids"], greedy["ids"])
	}
	fails(t, 2, "--typical 0", "generate", "--model", shared.model, "--typical", "0", "x")
	fails(t, 2, "--repetition-penalty 0", "generate", "--model", shared.model, "--repetition-penalty", "0", "x")
	fails(t, 2, "--top-logprobs 2 is for --json", "generate", "--model", shared.model, "--top-logprobs", "2", "x")
	fails(t, 2, "--draft-tokens 4 is for --draft or --lookup", "generate", "--model", shared.model, "--draft-tokens", "4", "x")
	for _, args := range [][]string{{"--lookup", "2"}, {"--draft", shared.model, "--draft-tokens", "3"}} {
		s := sequences(t, append(append(gen, args...), "one and")...)[0]
		drafted, _ := s["drafted_tokens"].(float64)
		accepted, _ := s["accepted_tokens"].(float64)
		if delete(s, "drafted_tokens"); args[0] == "--draft" && (drafted == 0 || accepted != drafted) || accepted > drafted {
			t.Errorf("%v: %v of %v accepted", args, accepted, drafted)
		}
		delete(s, "accepted_tokens")
		if !reflect.DeepEqual(s, one[0]) {
			t.Errorf("%v: %v, without %v", args, s, one[0])
		}
	}
	for _, kv := range []string{"f16", "q8_0"} {
		args := append(gen, "--kv", kv, "--context", "20", "one and")
		if s := sequences(t, args...)[0]; len(s["ids"].([]any)) != 12 || !reflect.DeepEqual(s["logprobs"], sequences(t, append(args, "--lookup", "3")...)[0]["logprobs"]) {
			t.Errorf("--kv %s: %v", kv, s)
		}
	}
	fails(t, 1, "context 3", "generate", "--model", shared.model, "--context", "3", "one and two and three")
	fails(t, 2, "--draft", "generate", "--model", shared.model, "--draft", shared.model, "--lookup", "1", "x")
	ids := strings.TrimSpace(ok(t, "tokenizer", "encode", "--model", shared.model, "one and"))
	if s := sequences(t, append(gen, "--ids", "--echo", ids)...)[0]; !reflect.DeepEqual(s["ids"], one[0]["ids"]) || s["text"] != "one and"+one[0]["text"].(string) {
		t.Errorf("--ids %s: %v, want %v", ids, s, one[0])
	}
	fails(t, 2, "--ids", "generate", "--model", shared.model, "--ids", "one")
	fails(t, 1, "id 999999, number 2 of the input", "generate", "--model", shared.model, "--ids", "1 999999")
	other := filepath.Join(t.TempDir(), "other")
	if err := os.CopyFS(other, os.DirFS(shared.model)); err != nil {
		t.Fatal(err)
	}
	tokens := read(t, filepath.Join(other, "tokenizer.json"))
	swapped := strings.NewReplacer(`"a":`, `"b":`, `"b":`, `"a":`).Replace(tokens)
	if swapped == tokens {
		t.Fatal("the vocabulary has no a and b")
	}
	write(t, filepath.Join(other, "tokenizer.json"), swapped)
	fails(t, 2, "has another tokenizer than the model: id", "generate", "--model", shared.model, "--draft", other, "x")
	fails(t, 1, "nowhere", "generate", "--model", shared.model, "--draft", "nowhere", "x")
	fails(t, 2, "--logit-bias", "generate", "--model", shared.model, "--logit-bias", "9999=1", "x")
	fails(t, 1, "context", "generate", "--model", shared.model, strings.Repeat("x ", 200))
	fails(t, 1, "nowhere", "generate", "--model", "nowhere", "x")
	for _, args := range [][]string{{"generate"}, {"generate", "--json"}} {
		var said strings.Builder
		c := &cli{}
		c.out, c.err = fullDisk{}, &said
		if code := c.run(t.Context(), append(args, "--model", shared.model, "--max-tokens", "5", "x")); code != 1 || !strings.Contains(said.String(), "plinth: no space") {
			t.Errorf("%v to a full disk: exit code %d, %q", args, code, &said)
		}
	}
	broken := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		write(t, filepath.Join(broken, name), read(t, filepath.Join(shared.model, name)))
	}
	weights := filepath.Join(broken, "model.safetensors")
	if err := os.Truncate(weights, 1000); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, weights, "generate", "--model", broken, "x")
}

// fullDisk cannot be written.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

// nll is the mean of what generate says of a prompt's tokens but the first.
func nll(t *testing.T, text string, flags ...string) (float64, int) {
	p := sequences(t, append(flags, "--max-tokens=-1", "--echo", text)...)[0]["prompt_logprobs"].([]any)
	sum := 0.0
	for _, v := range p[1:] {
		sum -= v.(float64)
	}
	return sum / float64(len(p)-1), len(p)
}

// TestEval compares the three ways to the loss of a text: eval, generate's log-probabilities and the validation of train.
func TestEval(t *testing.T) {
	world(t)
	text := "one and two make 3.\nfive and six make 11.\n"
	file := filepath.Join(t.TempDir(), "a.txt")
	write(t, file, text)
	o := object(t, "eval", "--model", shared.model, "--data", file)
	keys(t, o, "loss perplexity bits_per_byte tokens bytes documents skipped")
	loss := o["loss"].(float64)
	want, n := nll(t, text)
	if n > 32 || math.Abs(loss-want) > 1e-5 || o["tokens"] != float64(n-1) {
		t.Errorf("eval: loss %v of %v tokens; generate: %v of %d", loss, o["tokens"], want, n-1)
	}
	if p := o["perplexity"].(float64); math.Abs(math.Log(p)-loss) > 1e-9 {
		t.Errorf("perplexity %v of loss %v", p, loss)
	}
	if b := o["bits_per_byte"].(float64); math.Abs(b-loss*o["tokens"].(float64)/math.Ln2/o["bytes"].(float64)) > 1e-9 {
		t.Errorf("bits per byte %v", b)
	}

	// With a token before it the first token counts too; a tokenizer's file may ask for it.
	want, n = nll(t, "<|endoftext|>"+text, "--special")
	begins := filepath.Join(t.TempDir(), "begins")
	if err := os.CopyFS(begins, os.DirFS(shared.model)); err != nil {
		t.Fatal(err)
	}
	var tok map[string]any
	if err := json.Unmarshal([]byte(read(t, filepath.Join(begins, "tokenizer.json"))), &tok); err != nil {
		t.Fatal(err)
	}
	tok["post_processor"] = json.RawMessage(`{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
		"pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [` + strings.TrimSpace(ok(t, "tokenizer", "encode", "--special", "--model", shared.tok, "<|endoftext|>")) + `], "tokens": ["<|endoftext|>"]}}}`)
	changed, err := json.Marshal(tok)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(begins, "tokenizer.json"), string(changed))
	for _, c := range []struct {
		model, bos string
		loss       float64
		tokens     int
	}{{shared.model, "file", loss, n - 2}, {shared.model, "always", want, n - 1}, {begins, "file", want, n - 1}, {begins, "always", want, n - 1}, {begins, "none", loss, n - 2}} {
		o := object(t, "eval", "--model", c.model, "--data", file, "--bos", c.bos)
		if got := o["loss"].(float64); math.Abs(got-c.loss) > 1e-5 || o["tokens"] != float64(c.tokens) {
			t.Errorf("%s --bos %s: loss %v of %v tokens, want %v of %d", c.model, c.bos, got, o["tokens"], c.loss, c.tokens)
		}
	}
	fails(t, 2, "--bos none is for perplexity", "eval", "--model", shared.model, "--data", file, "--task", "lambada", "--bos", "none")

	// Of many documents, keep one for validation.
	dir := t.TempDir()
	docs := filepath.Join(dir, "docs")
	writeCorpus(t, docs)
	prep := filepath.Join(dir, "prep")
	var held string
	for i := 0; held == ""; i++ { // the share of held-out documents goes by hash: look for a name that is alone
		if i == 30 {
			t.Fatal("no text is held out alone")
		}
		text := strings.Repeat("two and two make 4. ", 2) + strings.Repeat("!", i)
		write(t, filepath.Join(docs, "new.txt"), text)
		os.RemoveAll(prep)
		o := object(t, "data", "prepare", "--data", filepath.Join(docs, "new.txt")+","+shared.text, "--tokenizer", shared.tok, "--out", prep, "--seq", "32", "--validation", "0.02")
		val := o["info"].(map[string]any)["val"].(map[string]any)
		if val["documents"] == 1.0 && val["bytes"] == float64(len(text)) {
			held = text
		}
	}
	out := filepath.Join(dir, "run")
	r := object(t, args("train --steps 1 --sample-every=-1 "+shape, "--data", prep, "--out", out)...)
	old := shared.model
	shared.model = out
	defer func() { shared.model = old }()
	want, n = nll(t, held+"<|endoftext|>", "--special")
	if n > 32 || math.Abs(r["val_loss"].(float64)-want) > 1e-5 {
		t.Errorf("train's validation %v, generate %v of %d tokens", r["val_loss"], want, n)
	}

	empty := filepath.Join(dir, "empty")
	write(t, empty, "")
	fails(t, 1, empty, "eval", "--model", old, "--data", empty)
	fails(t, 1, "missing", "eval", "--model", old, "--data", dir+"/missing")
	fails(t, 2, "--seq", "eval", "--model", old, "--data", file, "--seq", "4000")
	fails(t, 2, "--stride", "eval", "--model", old, "--data", file, "--stride", "4000")
}

func TestShow(t *testing.T) {
	world(t)
	o := object(t, "show", "gpt2")
	if o["params"] != 124439808.0 {
		t.Errorf("gpt2 has %v parameters", o["params"])
	}
	keys(t, o, "model family kv_heads memory layers width heads head_dim vocab context params weight_bytes training_bytes forward_flops_per_token train_flops_per_token")
	if n := len(object(t, "show")["sizes"].([]any)); n != len(zoo.Sizes()) {
		t.Errorf("%d sizes, the table has %d", n, len(zoo.Sizes()))
	}
	if o := object(t, "show", "mixtral-8x7b"); o["params"] != 46702792704.0 || o["family"] != "mixtral" {
		t.Errorf("mixtral-8x7b: %v parameters, family %v", o["params"], o["family"])
	}
	o = object(t, "show", "--tensors", shared.model)
	if o["layers"] != 2.0 || o["width"] != 32.0 || o["context"] != 32.0 || len(o["tensors"].([]any)) != 28 {
		t.Errorf("%v", o)
	}
	alone := filepath.Join(t.TempDir(), "alone.safetensors")
	write(t, alone, read(t, filepath.Join(shared.model, "model.safetensors")))
	o = object(t, "show", alone)
	keys(t, o, "file bytes params tensors")
	if o["file"] != alone || len(o["tensors"].([]any)) != 28 {
		t.Errorf("a file without config.json: %v", o)
	}
	if o := object(t, "show", filepath.Join(shared.model, "model.safetensors")); o["layers"] != 2.0 {
		t.Errorf("a file of a model's folder: %v", o)
	}
	fails(t, 2, "huge", "show", "huge")
	fails(t, 1, "config.json", "show", t.TempDir())
}

// What torch.save writes is listed, and is a model's file of weights where it is the only one of its folder.
func TestTorchFile(t *testing.T) {
	python := testkit.Python(t, "torch", "safetensors")
	world(t)
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json"} {
		write(t, filepath.Join(dir, name), read(t, filepath.Join(shared.model, name)))
	}
	path := filepath.Join(dir, "consolidated.00.pth")
	script := "import sys, torch, safetensors.torch as s; torch.save({'step': 1, 'state_dict': {'module.' + k: v for k, v in s.load_file(sys.argv[1]).items()}}, sys.argv[2])"
	if out, err := exec.Command(python, "-c", script, filepath.Join(shared.model, "model.safetensors"), path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o := object(t, "show", path)
	first := o["tensors"].([]any)[0].(map[string]any)
	if len(o["tensors"].([]any)) != 28 || first["name"] != "transformer.h.0.attn.c_attn.bias" || first["type"] != "f32" || first["bytes"] != 384.0 {
		t.Errorf("%v", o)
	}
	gen := []string{"--max-tokens", "8", "--temperature", "0", "one and"}
	if a, b := ok(t, append([]string{"generate", "--model", dir}, gen...)...), ok(t, append([]string{"generate", "--model", shared.model}, gen...)...); a != b {
		t.Errorf("%q from PyTorch's file, %q from safetensors", a, b)
	}
	write(t, filepath.Join(dir, "optimizer.pt"), "x")
	fails(t, 1, "consolidated.00.pth, optimizer.pt", "generate", "--model", dir, "one")
}

func TestBench(t *testing.T) {
	o := object(t, "bench", "--time", "1ms")
	keys(t, o, "kernels threads fma_flops_per_second_1_thread fma_flops_per_second read_bytes_per_second read_bytes_per_second_1_thread copy_bytes_per_second rows")
	rows := o["rows"].([]any)
	for _, r := range rows {
		if s := r.(map[string]any)["share"].(float64); !(s > 0) {
			t.Errorf("share %v of %v", s, r)
		}
	}
	if len(rows) < 10 {
		t.Errorf("%d rows", len(rows))
	}
	fails(t, 2, "--time", "bench", "--time", "0s")
}

func TestBenchStep(t *testing.T) {
	o := object(t, "bench", "step", "--layers", "1", "--width", "32", "--heads", "2", "--vocab", "50", "--seq", "8", "--batch", "2", "--steps", "3", "--profile")
	keys(t, o, "kernels threads params seconds fastest_seconds tokens_per_second flops_per_second fma_flops_per_second share peak_rss_bytes flops_per_step ops")
	// Forward 2·(12·C² + V·C) + 4·C·(T+1)/2 per token, three times that with the backward pass.
	if want := 3 * 16 * (2*(12*32*32+50*32) + 4*32*4.5); math.Abs(o["flops_per_step"].(float64)-want) > 1e-9*want {
		t.Errorf("%v FLOP per step, want %v", o["flops_per_step"], want)
	}
	products := 0.0
	for _, op := range o["ops"].([]any) {
		products += op.(map[string]any)["flops"].(float64)
	}
	if got, want := products/3, o["flops_per_step"].(float64); math.Abs(got-want) > 1e-9*want {
		t.Errorf("the ops' products are %v FLOP per step, the model's count %v", got, want)
	}
	fails(t, 2, "--steps", "bench", "step", "--steps", "0")
	fails(t, 2, "--batch", "bench", "step", "--batch", "0")
	fails(t, 2, "--layers", "bench", "step", "--size", "nano", "--layers", "3")
	fails(t, 2, "huge", "bench", "step", "--size", "huge")
	fails(t, 2, "--seq", "bench", "step", "--size", "nano", "--seq", "4096")
}
