package generate_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// counted is a decoder that counts its steps.
type counted struct {
	model.Decoder
	steps *atomic.Int64
}

func (d counted) Body(t *tensor.Tape, x *tensor.Tensor, seqs *nn.Seqs, kv *nn.KV, from, to int) *tensor.Tensor {
	d.steps.Add(1)
	return d.Decoder.Body(t, x, seqs, kv, from, to)
}

// TestTold: on one processor, each caller hears its token before the next step, whoever computes it.
func TestTold(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const callers, tokens = 4, 30
	var steps atomic.Int64
	e := generate.New(counted{random(t, 1), &steps}, ref.New(), generate.EngineOptions{Slots: callers})
	var wg sync.WaitGroup
	late := make([]int, callers)
	for i := range callers {
		wg.Go(func() {
			var before int64
			_, err := e.Generate(context.Background(), []generate.Request{{Prompt: text(i, 5), Options: generate.Options{MaxTokens: tokens}}}, func(generate.Token) {
				now := steps.Load()
				if before > 0 && now != before+1 {
					late[i]++
				}
				before = now
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, n := range late {
		if n > tokens/4 { // the system may stop a caller at any time
			t.Errorf("caller %d heard %d of %d tokens late", i, n, tokens)
		}
	}
}
