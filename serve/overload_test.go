package serve_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/serve"
	"github.com/plinth-ml/plinth/tensor"
)

// timed is a decoder whose steps take the time of their rows, by the clock of a synctest bubble.
type timed struct {
	model.Decoder
	row time.Duration
}

func (d timed) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	N, _ := x.Dims2()
	time.Sleep(time.Duration(N) * d.row)
	return d.Decoder.Body(t, x, seqs, kv, from, to)
}

// asked is what became of a request.
type asked struct {
	status int
	took   time.Duration
	retry  int // seconds
}

// tally is what became of many.
type tally struct {
	mu  sync.Mutex
	all []asked
}

// ask calls the server without a network: a synctest bubble knows none.
func (a *tally) ask(s *serve.Server, body, key string) asked {
	r := httptest.NewRequest("POST", "/v1/completions", strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w, began := httptest.NewRecorder(), time.Now()
	s.ServeHTTP(w, r)
	got := asked{status: w.Code, took: time.Since(began)}
	got.retry, _ = strconv.Atoi(w.Header().Get("Retry-After"))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, got)
	return got
}

// of are the times of the requests that ended with a status, the longest last.
func (a *tally) of(status int) []time.Duration {
	var list []time.Duration
	for _, got := range a.all {
		if got.status == status {
			list = append(list, got.took)
		}
	}
	slices.Sort(list)
	return list
}

// TestOverload: with four times the requests that a server can answer it answers as many as without, those that it takes wait for at most a third of an answer, and
// the others are refused at once. The clock is that of a bubble, in which a row takes 0.1 s.
func TestOverload(t *testing.T) {
	m, decoder := tinyDecoder(t, generate.EngineOptions{})
	synctest.Test(t, func(t *testing.T) {
		const slots, tokens, row = 4, 40, 100 * time.Millisecond
		m.Engine = generate.New(timed{decoder, row}, ref.New(), generate.EngineOptions{Slots: slots})
		s, err := serve.New(serve.Options{Models: []*serve.Model{m}})
		if err != nil {
			t.Fatal(err)
		}
		body := func(i int) string {
			return fmt.Sprintf(`{"prompt":"%d %s","max_tokens":%d,"temperature":0,"logit_bias":{"0":-100},"stream":%v}`, i, strings.Repeat("words ", i%8), tokens, i%2 == 0)
		}
		peak, wg, begin := &tally{}, sync.WaitGroup{}, time.Now()
		for u := range slots {
			wg.Go(func() {
				for i := range 10 {
					peak.ask(s, body(10*u+i), "")
				}
			})
		}
		wg.Wait()
		quiet := peak.of(200)
		rate := float64(len(quiet)) / time.Since(begin).Seconds()
		over := &tally{}
		begin = time.Now()
		const n = 500
		for i := range n {
			wg.Go(func() { over.ask(s, body(1000+i), "") })
			time.Sleep(time.Duration(float64(time.Second) / (4 * rate)))
		}
		wg.Wait()
		done, refused := over.of(200), over.of(429)
		if len(done)+len(refused) != n {
			t.Errorf("%d answered and %d refused of %d", len(done), len(refused), n)
		}
		if good := float64(len(done)) / time.Since(begin).Seconds() / rate; good < 0.93 { // the last answers end beside free slots
			t.Errorf("%.2f of the answers of the peak", good)
		}
		if slow, most := done[len(done)-1], quiet[len(quiet)-1]*3/2; slow > most {
			t.Errorf("an answer took %v, without overload %v at most", slow, quiet[len(quiet)-1])
		}
		if slow := refused[len(refused)-1]; slow > 0 {
			t.Errorf("a refusal took %v", slow)
		}
	})
}

// TestRetryAfter: who comes back when it was told to is not refused again, if nobody else came meanwhile.
func TestRetryAfter(t *testing.T) {
	m, decoder := tinyDecoder(t, generate.EngineOptions{})
	synctest.Test(t, func(t *testing.T) {
		m.Engine = generate.New(timed{decoder, 100 * time.Millisecond}, ref.New(), generate.EngineOptions{Slots: 1})
		s, err := serve.New(serve.Options{Models: []*serve.Model{m}, Keys: []string{"key-of-ada", "key-of-bob"}, MaxWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		const body = `{"prompt":"some words","max_tokens":60,"temperature":0,"logit_bias":{"0":-100}}`
		var a tally
		a.ask(s, body, "key-of-ada")
		var wg sync.WaitGroup
		wg.Go(func() { a.ask(s, body, "key-of-ada") })
		time.Sleep(time.Millisecond)
		got := a.ask(s, body, "key-of-bob")
		if got.status != http.StatusTooManyRequests || got.took != 0 || got.retry < 4 || got.retry > 7 {
			t.Errorf("beside an answer of 6 s: %+v", got)
		}
		time.Sleep(time.Duration(got.retry) * time.Second)
		if got = a.ask(s, body, "key-of-bob"); got.status != http.StatusOK {
			t.Errorf("back after the time that it was told: %+v", got)
		}
		wg.Wait()
	})
}

// unread is a body that must not be read.
type unread struct {
	t *testing.T
	bytes.Reader
}

func (u *unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, fmt.Errorf("read")
}

// TestRefusedUnread: while no model takes anything, requests for text are refused without being read; others are answered.
func TestRefusedUnread(t *testing.T) {
	m, decoder := tinyDecoder(t, generate.EngineOptions{})
	synctest.Test(t, func(t *testing.T) {
		m.Engine = generate.New(timed{decoder, 100 * time.Millisecond}, ref.New(), generate.EngineOptions{Slots: 1})
		s, err := serve.New(serve.Options{Models: []*serve.Model{m}})
		if err != nil {
			t.Fatal(err)
		}
		const body = `{"prompt":"some words","max_tokens":200,"temperature":0,"logit_bias":{"0":-100}}`
		var a tally
		a.ask(s, body, "")
		var wg sync.WaitGroup
		wg.Go(func() { a.ask(s, body, "") })
		time.Sleep(time.Millisecond)
		for _, path := range []string{"/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages"} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", path, &unread{t: t})
			r.Host = "localhost"
			r.Header.Set("Content-Type", "application/json")
			if s.ServeHTTP(w, r); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "try again") {
				t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
			}
		}
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/tokenize", strings.NewReader(`{"prompt":"some words"}`))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		if s.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Errorf("/tokenize: %d %s", w.Code, w.Body)
		}
		wg.Wait()
	})
}
