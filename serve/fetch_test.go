package serve_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/serve"
)

func TestPublicAddresses(t *testing.T) {
	for _, a := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00::1"} {
		if !serve.Public(netip.MustParseAddr(a)) {
			t.Errorf("%s is refused", a)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "168.63.129.16",
		"192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::",
		"3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700::1111%eth0",
	} {
		if serve.Public(netip.MustParseAddr(a)) {
			t.Errorf("%s is fetched from", a)
		}
	}
	for _, port := range []uint16{0, 22, 25, 81, 6379, 8080} {
		if serve.PublicPort(netip.AddrPortFrom(netip.MustParseAddr("8.8.8.8"), port)) {
			t.Errorf("port %d is fetched from", port)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range own {
		if a, ok := netip.AddrFromSlice(o.(*net.IPNet).IP); ok && serve.Public(a) {
			t.Errorf("%s, this machine's, is fetched from", a)
		}
	}
}

// hidden counts the connections to a server that nobody outside may reach.
type hidden struct {
	net.Listener
	n *atomic.Int64
}

func (h hidden) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err == nil {
		h.n.Add(1)
	}
	return c, err
}

// outside is an internet in miniature: 127.0.0.2 counts as public, and what else is asked for leads to 127.0.0.1 and ::1, where connections are counted.
type outside struct {
	port    string
	hidden  atomic.Int64 // connections to what is hidden
	answers http.HandlerFunc
	names   *net.Resolver
	asked   sync.Map // look-ups of a name
}

// newOutside serves on one port of all three addresses. Names are in a DNS of its own: outside.test is public, flip.test only when it is asked for first, all others are hidden.
func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{}
	open, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("there is no second loopback address: %v", err)
	}
	_, o.port, _ = net.SplitHostPort(open.Addr().String())
	serveAt := func(l net.Listener, h http.Handler) {
		s := httptest.NewUnstartedServer(h)
		s.Listener.Close()
		s.Listener = l
		s.Start()
		t.Cleanup(s.Close)
	}
	serveAt(open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.answers(w, r) }))
	for _, at := range []string{"127.0.0.1:", "[::1]:"} {
		l, err := net.Listen("tcp", at+o.port)
		if err != nil {
			t.Logf("%s: %v", at, err)
			continue
		}
		serveAt(hidden{l, &o.hidden}, http.NotFoundHandler())
	}
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dns.Close() })
	go o.resolve(dns)
	o.names = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
	return o
}

// resolve answers questions for addresses (RFC 1035, section 4).
func (o *outside) resolve(dns net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := dns.ReadFrom(b)
		if err != nil {
			return
		}
		name, end := "", 12
		for end < n && b[end] > 0 {
			name += string(b[end+1:end+1+int(b[end])]) + "."
			end += 1 + int(b[end])
		}
		question := b[12 : end+5]
		kind := binary.BigEndian.Uint16(b[end+1:])
		seen, _ := o.asked.LoadOrStore(fmt.Sprint(name, kind), new(atomic.Int64))
		first := seen.(*atomic.Int64).Add(1) == 1
		address := netip.MustParseAddr("127.0.0.1")
		switch {
		case name == "outside.test." || name == "flip.test." && first:
			address = netip.MustParseAddr("127.0.0.2")
		case name == "mapped.test." && kind == 28:
			address = netip.MustParseAddr("::ffff:127.0.0.1")
		case kind == 28:
			address = netip.MustParseAddr("::1")
		}
		answer := append(append([]byte{}, b[:2]...), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
		answer = append(answer, question...)
		if data := address.AsSlice(); (kind == 28) == (len(data) == 16) && (kind == 1 || kind == 28) {
			answer[7] = 1
			answer = append(answer, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(data)))
			answer = append(answer, data...)
		}
		dns.WriteTo(answer, from)
	}
}

