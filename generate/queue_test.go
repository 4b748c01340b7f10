package generate_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// rowTime is what a row of a timed decoder takes.
const rowTime = 5 * time.Millisecond

// timed is a decoder whose steps take the time of their rows, by the clock of a synctest bubble.
type timed struct{ model.Decoder }

func (d timed) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	N, _ := x.Dims2()
	time.Sleep(time.Duration(N) * rowTime)
	return d.Decoder.Body(t, x, seqs, kv, from, to)
}

// TestQueueWait compares the estimate of the time until a slot is free with what then happens.
func TestQueueWait(t *testing.T) {
	const slots, answer = 2, 12
	request := func(scope string, prompt, seed int) generate.Request {
		return generate.Request{Prompt: text(seed, prompt), Scope: scope, Options: generate.Options{MaxTokens: answer}}
	}
	for _, ahead := range []int{0, 1, 2, 3, 5, 8} {
		for _, scope := range []string{"a", "b"} {
			synctest.Test(t, func(t *testing.T) {
				e := generate.New(timed{random(t, 1)}, ref.New(), generate.EngineOptions{Slots: slots})
				if q := e.Queue(""); q != (generate.Queue{}) {
					t.Errorf("when nothing was measured: %+v", q)
				}
				mustGenerate(t, e, request("", 9, 100), request("", 5, 101)) // so that it knows what rows cost and how long answers are
				if q := e.Queue(""); q.Wait != 0 || q.Answer != slots*(7+answer)*rowTime {
					t.Errorf("at rest: %+v", q)
				}
				var wg sync.WaitGroup
				defer wg.Wait()
				for i := range ahead {
					wg.Go(func() { e.Generate(context.Background(), []generate.Request{request("a", 4+3*i, i)}, nil) })
					time.Sleep(time.Millisecond) // in this order
				}
				var q generate.Queue
				began, first := time.Now(), time.Duration(0)
				c, err := e.Start(context.Background(), []generate.Request{request(scope, 6, 50)}, func(now generate.Queue) error {
					q = now
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Run(func(generate.Token) {
					if first == 0 {
						first = time.Since(began)
					}
				}); err != nil {
					t.Error(err)
				}
				// Its first token comes with its own prompt; the queue is that of the beginning of the step in which it came.
				const step = (4 + 3*8 + 6 + 1) * rowTime
				if off := first - 6*rowTime - q.Wait; off < -step || off > step {
					t.Errorf("%d ahead, scope %s: a slot was to be free after %v, the first token came after %v", ahead, scope, q.Wait, first)
				}
				if scope == "a" && ahead >= slots && q.Wait < 10*rowTime {
					t.Errorf("%d ahead, scope %s: %+v", ahead, scope, q)
				}
			})
		}
	}
}

// TestStartRefused: what accept refuses leaves nothing behind, and the next call sees what was accepted before.
func TestStartRefused(t *testing.T) {
	e := generate.New(random(t, 1), ref.New(), generate.EngineOptions{Slots: 1})
	reqs := []generate.Request{{Prompt: text(1, 5), Options: generate.Options{MaxTokens: 3}}}
	full := errors.New("full")
	if c, err := e.Start(t.Context(), reqs, func(generate.Queue) error { return full }); c != nil || err != full {
		t.Errorf("%v, %v", c, err)
	}
	c, err := e.Start(t.Context(), reqs, func(q generate.Queue) error {
		if q.Waiting != 0 || q.Tokens != 0 {
			t.Errorf("what was refused waits: %+v", q)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if q := e.Queue(""); q.Waiting != 1 || q.Tokens != 5 {
		t.Errorf("what was accepted does not wait: %+v", q)
	}
	got, err := c.Run(nil)
	if err != nil || len(got[0].IDs) != 3 {
		t.Errorf("%v, %v", got, err)
	}
}
