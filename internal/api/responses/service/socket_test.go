package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"composer-api/internal/api/responses/responsestest"
	"composer-api/internal/memnet"
	"composer-api/internal/store/seal"
)

// A client is one end of a socket.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

// socketWorld serves a world over a network in memory, in a bubble.
func socketWorld(t *testing.T, test func(t *testing.T, w *world, dial func() *client)) {
	synctest.Test(t, func(t *testing.T) {
		w := bornWorld(t, filepath.Join(t.TempDir(), "test.db"), seal.Random())
		listener := memnet.Listen()
		server := &http.Server{Handler: w.handler}
		served := make(chan struct{})
		go func() { defer close(served); server.Serve(listener) }()
		transport := listener.Transport(nil)
		var clients []*client
		defer func() {
			for _, c := range clients {
				c.conn.CloseNow()
			}
			w.end()
			transport.CloseIdleConnections()
			server.Close()
			<-served
		}()
		test(t, w, func() *client {
			t.Helper()
			conn, resp, err := websocket.Dial(t.Context(), "ws://gateway/responses", &websocket.DialOptions{
				HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"X-Owner": {ann}},
			})
			if err != nil {
				t.Fatalf("%v: %+v", err, resp)
			}
			conn.SetReadLimit(1 << 20)
			clients = append(clients, &client{t, conn})
			return clients[len(clients)-1]
		})
	})
}

// create asks for a response: body is that of a POST.
func (c *client) create(body string) {
	c.t.Helper()
	c.send(`{"type":"response.create",` + body[1:])
}

func (c *client) send(message string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
}

// read is the next message.
func (c *client) read() (event socketEvent) {
	c.t.Helper()
	_, data, err := c.conn.Read(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &event); err != nil {
		c.t.Fatal(err)
	}
	event.data = data
	return event
}

type socketEvent struct {
	Type     string
	StreamID string `json:"stream_id"`
	Status   int
	Code     string
	Param    string
	Error    struct{ Type, Code, Message string }
	Headers  map[string]string

	data []byte
}

// answer reads a whole response, which has the events of a stream.
func (c *client) answer() responsestest.Response {
	c.t.Helper()
	var stream strings.Builder
	for {
		e := c.read()
		fmt.Fprintf(&stream, "event: %s\ndata: %s\n\n", e.Type, e.data)
		switch e.Type {
		case "response.completed", "response.incomplete", "response.failed":
			return responsestest.Final(c.t, responsestest.Stream(c.t, []byte(stream.String()+"data: [DONE]\n\n")))
		}
		if e.Type == "error" && e.Status != 0 {
			c.t.Fatalf("%s", e.data)
		}
	}
}

// fails reads an error event.
func (c *client) fails(status int, code, param string) socketEvent {
	c.t.Helper()
	e := c.read()
	if e.Type != "error" || e.Status != status || e.Code != code || e.Error.Code != code || e.Param != param {
		c.t.Errorf("%s\nwant %d %q %q", e.data, status, code, param)
	}
	return e
}

// closed waits for the end of the connection, which has a status.
func (c *client) closed(want websocket.StatusCode) {
	c.t.Helper()
	_, data, err := c.conn.Read(c.t.Context())
	if got := websocket.CloseStatus(err); got != want {
		c.t.Errorf("closed with %v (%v), after %s, want %v", got, err, data, want)
	}
}

func TestASocketAnswersSeveralRequests(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		c.create(say("", "think Hm.", "text Hi."))
		if r := c.answer(); text(r) != "Hi." || r.Status != "completed" {
			t.Errorf("%+v", r)
		} else if stored := w.retrieve(r.ID); text(stored) != "Hi." {
			t.Errorf("stored %+v", stored)
		}
		// Those that come while one is answered wait for it.
		c.create(say("", "text One.", "delay 10s"))
		c.create(say("", "text Two."))
		if first, second := text(c.answer()), text(c.answer()); first != "One." || second != "Two." {
			t.Errorf("%q, then %q", first, second)
		}
	})
}

// What was not stored can be continued on its socket and nowhere else, also when a request asked for no answer.
func TestASocketRemembersItsResponses(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		c.create(`{"model":"composer-2.5","store":false,"generate":false,"input":"Warm up."}`)
		warm := c.answer()
		if len(warm.Output) != 0 || warm.Status != "completed" || len(w.requests) != 0 {
			t.Errorf("%+v, with %d turns", warm, len(w.requests))
		}
		next := func(id string) string {
			return say(fmt.Sprintf(`"store":false,"previous_response_id":%q,`, id), "text Hi.")
		}
		c.create(next(warm.ID))
		first := c.answer()
		c.create(next(first.ID))
		c.answer()
		if got := len(w.requests[1].Messages); got != 4 { // warm-up, question, answer, question
			t.Errorf("the model was told %d messages", got)
		}
		// A branch, from the same response.
		c.create(next(first.ID))
		c.answer()
		if got := len(w.requests[2].Messages); got != 4 {
			t.Errorf("the branch was told %d messages", got)
		}
		other := dial()
		other.create(next(first.ID))
		other.fails(400, "previous_response_not_found", "previous_response_id")
		w.do("GET", "/responses/"+first.ID, "").is(404, "", "")
	})
}

