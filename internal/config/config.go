package config

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// The settings of serve, one struct for each group of its help. The tags are the whole
// definition of a setting:
//
//	name     the flag, where it is not the field's name in lower case with hyphens
//	var      the variable (VarTag), which Env.Resolve looks up
//	default  what counts when neither is set
//	hidden   not in --help: secrets, which come from a variable only
//	help     the sentence in --help, and the hint of an error about the value
//
// Checks of one value are in its type (values.go), of several together in Validate.

// Config is the settings of `serve`, in the groups of its help text.
//
// Groups that several commands need (PublicAPI, CursorKey, Storage) are structs of their own. A new
// setting is a field with tags here, and the documentation follows by make golden.
type Config struct {
	Server    `embed:"" group:"Server"`
	TLS       `embed:"" group:"TLS"`
	Requests  `embed:"" group:"Requests"`
	Upstream  `embed:"" group:"Upstream"`
	SDKBridge `embed:"" group:"Cursor's bridge"`
	CursorKey `embed:"" group:"The server's own key"`
	LocalAuth `embed:"" group:"The server's own key"`
	Models    `embed:"" group:"Models"`
	Controls  `embed:"" group:"Answers and budgets"`
	Timing    `embed:"" group:"Timing"`
	Storage   `embed:"" group:"Storage"`
	Accounts  `embed:"" group:"Accounts"`
	Replicas  `embed:"" group:"Replicas"`
}

// Server is how the gateway is reached.
type Server struct {
	Addr        Address       `var:"COMPOSER_ADDR" default:"127.0.0.1:8787" placeholder:"HOST:PORT" help:"Address to listen on."`
	Hosts       Hosts         `name:"allowed-hosts" var:"COMPOSER_ALLOWED_HOSTS" placeholder:"HOSTS" help:"Names beside localhost that a server which listens on 127.0.0.1 may be asked by, such as that of a proxy before it, with commas between."`
	PublicURL   BaseURL       `var:"COMPOSER_PUBLIC_URL" placeholder:"URL" help:"Address of this server for its clients, which sign-up tells them (default: the one that the request came to)."`
	MetricsAddr Address       `var:"COMPOSER_METRICS_ADDR" placeholder:"HOST:PORT" help:"Address of the operator's own listener, with /metrics for Prometheus and /debug/pprof. Unset: there is none. Let only those reach it who may see that."`
	LogLevel    Levels        `name:"log" var:"COMPOSER_LOG" default:"info" placeholder:"LEVEL" help:"Least important log level to print: debug, info, warn or error; then, with commas between, others for parts of the server: info,gateway=debug,httpd=warn."`
	LogFormat   string        `var:"COMPOSER_LOG_FORMAT" enum:"text,json" default:"text" placeholder:"FORM" help:"How log lines are written: text (key=value) or json."`
	Grace       time.Duration `var:"COMPOSER_GRACE" default:"20s" placeholder:"DURATION" help:"How long running streams may take to finish after SIGTERM."`
	MaxRequests int           `var:"COMPOSER_MAX_REQUESTS" default:"0" placeholder:"N" help:"Most requests in progress at once; more are answered 503. 0 is no limit."`
	MaxPerKey   int           `name:"max-requests-per-key" var:"COMPOSER_MAX_REQUESTS_PER_KEY" default:"0" placeholder:"N" help:"The same for the requests of one key."`
}

// TLS is how the server speaks TLS itself, without a proxy before it: with a certificate in files, or one that it asks an
// authority for. Neither is plain HTTP.
type TLS struct {
	TLSCert       string  `name:"tls-cert" var:"COMPOSER_TLS_CERT" placeholder:"FILE" help:"Certificate, and those that vouch for it behind it, as PEM: the server then speaks TLS. It is read again when it changes."`
	TLSKey        string  `name:"tls-key" var:"COMPOSER_TLS_KEY" placeholder:"FILE" help:"The certificate's key, as PEM."`
	ACMEHosts     Hosts   `name:"acme-hosts" var:"COMPOSER_ACME_HOSTS" placeholder:"HOSTS" help:"Names for which certificates are asked for by ACME, with commas between: the server then speaks TLS, and has to be reached at port 443 under these names. It takes the authority's terms as agreed to."`
	ACMEEmail     string  `name:"acme-email" var:"COMPOSER_ACME_EMAIL" placeholder:"ADDRESS" help:"What the authority may write to, when a certificate is about to end."`
	ACMEDirectory BaseURL `name:"acme-directory" var:"COMPOSER_ACME_DIRECTORY" placeholder:"URL" help:"The authority's ACME directory (default: Let's Encrypt). COMPOSER_CA_FILE may vouch for it."`
	ACMECache     string  `name:"acme-cache" var:"COMPOSER_ACME_CACHE" placeholder:"FOLDER" help:"Where the ACME account and the certificates are kept (default: acme in the user's state folder). Several servers share one, or have names of their own."`
	HTTPAddr      Address `name:"http-addr" var:"COMPOSER_HTTP_ADDR" placeholder:"HOST:PORT" help:"A second address, for plain HTTP, such as 0.0.0.0:80: it sends browsers to TLS, and answers the authority's questions. Nothing else is served there."`
}

