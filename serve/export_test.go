package serve

import (
	"bytes"
	"fmt"
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

// WithoutLong is JSON without its texts of so many bytes.
var WithoutLong = withoutLong

// ReadEmbeddings reads the body of a request for embeddings as the server does, or by encoding/json alone, and writes out what it read.
func ReadEmbeddings(body []byte, plainly bool) (string, error) {
	var q embeddingRequest
	var err error
	if plainly {
		err = strict(bytes.NewReader(body), &q)
	} else {
		err = decodeRoomy(bytes.NewReader(body), int64(len(body)), &q)
	}
	text := fmt.Sprintf("%q %v %q %v %q %q %t", q.Model, q.Input.ids, q.Modality, q.Dimensions != nil, q.Format, q.User, q.Messages == nil)
	for _, list := range append([]embedMessage{{Content: messageContent{q.Input.items}}}, q.Messages...) {
		text += fmt.Sprintf("\n%q", list.Role)
		for _, i := range list.Content.items {
			text += fmt.Sprintf(" %q", i.texts)
			if i.picture != nil {
				text += fmt.Sprintf(" %x %q %v", i.picture.file, i.picture.url, i.picture.err)
			}
		}
	}
	return text, err
}
