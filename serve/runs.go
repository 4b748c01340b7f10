package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
)

// A run directory, as train writes it, holds the lines of its metrics and the options in force.
const (
	metricsFile = "metrics.jsonl"
	optionsFile = "train.json"
)

// Bounds of what is read of run directories.
const (
	maxRuns      = 1000
	maxRunDepth  = 3       // folders below Options.Runs
	maxMetrics   = 4 << 20 // bytes of one answer
	maxOptions   = 1 << 20
	maxListed    = 20000 // entries of folders looked at for one list
	metricsCheck = 256   // bytes before a place whose hash says that the file is still the one that was read
)

// runInfo is a run in the list of GET /runs.
type runInfo struct {
	Name     string `json:"name"` // of its folder below Options.Runs, with slashes; "." is that folder itself
	Bytes    int64  `json:"bytes"`
	Modified int64  `json:"modified"` // milliseconds since 1970
}

// listRuns answers GET /runs: the folders that hold metrics.
func (s *Server) listRuns(w http.ResponseWriter, r *http.Request) error {
	list := []runInfo{}
	if s.o.Runs == nil {
		writeJSON(w, http.StatusOK, map[string]any{"enabled": false, "data": list})
		return nil
	}
	seen := 0
	err := fs.WalkDir(s.o.Runs.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a folder that cannot be read holds no run for us
		}
		if seen++; seen > maxListed || len(list) >= maxRuns {
			return fs.SkipAll
		}
		if !d.IsDir() {
			return nil
		}
		if info, err := s.o.Runs.Stat(path.Join(name, metricsFile)); err == nil && info.Mode().IsRegular() {
			list = append(list, runInfo{name, info.Size(), info.ModTime().UnixMilli()})
			if name != "." {
				return fs.SkipDir
			}
		}
		if name != "." && depth(name) >= maxRunDepth {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.writeTagged(w, r, map[string]any{"enabled": true, "data": list})
}

// depth is the number of folders of a path.
func depth(name string) int { return 1 + bytes.Count([]byte(name), []byte("/")) }

// writeTagged answers with an object, or with 304 where the client has it.
func (s *Server) writeTagged(w http.ResponseWriter, r *http.Request, object any) error {
	b, err := json.Marshal(object)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeJSON(w, http.StatusOK, json.RawMessage(b))
	return nil
}

// openRun opens a file of the run that a request names. os.Root keeps the name within Options.Runs, links included.
func (s *Server) openRun(r *http.Request, file string) (*os.File, error) {
	name := r.PathValue("name")
	missing := &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "name", Message: fmt.Sprintf("there is no run %q", clip(name, 100))}
	if s.o.Runs == nil || !fs.ValidPath(name) || name != "." && depth(name) > maxRunDepth {
		return nil, missing
	}
	f, err := s.o.Runs.Open(path.Join(name, file))
	if err != nil {
		return nil, missing
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(missing, f.Close())
	}
	return f, nil
}

// runOptions answers GET /runs/{name}/options with the options that the run was started with.
func (s *Server) runOptions(w http.ResponseWriter, r *http.Request) error {
	f, err := s.openRun(r, optionsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxOptions))
	if err != nil {
		return err
	}
	if !json.Valid(b) {
		return &apiError{Status: http.StatusUnprocessableEntity, Type: "server_error", Message: optionsFile + " of this run is no JSON"}
	}
	return s.writeTagged(w, r, json.RawMessage(b))
}

// metricsPiece is a part of a run's metrics: whole lines, from a place that the reader had come to.
type metricsPiece struct {
	From  int64             `json:"from"`  // 0, unless the file still has what was read before
	Next  int64             `json:"next"`  // where to go on
	Check string            `json:"check"` // to be sent with next
	More  bool              `json:"more"`  // there is more already
	Lines []json.RawMessage `json:"lines"`
}

// runMetrics answers GET /runs/{name}/metrics?from=N&check=C with the lines since a place. A run that was resumed has another file: check
// says so, and the reader begins again.
func (s *Server) runMetrics(w http.ResponseWriter, r *http.Request) error {
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if q := r.URL.Query(); q.Has("from") && (err != nil || from < 0) {
		return badRequest("from", "want a number of bytes")
	}
	f, err := s.openRun(r, metricsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	if from > 0 {
		if check, err := checkBefore(f, from); err != nil || check != r.URL.Query().Get("check") {
			from = 0
		}
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, maxMetrics))
	if err != nil {
		return err
	}
	p := metricsPiece{From: from, Lines: []json.RawMessage{}, More: len(b) == maxMetrics}
	end := bytes.LastIndexByte(b, '\n') + 1 // a line in the making waits
	for line := range bytes.Lines(b[:end]) {
		if json.Valid(line) {
			p.Lines = append(p.Lines, bytes.TrimSpace(line))
		}
	}
	p.Next = from + int64(end)
	if p.More = p.More && end > 0; p.Next > 0 {
		if p.Check, err = checkBefore(f, p.Next); err != nil {
			return err
		}
	}
	return s.writeTagged(w, r, p)
}

// checkBefore is a hash of what stands just before a place of a file.
func checkBefore(f *os.File, at int64) (string, error) {
	n := min(at, metricsCheck)
	b := make([]byte, n)
	if _, err := f.ReadAt(b, at-n); err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}
