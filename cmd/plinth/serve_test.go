package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/model/zoo"
)

// printed is what a verb that runs on has printed so far.
type printed struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *printed) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *printed) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// served runs the verb until the test ends, and returns its address.
func served(t *testing.T, flags ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	said, ended := &printed{}, make(chan int, 1)
	c := &cli{}
	c.out, c.err = io.Discard, said
	go func() { ended <- c.run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d: %s", code, said)
		}
	})
	for range 600 {
		if m := regexp.MustCompile(`http://[0-9.:]+`).FindString(said.String()); m != "" {
			return m
		}
		select {
		case code := <-ended:
			ended <- 0
			t.Fatalf("exit code %d: %s", code, said)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("no address: %s", said)
	return ""
}

// ask posts an object and returns the answer's.
func ask(t *testing.T, url string, object map[string]any) map[string]any {
	t.Helper()
	b, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(url, "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var a map[string]any
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil || r.StatusCode != 200 {
		t.Fatalf("%s %s: %d %v %v", url, b, r.StatusCode, err, a)
	}
	return a
}

// TestServe: what the server answers is what the verbs print, for models of all kinds.
func TestServe(t *testing.T) {
	base(t)
	reviews(t, "train.csv", 60, "good", "bad")
	ok(t, args("adapt --task classify --model base --data train.csv --out head --method frozen --epochs 1")...)
	write(t, "scores.csv", "text,score\na good day,1\na bad day,0\ngood,1\nbad,0\n")
	ok(t, args("adapt --task regress --model base --data scores.csv --label score --out number --steps 1")...)
	loud(t, "base", "louder")
	url := served(t, "--model", "base", "--model", "head", "--model", "number", "--adapter", "base:louder=louder")

	texts := []string{"one and two", "seven"}
	want := object(t, append(args("embed --model base"), texts...)...)["embeddings"].([]any)
	for i, d := range ask(t, url+"/v1/embeddings", map[string]any{"input": texts})["data"].([]any) {
		if got := d.(map[string]any)["embedding"]; fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("vector of %q: %v, want %v", texts[i], got, want[i])
		}
	}
	labels := func(flags []string, request map[string]any) {
		t.Helper()
		want := object(t, append(append([]string{"classify", "--top", "0"}, flags...), texts...)...)["results"].([]any)
		request["input"] = texts
		for i, d := range ask(t, url+"/v1/classify", request)["data"].([]any) {
			if got, want := d.(map[string]any)["labels"], want[i].(map[string]any)["labels"]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("labels of %q: %v, want %v", texts[i], got, want)
			}
		}
	}
	labels(args("--model head"), map[string]any{"model": "head"})
	labels(append(args("--model base --labels and,make --template"), "{text} {}"), map[string]any{"model": "base", "labels": []string{"and", "make"}, "template": "{text} {}"})

	if r, err := http.Post(url+"/v1/classify", "application/json", strings.NewReader(`{"model":"head","input":"one","labels":["and","make"]}`)); err != nil {
		t.Error(err)
	} else {
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 400 || !strings.Contains(string(body), "entail") || strings.Contains(string(body), "calibrate") {
			t.Errorf("labels for a head that knows no entailment: %d %s", r.StatusCode, body)
		}
	}

	ranked := ask(t, url+"/v1/rerank", map[string]any{"model": "base", "query": "seven", "documents": []string{"one and two", "seven"}})["results"].([]any)
	if first := ranked[0].(map[string]any); first["index"] != 1.0 || first["relevance_score"].(float64) < 0.999 {
		t.Errorf("%v", ranked)
	}
	if ranked := ask(t, url+"/v1/rerank", map[string]any{"model": "number", "query": "seven", "documents": texts})["results"].([]any); len(ranked) != 2 {
		t.Errorf("%v", ranked)
	}
	if number := ask(t, url+"/v1/classify", map[string]any{"model": "number", "input": "seven"})["data"].([]any)[0].(map[string]any)["number"]; number != object(t, args("classify --model number seven")...)["results"].([]any)[0].(map[string]any)["number"] {
		t.Errorf("number %v", number)
	}
	written := ask(t, url+"/v1/completions", map[string]any{"prompt": "one and", "max_tokens": 5, "temperature": 0})["choices"].([]any)[0].(map[string]any)["text"]
	if want := sequencesOf(t, "base", args("--max-tokens 5 --temperature 0")...); written != want {
		t.Errorf("%q, generate writes %q", written, want)
	}
	adapted := ask(t, url+"/v1/completions", map[string]any{"model": "base:louder", "prompt": "one and", "max_tokens": 5, "temperature": 0})["choices"].([]any)[0].(map[string]any)["text"]
	if adapted == written {
		t.Errorf("with the adapter too: %q", written)
	}
	for _, bad := range [][]string{{"--memory", "much"}, {"--memory", "0"}, {"--memory", "10kB"}, {"--adapter", "x"}, {"--adapter", "other:x=louder"}, {"--slots", "0"}, {"--max-wait", "-1s"}, {"--listen", "0.0.0.0:0"}, {"--listen", "x"}, {"--context", "-1"}} {
		fails(t, 2, bad[0], append(args("serve --model base"), bad...)...)
	}
	fails(t, 1, "nowhere", args("serve --model nowhere")...)
}