func TestATurnLoopOnASocket(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		const tools = `"store":false,"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],`
		c.create(say(tools, "call f {}", "text Done."))
		r := c.answer()
		var call struct {
			ID string `json:"call_id"`
		}
		json.Unmarshal(r.Output[0], &call)
		c.create(fmt.Sprintf(`{"model":"composer-2.5",%s"previous_response_id":%q,"input":[{"type":"function_call_output","call_id":%q,"output":"ok"}]}`, tools, r.ID, call.ID))
		if end := c.answer(); text(end) != "Done." {
			t.Errorf("%+v", end)
		}
	})
}

func TestLanesOfASocketRunBesideEachOther(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		c.create(say(`"stream_id":"slow",`, "delay 10s", "text Slow."))
		synctest.Wait()
		c.create(say(`"stream_id":"quick",`, "text Quick."))
		var ends []string
		for len(ends) < 2 {
			if e := c.read(); e.Type == "response.completed" {
				ends = append(ends, e.StreamID)
			} else if e.StreamID == "" {
				t.Errorf("no lane: %s", e.data)
			}
		}
		if !slices.Equal(ends, []string{"quick", "slow"}) {
			t.Errorf("ended %q", ends)
		}
	})
}

func TestWhatASocketRefuses(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		for _, refused := range []struct {
			message     string
			status      int
			code, param string
		}{
			{`{`, 400, "invalid_json", ""},
			{`{}`, 400, "missing_required_parameter", "type"},
			{`{"type":"response.walk"}`, 400, "invalid_value", "type"},
			{`{"type":"response.steer","previous_response_id":"resp_1"}`, 400, "missing_required_parameter", "input"},
			{`{"type":"response.steer","input":"x"}`, 400, "missing_required_parameter", "previous_response_id"},
			{`{"type":"response.create","input":"x"}`, 400, "missing_required_parameter", "model"},
			{`{"type":"response.create","model":"composer-2.5","input":"x","background":true}`, 400, "unsupported_value", "background"},
			{`{"type":"response.create","model":"composer-2.5","input":"x","stream_id":"` + strings.Repeat("x", 300) + `"}`, 400, "invalid_value", "stream_id"},
		} {
			c.send(refused.message)
			c.fails(refused.status, refused.code, refused.param)
		}
		c.create(say("", "error resource_exhausted Slow down"))
		if e := c.fails(429, "rate_limit_exceeded", ""); e.Headers["Retry-After"] == "" {
			t.Errorf("no time to wait: %s", e.data)
		}
		w.refuse.Store(true)
		c.create(say("", "text Hi."))
		c.fails(401, "invalid_api_key", "")
		w.refuse.Store(false)
		c.create(say("", "text Still here."))
		if r := c.answer(); text(r) != "Still here." {
			t.Errorf("%+v", r)
		}
	})
}

// Who steers a response gets the words back in the published event, and the response goes on.
func TestSteeringGivesTheWordsBack(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		c.send(`{"type":"response.steer","input":[{"role":"user","content":"Shorter."}],"previous_response_id":"resp_1","stream_id":"a"}`)
		e := c.read()
		const want = `{"stream_id":"a","type":"response.steer.failed","sequence_number":0,` +
			`"error":{"type":"invalid_request_error","code":"steering_not_supported","message":"A response can't be steered here. Wait for it to end, and send this input with a new 'response.create'."},` +
			`"steer":{"input":[{"role":"user","content":"Shorter."}],"previous_response_id":"resp_1"}}`
		if string(e.data) != want {
			t.Errorf("got  %s\nwant %s", e.data, want)
		}
		c.create(say("", "text Hi."))
		if r := c.answer(); text(r) != "Hi." {
			t.Errorf("%+v", r)
		}
	})
}

