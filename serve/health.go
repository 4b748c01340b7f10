package serve

import (
	"net/http"
	"time"
)

// health answers GET /health: whether every engine goes on.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return &apiError{Status: http.StatusServiceUnavailable, Type: "server_error", Message: "stopping"}
	}
	for _, p := range s.shelf.places {
		m := s.shelf.loaded(p)
		if m == nil || m.Engine == nil {
			continue
		}
		if since := m.Engine.Load().Since; !since.IsZero() && time.Since(since) > s.o.Stuck {
			return &apiError{Status: http.StatusServiceUnavailable, Type: "server_error", Message: "a step of the engine does not end"}
		}
	}
	writeJSON(w, http.StatusOK, healthAnswer{"ok"})
	return nil
}

// healthAnswer is the answer of GET /health.
type healthAnswer struct {
	Status string `json:"status"`
}

// modelList is the answer of GET /v1/models.
type modelList struct {
	Object string      `json:"object"`
	Data   []modelInfo `json:"data"`
}

// modelInfo describes a model as GET /v1/models does.
type modelInfo struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Context int    `json:"max_model_len"`
	Chat    bool   `json:"chat"`

	Capabilities []ability `json:"capabilities"`
	Dimensions   int       `json:"dimensions,omitempty"`
	Labels       []string  `json:"labels,omitempty"`
	Loaded       bool      `json:"loaded" doc:"false: it is opened when it is asked for"`
}

func (m *Model) info() modelInfo {
	return modelInfo{m.Name, "model", m.Created.Unix(), "plinth", m.Context, m.Dialogue != nil, m.abilities(), m.Dimensions, m.Labels, true}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	list := []modelInfo{}
	for _, p := range s.shelf.places {
		list = append(list, s.shelf.info(p))
	}
	writeJSON(w, http.StatusOK, modelList{"list", list})
	return nil
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	p := s.shelf.find(r.PathValue("name"), "")
	if p == nil {
		return modelNotFound(r.PathValue("name"))
	}
	writeJSON(w, http.StatusOK, s.shelf.info(p))
	return nil
}
