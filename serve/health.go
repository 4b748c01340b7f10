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
	for _, m := range s.o.Models {
		if m.Engine == nil {
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
}

func (m *Model) info() modelInfo {
	return modelInfo{m.Name, "model", m.Created.Unix(), "plinth", m.Context, m.Dialogue != nil, m.abilities(), m.Dimensions, m.Labels}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	list := []modelInfo{}
	for _, m := range s.o.Models {
		list = append(list, m.info())
	}
	writeJSON(w, http.StatusOK, modelList{"list", list})
	return nil
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.model(r.PathValue("name"), "")
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, m.info())
	return nil
}
