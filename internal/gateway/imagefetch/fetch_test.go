package imagefetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"composer-api/internal/agent"
	"composer-api/internal/gateway/imagefetch"
)

// file is an image of w by h pixels whose colours are noise, so that it compresses badly, as the given format.
func file(format string, w, h int) string {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = byte(random.Uint32())
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, m)
	case "jpeg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 95})
	case "gif":
		p := image.NewPaletted(m.Rect, palette.Plan9)
		copy(p.Pix, m.Pix)
		err = gif.Encode(&b, p, nil)
	}
	if err != nil {
		panic(err)
	}
	return b.String()
}

// These have somewhat more than agent.MaxImageBytes.
var (
	largePNG = sync.OnceValue(func() string { return file("png", 800, 600) })
	largeGIF = sync.OnceValue(func() string { return file("gif", 1200, 1000) })
)

// webp is the smallest image of its kind, one pixel.
const webp = "RIFF\x22\x00\x00\x00WEBPVP8 \x16\x00\x00\x000\x01\x00\x9d\x01*\x01\x00\x01\x00\x0e\xc0\xfe%\xa4\x00\x03p\x00\x00\x00\x00"

// site serves images, and what pretends to be one. It is on loopback, which tests must allow.
func site(t *testing.T) (url string, hits *atomic.Int64) {
	hits = new(atomic.Int64)
	mux := http.NewServeMux()
	serve := func(path string, h http.HandlerFunc) { mux.HandleFunc(path, h) }
	content := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { hits.Add(1); io.WriteString(w, s) }
	}
	small := file("png", 2, 2)
	serve("/a.png", content(small))
	serve("/a.jpg", content(file("jpeg", 2, 2)))
	serve("/a.gif", content(file("gif", 2, 2)))
	serve("/a.webp", content(webp))
	serve("/large.png", content(largePNG()))
	serve("/largest", content(small+strings.Repeat("x", agent.MaxOriginalBytes-len(small))))
	serve("/too-large", content(small+strings.Repeat("x", agent.MaxOriginalBytes)))
	serve("/broken", content(small[:20]))
	serve("/megapixels", content("GIF89a\xff\xff\xff\xff"+largeGIF()[10:])) // the size stands there
	serve("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, small); err != nil {
				return
			}
		}
	})
	serve("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		io.WriteString(w, "<html>")
	})
	serve("/headers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 100<<10))
		io.WriteString(w, small)
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

// message is one with these images.
func message(urls ...string) agent.Message {
	m := agent.Message{Role: agent.User, Parts: []agent.Part{{Text: "Look."}}}
	for _, u := range urls {
		m.Parts = append(m.Parts, agent.Part{Image: &agent.Image{URL: u, Param: "at " + u}})
	}
	return m
}

// fetch fetches one image.
func fetch(t *testing.T, f *imagefetch.Fetcher, url string) *agent.Image {
	t.Helper()
	m := message(url)
	if err := f.Fetch(t.Context(), "ann", []agent.Message{m}); err != nil {
		t.Errorf("%s: %v", url, err)
	}
	return m.Parts[1].Image
}

func TestFetch(t *testing.T) {
	url, _ := site(t)
	f := imagefetch.New(imagefetch.Config{Allow: loopback})
	for path, want := range map[string]string{
		"/a.png": "image/png", "/a.jpg": "image/jpeg", "/a.gif": "image/gif", "/a.webp": "image/webp",
		"/large.png": "image/jpeg", "/largest": "image/png", "/redirect": "image/png",
	} {
		got := fetch(t, f, url+path)
		if got.Fault != nil || got.MIME != want || len(got.Data) == 0 || len(got.Data) > agent.MaxImageBytes || got.URL != url+path {
			t.Errorf("%s: %v, %s, %d bytes, URL %s", path, got.Fault, got.MIME, len(got.Data), got.URL)
		}
	}
}

func TestFetchRefuses(t *testing.T) {
	url, _ := site(t)
	for path, want := range map[string]string{
		"/none":       "its server answered 404",
		"/headers":    "it can't be reached",
		"/too-large":  "it is larger than 20 MB",
		"/endless":    "it is larger than 20 MB",
		"/megapixels": "it has more than 50 megapixels",
		"/broken":     "it can't be read as PNG, JPEG, GIF or WebP",
		"/page":       "it is not a PNG, JPEG, GIF or WebP image",
		"/svg":        "it is not a PNG, JPEG, GIF or WebP image",
		"/empty":      "it is not a PNG, JPEG, GIF or WebP image",
		"/loop":       "it redirects too often",
		"/to-file":    "it redirects to something that is no web address",
		"/to-private": "its address is not public",
	} {
		t.Run(path, func(t *testing.T) {
			refused(t, fetch(t, imagefetch.New(imagefetch.Config{Allow: loopback}), url+path), want)
		})
	}
}

// refused checks that an image can't be used by the client's fault, for the reason given.
func refused(t *testing.T, image *agent.Image, reason string) {
	t.Helper()
	e := image.Fault
	if e == nil {
		t.Fatal("no fault")
	}
	if e.Code != agent.InvalidValue || e.Param != image.Param || !strings.Contains(e.Message, ": "+reason+".") || image.Data != nil {
		t.Errorf("got %v, param %q", e, e.Param)
	}
	if strings.Contains(e.Error(), "http://") {
		t.Errorf("the URL would reach the log: %v", e)
	}
}

func TestPrivateAddressesAreRefusedInEveryDisguise(t *testing.T) {
	f := imagefetch.New(imagefetch.Config{})
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254", "10.1.2.3",
		"[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]",
	} {
		t.Run(host, func(t *testing.T) {
			refused(t, fetch(t, f, "http://"+host+"/a.png"), "its address is not public")
		})
	}
}

