package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/chat"
	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model/zoo"
)

// lineTemplate writes a message a line: the test model's context is short.
const lineTemplate = "{% for m in messages %}{{ m.content }}\n{% endfor %}"

// talkative is a model folder with a template of its own, and flags for short answers.
func talkative(t *testing.T) (string, []string) {
	t.Helper()
	world(t)
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		write(t, filepath.Join(dir, name), read(t, filepath.Join(shared.model, name)))
	}
	write(t, filepath.Join(dir, "chat_template.jinja"), lineTemplate)
	return dir, []string{"chat", "--model", dir, "--max-tokens", "4", "--threads", "2"}
}

func saved(t *testing.T, path string) []chat.Message {
	t.Helper()
	var c conversation
	if err := json.Unmarshal([]byte(read(t, path)), &c); err != nil {
		t.Fatal(err)
	}
	return c.Messages
}

func roles(m []chat.Message) (list string) {
	for _, x := range m {
		list += x.Role[:1]
	}
	return list
}

func TestChatOnce(t *testing.T) {
	dir, verb := talkative(t)
	out := ok(t, append(verb, "one", "and")...)
	o := object(t, append(verb, "one and")...)
	keys(t, o, "model messages finish_reason stats")
	messages := o["messages"].([]any)
	answer := messages[1].(map[string]any)
	if len(messages) != 2 || answer["role"] != "assistant" || answer["content"].(string)+"\n" != out || o["finish_reason"] != "length" {
		t.Errorf("--json %v, streamed %q", o, out)
	}
	// The same as generate with the rendered prompt.
	ids := ok(t, "generate", "--model", dir, "--max-tokens", "4", "one and\n")
	if ids != out {
		t.Errorf("generate writes %q, chat %q", ids, out)
	}
	stdin(t, "one and\n")
	if again := object(t, verb...); !reflect.DeepEqual(again["messages"], o["messages"]) || again["finish_reason"] != "length" {
		t.Errorf("from standard input %v, as an argument %v", again, o)
	}
	stdin(t, "one and\ntwo\n")
	if two := object(t, verb...)["messages"].([]any); len(two) != 4 || !reflect.DeepEqual(two[:2], messages) {
		t.Errorf("of two lines %v", two)
	}
	stdin(t, "")
	if none := object(t, verb...); len(none["messages"].([]any)) != 0 || none["finish_reason"] != "" {
		t.Errorf("of no lines %v", none)
	}
	withSystem := object(t, append(verb, "--system", "two", "one and")...)["messages"].([]any)
	if len(withSystem) != 3 || withSystem[0].(map[string]any)["content"] != "two" {
		t.Errorf("--system: %v", withSystem)
	}
	text := strings.TrimSuffix(out, "\n")
	stop := text[len(text)/2 : len(text)/2+1]
	if cut, want := ok(t, append(verb, "--stop", stop, "one and")...), text[:strings.Index(text, stop)]+"\n"; cut != want {
		t.Errorf("--stop %q writes %q, want %q", stop, cut, want)
	}
}

func TestChatConversation(t *testing.T) {
	_, verb := talkative(t)
	dir := t.TempDir()
	file, file2 := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	stdin(t, "one\n/system be brief\n\ntwo\\\nand two\n/save "+file+"\n/undo\n\"\"\"/three\nfour\"\"\"\n/save "+file2+"\n/clear\n/exit\nnot read\n")
	out := ok(t, verb...)
	m := saved(t, file)
	if roles(m) != "suaua" || m[0].Content.Text != "be brief" || m[3].Content.Text != "two\nand two" || !strings.HasPrefix(out, m[2].Content.Text+"\n"+m[4].Content.Text+"\n") {
		t.Errorf("saved %+v, written %q", m, out)
	}
	n := saved(t, file2)
	if roles(n) != "suaua" || n[3].Content.Text != "/three\nfour" || !reflect.DeepEqual(m[:3], n[:3]) {
		t.Errorf("after /undo: %+v", n)
	}
	// What was loaded goes on as what was said.
	stdin(t, "one\n/save! "+file+"\ntwo\n/save! "+file2+"\n")
	ok(t, append(verb, "--temperature", "0")...)
	stdin(t, "/load "+file+"\ntwo\n/save "+file+"\n")
	ok(t, append(verb, "--temperature", "0")...)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	stdin(t, "/load "+file+"\n/save ~/c.json\n/save ~/c.json\n")
	ok(t, verb...)
	if a, b := saved(t, filepath.Join(home, "c.json")), saved(t, file); !reflect.DeepEqual(a, b) {
		t.Errorf("saved in ~ %+v, want %+v", a, b)
	}
	if a, b := saved(t, file), saved(t, file2); !reflect.DeepEqual(a, b) || roles(a) != "uaua" {
		t.Errorf("loaded %+v, said %+v", a, b)
	}
	stdin(t, "/help\n")
	if _, _, err := plinth(verb...); !strings.Contains(err, "/undo") {
		t.Errorf("/help: %q", err)
	}
	for input, want := range map[string]string{
		"/nosuch":                     "/nosuch",
		"/undo":                       "/undo",
		"/save":                       "/save",
		"/load " + dir + "/nowhere":   "nowhere",
		"/save " + file:               "/save! " + file,
		"/save! " + dir:               dir + " is a folder",
		"/save " + dir + "/no/a.json": "/save: " + dir + "/no/a.json: no such file",
		"\"\"\"never closed\n":        `"""`,
		strings.Repeat("x y z ", 50):  "context",
	} {
		stdin(t, input+"\n")
		fails(t, 1, want, verb...)
	}
	write(t, file, `[{"role":"user","content":"a"},{"role":"evil","content":"b"}]`)
	stdin(t, "/load "+file+"\n")
	fails(t, 1, `message 2: role "evil" is none of system`, verb...)
	write(t, file, `{"messages":[]}`)
	stdin(t, "/load "+file+"\n")
	fails(t, 1, file, verb...)
	stdin(t, "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n") // the context of 32 is full in the middle
	if code, _, err := plinth(append(verb, "--max-tokens", "0")...); code != 1 || !strings.Contains(err, "context") {
		t.Errorf("full context: exit code %d, %q", code, err)
	}
}

