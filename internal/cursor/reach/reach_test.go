package reach_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"composer-api/internal/cursor/reach"
)

// servers are what an address may lead to: by the name in the cases.
func servers(t *testing.T) map[string]string {
	t.Helper()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	plain := httptest.NewServer(hello)
	secured := func(http2 bool) *httptest.Server {
		s := httptest.NewUnstartedServer(hello)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the handshakes
		s.EnableHTTP2 = http2
		s.StartTLS()
		return s
	}
	secure, secure1 := secured(true), secured(false)
	t.Cleanup(func() { plain.Close(); secure.Close(); secure1.Close() })
	return map[string]string{
		"http": plain.Listener.Addr().String(), "https": secure.Listener.Addr().String(), "https without HTTP/2": secure1.Listener.Addr().String(),
		"nobody": "127.0.0.1:1", // a port that the kernel gives to nobody by chance
	}
}

// TestTheCauseIsNamed makes the mistakes that people make, with the transports of the clients that they hit.
func TestTheCauseIsNamed(t *testing.T) {
	where := servers(t)
	http1, http2 := new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetHTTP2(true)
	http2.SetUnencryptedHTTP2(true)
	trusting := &tls.Config{InsecureSkipVerify: true}
	for _, test := range []struct {
		name, scheme, server string
		protocols            *http.Protocols
		tls                  *tls.Config
		want                 string
	}{
		{"refused", "http", "nobody", http1, nil, "the connection was refused, so nothing listens there; check SETTING"},
		{"refused, HTTP/2", "https", "nobody", http2, nil, "the connection was refused, so nothing listens there; check SETTING"},
		{"https for http", "https", "http", http1, nil, "http is spoken there, not https; write http:// in SETTING"},
		{"https for http, HTTP/2", "https", "http", http2, nil, "http is spoken there, not https; write http:// in SETTING"},
		{"http for https", "http", "https", http1, nil, "https is spoken there, not http; write https:// in SETTING"},
		{"http for https, HTTP/2", "http", "https", http2, nil, "the connection was closed at once; if https is spoken there, write https:// in SETTING"},
		{"HTTP/2 for HTTP/1", "http", "http", http2, nil, "HTTP/2 is not spoken there; check SETTING"},
		{"HTTP/2 for HTTP/1 with TLS", "https", "https without HTTP/2", http2, trusting, "HTTP/2 is not spoken there; check SETTING"},
		{"a certificate that has ended", "https", "https", http1, &tls.Config{Time: func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }}, "its certificate has ended, or is not good yet, by this machine's clock; look at the clock, or ask who runs the host to renew the certificate"},
		{"a certificate of nobody's", "https", "https", http1, nil, "its certificate is not trusted; name its authority with COMPOSER_CA_FILE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			transport := &http.Transport{Protocols: test.protocols, TLSClientConfig: test.tls}
			defer transport.CloseIdleConnections()
			target := &url.URL{Scheme: test.scheme, User: url.UserPassword("me", "hunter2"), Host: where[test.server], Path: "/private"}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target.String(), strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := transport.RoundTrip(req)
			var message string
			if err == nil {
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				told := reach.WrongScheme(target, "SETTING", resp.StatusCode, body)
				if told == nil {
					t.Fatalf("it was reached: %s %s", resp.Status, body)
				}
				message = told.Message
			} else {
				message = reach.Error(target, "SETTING", err).Message
			}
			told, ok := strings.CutPrefix(message, "Cursor can't be reached at "+test.scheme+"://"+target.Host+": ")
			// HTTP/2's client may lose the cause when the other side closes at the same moment.
			lost := test.protocols == http2 && strings.HasPrefix(told, "the connection was closed at once")
			if !ok || told != test.want+"." && !lost {
				t.Errorf("it says %q, want %q (%v)", message, test.want, err)
			}
		})
	}
}

func TestAProxyThatRefuses(t *testing.T) {
	for status, want := range map[int]string{
		407: "the proxy asks for a login; put its name and password into HTTPS_PROXY, as in http://name:password@proxy:3128",
		403: "the proxy does not let connections to this host pass (403); ask who runs it, or check HTTPS_PROXY",
		502: "the proxy could not connect to this host (502)",
	} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer proxy.Close()
		at, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		at.User = url.UserPassword("me", "hunter2")
		transport := &http.Transport{Proxy: http.ProxyURL(at), OnProxyConnectResponse: reach.Connected}
		target := &url.URL{Scheme: "https", Host: "cursor.test", Path: "/"}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
			t.Fatal("it was reached")
		}
		if got := reach.Error(target, "SETTING", err); got.Message != "Cursor can't be reached at https://cursor.test: "+want+"." || strings.Contains(got.Error(), "hunter2") {
			t.Errorf("%d is told as %q (%v)", status, got.Message, got)
		}
	}
}

