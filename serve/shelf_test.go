package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

// library opens and closes models of 100 bytes, and notices when one is used that is closed, or when more are open than fit.
type library struct {
	t             *testing.T
	most          int64
	open          atomic.Int64
	opened        atomic.Int64
	mu            sync.Mutex
	order         []string // what was opened and closed
	hold, holding chan struct{}
}

func (l *library) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.order = append(l.order, what)
}

// source makes a model that embeds; the text "hold" takes as long as hold is open.
func (l *library) source(name string) serve.Source {
	return serve.Source{Name: name, Open: func() (*serve.Model, error) {
		if l.opened.Add(1); l.open.Add(1) > l.most {
			l.t.Errorf("%d models are open", l.open.Load())
		}
		l.note("+" + name)
		m := reader(l.t)
		var closed atomic.Bool
		embed := m.Embed
		m.Embed = func(ctx context.Context, texts []string, kind string) ([][]float32, int, error) {
			if texts[0] == "hold" {
				l.holding <- struct{}{}
				<-l.hold
			}
			if closed.Load() {
				l.t.Errorf("%s is used and closed", name)
			}
			return embed(ctx, texts, kind)
		}
		m.Bytes, m.Close = 100, func() error {
			l.note("-" + name)
			l.open.Add(-1)
			if closed.Swap(true) {
				l.t.Errorf("%s is closed twice", name)
			}
			return nil
		}
		return m, nil
	}}
}

// loaded are the models that GET /v1/models calls loaded.
func loaded(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var list struct {
		Data []struct {
			ID     string
			Loaded bool
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, m := range list.Data {
		if m.Loaded {
			names += m.ID + " "
		}
	}
	if len(list.Data) < 3 {
		t.Errorf("only %d models are listed", len(list.Data))
	}
	return strings.TrimSpace(names)
}

// TestMemory: of three models two fit. The one that was used the longest ago goes, none that is in use, and what there is no room for waits.
func TestMemory(t *testing.T) {
	l := &library{t: t, most: 3, hold: make(chan struct{}), holding: make(chan struct{}, 2)} // at the start one more is open, until it is known what it takes
	_, url := start(t, serve.Options{Sources: []serve.Source{l.source("a"), l.source("b"), l.source("c")}, Memory: 250, LoadWait: 200 * time.Millisecond}, generate.EngineOptions{})
	l.most = 2
	ask := func(model, text string) int {
		code, _, _ := post(t, url+"/v1/embeddings", `{"model":"`+model+`","input":"`+text+`"}`)
		return code
	}
	if got := loaded(t, url); got != "tiny b c" {
		t.Errorf("loaded at first: %q", got)
	}
	for _, c := range []struct{ ask, loaded string }{{"b", "tiny b c"}, {"a", "tiny a b"}, {"b", "tiny a b"}, {"c", "tiny b c"}, {"tiny", "tiny b c"}} {
		if code, want := ask(c.ask, "x"), map[bool]int{true: 400, false: 200}[c.ask == "tiny"]; code != want {
			t.Errorf("%s: %d", c.ask, code)
		}
		if got := loaded(t, url); got != c.loaded {
			t.Errorf("after %s: %q is loaded, want %q", c.ask, got, c.loaded)
		}
	}

	var wg sync.WaitGroup
	for _, name := range []string{"b", "c"} {
		wg.Go(func() {
			if code := ask(name, "hold"); code != 200 {
				t.Errorf("%s, held: %d", name, code)
			}
		})
		<-l.holding
	}
	code, body, header := post(t, url+"/v1/embeddings", `{"model":"a","input":"x"}`)
	if code != 503 || header.Get("Retry-After") == "" || !strings.Contains(body, "no_room") {
		t.Errorf("without room: %d %s", code, body)
	}
	wg.Go(func() {
		if code := ask("a", "x"); code != 200 {
			t.Errorf("a, when there is room again: %d", code)
		}
	})
	time.Sleep(20 * time.Millisecond)
	close(l.hold)
	wg.Wait()
	if got := strings.Join(l.order, " "); got != "+a +b +c -a -c +a -a +c -b +a" && got != "+a +b +c -a -c +a -a +c -c +a" {
		t.Errorf("opened and closed: %s", got)
	}

	before := l.opened.Load()
	for i := range 8 {
		wg.Go(func() {
			for j := range 40 {
				if code := ask(string(rune('a'+(i*j+i+j)%3)), "x"); code != 200 && code != 503 {
					t.Errorf("%d", code)
				}
			}
		})
	}
	wg.Wait()
	if l.opened.Load() == before {
		t.Error("no model was ever opened again")
	}
}

// TestMemoryRefused: what cannot be opened is told when the server starts, or by the request that wants it.
func TestMemoryRefused(t *testing.T) {
	l := &library{t: t, most: 3}
	if _, err := serve.New(serve.Options{Sources: []serve.Source{l.source("a"), l.source("b")}, Memory: 99}); err == nil || !strings.Contains(err.Error(), "model a takes 100 bytes") || l.open.Load() != 0 {
		t.Errorf("%v; %d models are open", err, l.open.Load())
	}
	if _, err := serve.New(serve.Options{Sources: []serve.Source{l.source("a"), l.source("a")}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%v", err)
	}
	l = &library{t: t, most: 3}
	gone := l.source("gone")
	open := gone.Open
	gone.Open = func() (*serve.Model, error) {
		if l.opened.Load() >= 3 {
			return nil, errors.New("the file is gone")
		}
		return open()
	}
	_, url := start(t, serve.Options{Sources: []serve.Source{gone, l.source("b"), l.source("c")}, Memory: 200}, generate.EngineOptions{})
	for range 2 {
		if code, body, _ := post(t, url+"/v1/embeddings", `{"model":"gone","input":"x"}`); code != 500 || strings.Contains(body, "file") {
			t.Errorf("%d %s", code, body)
		}
	}
	if code, body, _ := post(t, url+"/v1/embeddings", `{"model":"c","input":"x"}`); code != 200 {
		t.Errorf("the others: %d %s", code, body)
	}
	if got := fmt.Sprint(loaded(t, url)); got != "tiny c" {
		t.Errorf("%q is loaded", got)
	}
}