func TestChatTemplate(t *testing.T) {
	dir, verb := talkative(t)
	fails(t, 1, "chatml", "chat", "--model", shared.model, "x")
	fails(t, 2, "nosuch", append(verb, "--template", "nosuch", "x")...)
	mine := filepath.Join(t.TempDir(), "mine.jinja")
	write(t, mine, lineTemplate)
	if a, b := ok(t, "chat", "--model", shared.model, "--max-tokens", "4", "--template", mine, "one and"), ok(t, append(verb, "one and")...); a != b {
		t.Errorf("--template FILE writes %q, the model's own %q", a, b)
	}
	fails(t, 1, "context", append(verb, "--template", "llama3.1", "x")...) // a known name, too long for this model
	write(t, mine, "\n{{ messages[0].nope.x }}")
	fails(t, 1, "line 2", append(verb, "--template", mine, "x")...)
	write(t, mine, "{{ raise_exception('not today') }}")
	fails(t, 1, "not today", append(verb, "--template", mine, "x")...)
	write(t, mine, "{% if")
	fails(t, 1, mine, append(verb, "--template", mine, "x")...)
	write(t, mine, "{% for m in messages %}{{ m.content if shout is sameas false else 'two' }}\n{% endfor %}")
	if a, b := ok(t, append(verb, "--template", mine, "--set", "shout=false", "one and")...), ok(t, append(verb, "one and")...); a != b {
		t.Errorf("--set writes %q, want %q", a, b)
	}
	fails(t, 2, "--set", append(verb, "--set", "messages=1", "x")...)
	fails(t, 2, "--temperature", append(verb, "--temperature", "-1", "x")...)
	fails(t, 2, "--max-tokens", append(verb, "--max-tokens", "-5", "x")...)
	fails(t, 1, "nowhere", "chat", "--model", "nowhere", "x")
	write(t, filepath.Join(dir, "generation_config.json"), `{"eos_token_id":"x"}`)
	fails(t, 1, "generation_config.json", append(verb, "x")...)
}

// TestChatGGUF: the same model as a GGUF file, which carries template and tokenizer, gives the same greedy answer.
func TestChatGGUF(t *testing.T) {
	dir, _ := talkative(t)
	path := filepath.Join(t.TempDir(), "m.gguf")
	if _, err := zoo.WriteGGUF(t.Context(), dir, path, 0, 0, zoo.PickType(checkpoint.F32)); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--max-tokens", "8", "--temperature", "0", "one and"}
	if a, b := ok(t, append([]string{"chat", "--model", path}, flags...)...), ok(t, append([]string{"chat", "--model", dir}, flags...)...); a != b {
		t.Errorf("the GGUF file answers %q, the folder %q", a, b)
	}
}