// On reports whether the server speaks TLS itself.
func (t *TLS) On() bool { return t.TLSCert != "" || len(t.ACMEHosts) > 0 }

// Requests is how much one request may hold, which is far above what clients send, and what requests may take together.
//
// Package api/openai counts; BodyMemory is divided by package httpd.
type Requests struct {
	MaxValues      int `var:"COMPOSER_MAX_VALUES" default:"250000" placeholder:"N" help:"Most objects, arrays and list elements in a request, all together."`
	MaxMessages    int `var:"COMPOSER_MAX_MESSAGES" default:"100000" placeholder:"N" help:"Most messages in a request."`
	MaxItems       int `var:"COMPOSER_MAX_ITEMS" default:"100000" placeholder:"N" help:"Most items in the input of a Responses request."`
	MaxParts       int `var:"COMPOSER_MAX_PARTS" default:"100000" placeholder:"N" help:"Most content parts in a request."`
	MaxTools       int `var:"COMPOSER_MAX_TOOLS" default:"10000" placeholder:"N" help:"Most tools in a request."`
	MaxCalls       int `var:"COMPOSER_MAX_CALLS" default:"100000" placeholder:"N" help:"Most tool calls in the messages of a request."`
	MaxSchemaBytes int `var:"COMPOSER_MAX_SCHEMA_BYTES" default:"4194304" placeholder:"N" help:"Largest schema of a tool or of an answer, in bytes."`
	BodyMemory     int `var:"COMPOSER_BODY_MEMORY" default:"0" placeholder:"MIB" help:"Most MiB of requests above 64 KB that are being read and decoded at once; others wait, and after ten seconds are answered 503. At least 32. 0 is an eighth of the memory limit, and 256 at most."`
}

// PublicAPI is Cursor's public API, which lists models and says whose a key is.
type PublicAPI struct {
	APIBase BaseURL `name:"cursor-api-base" var:"CURSOR_API_BASE" default:"https://api.cursor.com" placeholder:"URL" help:"Base of Cursor's public API, for /v1/me and /v1/models."`
	CAFile  string  `name:"ca-file" var:"COMPOSER_CA_FILE" placeholder:"FILE" help:"Additional certificate authorities to trust, as PEM."`
}

// Upstream is how Cursor is reached. Except for the base of the public API, no address or path of Cursor's
// is compiled in.
type Upstream struct {
	PublicAPI          `embed:""`
	BackendBase        BaseURL  `name:"cursor-backend-base-url" var:"CURSOR_BACKEND_BASE_URL" placeholder:"URL" help:"Base of the Cursor backend that runs the models."`
	LocalAgentEndpoint Endpoint `name:"cursor-local-agent-endpoint" var:"CURSOR_LOCAL_AGENT_ENDPOINT" placeholder:"PATH" help:"Local-agent endpoint: a path under the base, or a whole URL. Turns the localagent upstream on."`
	ChatEndpoint       Endpoint `name:"cursor-chat-endpoint" var:"CURSOR_CHAT_ENDPOINT" placeholder:"PATH" help:"Older chat endpoint: a path under the base, or a whole URL. Turns the chat upstream on."`
	ChatHeaders        string   `name:"chat-headers" var:"COMPOSER_CHAT_HEADERS" placeholder:"LINES" help:"Additional headers for the chat endpoint, one 'Name: value' a line."`
	BridgeURL          BaseURL  `name:"cursor-sdk-bridge-url" var:"CURSOR_SDK_BRIDGE_URL" placeholder:"URL" help:"An HTTP/2 bridge of the reference system that /opencodev2 goes through, with or without /sdk at its end."`
	BridgeToken        Secret   `name:"cursor-sdk-bridge-token" var:"CURSOR_SDK_BRIDGE_TOKEN" hidden:"" help:"The bridge's bearer token."`
	ClientVersion      string   `name:"cursor-client-version" var:"CURSOR_CLIENT_VERSION" default:"2.6.22" placeholder:"VERSION" help:"Client version told to the chat endpoint."`
	SDKClientVersion   string   `name:"cursor-sdk-client-version" var:"CURSOR_SDK_CLIENT_VERSION" default:"sdk-1.1.0" placeholder:"VERSION" help:"Client version told to the local-agent endpoint."`
	Prefer             string   `name:"upstream" var:"COMPOSER_UPSTREAM" enum:",sdkbridge,localagent,chat" default:"" placeholder:"NAME" help:"The upstream of /v1: sdkbridge, localagent or chat. Unset: what is configured, else Cursor's bridge if it is installed."`
}

