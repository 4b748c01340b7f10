package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/internal/file"
)

// DefaultEndpoint is where models come from when nothing else is said.
const DefaultEndpoint = "https://huggingface.co"

// Client talks to a hub. The zero value asks DefaultEndpoint without a token.
type Client struct {
	Endpoint string                                           // scheme and host of the hub, and a path where a mirror has one; empty: DefaultEndpoint
	Token    string                                           // sent to that very host and to no other
	HTTP     http.Client                                      // its CheckRedirect is not used
	Tries    int                                              // attempts that together bring less than 16 KiB before a download fails; 0: 6
	Stall    time.Duration                                    // a connection that takes longer for 16 KiB, or for what is left, is given up; 0: 30 s
	Wait     func(ctx context.Context, d time.Duration) error // between attempts; nil: a timer

	variable string // of the environment, which gave Endpoint
}

// floor is the progress that keeps a download going: 16 KiB in Tries attempts, and in the time of Stall.
const floor = 16 << 10

// Environment returns the store and the client that Hugging Face's variables describe, read by getenv: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME,
// HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH and, under HF_HOME, the file token. With HF_HUB_OFFLINE set the client is nil: nothing may be fetched.
func Environment(getenv func(string) string) (Store, *Client, error) {
	home := getenv("HF_HOME")
	if home == "" {
		cache := getenv("XDG_CACHE_HOME")
		if cache == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return Store{}, nil, fmt.Errorf("hub: no place for models: %w; set HF_HOME", err)
			}
			cache = filepath.Join(user, ".cache")
		}
		home = filepath.Join(cache, "huggingface")
	}
	s := Store{Dir: getenv("HF_HUB_CACHE")}
	if s.Dir == "" {
		s.Dir = filepath.Join(home, "hub")
	}
	if v := strings.ToUpper(getenv("HF_HUB_OFFLINE")); v == "1" || v == "TRUE" || v == "YES" || v == "ON" {
		return s, nil, nil
	}
	c := &Client{Endpoint: getenv("HF_ENDPOINT"), Token: strings.TrimSpace(getenv("HF_TOKEN"))}
	if c.Endpoint != "" {
		c.variable = "HF_ENDPOINT"
	}
	if c.Token == "" {
		at := getenv("HF_TOKEN_PATH")
		if at == "" {
			at = filepath.Join(home, "token")
		}
		if data, err := file.Read(at, 4096); err == nil {
			c.Token = strings.TrimSpace(string(data))
		}
	}
	return s, c, nil
}

// remote is a file as the hub lists it.
type remote struct {
	Name string
	Size int64
	Hash string // SHA-256 (64 digits) or git object id (40)
}

// Limits on what a hub may say.
const (
	maxListing  = 64 << 20
	maxFiles    = 100_000
	maxFileSize = 1 << 44
)