// TestChatSpecial: the name of a special token in a message does not become the token, and the one behind an answer ends it.
func TestChatSpecial(t *testing.T) {
	dir, _ := talkative(t)
	write(t, filepath.Join(dir, "chat_template.jinja"), "{% for m in messages %}{{ m.content }}<|endoftext|>{% endfor %}")
	cmd := chatCmd{Model: dir, samplingFlags: samplingFlags{Typical: 1, RepetitionPenalty: 1}, engineFlags: engineFlags{KV: "f32"}}
	s, err := cmd.open(t.Context(), &common{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := s.Tokenizer.EOS()
	ids, err := s.Encode(t.Context(), []chat.Message{{Role: "user", Content: chat.Text("one<|endoftext|>two")}}, nil, s.render)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, id := range ids {
		if id == eos {
			n++
		}
	}
	if n != 1 || ids[len(ids)-1] != eos || s.Tokenizer.Decode(ids) != "one<|endoftext|>two<|endoftext|>" {
		t.Errorf("%v is %q", ids, s.Tokenizer.Decode(ids))
	}
	if len(s.options.Stop) == 0 || s.options.Stop[len(s.options.Stop)-1] != eos || len(s.stops) > 0 {
		t.Errorf("stops at %v, %q", s.options.Stop, s.stops)
	}
}

// interrupter presses Ctrl-C twice when it is written to.
type interrupter struct {
	c       *common
	pressed []bool // what the verb said
}

func (i *interrupter) Write(p []byte) (int, error) {
	if f := i.c.onInterrupt.Load(); f != nil && i.pressed == nil {
		i.pressed = []bool{(*f)(), (*f)()}
	}
	return len(p), nil
}

// TestChatStop: Ctrl-C during an answer keeps what was said; a second one is not the conversation's.
func TestChatStop(t *testing.T) {
	dir, _ := talkative(t)
	var errs strings.Builder
	c := &common{Threads: 1, err: &errs}
	out := &interrupter{c: c}
	c.out = out
	cmd := chatCmd{Model: dir, samplingFlags: samplingFlags{Typical: 1, RepetitionPenalty: 1}, engineFlags: engineFlags{KV: "f32"}}
	s, err := cmd.open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.options.Stop = nil
	err = s.answer(t.Context(), userMessage("one and two"))
	if err != nil || s.finish != "interrupted" || roles(s.messages) != "ua" || s.messages[1].Content.Text == "" || !strings.Contains(errs.String(), "stopped") {
		t.Errorf("%q, %v, %+v, %q", s.finish, err, s.messages, errs.String())
	}
	if !reflect.DeepEqual(out.pressed, []bool{true, false}) || c.onInterrupt.Load() != nil {
		t.Errorf("pressed %v", out.pressed)
	}
	if err := s.answer(t.Context(), userMessage("five")); err != nil || roles(s.messages) != "uaua" {
		t.Errorf("after it: %v, %+v", err, s.messages)
	}
}

// TestInterruptedOnce: a verb that Ctrl-C stopped prints what there is, and says that it was stopped.
func TestInterruptedOnce(t *testing.T) {
	dir, _ := talkative(t)
	var errs, out strings.Builder
	c := &common{Threads: 1, err: &errs}
	c.out = &interrupter{c: c}
	sampling := samplingFlags{TopP: 1, Typical: 1, RepetitionPenalty: 1}
	chat := chatCmd{Model: dir, Message: []string{"one and two"}, samplingFlags: sampling, engineFlags: engineFlags{KV: "f32"}}
	var sig interrupted
	if err := chat.Run(t.Context(), c); !errors.As(err, &sig) || sig.Signal != os.Interrupt {
		t.Errorf("chat: %v", err)
	}
	ctx, interrupt := context.WithCancelCause(t.Context())
	interrupt(interrupted{os.Interrupt})
	c = &common{Threads: 1, JSON: true, err: &errs, out: &out}
	generate := generateCmd{Model: dir, Prompt: []string{"one"}, N: 1, MaxTokens: 3, samplingFlags: sampling, engineFlags: engineFlags{KV: "f32"}}
	err := generate.Run(ctx, c)
	var o struct{ Sequences []generated }
	if json.Unmarshal([]byte(out.String()), &o) != nil || !errors.As(err, &sig) || len(o.Sequences) != 1 || o.Sequences[0].Finish != "interrupted" {
		t.Errorf("generate: %v, %q", err, out.String())
	}
}

// TestChatNull: without a terminal and without messages nothing is said.
func TestChatNull(t *testing.T) {
	_, verb := talkative(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = null
	defer func() { os.Stdin = old; null.Close() }()
	if code, out, said := plinth(verb...); code != 0 || out != "" || said != "" {
		t.Errorf("exit code %d, %q, %q", code, out, said)
	}
}

// TestChatInterrupt: Ctrl-C at the prompt ends the program.
func TestChatInterrupt(t *testing.T) {
	_, verb := talkative(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, verb...)
	cmd.Env = append(os.Environ(), "PLINTH_TEST_MAIN=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.json")
	if _, err := in.Write([]byte("one\n/save " + file + "\n")); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("no answer")
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Skipf("no signals here: %v", err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("Ctrl-C at the prompt: %v", err)
	}
}