// CursorKey is the Cursor key of whoever runs the command.
type CursorKey struct {
	APIKey     Secret `name:"cursor-api-key" var:"CURSOR_API_KEY" hidden:"" help:"A Cursor API key that the server has itself. Clients of this machine then need 'composer-api token' only."`
	APIKeyFile string `name:"cursor-api-key-file" var:"CURSOR_API_KEY_FILE" placeholder:"FILE" help:"File that holds the server's Cursor API key, if CURSOR_API_KEY does not (default: cursor-key in the user's state folder, if it is there; else the system's keyring, if 'composer-api cursor-key set' has put one there). Clients of this machine then need 'composer-api token' only."`
}

// LocalAuth is who may use the server's own Cursor key. Clients that send a key of their own need none of this.
//
// It is looked at only when the server has a key of its own (CursorKey).
type LocalAuth struct {
	HowProved string `name:"local-auth" var:"COMPOSER_LOCAL_AUTH" enum:"token,any" default:"token" placeholder:"HOW" help:"What clients must send to use the server's key: token, what 'composer-api token' prints; any, anything or nothing, for clients that can't send a token, and on 127.0.0.1 only."`
	Remote    bool   `name:"local-auth-remote" var:"COMPOSER_LOCAL_AUTH_REMOTE" help:"Take the token from other machines, too, when the server listens for them."`
}

// Models is the names that models have besides their own.
type Models struct {
	Aliases Aliases `var:"COMPOSER_ALIASES" placeholder:"NAME=MODEL" help:"Other names that models are asked for by, with commas between; a * stands for any text: gpt-*=composer-2.5,claude-*=composer-2.5."`
}

// SDKBridge is how Cursor's published bridge, a child process, is run.
//
// Sizes are in MiB, which is how people read memory in their tools.
type SDKBridge struct {
	Dir      string `name:"sdk-bridge" var:"COMPOSER_SDK_BRIDGE" placeholder:"FOLDER" help:"Folder of Cursor's bridge, the one that holds bin/node and dist/ (default: the one that 'upstream install' has installed)."`
	Confine  string `name:"sdk-bridge-confine" var:"COMPOSER_SDK_BRIDGE_CONFINE" enum:"auto,require,off" default:"auto" placeholder:"HOW" help:"Confine the bridge to its own folders: auto (where the system can), require or off."`
	PerOwner string `name:"sdk-bridge-per-owner" var:"COMPOSER_SDK_BRIDGE_PER_OWNER" enum:"auto,yes,no" default:"auto" placeholder:"WHEN" help:"A bridge of its own for each owner of a key: yes, no, or auto (when hosted keys are on)."`
	Max      int    `name:"sdk-bridge-max" var:"COMPOSER_SDK_BRIDGE_MAX" default:"8" placeholder:"N" help:"Most bridges at once; each takes 130 to 400 MB."`
	Recycle  int    `name:"sdk-bridge-recycle" var:"COMPOSER_SDK_BRIDGE_RECYCLE" default:"500" placeholder:"N" help:"Replace a bridge after so many runs."`
	Memory   int    `name:"sdk-bridge-memory" var:"COMPOSER_SDK_BRIDGE_MEMORY" default:"768" placeholder:"MIB" help:"Replace a bridge that takes so many MiB of memory."`
}

