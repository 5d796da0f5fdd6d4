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

func TestCausesThatAServerCanNotShow(t *testing.T) {
	target := &url.URL{Scheme: "https", Host: "cursor.test"}
	op := func(op string, err error) error {
		return &url.Error{Op: "Post", URL: "/", Err: &net.OpError{Op: op, Net: "tcp", Err: err}}
	}
	for want, err := range map[string]error{
		"there is no host of this name; check SETTING":                        op("dial", &net.DNSError{Err: "no such host", IsNotFound: true}),
		"the name of the host can't be looked up now":                         op("dial", &net.DNSError{Err: "server misbehaving", IsTemporary: true}),
		"the proxy can't be reached; check HTTPS_PROXY":                       op("proxyconnect", syscall.ECONNREFUSED),
		"there is no route to the host; check the network":                    op("dial", os.NewSyscallError("connect", syscall.EHOSTUNREACH)),
		"the connection was refused, so nothing listens there; check SETTING": op("dial", os.NewSyscallError("connectex", syscall.Errno(10061))),
		"there was no answer in time; check the network and SETTING":          op("dial", os.ErrDeadlineExceeded),
		"the connection was closed at once":                                   io.EOF,
		"the connection failed":                                               errors.New("who knows"),
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
