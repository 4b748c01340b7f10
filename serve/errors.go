package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// apiError is an error as the API tells it.
type apiError struct {
	Status     int    `json:"-"`
	Message    string `json:"message"`
	Type       string `json:"type"`
	Param      string `json:"param,omitempty"`
	Code       string `json:"code,omitempty"`
	RetryAfter int    `json:"-"` // seconds
}

func (e *apiError) Error() string { return e.Message }

// Refuse is an error of Model's functions that is the request's fault: the server answers 400, and names the field.
func Refuse(field string, err error) error { return badRequest(field, "%v", err) }

// badRequest is a field that cannot be as it is.
func badRequest(param, format string, args ...any) error {
	return &apiError{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: param, Message: param + ": " + fmt.Sprintf(format, args...)}
}

// writeError answers with an error. What is not an apiError is told in general words only: it may hold paths.
func (s *Server) writeError(w http.ResponseWriter, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		s.log("error", "error", err.Error())
		e = &apiError{Status: http.StatusInternalServerError, Type: "server_error", Message: "the server failed; its log says why"}
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	writeJSON(w, e.Status, map[string]*apiError{"error": e})
}

// writeJSON answers with an object.
func writeJSON(w http.ResponseWriter, status int, object any) {
	b, err := json.Marshal(object)
	if err != nil {
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}
