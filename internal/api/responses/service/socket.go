package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/coder/websocket"

	"composer-api/internal/agent"
	"composer-api/internal/api"
	"composer-api/internal/api/openai"
)

// Bounds of one socket.
const (
	// maxLanes is how many turns of one socket run at once; see socket.
	maxLanes = 16
	// maxWaiting is how many requests of one socket wait for their lane, all lanes together.
	maxWaiting = 32
	// maxWaitingBytes bounds the requests that wait. One request alone may be as large as Config.MaxBody.
	maxWaitingBytes = 64 << 20
)

// Keep-alives of a socket. Proxies give up on a silent connection after 30 s or more; a client whose machine is gone
// is noticed after pingEvery and pongTimeout.
const (
	pingEvery   = 25 * time.Second
	pongTimeout = 20 * time.Second
	// socketWriteTimeout is how long one message may wait for a client that doesn't read.
	socketWriteTimeout = time.Minute
)

// messageTime bounds how long a message may take from its first byte to its last, waits for memory included: it holds memory
// meanwhile.
const messageTime = 5 * time.Minute

// A socket is one WebSocket of GET /responses, as OpenAI's SDKs (responses.connect) and Codex open it.
//
// The client sends response.create messages, which hold the body of a POST. The events of the answers are the same as
// those of a stream, one a message, without [DONE]. Requests with the same stream_id are a lane: they are answered one
// after the other, in the order in which they came. Lanes run beside each other. Most clients name no lane, and so have
// one.
//
// A response can be continued on its socket (previous_response_id) also when it was not stored: the socket remembers
// its last responses (recall).
//
// The handler's goroutine reads; each lane that has work has a goroutine, and pings have one. The socket ends when the
// client closes it or is gone, which cancels all its turns, or when the service drains and no lane has work.
//
//	state      messages                       left by
//	open       go into their lanes            drain, or the connection's end
//	draining   are refused                    the last lane's end: closeGoingAway
//	leaving    are not read any more          serve returns when all goroutines have ended
//
// mu is held for moments only; writing to the client is done without it.
type socket struct {
	service *Service
	// call is that of the handshake: its caller and route are those of every message.
	call   *api.Call
	recent *recent

	// connCtx ends with the connection: when it is cancelled, the library closes the connection, even in the middle of a message.
	connCtx    context.Context
	cancelConn context.CancelFunc
	// turnCtx is the context of all turns, below connCtx. Its cause is errDrained when the server ends them.
	turnCtx     context.Context
	cancelTurns context.CancelCauseFunc
	done        chan struct{} // closed when nothing of the socket runs any more

	running sync.WaitGroup // the goroutines that mu guards the start of: lanes and the closing one

	mu       sync.Mutex
	conn     *websocket.Conn      // nil until the handshake is done; its Write may be called concurrently
	waiting  map[string][]message // by lane, for each that has a goroutine; its goroutine takes from the front
	count    int                  // messages in waiting
	bytes    int                  // of the messages in waiting
	draining bool                 // close when no lane has work
	leaving  bool                 // the closing goroutine was started, or the connection has ended
}

// A message is a request that waits for its lane. data is the whole message. It is decoded when
// its turn comes, so that what waits costs no more than its bytes.
//
// Its bytes have their share of the server's memory for bodies until release is called: when it was decoded, or by whoever
// gives it up before (take, turn; next and serve at the socket's end).
type message struct {
	data     []byte
	release  func() // may be called more than once
	lane     string // stream_id; "" when the client names none
	generate bool   // false: only remember the input, without a turn
	steers   bool   // no request for a response, but words for one that is being made
}

// errDrained is the cause of a turn's end when the server shuts down before it is done.
var errDrained = errors.New("the server is shutting down")

// connect answers GET /responses: it makes the connection a WebSocket and serves it until its end.
//
// It returns when the socket has ended. The route has no limit of its own: each turn counts
// (turn).
func (s *Service) connect(w http.ResponseWriter, r *http.Request, call *api.Call) error {
	if err := checkUpgrade(w, r); err != nil {
		return err
	}
	k := &socket{service: s, call: call, recent: newRecent(), waiting: map[string][]message{}, done: make(chan struct{})}
	// net/http ends the context of a request whose connection was taken over only when the handler returns.
	// So the context is made again, and ended here.
	k.connCtx, k.cancelConn = context.WithCancel(context.WithoutCancel(r.Context()))
	defer k.cancelConn()
	k.turnCtx, k.cancelTurns = context.WithCancelCause(k.connCtx)
	defer k.cancelTurns(nil)
	// Before the handshake: a refusal has an HTTP status then, which clients understand better than
	// a closed socket.
	if err := s.addSocket(k); err != nil {
		return err
	}
	defer s.removeSocket(k)
	// Whether a page of another origin may use the server was decided before, for all routes.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		// The library has answered with the reason, in a form of its own: what checkUpgrade looks for never comes here.
		return &api.Told{Err: &agent.Error{Code: agent.InvalidValue, Err: err}}
	}
	conn.SetReadLimit(s.cfg.MaxBody)
	k.mu.Lock()
	k.conn = conn
	// The drain came between addSocket and here, and had no connection to close yet.
	if k.draining {
		k.closeGoingAway()
	}
	k.mu.Unlock()
	k.serve()
	return nil
}

