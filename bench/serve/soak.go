package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// object is JSON.
type object = map[string]any

// soakTick is the time between two readings of a soak. A process that is stopped and goes on later misses ticks, so that they count only what it ran.
const soakTick = 5 * time.Second

// soak mixes requests of all kinds for a long time, and tells how the memory grows.
func soak(ctx context.Context, o options) error {
	s, err := ours(ctx, o)
	if err != nil {
		return err
	}
	defer s.stop()
	models := []string{"base"}
	if o.adapter != "" {
		models = append(models, "base:lora")
	}
	var r report
	var whole, left, wrong atomic.Int64
	var wg sync.WaitGroup
	var awake atomic.Int64 // time in which this process was not stopped from outside
	going := func() bool { return time.Duration(awake.Load()) < o.length && ctx.Err() == nil }
	for range o.slots + 2 {
		wg.Go(func() {
			for going() {
				m, p, n := models[rand.IntN(len(models))], prompt(1+rand.IntN(4*o.prompt)), 1+rand.IntN(o.tokens)
				switch k := rand.IntN(10); {
				case k < 4: // a stream is read to its end
					r.add(s.ask(ctx, p, n, 0))
				case k < 5: // or not
					left.Add(1)
					if _, err := s.ask(ctx, p, n, 1+rand.IntN(n)); err != nil {
						r.add(answer{}, err)
					}
				case k < 6:
					wrong.Add(1)
					b := bad[rand.IntN(len(bad))]
					if err := s.post(ctx, b.path, b.body, b.status); err != nil {
						r.add(answer{}, err)
					}
				default:
					whole.Add(1)
					path, body := mixed(m, p, n)
					if err := s.post(ctx, path, body, http.StatusOK); err != nil {
						r.add(answer{}, err)
					}
				}
				time.Sleep(time.Duration(rand.ExpFloat64() * float64(o.pause)))
			}
		})
	}
	var hours, anonymous, marked []float64
	var first, last memory
	for tick, n := time.NewTicker(soakTick), 1; going(); n++ {
		<-tick.C
		now := time.Duration(awake.Add(int64(soakTick)))
		if last, err = s.memory(); err != nil {
			return err
		}
		if now > o.length/6 {
			if hours == nil {
				first = last
			}
			hours, anonymous, marked = append(hours, now.Hours()), append(anonymous, last.anonymous/1e6), append(marked, last.marked/1e6)
		}
		if n%24 == 0 {
			fmt.Printf("%v: %v\n", now, last)
		}
	}
	wg.Wait()
	r.length = time.Duration(awake.Load())
	fmt.Printf("%v: streams: %s; %d other requests were right and %d wrong, %d clients went away\n", r.length.Round(time.Second), &r, whole.Load(), wrong.Load(), left.Load())
	fmt.Printf("after a sixth:  %v\nat the end:      %v\nslope of the anonymous memory %.2f MB/h, of what garbage collections found in use (%.1f MB at the end) %.2f MB/h, over %d readings\n",
		first, last, slope(hours, anonymous), last.marked/1e6, slope(hours, marked), len(hours))
	return ctx.Err()
}

// bad are requests that are refused.
var bad = []struct {
	path, body string
	status     int
}{
	{"/v1/completions", `{"prompt": 1.5, "max_tokens": "x"}`, 400},
	{"/v1/completions", `{"prompt": "a", "unknown": 1}`, 400},
	{"/v1/completions", `{"prompt": "a", "max_tokens"`, 400},
	{"/v1/chat/completions", `{"messages": []}`, 400},
	{"/v1/chat/completions", `{"messages": [{"role": "user", "content": "a"}], "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}}`, 400},
	{"/v1/messages", `{"messages": [{"role": "user", "content": "a"}]}`, 400},
	{"/v1/responses", `{"input": "a", "previous_response_id": "resp-none"}`, 404},
	{"/v1/embeddings", `{"input": "a", "model": "no such model"}`, 404},
	{"/v1/nothing", `{}`, 404},
}

// mixed is a request of any kind but a stream.
func mixed(model, text string, tokens int) (path string, body string) {
	chat := []object{{"role": "system", "content": "Answer."}, {"role": "user", "content": text}}
	kinds := []struct {
		path string
		body object
	}{
		{"/v1/completions", object{"prompt": text, "max_tokens": tokens, "n": 2, "temperature": 1, "top_p": 0.9, "stop": []string{"the end"}}},
		{"/v1/completions", object{"prompt": text, "max_tokens": 0, "echo": true, "logprobs": 2}},
		{"/v1/chat/completions", object{"messages": chat, "max_tokens": tokens, "logprobs": true, "top_logprobs": 3}},
		{"/v1/chat/completions", object{"messages": chat, "max_tokens": tokens, "stream": true}},
		{"/v1/chat/completions", object{"messages": chat, "max_tokens": tokens, "response_format": object{"type": "json_schema", "json_schema": object{"name": "x",
			"schema": object{"type": "object", "additionalProperties": false, "required": []string{"a"}, "properties": object{"a": object{"type": "string", "maxLength": tokens}}}}}}},
		{"/v1/responses", object{"input": text, "max_output_tokens": tokens, "stream": tokens%2 == 0}},
		{"/v1/messages", object{"messages": chat[1:], "max_tokens": tokens, "stream": tokens%2 == 0}},
		{"/v1/embeddings", object{"input": []string{text, "another text"}, "truncate": true}},
		{"/v1/rerank", object{"query": "boats", "documents": []string{text, "another text"}, "truncate": true}},
		{"/v1/classify", object{"input": text, "labels": []string{"sea", "land"}, "truncate": true}},
		{"/tokenize", object{"prompt": text}},
	}
	k := kinds[rand.IntN(len(kinds))]
	k.body["model"] = model
	b, _ := json.Marshal(k.body)
	return k.path, string(b)
}

// post sends a request, reads its answer and compares the status; that too much waits is no error.
func (s *server) post(ctx context.Context, path, body string, status int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != status && res.StatusCode != http.StatusTooManyRequests {
		err = fmt.Errorf("serve: %s: %s, not %d: %.300s to %.300s", path, res.Status, status, text, body)
	}
	return err
}

// slope is that of the least squares line.
func slope(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(y))
	}
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	return xy / xx
}
