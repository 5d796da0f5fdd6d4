package httpd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/httpd"
	"composer-api/internal/memnet"
)

// A client that promises a body and sends one byte of it must not hold a connection, with a key or without.
func TestAnAnswerDoesNotWaitForTheBody(t *testing.T) {
	tests := []struct {
		name, line, headers string
		status              int
	}{
		{"no such path", "POST /nothing", "Content-Type: application/json\r\n", 404},
		{"no key", "POST /v1/chat/completions", "Content-Type: application/json\r\n", 401},
		{"a form", "POST /v1/chat/completions", "Authorization: Bearer " + key + "\r\nContent-Type: text/plain\r\n", 415},
		{"a body where none is read", "GET /healthz", "", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, l := newServer(httpd.Config{}), memnet.Listen()
				go s.Serve(l)
				conn := dial(t, l)
				fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: gateway\r\n%sContent-Length: 100\r\n\r\n{", tt.line, tt.headers)
				start := time.Now()
				r := bufio.NewReader(conn)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); resp.StatusCode != tt.status || !resp.Close || took > 0 {
					t.Errorf("status %d, close %v, after %v; want %d, closed, at once", resp.StatusCode, resp.Close, took, tt.status)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				// The server closes by itself: this read would otherwise wait for ever.
				if _, err := r.ReadByte(); err == nil || time.Since(start) > 5*time.Second {
					t.Errorf("the connection ended after %v with %v", time.Since(start), err)
				}
				s.Shutdown(t.Context())
			})
		})
	}
}

func dial(t *testing.T, l *memnet.Listener) net.Conn {
	t.Helper()
	conn, err := l.Dial(t.Context(), "tcp", "gateway")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestABodyThatDripsGivesItsTurnBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newServer(httpd.Config{MaxRequests: 1}), memnet.Listen()
		go s.Serve(l)
		conn := dial(t, l)
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", key)
		var drip sync.WaitGroup
		drip.Go(func() {
			for {
				time.Sleep(time.Second)
				if _, err := io.WriteString(conn, " "); err != nil {
					return
				}
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 400 || !strings.Contains(string(text), "too slowly") {
			t.Errorf("status %d: %s", resp.StatusCode, text)
		}
		if w := do(t, s, exchange{"POST /v1/chat/completions", nil, hello}); w.Code != 200 {
			t.Errorf("the next request is answered %d %s", w.Code, w.Body)
		}
		conn.Close()
		drip.Wait()
		s.Shutdown(t.Context())
	})
}

// A decompressor reads a header before anybody asks for a byte of the body.
func TestACompressedBodyThatNeverComesGivesItsTurnBack(t *testing.T) {
	for _, encoding := range []string{"gzip", "deflate", "zstd"} {
		synctest.Test(t, func(t *testing.T) {
			s, l := newServer(httpd.Config{MaxRequests: 1}), memnet.Listen()
			go s.Serve(l)
			conn := dial(t, l)
			start := time.Now()
			fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: 100\r\n\r\n", key, encoding)
			// Without the deadline that this test is for, nothing would ever come.
			conn.SetReadDeadline(start.Add(time.Hour))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%s: %v", encoding, err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if took := time.Since(start); resp.StatusCode != 400 || !strings.Contains(string(text), "too slowly") || took != 30*time.Second {
				t.Errorf("%s: after %v status %d: %s", encoding, took, resp.StatusCode, text)
			}
			if w := do(t, s, exchange{"POST /v1/chat/completions", nil, hello}); w.Code != 200 {
				t.Errorf("%s: the next request is answered %d %s", encoding, w.Code, w.Body)
			}
			conn.Close()
			s.Shutdown(t.Context())
		})
	}
}

// The write deadline of the first answer must not count for the second request.
func TestExpectContinueAfterTheConnectionRested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newServer(httpd.Config{}), memnet.Listen()
		go s.Serve(l)
		conn := dial(t, l)
		r := bufio.NewReader(conn)
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		time.Sleep(90 * time.Second)
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", key, len(hello))
		if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q, %v", line, err)
		}
		r.ReadString('\n')
		io.WriteString(conn, hello)
		if resp, err = http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
		resp.Body.Close()
		conn.Close()
		s.Shutdown(t.Context())
	})
}

// Fifteen hundred clients that promise a body and send one byte of it, with a key or without: each gets an answer and is cut off,
// others are served meanwhile, and nothing of them is left. That no goroutine is left, the bubble checks.
func TestManyStalledBodiesLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newServer(httpd.Config{MaxRequests: 600}), memnet.Listen()
		go s.Serve(l)
		heads := []struct {
			line, headers string
			status        int
		}{
			{"POST /v1/chat/completions", "Authorization: Bearer " + key + "\r\nContent-Type: application/json\r\n", 400}, // after bodyTimeout
			{"POST /v1/chat/completions", "Content-Type: application/json\r\n", 401},
			{"POST /nothing", "", 404},
		}
		var clients sync.WaitGroup
		began := time.Now()
		for i := range 1500 {
			conn := dial(t, l)
			clients.Go(func() {
				head := heads[i%len(heads)]
				fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: gateway\r\n%sContent-Length: 100000\r\n\r\n{", head.line, head.headers)
				r := bufio.NewReader(conn)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != head.status || !resp.Close {
					t.Errorf("client %d: status %d, want %d; closed: %v", i, resp.StatusCode, head.status, resp.Close)
				}
				if _, err := r.ReadByte(); err == nil {
					t.Errorf("client %d: the connection is not closed", i)
				}
			})
		}
		synctest.Wait()
		if w := do(t, s, exchange{"POST /v1/chat/completions", nil, hello}); w.Code != 200 {
			t.Errorf("meanwhile another is answered %d %s", w.Code, w.Body)
		}
		clients.Wait()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the last was cut off after %v", took)
		}
		for range 600 { // every turn was given back
			if w := do(t, s, exchange{"POST /v1/chat/completions", nil, hello}); w.Code != 200 {
				t.Fatalf("then another is answered %d %s", w.Code, w.Body)
			}
		}
		s.Shutdown(t.Context())
	})
}

// A header is read for whoever connects, so it must not take much memory.
func TestAHeaderIsBounded(t *testing.T) {
	overTheWire(t, httpd.Config{}, func(t *testing.T, _ *httpd.Server, client *http.Client) {
		for size, want := range map[int]bool{40 << 10: true, 100 << 10: false} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/healthz", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Long", strings.Repeat("x", size))
			resp, err := client.Do(req)
			// Over HTTP/2 the client knows the bound, and sends nothing.
			if err == nil {
				resp.Body.Close()
			}
			if taken := err == nil && resp.StatusCode == http.StatusOK; taken != want || err == nil && !taken && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%d bytes: taken %v, %v, %v", size, taken, resp, err)
			}
		}
	})
}