// serve reads messages until the socket ends. It returns when nothing of the socket runs any more.
//
// The order at the end matters: leaving is set before running is waited for, so that nothing is
// added to it meanwhile.
func (k *socket) serve() {
	defer k.conn.CloseNow()
	pings := make(chan struct{})
	go func() {
		defer close(pings)
		defer k.recovered("pings")
		k.ping()
	}()
	err := k.read()
	if websocket.CloseStatus(err) == -1 && k.connCtx.Err() == nil {
		// A message that is too large is here, too: the library has closed the connection with 1009, which says so.
		k.service.cfg.Log.Debug("a WebSocket broke", "id", k.call.Origin.RequestID, "err", err)
	}
	k.mu.Lock()
	k.leaving = true // nothing starts any more
	k.mu.Unlock()
	k.cancelConn()
	k.running.Wait()
	for _, queue := range k.waiting { // of lanes that a panic has ended; nobody else looks at it any more
		for _, m := range queue {
			m.release()
		}
	}
	<-pings
}

// read takes messages until one can't be read. The library answers the client's pings meanwhile, but for the seconds in
// which a message waits for memory.
func (k *socket) read() error {
	for {
		kind, r, err := k.conn.Reader(k.connCtx)
		if err != nil {
			return err
		}
		// 1009 and 1003 are codes of the WebSocket protocol, by which a client can tell that it
		// made the mistake.
		if kind != websocket.MessageText {
			k.conn.Close(websocket.StatusUnsupportedData, "send JSON in text messages")
			return errors.New("a binary message")
		}
		if err := k.readMessage(r); err != nil {
			return err
		}
	}
}

// readMessage reads one message and takes it. A message for which there is no memory is passed over and answered with an error
// event, as a POST would be refused. It names no lane, for nobody has read so far. The error is the connection's.
func (k *socket) readMessage(r io.Reader) error {
	// Deadlines of the library are contexts of one call, and this has several: waits for memory,
	// and reads.
	late := time.AfterFunc(messageTime, k.cancelConn)
	defer late.Stop()
	within, release := k.call.Within(k.connCtx, r)
	data, err := api.ReadAll(within)
	if err == nil {
		k.take(data, release)
		return nil
	}
	release()
	var refused *agent.Error
	if !errors.As(err, &refused) || k.connCtx.Err() != nil {
		return err
	}
	// The rest of the message must be read before the next one can begin.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	k.refuse("", refused)
	return nil
}

// take puts a message into its lane, or answers it with an error event. It doesn't wait for turns, so that the end of
// the connection is noticed while they run; only a client that sends and doesn't read can hold it up, until its error
// event was written or socketWriteTimeout is over.
//
// release gives back the memory of data; the message takes it over.
func (k *socket) take(data []byte, release func()) {
	// Counted before anything is decoded, because decoding is what would cost.
	err := openai.NewCounter(k.service.cfg.Bounds).Add(data)
	m := message{data: data}
	if err == nil {
		m, err = readEnvelope(data)
	}
	m.release = release
	if err == nil && m.steers {
		err = k.refuseSteering(m)
		release()
	} else if err == nil {
		err = k.enqueue(m)
	}
	if err != nil {
		release()
		k.refuse(m.lane, err)
	}
}

// refuse answers a message of a lane that is not taken.
func (k *socket) refuse(lane string, err error) {
	out := &socketOut{socket: k, lane: lane}
	_ = out.error(agent.AsError(err)) // when it can't be written, the next read fails, too
}

// envelope is what a message holds beside the body of a POST.
type envelope struct {
	Type     string  `json:"type"`
	StreamID *string `json:"stream_id"`
	Generate *bool   `json:"generate"`
}

// maxLaneName bounds the name of a lane, which stands in each of its events.
const maxLaneName = 256

// readEnvelope reads what the message says about itself. The lane is set also with an error, if it could be read, so
// that the error event can name it. The rest of the message is decoded when its turn comes.
func readEnvelope(data []byte) (message, error) {
	var e envelope
	m := message{data: data, generate: true}
	if err := openai.Decode(data, &e); err != nil {
		return m, err
	}
	if e.StreamID != nil {
		if len(*e.StreamID) > maxLaneName {
			return m, agent.ParamError(agent.InvalidValue, "stream_id", "'stream_id' is longer than %d bytes.", maxLaneName)
		}
		m.lane = *e.StreamID
	}
	m.generate = e.Generate == nil || *e.Generate
	switch e.Type {
	case "response.create":
		return m, nil
	case "":
		return m, openai.Missing("type")
	case "response.steer":
		m.steers = true
		return m, nil
	}
	return m, agent.ParamError(agent.InvalidValue, "type", "Messages of type %q are not supported here. Send 'response.create'.", openai.Clip(e.Type))
}