// addresses are ways to what is hidden behind a port: numbers in all spellings, names, schemes, and texts that parsers read in different ways.
func addresses(port string) (list []string) {
	for _, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "127.127.127.127",
		"[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2001::1]", "[fe80::1]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[::1%25lo]",
		"127。0。0。1", "①②⑦.⓪.⓪.①", "１２７.０.０.１", "%31%32%37.0.0.1", "169.254.169.254", "metadata.google.internal", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255",
		"inner.test", "mapped.test", "127.0.0.1.nip.test",
	} {
		list = append(list, "http://"+host+":"+port+"/red.png", "HTTPS://"+host+":"+port+"/red.png")
	}
	for _, text := range []string{
		"http://outside.test@127.0.0.1:P/", "http://127.0.0.1:P@outside.test/", "http://user:word@127.0.0.2:P/red.png", "http://@127.0.0.2:P/red.png", "http://127.0.0.1:P\\@outside.test/", "http://outside.test\\@127.0.0.1:P/", "http:\\\\127.0.0.1:P\\", "http:/\\127.0.0.1:P/",
		"http:/127.0.0.1:P/", "http:127.0.0.1:P/", "http:///127.0.0.1:P/", "http://127.0.0.1:P#@outside.test/", "http://127.0.0.1:P?@outside.test/", "http://127.0.0.1:P;outside.test/", "http://127.0.0.1:P%2eoutside.test/", "http://127.0.0.1:P\t/", "http://127.0.0.1:P\r\nHost: outside.test\r\n/", "http://127.0.0.1\x00.outside.test:P/",
		"http://[127.0.0.1]:P/", "http://:P/", "http://", "https:", "http://127.0.0.1:99999/", "http://127.0.0.1:-1/", "file:///etc/passwd", "file://127.0.0.1:P/", "gopher://127.0.0.1:P/_GET%20/", "ftp://127.0.0.1:P/", "dict://127.0.0.1:P/x", "ldap://127.0.0.1:P/", "jar:http://127.0.0.1:P/!/", "unix:///tmp/x", "javascript:1",
		"//127.0.0.1:P/", " http://127.0.0.1:P/", "\thttp://127.0.0.1:P/", "http\n://127.0.0.1:P/", "hTTp://127.0.0.1:P/", "http+unix://127.0.0.1:P/", "view-source:http://127.0.0.1:P/", "url:http://127.0.0.1:P/",
	} {
		list = append(list, strings.ReplaceAll(text, "P", port))
	}
	return list
}