// More requests than may wait are refused at once, in the order in which they came.
func TestASocketBoundsWhatWaits(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		const waiting, over = 32, 5
		go func() {
			c.create(say("", "delay 10s", "text Hi."))
			synctest.Wait() // until it has been begun
			for range waiting + over {
				c.create(say("", "text Hi."))
			}
		}()
		var refused, answered int
		for refused+answered < 1+waiting+over {
			switch e := c.read(); {
			case e.Type == "error" && e.Status == 429 && answered == 0:
				refused++
			case e.Type == "error":
				t.Fatalf("%s", e.data)
			case e.Type == "response.completed":
				answered++
			}
		}
		if refused != over {
			t.Errorf("%d refused", refused)
		}
	})
}

// So are lanes beyond those that may run at once, and everything while the server drains.
func TestASocketBoundsItsLanes(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		for i := range 16 {
			c.create(say(fmt.Sprintf(`"stream_id":"lane %d",`, i), "delay 10s", "text Hi."))
			c.until("response.in_progress")
		}
		c.create(say(`"stream_id":"one more",`, "text Hi."))
		if e := c.fails(429, "rate_limit_exceeded", ""); e.StreamID != "one more" {
			t.Errorf("%s", e.data)
		}
		c.create(say(`"stream_id":"lane 3",`, "text Again.")) // waits for its lane
		synctest.Wait()
		go w.service.Drain(context.Background())
		synctest.Wait()
		c.create(say(`"stream_id":"lane 4",`, "text Hi."))
		if e := c.fails(503, "server_is_overloaded", ""); e.StreamID != "lane 4" {
			t.Errorf("%s", e.data)
		}
		for range 17 {
			c.until("response.completed")
		}
		c.closed(websocket.StatusGoingAway)
	})
}

// A socket remembers its last thousand responses.
func TestASocketForgetsItsOldestResponses(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		var ids []string
		for range 1001 {
			c.create(`{"model":"composer-2.5","store":false,"generate":false,"input":"Hi."}`)
			e := c.read()
			var created struct{ Response struct{ ID string } }
			if err := json.Unmarshal(e.data, &created); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, created.Response.ID)
			c.until("response.completed")
		}
		// A response that is continued makes the next one the oldest, so there is one that is known, and it comes last.
		for _, tt := range []struct {
			response int
			known    bool
		}{{0, false}, {1, true}} {
			c.create(fmt.Sprintf(`{"model":"composer-2.5","store":false,"generate":false,"previous_response_id":%q,"input":"Hi."}`, ids[tt.response]))
			if tt.known {
				c.until("response.completed")
			} else {
				c.fails(400, "previous_response_not_found", "previous_response_id")
			}
		}
	})
}

func TestASocketTakesNoMoreThanItsLimit(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		// The server closes in the middle of the message, so that its reason may be lost.
		_ = c.conn.Write(t.Context(), websocket.MessageText, []byte(say("", strings.Repeat("x", 33<<20))))
		if _, _, err := c.conn.Read(t.Context()); err == nil || w.active.Load() != 0 || len(w.requests) != 0 {
			t.Errorf("read %v after %d requests", err, len(w.requests))
		}
		binary := dial()
		_ = binary.conn.Write(t.Context(), websocket.MessageBinary, []byte("{}"))
		binary.closed(websocket.StatusUnsupportedData)
	})
}

// What messages hold of the server's memory is theirs until they were decoded, and given back however they end.
func TestMessagesOfASocketShareTheMemoryOfBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		send   func(c *client)
		during int32 // that hold memory while a response of an hour is under way
	}{
		"one that is answered":      {func(*client) {}, 0},
		"one that waits":            {func(c *client) { c.create(say("", "text Hi.")) }, 1},
		"one that can't be read":    {func(c *client) { c.send("{"); c.fails(400, "invalid_json", "") }, 0},
		"one that can't be decoded": {func(c *client) { c.create(`{"stream_id":"x"}`); c.fails(400, "missing_required_parameter", "model") }, 0},
		"a warm-up": {func(c *client) {
			c.create(`{"model":"composer-2.5","stream_id":"x","generate":false,"input":"Hi"}`)
			c.until("response.completed")
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
				c := dial()
				c.create(say("", "text Hi.", "delay 1h"))
				c.until("response.output_text.delta")
				tc.send(c)
				synctest.Wait()
				if n := w.held.Load(); n != tc.during {
					t.Errorf("%d hold memory, want %d", n, tc.during)
				}
				c.conn.CloseNow()
				synctest.Wait()
				if n := w.held.Load(); n != 0 {
					t.Errorf("%d still hold memory", n)
				}
			})
		})
	}
}

