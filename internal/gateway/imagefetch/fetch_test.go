package imagefetch_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/imagefetch"
)

const png = "\x89PNG\r\n\x1a\n and so on"

// site serves images, and what pretends to be one. It is on loopback, which tests must allow.
func site(t *testing.T) (url string, hits *atomic.Int64) {
	hits = new(atomic.Int64)
	mux := http.NewServeMux()
	serve := func(path string, h http.HandlerFunc) { mux.HandleFunc(path, h) }
	content := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { hits.Add(1); io.WriteString(w, s) }
	}
	serve("/a.png", content(png))
	serve("/a.jpg", content("\xff\xd8\xff\xe0"))
	serve("/a.gif", content("GIF89a"))
	serve("/a.webp", content("RIFF\x00\x00\x00\x00WEBPVP8 "))
	serve("/largest", content(png+strings.Repeat("x", agent.MaxImageBytes-len(png))))
	serve("/too-large", content(png+strings.Repeat("x", agent.MaxImageBytes)))
	serve("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, png); err != nil {
				return
			}
		}
	})
	serve("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		io.WriteString(w, "<html>")
	})
	serve("/svg", content("<svg xmlns='http://www.w3.org/2000/svg'/>"))
	serve("/empty", content(""))
	serve("/redirect", http.RedirectHandler("/a.png", http.StatusFound).ServeHTTP)
	serve("/loop", http.RedirectHandler("/loop", http.StatusFound).ServeHTTP)
	serve("/to-file", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
	})
	serve("/to-private", http.RedirectHandler("http://10.0.0.1/a.png", http.StatusFound).ServeHTTP)
	serve("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, hits
}

// loopback allows loopback beside what is public.
func loopback(a netip.AddrPort) bool { return a.Addr().IsLoopback() || imagefetch.Public(a.Addr()) }

// request has one message with these images.
func request(urls ...string) *agent.Request {
	m := agent.Message{Role: agent.User, Parts: []agent.Part{{Text: "Look."}}}
	for _, u := range urls {
		m.Parts = append(m.Parts, agent.Part{Image: &agent.Image{URL: u, Param: "at " + u}})
	}
	return &agent.Request{Messages: []agent.Message{m}}
}

func TestFetch(t *testing.T) {
	url, _ := site(t)
	f := imagefetch.New(imagefetch.Config{Allow: loopback})
	for path, want := range map[string]string{
		"/a.png": "image/png", "/a.jpg": "image/jpeg", "/a.gif": "image/gif", "/a.webp": "image/webp",
		"/largest": "image/png", "/redirect": "image/png",
	} {
		req := request(url + path)
		if err := f.Fetch(t.Context(), req); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		image := req.Messages[0].Parts[1].Image
		if image.MIME != want || len(image.Data) == 0 || image.URL != url+path {
			t.Errorf("%s: %s, %d bytes, URL %s", path, image.MIME, len(image.Data), image.URL)
		}
	}
}

func TestFetchRefuses(t *testing.T) {
	url, _ := site(t)
	for path, want := range map[string]string{
		"/none":       "its server answered 404",
		"/too-large":  "it is larger than 1 MB",
		"/endless":    "it is larger than 1 MB",
		"/page":       "it is not a PNG, JPEG, GIF or WebP image",
		"/svg":        "it is not a PNG, JPEG, GIF or WebP image",
		"/empty":      "it is not a PNG, JPEG, GIF or WebP image",
		"/loop":       "it redirects too often",
		"/to-file":    "it redirects to something that is no web address",
		"/to-private": "its address is not public",
	} {
		t.Run(path, func(t *testing.T) {
			err := imagefetch.New(imagefetch.Config{Allow: loopback}).Fetch(t.Context(), request(url+path))
			refused(t, err, "at "+url+path, want)
		})
	}
}

// refused checks that err is the client's fault, about param, and gives the reason.
func refused(t *testing.T, err error, param, reason string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if e := agent.AsError(err); e.Code != agent.InvalidValue || e.Param != param || !strings.Contains(e.Message, ": "+reason+".") {
		t.Errorf("got %v, param %q", e, e.Param)
	}
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("the URL would reach the log: %v", err)
	}
}