// enqueue gives m to its lane, which it starts if it isn't at work. It never blocks: what can't wait is refused, with
// Overloaded while the server drains and RateLimited otherwise.
//
// A single message larger than maxWaitingBytes is taken when nothing else waits: Config.MaxBody bounds it.
func (k *socket) enqueue(m message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	queue, busy := k.waiting[m.lane]
	switch {
	case k.draining:
		return &agent.Error{Code: agent.Overloaded, Message: "The server is shutting down. Please connect again.", RetryAfter: time.Second}
	case k.count >= maxWaiting, k.count > 0 && k.bytes+len(m.data) > maxWaitingBytes:
		return &agent.Error{Code: agent.RateLimited, Message: "Too many requests wait on this WebSocket. Wait for a response to end, or open another.", RetryAfter: time.Second}
	// A lane that is at work may have more messages; only another lane is refused.
	case !busy && len(k.waiting) >= maxLanes:
		return &agent.Error{Code: agent.RateLimited, Message: "Too many responses are in progress on this WebSocket. Wait for one to end, or open another.", RetryAfter: time.Second}
	}
	k.waiting[m.lane] = append(queue, m)
	k.count++
	k.bytes += len(m.data)
	// running.Go under mu: serve sets leaving under it before it waits, so nothing is added
	// meanwhile.
	if !busy {
		k.running.Go(func() { k.runLane(m.lane) })
	}
	return nil
}

// next takes the oldest message of a lane. ok is false when there is none: the lane's goroutine must end then. The last
// one closes the socket if the server drains.
func (k *socket) next(lane string) (m message, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	queue := k.waiting[lane]
	// What waits for a socket that has ended is dropped: nobody could read its answer.
	if len(queue) == 0 || k.turnCtx.Err() != nil {
		for _, m := range queue {
			m.release()
		}
		delete(k.waiting, lane)
		if k.draining && len(k.waiting) == 0 {
			k.closeGoingAway()
		}
		return message{}, false
	}
	m = queue[0]
	k.waiting[lane] = queue[1:]
	k.count--
	k.bytes -= len(m.data)
	return m, true
}

// runLane answers the requests of a lane until there are none, one after the other. Errors end the request, not the
// lane.
func (k *socket) runLane(lane string) {
	defer k.recovered("lane")
	for {
		m, ok := k.next(lane)
		if !ok {
			return
		}
		answer := &socketAnswer{out: &socketOut{socket: k, lane: lane}}
		if err := k.turn(m, answer); err != nil {
			k.fail(answer, err)
		}
	}
}

// turn answers one request. It counts as a request of its own for the limits of its owner, until leave.
func (k *socket) turn(m message, answer *socketAnswer) error {
	defer m.release()
	call, leave, err := k.call.Again(k.turnCtx)
	if err != nil {
		return err
	}
	defer leave()
	return k.service.createOnSocket(k, call, m, answer)
}

// fail tells the client why its request failed, and logs what is our fault.
func (k *socket) fail(answer *socketAnswer, err error) {
	e := agent.AsError(err)
	// Whatever the turn's error is, the shutdown is why.
	if errors.Is(context.Cause(k.turnCtx), errDrained) {
		e = &agent.Error{Code: agent.Overloaded, Message: "The server is shutting down. Please send the request again.", RetryAfter: time.Second, Err: errDrained}
	} else if e.Code != agent.Canceled {
		k.service.cfg.Log.Info("a request on a WebSocket failed", "id", k.call.Origin.RequestID, "code", e.Code.String(), "cause", causeOf(e))
	}
	_ = answer.fail(e) // the reader notices when the client is gone
}

// causeOf is the cause of an error of ours or of upstream, for the log. The message of other errors may quote what the
// client said.
func causeOf(e *agent.Error) string {
	if openai.RowOf(e.Code).Status < http.StatusInternalServerError {
		return ""
	}
	return e.Error()
}

// recovered keeps a panic of one goroutine of the socket from ending the process. The socket ends.
func (k *socket) recovered(where string) {
	if v := recover(); v != nil {
		k.service.cfg.Log.Error("panic", "where", "websocket "+where, "value", v, "stack", string(debug.Stack()))
		k.cancelConn()
	}
}

// ping asks now and then whether the client is still there, and ends the socket when it isn't.
func (k *socket) ping() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.connCtx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(k.connCtx, pongTimeout)
		err := k.conn.Ping(ctx)
		cancel()
		if err != nil {
			k.cancelConn()
			return
		}
	}
}

// drain closes the socket as soon as no lane has work.
func (k *socket) drain() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.draining = true; len(k.waiting) == 0 {
		k.closeGoingAway()
	}
}

// closeGoingAway closes the connection with the status that makes a client connect again. The caller holds mu.
func (k *socket) closeGoingAway() {
	if k.leaving || k.conn == nil {
		return
	}
	k.leaving = true
	k.running.Go(func() {
		defer k.recovered("close")
		k.conn.Close(websocket.StatusGoingAway, "the server is shutting down") // waits 5 s for the client, at most
		k.cancelConn()
	})
}
