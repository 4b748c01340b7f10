package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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
func (s *Server) writeError(w http.ResponseWriter, err error, shape func(*apiError) any) {
	var e *apiError
	if !errors.As(err, &e) {
		s.log("error", "error", err.Error())
		e = &apiError{Status: http.StatusInternalServerError, Type: "server_error", Message: "the server failed; its log says why"}
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if shape == nil {
		shape = func(e *apiError) any { return map[string]*apiError{"error": e} }
	}
	writeJSON(w, e.Status, shape(e))
}

// renamed is an error about a field that a request calls otherwise: names are old and new ones in turns, of a field or of the beginning of its path.
func renamed(err error, names ...string) error {
	var e *apiError
	if !errors.As(err, &e) {
		return err
	}
	for i := 0; i < len(names); i += 2 {
		if rest, ok := strings.CutPrefix(e.Param, names[i]); ok && (rest == "" || rest[0] == '[' || rest[0] == '.') {
			c := *e
			c.Param = names[i+1] + rest
			if text, ok := strings.CutPrefix(e.Message, e.Param); ok { // not where the message is one of OpenAI's own
				c.Message = c.Param + text
			}
			return &c
		}
	}
	return err
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

// within is an error about a field of an object that stands at a path.
func within(err error, path string) error {
	var e *apiError
	if !errors.As(err, &e) || strings.HasPrefix(e.Param, path) {
		return err
	}
	if e.Param == "body" {
		return renamed(err, "body", path)
	}
	return renamed(err, e.Param, path+"."+e.Param)
}
