package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plinth-ml/plinth/media"
)

// Options say what a server offers, to whom, and how much of it.
type Options struct {
	Models  []*Model
	Sources []Source // models that are opened when they are asked for, after each was opened once
	Memory  int64    // bytes that the models of Sources and their caches may take together; those used the longest ago are closed; 0: any number

	Keys  []string // of 8 bytes or more, any as "Authorization: Bearer KEY" or "X-Api-Key: KEY"; none: everybody may ask
	Hosts []string // names that requests may be addressed to beside loopback ones; "*": any
	Runs  *os.Root // folder with run directories of train, which are shown; nil: none

	MaxBody     int64         // bytes of a request; 0: 8 MiB
	QueueTokens int           // most prompt tokens that wait for a model; 0: four times its context, at least 32768
	MaxWait     time.Duration // longest time that a request may have to wait for a slot, as estimated; 0: a third of the time of an answer while all slots are busy, at least 2 s
	Stuck       time.Duration // time of one step after which the server counts as ill; 0: 30 s
	SlowReader  time.Duration // time that a client may take to read a piece of an answer; 0: 10 s
	LoadWait    time.Duration // time that a request waits for a model that other models in use leave no room for; 0: 30 s
	Constraints int           // bytes that all constraints of answers may take together, half of them automata; 0: 256 MiB
	Images      media.Limits  // of each picture; a zero Pixels is 2,097,152, other zero fields are media's defaults
	ImageURLs   bool          // fetch pictures from addresses on the public internet that requests name
	Log         *slog.Logger  // of requests, without their content; nil: none
}

const minKey = 8 // bytes of the shortest key

// Server is an http.Handler.
type Server struct {
	o        Options
	keys     [][sha256.Size]byte
	mux      *http.ServeMux
	started  time.Time
	metrics  *metrics
	shelf    *shelf
	kept     kept // answers of /v1/responses
	compiled *compiled
	viewers  turn          // of requests with pictures
	fetcher  *fetcher      // nil: nothing is fetched
	requests atomic.Uint64 // numbers ids
	active   atomic.Int64  // requests in progress that came before draining
	draining atomic.Bool
}

// New returns a server of models.
func New(o Options) (*Server, error) {
	s := &Server{o: o, mux: http.NewServeMux(), started: time.Now()}
	if s.o.MaxBody == 0 {
		s.o.MaxBody = 8 << 20
	}
	if s.o.Stuck == 0 {
		s.o.Stuck = 30 * time.Second
	}
	if s.o.SlowReader == 0 {
		s.o.SlowReader = 10 * time.Second
	}
	if s.o.Images.Pixels == 0 {
		s.o.Images.Pixels = defaultPixels
	}
	if s.o.Images.Bytes == 0 {
		s.o.Images.Bytes = defaultBytes
	}
	s.viewers = newTurn(maxViewers)
	if o.ImageURLs {
		s.fetcher = newFetcher(s.o.MaxBody)
	}
	for i, k := range o.Keys {
		if len(k) < minKey {
			return nil, fmt.Errorf("serve: key %d has %d bytes, want %d or more", i+1, len(k), minKey)
		}
		s.keys = append(s.keys, sha256.Sum256([]byte(k)))
	}
	var err error
	if s.shelf, err = newShelf(&s.o); err != nil {
		return nil, err
	}
	s.compiled = newCompiled(s.o.Constraints)
	s.metrics = newMetrics(s)
	for _, r := range routes() {
		s.mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { s.answer(w, req, r) })
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		s.answer(w, req, route{open: true, handle: func(_ *Server, _ http.ResponseWriter, req *http.Request) error { return notFound(req) }})
	})
	return s, nil
}

// notFound is the answer where no route is.
func notFound(r *http.Request) error {
	return &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Message: "there is no " + r.Method + " " + clip(r.URL.Path, 100)}
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// HTTP is a server with bounds on what clients that are slow, or send without end, can hold up.
func (s *Server) HTTP() *http.Server {
	h := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	if s.o.Log != nil {
		h.ErrorLog = slog.NewLogLogger(s.o.Log.Handler(), slog.LevelWarn)
	}
	return h
}

