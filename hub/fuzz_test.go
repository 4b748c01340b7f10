package hub

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Foreign answers never panic, and give an error or files that are safe.
func FuzzListing(f *testing.F) {
	s := &server{files: map[string][]byte{"config.json": []byte("{}")}, lfs: map[string]bool{}}
	seed, _ := json.Marshal(s.listing())
	f.Add(seed)
	f.Add([]byte(`{"sha":"` + commit + `","siblings":[{"rfilename":"a/../b","size":1,"blobId":"` + commit + `","lfs":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Client{Endpoint: "http://hub.test", Wait: func(context.Context, time.Duration) error { return nil }}
		c.HTTP.Transport = answer(data)
		got, files, err := c.listing(t.Context(), whole)
		if err != nil {
			return
		}
		if !isCommit(got) {
			t.Errorf("commit %q", got)
		}
		for _, f := range files {
			if !filepath.IsLocal(f.Name) || !isHash(f.Hash) || f.Size < 0 {
				t.Errorf("file %+v", f)
			}
		}
	})
}

type answer []byte

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}
