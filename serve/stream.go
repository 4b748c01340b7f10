package serve

import (
	"encoding/json"
	"net/http"
	"time"
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