// listing asks for the commit of a revision and its files.
func (c *Client) listing(ctx context.Context, r Ref) (commit string, files []remote, err error) {
	var answer struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   int64  `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	what := fmt.Sprintf("hub: %s@%s", r.Repo, r.revision())
	err = c.retry(ctx, func() (int64, error) {
		body, err := c.get(ctx, "/api/models/"+r.Repo+"/revision/"+url.PathEscape(r.revision())+"?blobs=true", 0)
		if err != nil {
			return 0, err
		}
		defer body.Close()
		data, err := io.ReadAll(io.LimitReader(body, maxListing+1))
		if err != nil {
			return 0, temporary{fmt.Errorf("%s: the list of files: %w", body.host, err)}
		}
		if len(data) > maxListing {
			return 0, fmt.Errorf("%s: the list of files has more than %d bytes", body.host, maxListing)
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return 0, fmt.Errorf("%s: the list of files: %w", body.host, err)
		}
		return 0, nil
	})
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", what, err)
	}
	if !isCommit(answer.SHA) {
		return "", nil, fmt.Errorf("%s: the server's commit %q is none", what, cut(answer.SHA))
	}
	if len(answer.Siblings) > maxFiles {
		return "", nil, fmt.Errorf("%s: %d files, more than %d", what, len(answer.Siblings), maxFiles)
	}
	for _, s := range answer.Siblings {
		f := remote{Name: s.Name, Size: s.Size, Hash: s.BlobID}
		if s.LFS != nil {
			f.Size, f.Hash = s.LFS.Size, s.LFS.SHA256
		}
		if err := checkPath(f.Name); err != nil {
			return "", nil, fmt.Errorf("%s: the server lists a file: %w", what, err)
		}
		if !isHash(f.Hash) {
			return "", nil, fmt.Errorf("%s: file %s: the server's hash %q is no SHA-256 and no git object id", what, f.Name, cut(f.Hash))
		}
		if f.Size < 0 || f.Size > maxFileSize {
			return "", nil, fmt.Errorf("%s: file %s: the server's size is %d", what, f.Name, f.Size)
		}
		files = append(files, f)
	}
	return answer.SHA, files, nil
}

// cut shortens foreign text in a message.
func cut(s string) string { return s[:min(len(s), 80)] }

// host names the server at u in messages, without its path: the address of a redirect may hold a signature. What gave the address is told where it may be wrong.
func (c *Client) host(u, home *url.URL) string {
	name := u.Scheme + "://" + u.Host
	if c.variable != "" && u.Host == home.Host {
		name += " (" + c.variable + ")"
	}
	return name
}

// get requests a path of the hub from byte `from` on and follows its redirects. The body begins at that byte. Errors name the host.
func (c *Client) get(ctx context.Context, path string, from int64) (*watched, error) {
	endpoint := strings.TrimSuffix(c.Endpoint, "/")
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+path, nil)
	if err != nil || req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		cancel(nil)
		return nil, fmt.Errorf("%s %q is no address of a hub: want one such as %s", cmp.Or(c.variable, "endpoint"), cut(endpoint), DefaultEndpoint)
	}
	req.Header.Set("User-Agent", "plinth")
	req.Header.Set("Accept-Encoding", "identity") // sizes and ranges are those of the file
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	home := *req.URL
	client := c.HTTP
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than 10 redirects")
		}
		if home.Scheme == "https" && next.URL.Scheme != "https" {
			return fmt.Errorf("redirect from https to %s", next.URL.Scheme)
		}
		if next.URL.Host != home.Host || next.URL.Scheme != home.Scheme {
			next.Header.Del("Authorization")
		}
		return nil
	}
	stall := c.Stall
	if stall == 0 {
		stall = 30 * time.Second
	}
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("less than %d bytes came in %v", floor, stall)) })
	res, err := client.Do(req)
	if err != nil {
		watch.Stop()
		cause := context.Cause(ctx)
		cancel(nil)
		host := c.host(&home, &home)
		if u := (*url.Error)(nil); errors.As(err, &u) {
			if at, e := url.Parse(u.URL); e == nil && at.Host != "" {
				host = c.host(at, &home) // of a redirect
			}
			err = u.Err
		}
		switch {
		case cause != nil:
			return nil, temporary{fmt.Errorf("%s: %w", host, cause)}
		case strings.Contains(err.Error(), "redirect"), strings.Contains(err.Error(), "unsupported protocol"):
			return nil, fmt.Errorf("%s: %w", host, err)
		}
		return nil, temporary{fmt.Errorf("%s: no answer: %w", host, err)}
	}
	watch.Reset(stall)
	body := &watched{ReadCloser: res.Body, ctx: ctx, cancel: cancel, watch: watch, stall: stall, host: c.host(res.Request.URL, &home)}
	if err := checkAnswer(res, from); err != nil {
		body.Close()
		return nil, fmt.Errorf("%s: %w", body.host, err)
	}
	return body, nil
}

// watched is a body that is given up when it comes too slowly.
type watched struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  *time.Timer
	stall  time.Duration
	host   string // who sends it, for messages
	got    int    // bytes since watch was set
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if w.got += n; w.got >= floor {
		w.got = 0
		w.watch.Reset(w.stall)
	}
	if cause := context.Cause(w.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause
	}
	return n, err
}

func (w *watched) Close() error {
	w.watch.Stop()
	w.cancel(nil)
	return w.ReadCloser.Close()
}

// temporary is an error after which another attempt makes sense, after a wait that the server asked for or none.
type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

// busy is a temporary error with the wait that the server asks for.
type busy struct {
	error
	wait time.Duration
}

// errRange says that the server does not go on where we stopped.
var errRange = errors.New("the server gives another part than asked for")

// checkAnswer tells what a status means.
func checkAnswer(res *http.Response, from int64) error {
	switch code := res.StatusCode; {
	case code == http.StatusOK && from == 0:
		return nil
	case code == http.StatusPartialContent && from > 0:
		var start int64
		if _, err := fmt.Sscanf(res.Header.Get("Content-Range"), "bytes %d-", &start); err != nil || start != from {
			return errRange
		}
		return nil
	case code == http.StatusOK, code == http.StatusRequestedRangeNotSatisfiable:
		return errRange
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("the hub refuses (%d%s): the model is private, gated or does not exist; a token goes into HF_TOKEN, and the licence of a gated model is accepted on its page", code, said(res))
	case code == http.StatusNotFound:
		return fmt.Errorf("the hub has no such model, revision or file (404%s)", said(res))
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return busy{fmt.Errorf("the hub is busy (%d)", code), retryAfter(res.Header.Get("Retry-After"))}
	case code >= 500, code == http.StatusRequestTimeout:
		return temporary{fmt.Errorf("the hub fails (%d)", code)}
	default:
		return fmt.Errorf("the hub answers %d%s", code, said(res))
	}
}

// said is the hub's own message.
func said(res *http.Response) string {
	if m := res.Header.Get("X-Error-Message"); m != "" {
		return fmt.Sprintf(", %q", cut(m))
	}
	return ""
}

// retryAfter reads seconds or a date; 0 when there is none.
func retryAfter(v string) time.Duration {
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Duration(min(n, math.MaxInt32)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// maxWait is the longest that a server may ask us to wait.
const maxWait = 5 * time.Minute

// retry calls attempt, which returns how many bytes it got on, until it succeeds, fails for good, or fails Tries times while less than floor comes.
func (c *Client) retry(ctx context.Context, attempt func() (n int64, err error)) error {
	tries, wait := c.Tries, c.Wait
	if tries == 0 {
		tries = 6
	}
	if wait == nil {
		wait = sleep
	}
	for failed, came := 0, int64(0); ; {
		n, err := attempt()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failed++
		if came += n; came >= floor {
			failed, came = 1, 0
		}
		pause := min(500*time.Millisecond<<(failed-1), 30*time.Second)
		var b busy
		switch {
		case errors.As(err, &b):
			if pause = max(pause, b.wait); pause > maxWait {
				return fmt.Errorf("%w and asks to wait %v", err, b.wait)
			}
		case !errors.As(err, new(temporary)):
			return err
		}
		if failed >= tries {
			return fmt.Errorf("%w (%d attempts, %d bytes)", err, failed, came)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