// Controls is what is asked of every answer, beside what its request asks, and what may be spent.
//
// A request may ask for less than these and never for more.
type Controls struct {
	MaxRepeatedCalls int     `name:"max-repeated-calls" var:"COMPOSER_MAX_REPEATED_CALLS" default:"8" placeholder:"N" help:"End a run that makes the same tool call with the same arguments more often than this in a row; 0 is never."`
	RepairNarrated   bool    `name:"repair-narrated-calls" var:"COMPOSER_REPAIR_NARRATED_CALLS" help:"Ask a model that tells of a tool call in its text, instead of making it, to make it."`
	SystemPrompt     string  `var:"COMPOSER_SYSTEM_PROMPT" enum:"auto,native,text" default:"auto" placeholder:"HOW" help:"Where the client's system text goes: native, as the model's system prompt, which Cursor grants to some accounts; text, in the first message; auto, native where it is granted."`
	MaxCost          float64 `var:"COMPOSER_MAX_COST" default:"0" placeholder:"USD" help:"What one conversation may cost, in US dollars; 0 is no limit. A client may ask for less with the header x-composer-max-cost."`
	MaxTokens        int64   `var:"COMPOSER_MAX_TOKENS" default:"0" placeholder:"N" help:"How many tokens one conversation may use, prompts and answers; 0 is no limit."`
	MaxTurns         int     `var:"COMPOSER_MAX_TURNS" default:"0" placeholder:"N" help:"How many answers one conversation may have; 0 is no limit."`
	KeyMaxCost       float64 `var:"COMPOSER_KEY_MAX_COST" default:"0" placeholder:"USD" help:"What one key may spend a day (UTC), in US dollars; 0 is no limit."`
	KeyMaxTokens     int64   `var:"COMPOSER_KEY_MAX_TOKENS" default:"0" placeholder:"N" help:"How many tokens one key may use a day (UTC); 0 is no limit."`
	KeyMaxTurns      int     `var:"COMPOSER_KEY_MAX_TURNS" default:"0" placeholder:"N" help:"How many answers one key may have a day (UTC); 0 is no limit."`
}

// Timing is the time limits of a turn and of parked runs. All must be more than 0, see Validate.
//
//	request ── StartTimeout ──► accepted ── StallTimeout: nothing at all ──────────► an error
//	                                      └ ProgressTimeout: nothing but heartbeats ► an error
//	tool calls ── ParkTimeout ──► the run ends; the client's results begin again from the transcript
type Timing struct {
	ParkTimeout     time.Duration `var:"COMPOSER_PARK_TIMEOUT" default:"10m" placeholder:"DURATION" help:"How long a run waits for tool results."`
	Settle          time.Duration `var:"COMPOSER_SETTLE" default:"200ms" placeholder:"DURATION" help:"How long to wait for sibling tool calls that were not announced."`
	StartTimeout    time.Duration `var:"COMPOSER_START_TIMEOUT" default:"25s" placeholder:"DURATION" help:"How long upstream may take to accept a run."`
	StallTimeout    time.Duration `var:"COMPOSER_STALL_TIMEOUT" default:"30s" placeholder:"DURATION" help:"How long upstream may send nothing at all."`
	ProgressTimeout time.Duration `var:"COMPOSER_PROGRESS_TIMEOUT" default:"5m" placeholder:"DURATION" help:"How long upstream may send nothing but heartbeats."`
}

// Storage is the database and the keys that encrypt its content.
type Storage struct {
	DB                    string `var:"COMPOSER_DB" placeholder:"FILE" help:"SQLite file (default: composer.db in the user's state folder), or a postgres:// URL."`
	EncryptionKey         Secret `name:"encryption-key" var:"ENCRYPTION_KEY" hidden:"" help:"Encrypts what is stored; at least 16 characters. Turns hosted keys on."`
	EncryptionKeyPrevious Secret `name:"encryption-key-previous" var:"ENCRYPTION_KEY_PREVIOUS" hidden:"" help:"The key before the last change of ENCRYPTION_KEY."`
}

// Replicas is how several servers on one database send each other the requests whose runs they hold. See package replica.
type Replicas struct {
	ReplicaAddr      Address `var:"COMPOSER_REPLICA_ADDR" placeholder:"HOST:PORT" help:"Address to listen on for other replicas on the same database, such as 10.0.0.5:8788. Unset: each replica is alone, and tool results that come to another one are answered from the transcript."`
	ReplicaAdvertise Address `var:"COMPOSER_REPLICA_ADVERTISE" placeholder:"HOST:PORT" help:"That address as other replicas see it (default: COMPOSER_REPLICA_ADDR)."`
	DBListen         string  `name:"db-listen" var:"COMPOSER_DB_LISTEN" placeholder:"URL" help:"A postgres:// URL of the same database that leads past a pooler of transactions such as PgBouncer (default: COMPOSER_DB). By it replicas hear at once what others change."`
	ReplicaSecret    Secret  `name:"replica-secret" var:"COMPOSER_REPLICA_SECRET" hidden:"" help:"The secret that all replicas share, at least 16 characters. It encrypts what they send each other."`
}

