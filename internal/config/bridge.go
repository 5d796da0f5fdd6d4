package config

import (
	"net"
	"strconv"
)

// Bridge is the settings of `bridge`. The variables are those of the reference system's bridge;
// those that the gateway has, too, mean the same. MaxJSONBytes is in bytes; RequestTimeout and
// HTTP2Idle are in milliseconds, as the reference system has them. LocalAgentEndpoint is the
// configured upstream; requests may name others only when they are in Allow.
type Bridge struct {
	Host               string   `var:"CURSOR_SDK_BRIDGE_HOST" default:"127.0.0.1" placeholder:"HOST" help:"Address to listen on. Beyond this machine it needs CURSOR_SDK_BRIDGE_TOKEN."`
	Port               int      `var:"CURSOR_SDK_BRIDGE_PORT" default:"8792" placeholder:"PORT" help:"Port to listen on."`
	Token              Secret   `name:"cursor-sdk-bridge-token" var:"CURSOR_SDK_BRIDGE_TOKEN" hidden:"" help:"The bearer token that callers must send."`
	BackendBase        BaseURL  `name:"cursor-backend-base-url" var:"CURSOR_BACKEND_BASE_URL" placeholder:"URL" help:"Base of the Cursor backend that runs the models."`
	LocalAgentEndpoint Endpoint `name:"cursor-local-agent-endpoint" var:"CURSOR_LOCAL_AGENT_ENDPOINT" placeholder:"PATH" help:"Local-agent endpoint: a path under the base, or a whole URL."`
	SDKClientVersion   string   `name:"cursor-sdk-client-version" var:"CURSOR_SDK_CLIENT_VERSION" default:"sdk-1.1.0" placeholder:"VERSION" help:"Client version for requests that name none."`
	Allow              URLs     `var:"COMPOSER_BRIDGE_ALLOW" placeholder:"URLS" help:"Other upstreams that requests may name: whole endpoints or bases, with commas between."`
	MaxJSONBytes       int      `name:"max-json-bytes" var:"CURSOR_SDK_BRIDGE_MAX_JSON_BYTES" default:"1048576" placeholder:"N" help:"Largest request."`
	RequestTimeout     int      `name:"request-timeout-ms" var:"CURSOR_SDK_BRIDGE_REQUEST_TIMEOUT_MS" default:"120000" placeholder:"MS" help:"How long upstream may take to answer, and then be silent, in milliseconds."`
	HTTP2Idle          int      `name:"http2-idle-ms" var:"CURSOR_SDK_BRIDGE_HTTP2_IDLE_MS" default:"300000" placeholder:"MS" help:"How long a connection to upstream is kept without streams, in milliseconds."`
	CAFile             string   `name:"ca-file" var:"COMPOSER_CA_FILE" placeholder:"FILE" help:"Additional certificate authorities to trust, as PEM."`
	LogLevel           Level    `name:"log" var:"COMPOSER_LOG" default:"info" placeholder:"LEVEL" help:"Least important log level to print: debug, info, warn or error."`
}

// Address is the address to listen on.
//
// A host in IPv6 gets its brackets here.
func (b *Bridge) Address() string { return net.JoinHostPort(b.Host, strconv.Itoa(b.Port)) }

// Validate refuses numbers that can't be meant. kong calls it.
//
// Zero would be no limit for the one and no time at all for the other, so it is refused.
func (b *Bridge) Validate() error {
	for name, n := range map[string]int{
		"CURSOR_SDK_BRIDGE_MAX_JSON_BYTES": b.MaxJSONBytes, "CURSOR_SDK_BRIDGE_REQUEST_TIMEOUT_MS": b.RequestTimeout,
		"CURSOR_SDK_BRIDGE_HTTP2_IDLE_MS": b.HTTP2Idle,
	} {
		if n <= 0 {
			return &Error{Name: name, Problem: "must be more than 0", Hint: "leave it out for the default"}
		}
	}
	return nil
}