// TestServeMemory: models within a budget that not all of them fit in answer what they answer when all fit, again and again; files are unmapped meanwhile.
func TestServeMemory(t *testing.T) {
	base(t)
	ok(t, args("quantize --model base --out small.gguf --type q8_0")...)
	ok(t, args("quantize --model base --out smaller.gguf --type q4_0")...)
	flags := args("--model base --model small=small.gguf --model smaller.gguf")
	all := served(t, flags...)
	weights, err := os.Stat("base/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	few := served(t, append(flags, "--memory", fmt.Sprint(2*weights.Size()+weights.Size()/2))...) // base with its packed copy, and hardly another
	count := func() (n int) {
		r, err := http.Get(few + "/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var list struct{ Data []struct{ Loaded bool } }
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
		for _, m := range list.Data {
			if m.Loaded {
				n++
			}
		}
		return n
	}
	for i := range 12 {
		name := []string{"base", "small", "smaller"}[i*i%3+i%2]
		request := map[string]any{"model": name, "prompt": "one and", "max_tokens": 5, "temperature": 0}
		want, got := ask(t, all+"/v1/completions", request)["choices"], ask(t, few+"/v1/completions", request)["choices"]
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		request = map[string]any{"model": name, "input": [][]int{{5, 6, 7}}}
		if got, want := ask(t, few+"/v1/embeddings", request)["data"], ask(t, all+"/v1/embeddings", request)["data"]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if n := count(); n < 1 || n > 2 {
			t.Errorf("%d models are loaded", n)
		}
	}
}

// TestServeSIGTERM: an answer in progress when the program is told to end comes to its end, and new requests are not taken.
func TestServeSIGTERM(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals to send")
	}
	base(t)
	cmd := exec.Command(os.Args[0], args("serve --model base --listen 127.0.0.1:0 --slots 1 --max-wait 1h")...)
	cmd.Env = append(os.Environ(), "PLINTH_TEST_MAIN=1")
	said := &printed{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var url string
	for deadline := time.Now().Add(time.Minute); url == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		url = regexp.MustCompile(`http://[0-9.:]+`).FindString(said.String())
	}
	const n = 128 // choices, one after the other
	r, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(fmt.Sprintf(`{"prompt":"one","n":%d,"max_tokens":12,"stream":true,"stream_options":{"include_usage":true}}`, n)))
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer r.Body.Close()
	lines := bufio.NewReader(r.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if ends := strings.Count(string(rest), `"finish_reason":"`); err != nil || ends != n || !strings.Contains(string(rest), "[DONE]") {
		t.Errorf("%v: %d of %d choices came to their ends: ...%s", err, ends, n, rest[max(0, len(rest)-300):])
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	if _, err := http.Get(url + "/health"); err == nil {
		t.Error("it still answers")
	}
}

// loud writes an adapter that changes what the model of a folder says.
func loud(t *testing.T, dir, out string) {
	t.Helper()
	m, err := zoo.Open(dir, zoo.Options{Train: true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := adapt.AttachLoRA(cpu.New(cpu.Options{Threads: 1}), m, nil, adapt.LoRA{Targets: adapt.Names{AllLinear: true}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.Params() {
		for i := range p.T().F32() {
			p.T().F32()[i] = float32(i%7) - 3
		}
	}
	if err := a.Save(out, dir, ""); err != nil {
		t.Fatal(err)
	}
}

// sequencesOf is what generate writes behind "one and".
func sequencesOf(t *testing.T, model string, flags ...string) string {
	return strings.TrimSuffix(ok(t, append([]string{"generate", "--model", model, "one and"}, flags...)...), "\n")
}
