package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// An answer has the tokens that the server counted; a refusal is none and no failure, and anything else is one.
func TestAsk(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch text := string(body); {
		case strings.Contains(text, "busy"):
			w.WriteHeader(http.StatusTooManyRequests)
		case strings.Contains(text, "broken"):
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, "why")
		case strings.Contains(text, "torn"):
			io.WriteString(w, "data: {\n\n")
		default:
			io.WriteString(w, "data: {\"choices\":[]}\n\ndata: {\"choices\":[]}\n\ndata: {\"usage\":{\"completion_tokens\":7}}\n\ndata: [DONE]\n\n")
		}
	}))
	defer h.Close()
	s := &server{name: "it", url: h.URL, client: h.Client()}
	var r report
	for _, prompt := range []string{"a", "b", "busy", "broken", "torn"} {
		r.add(s.ask(t.Context(), prompt, 9, 0))
	}
	r.length = 2 * time.Second
	if r.tokens != 14 || r.rate() != 7 || len(r.whole) != 2 || len(r.firsts) != 2 || len(r.refuse) != 1 || r.failed != 2 {
		t.Errorf("%s", &r)
	}
	if text := r.String(); !strings.Contains(text, "2 answers, 7.0 tokens/s") || !strings.Contains(text, "1 refused") || !strings.Contains(text, `2 failed, the last with: serve: it: piece "{"`) {
		t.Error(text)
	}
	if a, err := s.ask(t.Context(), "a", 9, 2); err != nil || a.tokens != 0 || a.last != 0 {
		t.Errorf("left after two pieces: %+v, %v", a, err)
	}
	r.add(answer{}, errors.New("gone"))
	if r.failed != 3 || r.tokens != 14 {
		t.Errorf("%+v", &r)
	}
}
