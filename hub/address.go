package hub

import (
	"fmt"
	"net/url"
	"strings"
)

// parseAddress reads HUB/org/name, HUB/org/name/tree/REVISION, or HUB/org/name/KIND/REVISION/file with KIND blob, raw or resolve. What follows ? or # counts for
// nothing; a revision's slashes are written %2F. HUB is huggingface.co, hf.co or one of hubs, with or without https://. ok says that s is an address.
func parseAddress(s string, hubs []string) (r Ref, ok bool, err error) {
	text, _, _ := strings.Cut(s, "#")
	text, _, _ = strings.Cut(text, "?")
	path, full := cutScheme(text)
	rest, found := "", false
	for _, hub := range append([]string{DefaultEndpoint, "www.huggingface.co", "hf.co"}, hubs...) {
		host, _ := cutScheme(strings.TrimSuffix(hub, "/"))
		if n := len(host); n > 0 && len(path) > n && strings.EqualFold(path[:n], host) && path[n] == '/' {
			rest, found = path[n+1:], true
		}
	}
	if !found {
		if full {
			return r, true, fmt.Errorf("hub: %q is no address of %s; HF_ENDPOINT names another hub", s, DefaultEndpoint)
		}
		return r, false, nil
	}
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return r, true, fmt.Errorf("hub: %q: %w", s, err)
		}
	}
	switch {
	case parts[0] == "datasets" || parts[0] == "spaces":
		return r, true, fmt.Errorf("hub: %q is one of the hub's %s, not a model", s, parts[0])
	case len(parts) <= 2: // also org/name:file, as other programs write it
		r, err = parseName(strings.Join(parts, "/"))
		return r, true, err
	case len(parts) == 4 && parts[2] == "tree":
		r = Ref{Repo: parts[0] + "/" + parts[1], Revision: parts[3]}
	case len(parts) > 4 && (parts[2] == "blob" || parts[2] == "raw" || parts[2] == "resolve"):
		r = Ref{Repo: parts[0] + "/" + parts[1], Revision: parts[3], File: strings.Join(parts[4:], "/")}
	default:
		return r, true, fmt.Errorf("hub: %q is the address of no model and of no file: want %s/org/name or %s/org/name/blob/main/file", s, DefaultEndpoint, DefaultEndpoint)
	}
	if r.Revision == "main" {
		r.Revision = ""
	}
	return r, true, r.check()
}

// cutScheme takes http:// or https:// away and says whether it was there.
func cutScheme(s string) (string, bool) {
	for _, scheme := range []string{"https://", "http://"} {
		if n := len(scheme); len(s) >= n && strings.EqualFold(s[:n], scheme) {
			return s[n:], true
		}
	}
	return s, false
}