// TestNoWayIn: no spelling of an address, by no entry point, with or without a redirect from a public server in front of it, leads to a connection to what is not public.
func TestNoWayIn(t *testing.T) {
	o := newOutside(t)
	o.answers = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.FormValue("to"), http.StatusFound)
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "http://127.0.0.1:"+o.port)
	}
	s, err := serve.New(serve.Options{Models: []*serve.Model{seer(t), taught(t, generate.EngineOptions{})}, ImageURLs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Reach(func(a netip.AddrPort) bool { return a.Addr().String() == "127.0.0.2" || serve.Public(a.Addr()) }, o.names, time.Minute)
	entries := map[string]string{
		"embeddings image":     `/v1/embeddings {"input":[{"image":"X"}]}`,
		"embeddings image_url": `/v1/embeddings {"input":{"type":"image_url","image_url":{"url":"X"}}}`,
		"embeddings modality":  `/v1/embeddings {"input":"X","modality":"image"}`,
		"embeddings messages":  `/v1/embeddings {"messages":[{"role":"user","content":[{"image_url":"X"}]}]}`,
		"classify image":       `/v1/classify {"labels":["red"],"input":{"image":"X"}}`,
		"classify image_url":   `/v1/classify {"labels":["red"],"input":[{"type":"image_url","image_url":{"url":"X"}}]}`,
		"chat":                 `/v1/chat/completions {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"X"}}]}]}`,
		"responses":            `/v1/responses {"input":[{"role":"user","content":[{"type":"input_image","image_url":"X"}]}]}`,
		"messages":             `/v1/messages {"max_tokens":4,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"X"}}]}]}`,
	}
	check := func(entry, address string) {
		t.Helper()
		quoted, _ := json.Marshal(address)
		path, body, _ := strings.Cut(strings.ReplaceAll(entries[entry], `"X"`, string(quoted)), " ")
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if n := o.hidden.Swap(0); n > 0 {
			t.Errorf("%s with %q: %d connections", entry, address, n)
		}
		if w.Code != 400 {
			t.Errorf("%s with %q: %d %s", entry, address, w.Code, w.Body)
		}
	}
	list := addresses(o.port)
	list = append(list, "http://flip.test:"+o.port+"/?to=http://flip.test:"+o.port+"/") // another address at the second look-up
	for _, address := range list {
		for entry := range entries {
			check(entry, address)
		}
		check("embeddings image", "http://outside.test:"+o.port+"/?to="+strings.NewReplacer("%", "%25", "#", "%23", "&", "%26", "+", "%2b").Replace(address))
	}
	var lines, answers bytes.Buffer
	for i, address := range list {
		quoted, _ := json.Marshal(address)
		for j, call := range []string{`"embed","arguments":{"input":{"image":X}}`, `"classify","arguments":{"input":{"image_url":X},"labels":["red"]}`} {
			fmt.Fprintf(&lines, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%s}}`+"\n", 2*i+j, strings.ReplaceAll(call, "X", string(quoted)))
		}
	}
	if err := s.MCP(t.Context(), &lines, &answers); err != nil || o.hidden.Load() > 0 || strings.Count(answers.String(), `"isError":true`) != 2*len(list) {
		t.Errorf("MCP: %v, %d connections, %d refused", err, o.hidden.Load(), strings.Count(answers.String(), `"isError":true`))
	}
	t.Logf("%d addresses by %d entry points", len(list), len(entries)+3)
}

// TestFetch: what is fetched from a public server, how it is asked, and what is too much.
func TestFetch(t *testing.T) {
	o := newOutside(t)
	picture := pngOf(t, 3, 2, red)
	var headers atomic.Pointer[http.Header]
	o.answers = func(w http.ResponseWriter, r *http.Request) {
		headers.Store(&r.Header)
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		switch r.URL.Path {
		case "/red.png":
			w.Header().Set("Content-Type", "text/html") // what it is its bytes say
			w.Write(picture)
		case "/hop":
			http.Redirect(w, r, "/red.png", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/text.png":
			io.WriteString(w, "no picture")
		case "/packed.png":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(picture)
			z.Close()
		case "/endless":
			for _, err := w.Write(picture); err == nil; _, err = w.Write(make([]byte, 1<<16)) {
			}
		case "/slow":
			w.Write(picture[:20])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			http.NotFound(w, r)
		}
	}
	s, err := serve.New(serve.Options{Models: []*serve.Model{seer(t)}, ImageURLs: true})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.Reach(func(a netip.AddrPort) bool { return a.Addr().String() == "127.0.0.2" }, o.names, time.Second)
	at := "http://outside.test:" + o.port
	for _, path := range []string{"/red.png", "/hop", "/red.png#@127.0.0.1"} {
		if v := vectors(t, h.URL, `"input":[{"text":"blue"},{"image":"`+at+path+`"},{"image_url":"`+dataURL(picture)+`"}]`); fmt.Sprint(v) != "[[0 0 1] [1 0 0] [1 0 0]]" {
			t.Errorf("%s: %v", path, v)
		}
		got := *headers.Load()
		for name := range got {
			if name != "User-Agent" && name != "Accept" && name != "Connection" {
				t.Errorf("%s is asked for with %s: %q", path, name, got[name])
			}
		}
	}
	for _, c := range []struct{ path, says string }{
		{"/loop", "could not be fetched"}, {"/nothing", "status 404"}, {"/text.png", "neither PNG"}, {"/packed.png", "neither PNG"}, {"/endless", "more than 8388608 bytes"}, {"/slow", "could not be fetched"}, {"/" + strings.Repeat("x", 2048), "at most 2048"},
	} {
		code, body, _ := post(t, h.URL+"/v1/embeddings", `{"input":[{"image":"`+at+c.path+`"}]}`)
		if code != 400 || !strings.Contains(body, c.says) || !strings.Contains(body, `"param":"input[0].image"`) {
			t.Errorf("%.20s: %d %s", c.path, code, body)
		}
	}
	if code, body, _ := post(t, h.URL+"/v1/embeddings", `{"input":[{"image":"`+at+`/endless"},{"image":"`+at+`/red.png"}]}`); code != 400 || bytes.Contains([]byte(body), []byte("127.0.0.2")) {
		t.Errorf("%d %s", code, body)
	}
}
