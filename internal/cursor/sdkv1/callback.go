package sdkv1

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"composer-api/internal/agent"
)

// A CallHandler runs a tool for the bridge. It blocks until the result is there, which may take as long as the client
// takes: holding the call open is what keeps the run waiting. It must not return before the run was cancelled unless
// it has a result, because whatever it answers reaches the model, and the run goes on at the user's cost.
type CallHandler func(ctx context.Context, call CustomToolCall) ToolResult

// A CallbackServer takes the bridge's calls. One server serves one bridge.
//
// It listens on the loopback; token keeps other users of the machine out, who can connect there, too.
type CallbackServer struct {
	// server serves listener, until Close.
	server   *http.Server
	listener net.Listener
	token    agent.Secret
	// handle is called on a goroutine for each call, and may wait for as long as the client takes.
	handle CallHandler
	done   chan struct{} // closed when the listener is
}

// NewCallbackServer serves on l, which nobody but this machine may reach. The caller closes the server, which closes l.
func NewCallbackServer(l net.Listener, handle CallHandler) *CallbackServer {
	s := &CallbackServer{listener: l, token: agent.NewSecret(agent.NewID("", 43)), handle: handle, done: make(chan struct{})}
	const headerTimeout = 10 * time.Second
	s.server = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: headerTimeout}
	go func() {
		defer close(s.done)
		s.server.Serve(l)
	}()
	return s
}

// URL is the address for [Client.SetToolCallback].
func (s *CallbackServer) URL() string { return "http://" + s.listener.Addr().String() }

// Token is what the bridge must send.
func (s *CallbackServer) Token() agent.Secret { return s.token }

// Close ends the server and the calls that it holds. Cancel their runs first. It waits for the
// listener, not for the handlers; those see their request's context end.
func (s *CallbackServer) Close() error {
	err := s.server.Close()
	<-s.done
	return err
}

// callbackPath is the one method that the bridge calls.
const callbackPath = "/sdk.v1.SdkCustomToolCallbackService/CallCustomTool"

// maxCall bounds a call's body, in bytes. A larger one is answered as a failure of the tool.
const maxCall = 32 << 20

// serve answers one call. The answer's status is 200 even for a tool that failed: only a caller
// without the token, or of another method, gets an error of HTTP.
//
// There is no limit of time: the handler holds the call for as long as the client takes. When
// the bridge breaks the connection, the request's context ends.
func (s *CallbackServer) serve(w http.ResponseWriter, r *http.Request) {
	sent := []byte(r.Header.Get("Authorization"))
	if subtle.ConstantTimeCompare(sent, []byte("Bearer "+s.token.Reveal())) != 1 {
		http.Error(w, `{"code":"unauthenticated"}`, http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != callbackPath {
		http.Error(w, `{"code":"unimplemented"}`, http.StatusNotFound)
		return
	}
	var call CustomToolCall
	var result ToolResult
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	if err == nil {
		err = json.Unmarshal(body, &call)
	}
	if err != nil {
		result = ToolError("The arguments of this call could not be read. Call the tool again with smaller arguments.")
	} else {
		result = s.handle(r.Context(), call)
	}
	answer, err := encode(struct {
		Result ToolResult `json:"result"`
	}{result})
	if err != nil {
		panic(err) // ToolResult always encodes
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(answer)
}

// ToolError is a result that says that the call has failed. The model reads text.
func ToolError(text string) ToolResult {
	return ToolResult{Content: []ToolContent{{Type: "text", Text: text}}, IsError: true}
}