func TestNameThatLeadsInsideIsRefused(t *testing.T) {
	f := imagefetch.New(imagefetch.Config{Resolver: resolver(t, netip.MustParseAddr("192.168.0.7"))})
	refused(t, fetch(t, f, "http://innocent.example/a.png"), "its address is not public")
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
	messages := []agent.Message{message(url+"/a.png", url+"/a.png", url+"/a.jpg", url+"/none"), message(url+"/a.png", url+"/none")}
	if err := imagefetch.New(imagefetch.Config{Allow: loopback}).Fetch(t.Context(), "ann", messages); err != nil {
		t.Fatal(err)
	}
	if hits.Load() != 2 {
		t.Errorf("%d fetches", hits.Load())
	}
	messages[1].Parts[2].Image.Param = "another field"
	for _, m := range messages {
		for _, p := range m.Parts[1:] {
			if dead := strings.HasSuffix(p.Image.URL, "/none"); dead != (p.Image.Fault != nil) || dead != (len(p.Image.Data) == 0) {
				t.Errorf("%s: %d bytes, %v", p.Image.URL, len(p.Image.Data), p.Image.Fault)
			}
		}
	}
}

func TestInlineImagesAreFittedToo(t *testing.T) {
	large := []byte(largePNG())
	m := agent.Message{Parts: []agent.Part{
		{Text: "a"}, {Image: &agent.Image{Data: []byte(webp), MIME: "image/webp"}}, {Image: &agent.Image{Data: large, MIME: "image/png"}},
		{Image: &agent.Image{Data: []byte("\x89PNG\r\n\x1a\n and so on"), MIME: "image/png", Param: "p"}},
		{Image: &agent.Image{Data: []byte("x"), URL: "http://127.0.0.1/fetched"}},
	}}
	f := imagefetch.New(imagefetch.Config{})
	for range 2 { // the second time there is nothing to do
		if err := f.Fetch(t.Context(), "ann", []agent.Message{m}); err != nil {
			t.Error(err)
		}
	}
	if small := m.Parts[1].Image; string(small.Data) != webp || small.Original != nil || small.Fault != nil {
		t.Errorf("the small one: %+v", small)
	}
	sum := sha256.Sum256(large)
	if got := m.Parts[2].Image; len(got.Data) > agent.MaxImageBytes || got.MIME != "image/jpeg" || !bytes.Equal(got.Original, sum[:]) || got.Fault != nil {
		t.Errorf("the large one: %s, %d bytes, %v", got.MIME, len(got.Data), got.Fault)
	}
	refused(t, m.Parts[3].Image, "it can't be read as PNG, JPEG, GIF or WebP")
	if fetched := m.Parts[4].Image; len(fetched.Data) != 1 || fetched.Fault != nil {
		t.Errorf("what was fetched before: %+v", fetched)
	}
}

// The oldest are left out: a conversation may have had many images, and its client sends them all again.
func TestTooManyImages(t *testing.T) {
	url, _ := site(t)
	m := message(url+"/a.png", url+"/a.png", url+"/a.jpg", url+"/a.gif")
	if err := imagefetch.New(imagefetch.Config{MaxImages: 2, Allow: loopback}).Fetch(t.Context(), "ann", []agent.Message{m}); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Parts[1:] {
		if left := i < 2; left != (p.Image.Fault != nil) {
			t.Errorf("image %d: %v", i, p.Image.Fault)
		}
	}
}

func TestSlowServerIsGivenUp(t *testing.T) {
	url, _ := site(t)
	f := imagefetch.New(imagefetch.Config{Allow: loopback, Timeout: time.Millisecond})
	refused(t, fetch(t, f, url+"/silent"), "it takes too long")
}

func TestClientThatLeavesEndsTheFetch(t *testing.T) {
	url, _ := site(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := imagefetch.New(imagefetch.Config{Allow: loopback}).Fetch(ctx, "ann", []agent.Message{message(url + "/silent")})
	if agent.CodeOf(err) != agent.Canceled {
		t.Errorf("error %v", err)
	}
}

// One owner has many requests whose hosts don't answer. Another's image comes at once all the same.
func TestSlowHostsOfOneOwnerHoldUpNobodyElse(t *testing.T) {
	site, _ := site(t)
	arrived := make(chan struct{}, 100)
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(slow.Close)
	f := imagefetch.New(imagefetch.Config{Allow: loopback, Timeout: time.Hour, Concurrent: 6, PerOwner: 4})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var urls []string
			for j := range 4 {
				urls = append(urls, fmt.Sprintf("%s/%d-%d", slow.URL, i, j))
			}
			f.Fetch(ctx, "ann", []agent.Message{message(urls...)})
		})
	}
	for range 4 {
		<-arrived
	}
	m := message(site + "/a.png")
	if err := f.Fetch(t.Context(), "bob", []agent.Message{m}); err != nil || m.Parts[1].Image.Fault != nil {
		t.Errorf("bob's image: %v, %v", err, m.Parts[1].Image.Fault)
	}
	cancel()
	wg.Wait()
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
