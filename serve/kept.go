package serve

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
)

// Bounds of what is kept.
const (
	maxKept      = 1024
	maxKeptBytes = 64 << 20
)

// kept are the newest answers of /v1/responses, in memory: none outlives the server.
type kept struct {
	mu    sync.Mutex
	list  []*keptResponse // the oldest first
	bytes int
}

// keptResponse is an answer with the conversation up to it.
type keptResponse struct {
	response *response
	messages []chatMessage
	scope    string // key that it belongs to
	bytes    int
}

// put keeps an answer of a key; the oldest go.
func (k *kept) put(scope string, r *keptResponse) {
	answer, _ := json.Marshal(r.response)
	conversation, _ := json.Marshal(r.messages)
	r.scope, r.bytes = scope, len(answer)+len(conversation)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list, k.bytes = append(k.list, r), k.bytes+r.bytes
	for len(k.list) > maxKept || k.bytes > maxKeptBytes {
		k.bytes -= k.list[0].bytes
		k.list = slices.Delete(k.list, 0, 1)
	}
}

// get returns the answer of a name that belongs to the key; nil: there is none.
func (k *kept) get(scope, id string) *keptResponse {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := k.find(scope, id); i >= 0 {
		return k.list[i]
	}
	return nil
}

func (k *kept) find(scope, id string) int {
	return slices.IndexFunc(k.list, func(r *keptResponse) bool { return r.scope == scope && r.response.ID == id })
}

// remove forgets an answer, and says whether there was one.
func (k *kept) remove(scope, id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.find(scope, id)
	if i < 0 {
		return false
	}
	k.bytes -= k.list[i].bytes
	k.list = slices.Delete(k.list, i, i+1)
	return true
}

// notKept is the answer where there is none.
func notKept() error {
	return &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Message: "there is no such answer, or it is kept no longer"}
}

// getResponse answers GET /v1/responses/ID.
func (s *Server) getResponse(w http.ResponseWriter, r *http.Request) error {
	k := s.kept.get(s.scope(r), r.PathValue("id"))
	if k == nil {
		return notKept()
	}
	writeJSON(w, http.StatusOK, k.response)
	return nil
}

// deleted is the answer of DELETE /v1/responses/ID.
type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// deleteResponse answers DELETE /v1/responses/ID.
func (s *Server) deleteResponse(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !s.kept.remove(s.scope(r), id) {
		return notKept()
	}
	writeJSON(w, http.StatusOK, deleted{id, "response", true})
	return nil
}