// A bug in a turn gives back what its message and those behind it hold.
func TestABugOfASocketHoldsNoMemory(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		c.create(say("", "delay 10s", "text Hi."))
		synctest.Wait()
		w.panics.Store(true)
		for range 3 {
			c.create(say("", "text Hi."))
		}
		synctest.Wait()
		if n := w.held.Load(); n != 3 {
			t.Errorf("%d hold memory, want 3", n)
		}
		c.until("response.completed")
		c.conn.CloseRead(t.Context())
		synctest.Wait()
		if n := w.held.Load(); n != 0 {
			t.Errorf("%d still hold memory", n)
		}
	})
}

// until reads events up to the first of a type. An error before it fails the test: nothing might come after it.
func (c *client) until(kind string) {
	c.t.Helper()
	for e := c.read(); e.Type != kind; e = c.read() {
		if e.Type == "error" {
			c.t.Fatalf("%s before a %s", e.data, kind)
		}
	}
}

// A message for which there is no memory is refused as a POST would be, and the socket goes on.
func TestAMessageWithoutRoomIsRefused(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		w.full.Store(true)
		c.create(say("", "text Hi."))
		if e := c.fails(503, "server_is_overloaded", ""); e.Headers["Retry-After"] != "5" {
			t.Errorf("%s", e.data)
		}
		w.full.Store(false)
		c.create(say("", "text Still here."))
		if r := c.answer(); text(r) != "Still here." || len(w.requests) != 1 {
			t.Errorf("%+v after %d requests", r, len(w.requests))
		}
	})
}

// A message that never comes to its end holds memory: the connection ends.
func TestAMessageThatTakesTooLongEndsItsSocket(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		part, err := c.conn.Writer(t.Context(), websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		part.Write([]byte(strings.Repeat(" ", 100<<10)))
		closed := c.conn.CloseRead(t.Context()) // answers pings
		for range 4 {
			time.Sleep(time.Minute)
			part.Write([]byte(" "))
		}
		if w.held.Load() != 1 || closed.Err() != nil {
			t.Errorf("%d hold memory; %v", w.held.Load(), closed.Err())
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if w.held.Load() != 0 || closed.Err() == nil {
			t.Errorf("after five minutes %d hold memory; %v", w.held.Load(), closed.Err())
		}
	})
}

// A client that is gone costs nothing more, whether it says so or not.
func TestASocketThatBreaksEndsItsTurns(t *testing.T) {
	for name, leave := range map[string]func(c *client){
		"closed": func(c *client) { c.conn.Close(websocket.StatusNormalClosure, "") },
		"broken": func(c *client) { c.conn.CloseNow() },
		// It doesn't read any more, so no ping is answered.
		"silent": func(*client) { time.Sleep(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
				c := dial()
				c.create(say("", "text Hi.", "delay 1h"))
				c.until("response.output_text.delta")
				if w.active.Load() != 1 {
					t.Error("no turn")
				}
				leave(c)
				synctest.Wait()
				if w.active.Load() != 0 {
					t.Error("the turn goes on")
				}
			})
		})
	}
}

func TestSocketsAreClosedWhenTheServerDrains(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		idle, busy := dial(), dial()
		busy.create(say("", "delay 10s", "text Hi."))
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- w.service.Drain(context.Background()) }()
		idle.closed(websocket.StatusGoingAway)
		if r := busy.answer(); text(r) != "Hi." {
			t.Errorf("%+v", r)
		}
		busy.closed(websocket.StatusGoingAway)
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

// A turn that the grace period doesn't suffice for ends with an error that says so.
func TestSocketsAreCutAtTheEndOfTheGracePeriod(t *testing.T) {
	socketWorld(t, func(t *testing.T, w *world, dial func() *client) {
		c := dial()
		c.create(say("", "text Hi.", "delay 1h"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.service.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drained: %v", err)
		}
		go w.service.Close()
		if r := c.answer(); r.Status != "failed" || text(r) != "Hi." {
			t.Errorf("%+v", r)
		}
		c.closed(websocket.StatusGoingAway)
	})
}

// Codex goes on with POST when it is answered 426.
func TestWhatCannotBecomeASocket(t *testing.T) {
	w := newWorld(t)
	defer w.end()
	w.do("GET", "/responses", "").is(405, "unknown_url", "")
	req := upgrade(t)
	req.ProtoMajor = 2
	rec := record(w.handler, req)
	(&answer{t, rec.Code, rec.Header(), rec.Body.Bytes()}).is(426, "unknown_url", "")
	req = upgrade(t) // as a proxy passes it on that doesn't know WebSockets
	req.Header.Del("Upgrade")
	req.Header.Set("Connection", "keep-alive")
	req.Header.Set("Sec-WebSocket-Key", "x")
	rec = record(w.handler, req)
	(&answer{t, rec.Code, rec.Header(), rec.Body.Bytes()}).is(426, "unknown_url", "")
}
