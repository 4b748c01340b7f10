package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what GET /metrics tells. Their labels are routes, statuses and names of models, never what clients send.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	firsts   *prometheus.HistogramVec
	events   *prometheus.HistogramVec
	counted  *prometheus.CounterVec
	images   *prometheus.CounterVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plinth_requests_total", Help: "Requests answered."}, []string{"route", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plinth_request_seconds", Help: "Time of a request.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}, []string{"route"}),
		firsts:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plinth_first_token_seconds", Help: "Time to the first token of a request.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}, []string{"model"}),
		events:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "plinth_event_seconds", Help: "Time from the end of the step that chose a token until the server is done with it, in a stream until it is written.", Buckets: prometheus.ExponentialBuckets(8e-6, 2, 16)}, []string{"model"}),
		counted:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plinth_tokens_total", Help: "Tokens of prompts and of answers."}, []string{"model", "kind"}),
		images:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plinth_images_total", Help: "Pictures of requests."}, []string{"model"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.firsts, m.events, m.counted, m.images, collectors.NewGoCollector())
	for part, bytes := range map[string]func() float64{"automata": s.compiled.automata, "states": func() float64 { return float64(s.compiled.found.Used()) }} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plinth_constraint_bytes", Help: "Memory of constraints on answers.", ConstLabels: prometheus.Labels{"part": part}}, bytes))
	}
	for _, p := range s.shelf.places {
		name := prometheus.Labels{"model": p.name}
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plinth_model_loaded", Help: "1: the model is in memory.", ConstLabels: name}, func() float64 {
			if s.shelf.loaded(p) == nil {
				return 0
			}
			return 1
		}))
		if !p.able(writes) {
			continue
		}
		load := func() generate.Load {
			if model := s.shelf.loaded(p); model != nil {
				return model.Engine.Load()
			}
			return generate.Load{}
		}
		for _, g := range []struct {
			name, help string
			value      func() float64
		}{
			{"plinth_active_sequences", "Sequences that are computed.", func() float64 { return float64(load().Active) }},
			{"plinth_waiting_sequences", "Sequences that wait for a slot.", func() float64 { return float64(load().Waiting) }},
			{"plinth_waiting_tokens", "Prompt tokens of sequences that wait.", func() float64 { return float64(load().Tokens) }},
			{"plinth_cache_bytes", "Memory of keys and values.", func() float64 { return float64(load().CacheBytes) }},
		} {
			m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help, ConstLabels: name}, g.value))
		}
	}
	return m
}

func (m *metrics) request(route string, status int, d time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(d.Seconds())
}

func (m *metrics) first(model *Model, d time.Duration) {
	m.firsts.WithLabelValues(model.Name).Observe(d.Seconds())
}

func (m *metrics) event(model *Model, d time.Duration) {
	m.events.WithLabelValues(model.Name).Observe(d.Seconds())
}

func (m *metrics) tokens(model *Model, u usage) {
	m.counted.WithLabelValues(model.Name, "prompt").Add(float64(u.Prompt))
	m.counted.WithLabelValues(model.Name, "cached").Add(float64(u.Details.Cached))
	m.counted.WithLabelValues(model.Name, "answer").Add(float64(u.Completion))
}

func (m *metrics) seen(model *Model, pictures int) {
	m.images.WithLabelValues(model.Name).Add(float64(pictures))
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
	return nil
}