// Stop ends HTTP's server: new requests are refused, those of new connections too, and answers in progress finished. Those that are not when ctx ends are cut off, which is an
// error.
func (s *Server) Stop(ctx context.Context, h *http.Server) error {
	s.Drain()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.active.Load() > 0 && ctx.Err() == nil { // Shutdown would close the door on balancers that ask for health
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	err := h.Shutdown(ctx)
	return errors.Join(err, h.Close())
}

// Drain makes the server refuse new work; requests in progress go on.
func (s *Server) Drain() { s.draining.Store(true) }

// recorder knows whether an answer has begun.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// answer checks who asks, calls the route, and tells of its error.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, to route) {
	start := time.Now()
	if !s.draining.Load() {
		s.active.Add(1)
		defer s.active.Add(-1)
	}
	rec := &recorder{ResponseWriter: w}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log("panic", "route", to.pattern, "panic", fmt.Sprint(p))
			if rec.status == 0 {
				s.writeError(rec, errors.New("panic"), to.shape)
			}
		}
		s.metrics.request(to.pattern, rec.status, time.Since(start))
		s.log("request", "route", to.pattern, "status", rec.status, "seconds", time.Since(start).Seconds())
	}()
	err := s.admit(rec, r, to)
	if err == nil && to.streams {
		err = s.full(r)
	}
	if err == nil {
		ctx, give := s.leased(r.Context())
		defer give()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(rec, r.Body, s.o.MaxBody)
		err = to.handle(s, rec, r)
	}
	if err == nil {
		return
	}
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		rec.status = 499 // the client went away
		return
	}
	if rec.status == 0 {
		s.writeError(rec, err, to.shape)
	}
}

// admit says whether a request may be answered: it is addressed to this server, comes from no foreign page, and brings a key.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, to route) error {
	forbidden := func(format string, args ...any) error {
		return &apiError{Status: http.StatusForbidden, Type: "invalid_request_error", Message: fmt.Sprintf(format, args...)}
	}
	if !s.knows(r.Host) {
		return forbidden("this server does not answer to the host name of the request; see --host")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		_, host, ok := strings.Cut(origin, "://")
		if !ok || host != r.Host {
			return forbidden("requests from pages of other origins are refused")
		}
	}
	if to.open || len(s.keys) == 0 {
		return nil
	}
	if s.scope(r) == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return &apiError{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "invalid_api_key", Message: "no valid API key: send it as \"Authorization: Bearer KEY\""}
	}
	return nil
}

// knows says whether the server answers to a host, port included or not.
func (s *Server) knows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	return slices.Contains(s.o.Hosts, "*") || slices.Contains(s.o.Hosts, host)
}

// scope names the key of a request, for what is kept apart between keys; "" without a valid key.
func (s *Server) scope(r *http.Request) string {
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") { // RFC 9110, section 11.1: a scheme's name has no case
		key = r.Header.Get("X-Api-Key")
	}
	sum, found := sha256.Sum256([]byte(key)), 0
	for i := range s.keys {
		found |= subtle.ConstantTimeCompare(sum[:], s.keys[i][:])
	}
	if found == 0 {
		return ""
	}
	return hex.EncodeToString(sum[:8])
}

// log writes a line, where there is a log.
func (s *Server) log(message string, args ...any) {
	if s.o.Log != nil {
		s.o.Log.Info(message, args...)
	}
}

// id returns a name that no other answer of this server has.
func (s *Server) id(kind string) string {
	return fmt.Sprintf("%s-%x%04x", kind, s.started.UnixNano(), s.requests.Add(1))
}

// clip shortens a foreign text.
func clip(text string, n int) string {
	if len(text) > n {
		return text[:n] + "..."
	}
	return text
}
