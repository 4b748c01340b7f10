package serve

import (
	"net"
	"net/netip"
	"time"
)

// Public says whether an address is fetched from, whatever its port.
func Public(a netip.Addr) bool { return public(netip.AddrPortFrom(a, 443)) }

// PublicPort says whether an address is fetched from.
var PublicPort = public

// Reach lets a server fetch pictures from other addresses than public ones, by names that are looked up elsewhere, within a time.
func (s *Server) Reach(allowed func(netip.AddrPort) bool, names *net.Resolver, within time.Duration) {
	s.fetcher.reach(allowed, names)
	s.fetcher.time = within
}

// ReadPicture is a picture as a JSON text of a request says it: the bytes of a file, or an address.
func ReadPicture(text []byte) (file []byte, url string, err error) {
	p := readPicture(text)
	return p.file, p.url, p.err
}

// Elements are those of a list in JSON.
func Elements(b []byte) (list []string) {
	elements(b, func(_ int, b []byte) error {
		list = append(list, string(b))
		return nil
	})
	return list
}

// Members are those of an object in JSON.
func Members(b []byte) map[string]string {
	all := map[string]string{}
	members(b, func(name string, value []byte) error {
		all[name] = string(value)
		return nil
	})
	return all
}
