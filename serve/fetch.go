package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// Bounds of fetching pictures from addresses that requests name.
const (
	maxAddress  = 2048 // bytes
	maxHops     = 3    // redirects
	maxFetchers = 4    // requests that fetch at once
	fetchTime   = 10 * time.Second
)

// fetcher gets pictures from other machines, and only from such as the whole internet reaches. What counts is the address that is dialled, at each hop: names, spellings of numbers
// and redirects all end there.
type fetcher struct {
	client http.Client
	dialer net.Dialer
	turn   turn
	most   int64         // bytes of the pictures of a request together
	time   time.Duration // that getting them may take
}

var (
	errNotPublic = errors.New("not a public address")
	errFetch     = errors.New("it could not be fetched from a public address") // no more: who asks should not learn what there is in the server's network
)

func newFetcher(most int64) *fetcher {
	f := &fetcher{turn: newTurn(maxFetchers), most: most, time: fetchTime}
	f.reach(public, nil)
	f.client.Transport = &http.Transport{ // no proxy, no connection that is used twice, no compression
		DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
			return f.dialer.DialContext(ctx, network, at)
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	f.client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > maxHops {
			return fmt.Errorf("more than %d redirects", maxHops)
		}
		r.Header.Del("Referer")
		return fetchable(r.URL)
	}
	return f
}

// reach sets which addresses are dialled, and who tells the addresses of names; nil: the system.
func (f *fetcher) reach(allowed func(netip.AddrPort) bool, names *net.Resolver) {
	f.dialer.Resolver = names
	f.dialer.Control = func(_, at string, _ syscall.RawConn) error { // behind the look-up, in front of each connection
		if to, err := netip.ParseAddrPort(at); err != nil || !allowed(to) {
			return errNotPublic
		}
		return nil
	}
}

// fetchable says whether a URL may be asked for at all.
func fetchable(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Opaque != "" {
		return errors.New("want an http or https address without a user's name")
	}
	return nil
}

// special are the parts of the address space that are not the public internet's though nothing in their bits says so: the registries of RFC 6890 as of 2026, and 168.63.129.16, where Azure's
// machines find their keeper.
var special = func() (list []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// unicast6 are the addresses of IPv6 that machines of the internet have. Outside are loopback, local and mapped addresses, and those that gateways turn into IPv4's (64:ff9b::/96).
var unicast6 = netip.MustParsePrefix("2000::/3")

// public says whether an address is another machine's, on the public internet, at a port for web pages.
func public(to netip.AddrPort) bool {
	a := to.Addr().Unmap()
	if to.Port() != 80 && to.Port() != 443 || a.Zone() != "" || a.Is6() && !unicast6.Contains(a) || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	if slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return false
	}
	own, err := net.InterfaceAddrs() // what listens here may be meant for here only
	return err == nil && !slices.ContainsFunc(own, func(o net.Addr) bool {
		n, ok := o.(*net.IPNet)
		return ok && n.IP.Equal(a.AsSlice())
	})
}

// fetchAll gets the pictures of a request that are addresses.
func (s *Server) fetchAll(ctx context.Context, list []*picture) error {
	i := slices.IndexFunc(list, func(p *picture) bool { return p.url != "" })
	switch {
	case i < 0:
		return nil
	case s.fetcher == nil:
		return badRequest(list[i].param, "this server fetches no pictures (plinth serve --image-urls): send a data: URL")
	}
	return s.fetcher.turn.take(ctx, func() error {
		ctx, stop := context.WithTimeout(ctx, s.fetcher.time)
		defer stop()
		left := s.fetcher.most
		for _, p := range list[i:] {
			if p.url == "" {
				continue
			}
			var err error
			if p.file, err = s.fetcher.fetch(ctx, p.url, left); err != nil {
				if context.Cause(ctx) == context.Canceled {
					return context.Canceled // the client went away
				}
				return badRequest(p.param, "%v", err)
			}
			left -= int64(len(p.file))
		}
		return nil
	})
}

// fetch gets a file of at most so many bytes.
func (f *fetcher) fetch(ctx context.Context, at string, most int64) ([]byte, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, errors.New("no address")
	}
	if err := fetchable(u); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("no address")
	}
	r.Header.Set("User-Agent", "plinth")
	r.Header.Set("Accept", "image/*")
	a, err := f.client.Do(r)
	if err != nil {
		return nil, errFetch
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the other server answers with status %d", a.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(a.Body, most+1))
	switch {
	case err != nil:
		return nil, errFetch
	case int64(len(b)) > most:
		return nil, fmt.Errorf("more than %d bytes", most)
	}
	return b, nil
}