// Accounts is the sign-up of hosted keys and the waiting list.
type Accounts struct {
	Signup              string   `name:"signup" var:"COMPOSER_SIGNUP" enum:"open,invitation,closed" default:"open" placeholder:"WHO" help:"Who may sign up for a hosted key: open, everybody with a Cursor key; invitation, who has one that 'composer-api invitations create' has made; closed, nobody. Who has an account may sign up again in any case."`
	SignupLimit         int      `var:"COMPOSER_SIGNUP_LIMIT" default:"5" placeholder:"N" help:"Most sign-ups an hour from one address."`
	TrustedProxies      Networks `var:"COMPOSER_TRUSTED_PROXIES" placeholder:"CIDRS" help:"Proxies that are believed when they say in X-Forwarded headers or Forwarded who the client is: networks, with commas between."`
	WaitlistURL         URL      `name:"waitlist-url" var:"COMPOSER_WAITLIST_URL" placeholder:"URL" help:"Where waiting-list entries are sent."`
	WaitlistFallbackURL URL      `name:"waitlist-fallback-url" var:"COMPOSER_WAITLIST_FALLBACK_URL" placeholder:"URL" help:"Where they are sent when there is no WAITLIST_API_TOKEN."`
	WaitlistToken       Secret   `name:"waitlist-api-token" var:"WAITLIST_API_TOKEN" hidden:"" help:"Bearer token of the waiting list."`
	WaitlistSource      string   `name:"waitlist-source" var:"WAITLIST_SOURCE" placeholder:"TEXT" help:"What the waiting list is told that entries come from."`
}

// Names are the host names that the server may be asked by: Hosts, those of ACME, and that of PublicURL. They
// are in lower case where they come from PublicURL.
//
// "localhost" and addresses of the loopback interface are known to package httpd.
func (c *Config) Names() []string {
	s := &c.Server
	names := slices.Concat([]string(s.Hosts), []string(c.ACMEHosts))
	if u, err := url.Parse(string(s.PublicURL)); err == nil && u.Hostname() != "" {
		names = append(names, strings.ToLower(u.Hostname()))
	}
	return names
}

// LocalAgentOn reports whether the localagent upstream is configured. It takes an endpoint, and
// a base unless the endpoint is a whole URL.
func (u *Upstream) LocalAgentOn() bool {
	return u.LocalAgentEndpoint != "" && (u.BackendBase != "" || u.LocalAgentEndpoint.whole())
}

// ChatOn reports whether the chat upstream is configured. The same rule as for LocalAgentOn.
func (u *Upstream) ChatOn() bool {
	return u.ChatEndpoint != "" && (u.BackendBase != "" || u.ChatEndpoint.whole())
}

// LocalAgentURL is the whole URL of the local-agent endpoint. It has no meaning unless LocalAgentOn.
func (u *Upstream) LocalAgentURL() string { return u.LocalAgentEndpoint.under(u.BackendBase) }

// ChatURL is the whole URL of the chat endpoint. It has no meaning unless ChatOn.
func (u *Upstream) ChatURL() string { return u.ChatEndpoint.under(u.BackendBase) }

// Validate refuses settings that are fine each by itself but not together.
func (u *Upstream) Validate() error {
	switch {
	case u.Prefer == "localagent" && !u.LocalAgentOn():
		return &Error{Name: "COMPOSER_UPSTREAM", Problem: "asks for localagent, which is not configured", Hint: "set CURSOR_BACKEND_BASE_URL and CURSOR_LOCAL_AGENT_ENDPOINT"}
	case u.Prefer == "chat" && !u.ChatOn():
		return &Error{Name: "COMPOSER_UPSTREAM", Problem: "asks for chat, which is not configured", Hint: "set CURSOR_BACKEND_BASE_URL and CURSOR_CHAT_ENDPOINT"}
	}
	return nil
}

// under resolves e against base. A whole URL is used as it is.
//
// Slashes where the two meet are made one.
func (e Endpoint) under(base BaseURL) string {
	if e.whole() {
		return string(e)
	}
	return strings.TrimSuffix(string(base), "/") + "/" + strings.TrimPrefix(string(e), "/")
}