func TestPrivateAddressesAreRefusedInEveryDisguise(t *testing.T) {
	f := imagefetch.New(imagefetch.Config{})
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254", "10.1.2.3",
		"[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]",
	} {
		t.Run(host, func(t *testing.T) {
			u := "http://" + host + "/a.png"
			refused(t, f.Fetch(t.Context(), request(u)), "at "+u, "its address is not public")
		})
	}
}

func TestNameThatLeadsInsideIsRefused(t *testing.T) {
	f := imagefetch.New(imagefetch.Config{Resolver: resolver(t, netip.MustParseAddr("192.168.0.7"))})
	u := "http://innocent.example/a.png"
	refused(t, f.Fetch(t.Context(), request(u)), "at "+u, "its address is not public")
}

// resolver answers every question with addr.
func resolver(t *testing.T, addr netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerDNS(server, addr)
		t.Cleanup(func() { server.Close() })
		return client, nil
	}}
}

// answerDNS speaks DNS as it is over TCP: each message behind its length.
func answerDNS(c net.Conn, addr netip.Addr) {
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, raw); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(raw) != nil {
			return
		}
		m.Response = true
		m.Additionals = nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: addr.As4()},
			}}
		}
		answer, err := m.Pack()
		if err != nil {
			return
		}
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
}

func TestSameURLIsFetchedOnce(t *testing.T) {
	url, hits := site(t)
	req := request(url+"/a.png", url+"/a.png", url+"/a.jpg")
	req.Messages = append(req.Messages, request(url+"/a.png").Messages...)
	if err := imagefetch.New(imagefetch.Config{Allow: loopback}).Fetch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if hits.Load() != 2 {
		t.Errorf("%d fetches", hits.Load())
	}
	for _, m := range req.Messages {
		for _, p := range m.Parts[1:] {
			if len(p.Image.Data) == 0 {
				t.Errorf("%s has no bytes", p.Image.URL)
			}
		}
	}
}

func TestNothingToFetch(t *testing.T) {
	req := &agent.Request{Messages: []agent.Message{{Parts: []agent.Part{
		{Text: "a"}, {Image: &agent.Image{Data: []byte(png), MIME: "image/png"}}, {Image: &agent.Image{Data: []byte(png), URL: "http://127.0.0.1/fetched"}},
	}}}}
	if err := imagefetch.New(imagefetch.Config{}).Fetch(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestTooManyImages(t *testing.T) {
	f := imagefetch.New(imagefetch.Config{MaxImages: 2})
	err := f.Fetch(t.Context(), request("http://a", "http://a", "http://b", "http://c"))
	if e := agent.AsError(err); err == nil || e.Code != agent.InvalidValue || e.Param != "at http://c" {
		t.Errorf("error %v", err)
	}
}

func TestSlowServerIsGivenUp(t *testing.T) {
	url, _ := site(t)
	f := imagefetch.New(imagefetch.Config{Allow: loopback, Timeout: time.Millisecond})
	refused(t, f.Fetch(t.Context(), request(url+"/silent")), "at "+url+"/silent", "it takes too long")
}

func TestClientThatLeavesEndsTheFetch(t *testing.T) {
	url, _ := site(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := imagefetch.New(imagefetch.Config{Allow: loopback}).Fetch(ctx, request(url+"/silent"))
	if agent.CodeOf(err) != agent.Canceled {
		t.Errorf("error %v", err)
	}
}

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "::ffff:8.8.8.8": true, "2606:4700:4700::1111": true, "100.63.255.255": true, "100.128.0.0": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "127.255.255.255": false, "169.254.169.254": false,
		"172.31.255.255": false, "192.0.0.1": false, "192.168.1.1": false, "198.19.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::8.8.8.8": false, "64:ff9b:1::1": false,
		"100::1": false, "2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "3fff::1": false, "5f00::1": false,
		"fc00::1": false, "fd12::1": false, "fe80::1": false, "fe80::1%eth0": false, "2606:4700::1%eth0": false, "ff02::1": false,
	} {
		if got := imagefetch.Public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if imagefetch.Public(netip.Addr{}) {
		t.Error("the zero address is public")
	}
}
