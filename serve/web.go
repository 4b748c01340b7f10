package serve

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
)

// dist is the web page as `make web` builds it from web/src.
//
//go:embed web/dist
var dist embed.FS

// pageKinds are the files of the page, and what they are. The page itself, index.html, is at /, the others below /web/.
var pageKinds = map[string]string{
	"index.html": "text/html; charset=utf-8",
	"app.js":     "text/javascript; charset=utf-8",
	"app.css":    "text/css; charset=utf-8",
	"icon.svg":   "image/svg+xml",
}

// pageFile is a file of the page as it is sent.
type pageFile struct {
	plain, gzip []byte
	etag        string
}

// pageFiles are made when the first is asked for.
var pageFiles = sync.OnceValues(func() (map[string]*pageFile, error) {
	files := map[string]*pageFile{}
	for name := range pageKinds {
		plain, err := dist.ReadFile("web/dist/" + name)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is known, and a buffer takes all
		w.Write(plain)
		w.Close()
		sum := sha256.Sum256(plain)
		files[name] = &pageFile{plain: plain, gzip: b.Bytes(), etag: hex.EncodeToString(sum[:16])}
	}
	return files, nil
})

// policy lets the page load and ask what comes from this server, and nothing else: no script or style within the page, no frames, no forms, and
// no way from a text to markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// page answers GET / and GET /web/NAME.
func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if r.URL.Path == "/" {
		name = "index.html"
	}
	files, err := pageFiles()
	if err != nil {
		return err
	}
	f := files[name]
	if f == nil {
		return notFound(r)
	}
	h := w.Header()
	h.Set("Content-Type", pageKinds[name])
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // asked again each time, and answered with 304
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.plain, `"`+f.etag+`"`
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, etag = f.gzip, `"`+f.etag+`-gzip"`
	}
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, err = w.Write(body)
	return err
}