func TestCausesThatAServerCanNotShow(t *testing.T) {
	target := &url.URL{Scheme: "https", Host: "cursor.test"}
	op := func(op string, err error) error {
		return &url.Error{Op: "Post", URL: "/", Err: &net.OpError{Op: op, Net: "tcp", Err: err}}
	}
	for want, err := range map[string]error{
		"there is no host of this name; check SETTING":                                                              op("dial", &net.DNSError{Err: "no such host", IsNotFound: true}),
		"the name of the host can't be looked up now":                                                               op("dial", &net.DNSError{Err: "server misbehaving", IsTemporary: true}),
		"the proxy can't be reached; check HTTPS_PROXY":                                                             op("proxyconnect", syscall.ECONNREFUSED),
		"there is no route to the host; check the network":                                                          op("dial", os.NewSyscallError("connect", syscall.EHOSTUNREACH)),
		"the connection was refused, so nothing listens there; check SETTING":                                       op("dial", os.NewSyscallError("connectex", syscall.Errno(10061))),
		"there was no answer in time; check the network and SETTING":                                                op("dial", os.ErrDeadlineExceeded),
		"the connection was closed at once":                                                                         io.EOF,
		"this machine has no more files or sockets to give; raise the limit of open files (ulimit -n, LimitNOFILE)": op("dial", os.NewSyscallError("socket", syscall.EMFILE)),
		"the connection failed":                                                                                     errors.New("who knows"),
	} {
		if got := reach.Error(target, "SETTING", err).Message; got != "Cursor can't be reached at https://cursor.test: "+want+"." {
			t.Errorf("%v is told as %q", err, got)
		}
	}
	if told := reach.WrongScheme(target, "SETTING", 400, []byte("HTTP request to an HTTPS server")); told != nil {
		t.Errorf("https is told as http: %v", told)
	}
	if told := reach.WrongScheme(&url.URL{Scheme: "http", Host: "cursor.test"}, "SETTING", 400, []byte(`{"error":"bad request"}`)); told != nil {
		t.Errorf("any 400 is told as a wrong scheme: %v", told)
	}
}

// TestAnswersThatAreNotCursors has what proxies, firewalls and login pages of networks answer in Cursor's place.
func TestAnswersThatAreNotCursors(t *testing.T) {
	target := &url.URL{Scheme: "https", Host: "cursor.test", Path: "/auth", User: url.UserPassword("me", "hunter2")}
	for _, test := range []struct {
		status         int
		kind, location string
		want           string // "" for an answer that is Cursor's
	}{
		{200, "text/html", "", ""},
		{403, "application/json", "", ""},
		{404, "text/html", "", ""},
		{429, "text/html", "", ""},
		{502, "text/html", "", ""},
		{401, "text/html; charset=utf-8", "", "the answer is a web page with status 401, as a proxy or a firewall gives; let requests to this host pass"},
		{403, "text/html", "", "the answer is a web page with status 403, as a proxy or a firewall gives; let requests to this host pass"},
		{407, "", "", "a proxy on the way asks for a login; put its name and password into HTTPS_PROXY"},
		{511, "text/html", "", "the network here asks for a login first; open a page in a browser"},
		{302, "", "https://login.test/?token=hunter2", "the answer is a redirect to https://login.test; check SETTING, and whether the network here asks for a login"},
		{308, "", "/elsewhere", "the answer is a redirect; check SETTING, and whether the network here asks for a login"},
		{301, "", "http://%zz", "the answer is a redirect; check SETTING, and whether the network here asks for a login"},
		{304, "", "", "the answer is a redirect; check SETTING, and whether the network here asks for a login"},
	} {
		resp := &http.Response{StatusCode: test.status, Header: http.Header{"Content-Type": {test.kind}, "Location": {test.location}}}
		got := ""
		if told := reach.Intercepted(target, "SETTING", resp); told != nil {
			got = told.Message
		}
		if test.want != "" {
			test.want = "Cursor can't be reached at https://cursor.test: " + test.want + "."
		}
		if got != test.want {
			t.Errorf("%d %s is told as %q, want %q", test.status, test.kind, got, test.want)
		}
	}
}
