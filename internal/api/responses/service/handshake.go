package service

import (
	"encoding/base64"
	"net/http"
	"strings"

	"composer-api/internal/agent"
)

// What a request for a WebSocket has to look like, and how it is refused.

// checkUpgrade refuses what can't become a WebSocket.
func checkUpgrade(w http.ResponseWriter, r *http.Request) error {
	wants := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	switch {
	case wants && r.ProtoMajor == 1 && connectionUpgrades(r.Header):
		return checkHandshake(w, r.Header)
	case wants, r.Header.Get("Sec-Websocket-Key") != "":
		// Codex takes exactly this status as the sign to go on with POST. A proxy that doesn't know WebSockets drops
		// the Upgrade header and leaves the key.
		w.Header().Set("Upgrade", "websocket")
		return &agent.Error{Code: agent.NoWebSocket}
	}
	w.Header().Set("Allow", "POST, OPTIONS")
	return agent.Errorf(agent.MethodNotAllowed, "Method GET is not allowed for this URL. Use POST, GET with the id of a response, or a WebSocket.")
}

// connectionUpgrades reports whether the header Connection names the upgrade, among others.
func connectionUpgrades(h http.Header) bool {
	for _, line := range h["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "Upgrade") {
				return true
			}
		}
	}
	return false
}

// checkHandshake refuses a handshake that RFC 6455, 4.2.1, does not allow, with an error like any other. The library that
// carries it out would refuse it in plain text.
func checkHandshake(w http.ResponseWriter, h http.Header) error {
	if h.Get("Sec-Websocket-Version") != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13") // which the RFC demands of the answer
		return agent.Errorf(agent.InvalidValue, "This WebSocket handshake has no version that is known here. Send 'Sec-WebSocket-Version: 13'.")
	}
	keys := h["Sec-Websocket-Key"]
	if len(keys) == 1 {
		if nonce, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err == nil && len(nonce) == 16 {
			return nil
		}
	}
	return agent.Errorf(agent.InvalidValue, "This WebSocket handshake needs one header 'Sec-WebSocket-Key' with 16 random bytes in base64.")
}
