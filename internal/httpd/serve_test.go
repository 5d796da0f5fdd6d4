package httpd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"composer-api/internal/agent"
	"composer-api/internal/httpd"
	"composer-api/internal/memnet"
)

const helloStream = `{"model":"composer-2.5","stream":true,"messages":[{"role":"user","content":"hello"}]}`

// overTheWire runs test in a bubble with a client that speaks to a server over a network in memory, once for each
// protocol.
func overTheWire(t *testing.T, cfg httpd.Config, test func(t *testing.T, s *httpd.Server, client *http.Client)) {
	protocols := map[string]func(*http.Protocols){
		"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2":   func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	}
	for name, set := range protocols {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(cfg)
				l := memnet.Listen()
				served := make(chan error, 1)
				go func() { served <- s.Serve(l) }()
				p := new(http.Protocols)
				set(p)
				transport := l.Transport(p)
				test(t, s, &http.Client{Transport: transport})
				transport.CloseIdleConnections()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if err := <-served; !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("Serve: %v", err)
				}
			})
		})
	}
}

func post(ctx context.Context, t *testing.T, client *http.Client, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestAStreamArrivesPieceByPiece(t *testing.T) {
	goOn := make(chan struct{})
	cfg := httpd.Config{Surfaces: surfaces(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		if err := sink.Accept(agent.Accepted{Upstream: "fake"}); err != nil {
			return err
		}
		sink.Flush()
		<-goOn // the headers are out before the first event
		sink.Event(&agent.Event{Kind: agent.Text, Text: []byte("first")})
		sink.Flush()
		<-goOn
		sink.Event(&agent.Event{Kind: agent.UsageKind, Usage: &agent.Usage{}})
		sink.Event(&agent.Event{Kind: agent.DoneKind, Done: &agent.Done{Reason: agent.Stop}})
		return sink.Flush()
	})}
	overTheWire(t, cfg, func(t *testing.T, _ *httpd.Server, client *http.Client) {
		resp := post(t.Context(), t, client, helloStream)
		defer resp.Body.Close()
		if got := resp.Header.Get("X-Composer-Upstream"); got != "fake" {
			t.Errorf("x-composer-upstream is %q", got)
		}
		goOn <- struct{}{}
		r := bufio.NewReader(resp.Body)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(line, "first") {
				break
			}
		}
		goOn <- struct{}{}
		if rest := readAll(t, r); !strings.HasSuffix(rest, "data: [DONE]\n\n") {
			t.Errorf("the stream ends with %q", rest)
		}
	})
}

func TestTheTurnEndsWhenTheClientLeaves(t *testing.T) {
	var log bytes.Buffer
	left := make(chan struct{})
	cfg := httpd.Config{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Surfaces: surfaces(func(ctx context.Context, _ *agent.Request, sink agent.Sink) error {
			sink.Accept(agent.Accepted{})
			<-ctx.Done()
			close(left)
			return &agent.Error{Code: agent.Canceled, Err: ctx.Err()}
		}),
	}
	for _, body := range []string{helloStream, hello} {
		overTheWire(t, cfg, func(t *testing.T, _ *httpd.Server, client *http.Client) {
			left = make(chan struct{})
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, leave)
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway/v1/chat/completions", strings.NewReader(body))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("X-Api-Key", key)
			if resp, err := client.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			<-left
			synctest.Wait()
		})
	}
	if got := strings.Count(log.String(), "code=canceled"); got != 4 {
		t.Errorf("the log has %d requests whose client left, want 4:\n%s", got, &log)
	}
}

