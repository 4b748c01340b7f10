package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/plinth-ml/plinth/generate"
)

// events writes server-sent events. After an error nothing more is written.
type events struct {
	w    http.ResponseWriter
	c    *http.ResponseController
	slow time.Duration
	buf  []byte
	err  error
}

// stream begins an answer of events.
func (s *Server) stream(w http.ResponseWriter) *events {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &events{w: w, c: http.NewResponseController(w), slow: s.o.SlowReader}
}

// send writes an event with an object, or with a text as it is. A client that does not read in time is cut off.
func (e *events) send(name string, data any) {
	if e.err != nil {
		return
	}
	e.buf = e.buf[:0]
	if name != "" {
		e.buf = append(append(append(e.buf, "event: "...), name...), '\n')
	}
	e.buf = append(e.buf, "data: "...)
	if text, ok := data.(string); ok {
		e.buf = append(e.buf, text...)
	} else {
		b, err := json.Marshal(data)
		if err != nil {
			e.err = err
			return
		}
		e.buf = append(e.buf, b...)
	}
	e.buf = append(e.buf, "\n\n"...)
	e.c.SetWriteDeadline(time.Now().Add(e.slow))
	if _, e.err = e.w.Write(e.buf); e.err == nil {
		e.err = e.c.Flush()
	}
}

// inPieces says what an answer sends while a job is written.
type inPieces struct {
	begin func(send func(piece any))
	token func(send func(piece any), i int, t generate.Token, text string)
	end   func(send func(piece any), i int, c *choice)
	usage func(u usage) any // the last piece, where it is asked for

	// Of APIs other than OpenAI's first: what comes at the end instead of usage and [DONE], and what an error is told with.
	last   func(send func(piece any), u usage)
	failed func(e *apiError) any
}

// event is a piece with a name.
type event struct {
	name string
	data any
}

// answerInPieces runs a job and sends its choices as they are written. A client that goes away ends the job.
func (s *Server) answerInPieces(w http.ResponseWriter, r *http.Request, j *job, o *streamOptions, p inPieces) error {
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	if err := s.start(ctx, j); err != nil {
		return err
	}
	if j.cut > 0 { // a stream tells usage only where it is asked for
		w.Header().Set("Plinth-Truncated-Tokens", strconv.Itoa(j.cut))
	}
	e := s.stream(w)
	send := func(piece any) {
		if ev, ok := piece.(event); ok {
			e.send(ev.name, ev.data)
		} else {
			e.send("", piece)
		}
		if e.err != nil {
			cut()
		}
	}
	p.begin(send)
	choices, _, u, err := s.run(ctx, j, func(i int, t generate.Token, text string) { p.token(send, i, t, text) })
	if e.err != nil {
		return e.err
	}
	if err != nil {
		var failure *apiError
		if !errors.As(err, &failure) {
			s.log("error", "error", err.Error())
			failure = &apiError{Status: http.StatusInternalServerError, Message: "the server failed in the midst of the answer", Type: "server_error"}
		}
		if p.failed != nil {
			send(p.failed(failure))
		} else {
			send(map[string]*apiError{"error": failure})
		}
		return nil
	}
	for i, c := range choices {
		p.end(send, i, c)
	}
	if p.last != nil {
		p.last(send, u)
		return e.err
	}
	if o != nil && o.IncludeUsage {
		send(p.usage(u))
	}
	e.send("", "[DONE]")
	return e.err
}