func TestAFailureInMidStreamIsToldAndEndsTheStreamProperly(t *testing.T) {
	var log bytes.Buffer
	cfg := httpd.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Surfaces: surfaces(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		sink.Accept(agent.Accepted{})
		sink.Event(&agent.Event{Kind: agent.Text, Text: []byte("first")})
		return &agent.Error{Code: agent.Upstream}
	})}
	overTheWire(t, cfg, func(t *testing.T, _ *httpd.Server, client *http.Client) {
		resp := post(t.Context(), t, client, helloStream)
		defer resp.Body.Close()
		body := readAll(t, resp.Body) // no error: the connection is not cut
		if !strings.Contains(body, "first") || !strings.Contains(body, `data: {"error":{`) || strings.Contains(body, "[DONE]") || strings.Contains(body, `"finish_reason":"`) {
			t.Errorf("the stream is %s", body)
		}
	})
	if !strings.Contains(log.String(), "status=200") || !strings.Contains(log.String(), "code=upstream") {
		t.Errorf("the log does not tell: %s", &log)
	}
}

func TestAFailureInAWholeAnswerHasItsStatus(t *testing.T) {
	cfg := httpd.Config{Surfaces: surfaces(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		sink.Accept(agent.Accepted{Upstream: "fake"})
		sink.Event(&agent.Event{Kind: agent.Text, Text: []byte("first")})
		return &agent.Error{Code: agent.UpstreamTimeout}
	})}
	overTheWire(t, cfg, func(t *testing.T, _ *httpd.Server, client *http.Client) {
		resp := post(t.Context(), t, client, hello)
		defer resp.Body.Close()
		body := readAll(t, resp.Body)
		if e := errorOf(t, []byte(body)); resp.StatusCode != 504 || e.Code == nil || *e.Code != "upstream_timeout" {
			t.Errorf("status %d: %s", resp.StatusCode, body)
		}
	})
}

func TestShutdownWaitsForWhatIsInProgress(t *testing.T) {
	cfg := httpd.Config{Surfaces: surfaces(func(_ context.Context, _ *agent.Request, sink agent.Sink) error {
		sink.Accept(agent.Accepted{})
		sink.Flush()
		time.Sleep(time.Minute)
		return say(sinkAfterAccept{sink}, "late")
	})}
	overTheWire(t, cfg, func(t *testing.T, s *httpd.Server, client *http.Client) {
		resp := post(t.Context(), t, client, helloStream)
		defer resp.Body.Close()
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(context.WithoutCancel(t.Context())) }()
		if body := readAll(t, resp.Body); !strings.Contains(body, "late") {
			t.Errorf("the stream was cut: %s", body)
		}
		client.CloseIdleConnections()
		if err := <-down; err != nil {
			t.Error(err)
		}
	})
}

// sinkAfterAccept is a sink whose Accept was called already.
type sinkAfterAccept struct{ agent.Sink }

func (sinkAfterAccept) Accept(agent.Accepted) error { return nil }

func TestABodyThatDoesNotComeIsNotWaitedForForEver(t *testing.T) {
	overTheWire(t, httpd.Config{}, func(t *testing.T, _ *httpd.Server, client *http.Client) {
		body, half := io.Pipe()
		defer half.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = withKey(key)
		req.Header.Set("Content-Type", "application/json")
		go io.WriteString(half, helloStream[:10])
		began := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if waited := time.Since(began); resp.StatusCode != http.StatusBadRequest || waited < 30*time.Second || waited > 31*time.Second {
			t.Errorf("status %d after %v", resp.StatusCode, waited)
		}
	})
}

func TestABodyThatIsSlowButComesIsRead(t *testing.T) {
	overTheWire(t, httpd.Config{}, func(t *testing.T, _ *httpd.Server, client *http.Client) {
		body, slow := io.Pipe()
		go func() {
			defer slow.Close()
			// Within the 30 s that every body has before its rate counts.
			io.WriteString(slow, hello[:10])
			time.Sleep(25 * time.Second)
			io.WriteString(slow, hello[10:])
		}()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = withKey(key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

func TestAMalformedBodyIsTheClientsFault(t *testing.T) {
	s := newServer(httpd.Config{})
	l := memnet.Listen()
	go s.Serve(l)
	defer s.Shutdown(context.Background())
	conn, err := l.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nAuthorization: Bearer "+key+"\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", resp.StatusCode)
	}
}
