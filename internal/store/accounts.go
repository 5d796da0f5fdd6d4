package store

import (
	"context"
	"time"
)

// An Account is one Cursor user who has signed up for a hosted key. It is created by the first sign-up
// and changed by each later one.
type Account struct {
	ID    string // "acct_" and 24 hex digits, the same for the same Cursor user
	Email string // as Cursor says; may be empty
	Name  string // as Cursor says; may be empty
	// SealedKey is the user's Cursor API key, encrypted. The store never sees the key itself.
	SealedKey []byte
	// KeyHint is what may be shown of the Cursor key: "crsr_…a1b2".
	KeyHint string
	Created time.Time
	Updated time.Time // when SealedKey was last replaced by a sign-up
	// Limits hold for all keys of the account together, beside those of each key. The operator sets them; a sign-up leaves
	// them as they are.
	Limits KeyLimits
}

// AccountOwner is the owner of everything that the account leaves behind: agent.Caller.Owner of its
// requests. The prefix keeps it apart from owners that are made from a Cursor key.
func AccountOwner(accountID string) string { return "a:" + accountID }

// Accounts keeps hosted accounts. Who signs up twice at the same moment, on two replicas, still has one
// account.
type Accounts interface {
	// SignUp creates the account together with its new key, or, if the account exists, replaces everything of it but
	// its ID, Created and Limits and adds the key to those it has. It returns the account as it stands afterwards. rule says
	// who may have a new account; an invitation is used once for each. An account that exists needs none.
	// ErrConflict: a key with this ID exists; mint another. ErrNotInvited: the account is new, and rule does not let it in.
	SignUp(ctx context.Context, a Account, k Key, rule SignUpRule) (Account, error)
	// Account returns one account. ErrNotFound.
	Account(ctx context.Context, id string) (Account, error)
	// ListAccounts returns up to limit accounts in the order of their IDs, beginning after the ID after ("" from the
	// start). No accounts is no error.
	ListAccounts(ctx context.Context, after string, limit int) ([]Account, error)
	// ReplaceSealedKey replaces the sealed key, if it is still old. ErrConflict when old is no longer
	// what is stored: a sign-up came between, and its key must stay. ErrNotFound.
	ReplaceSealedKey(ctx context.Context, id string, old, sealed []byte) error
	// LimitAccount replaces Limits, and nothing else. ErrNotFound.
	LimitAccount(ctx context.Context, id string, limits KeyLimits) error
	// DeleteAccount deletes the account and everything that belongs to it: keys, request logs, and what its owner
	// (AccountOwner) has in sessions, responses, conversations and documents. ErrNotFound.
	DeleteAccount(ctx context.Context, id string) error
}

// A Key is a credential that we have minted for an account. The credential itself is not kept, only its
// hash. Its life: SignUp, AddKey or RotateKey adds it, RevokeKey or RotateKey revokes it, and it stays, revoked,
// until its account is deleted.
type Key struct {
	ID string // names the key to the operator and in look-ups; derived from the hash
	// Account is the id of the Account that it belongs to.
	Account string
	Hash    [32]byte // SHA-256 of the credential
	Hint    string   // what may be shown of the credential
	Created time.Time
	Revoked time.Time // zero while the key is good
	Name    string    // what its owner or the operator calls it; may be empty
	Expires time.Time // zero is never. An expired key is still found: package hosted refuses it
	Limits  KeyLimits
}

// KeyLimits are what a key, or an account with all of its keys, may be used for, and how much. A zero field is no limit. They
// are kept as JSON, so names of fields never change.
type KeyLimits struct {
	// Surfaces and Models are what the key may be used with: "chat", "messages"; "composer-2.5", "composer-*".
	Surfaces []string `json:"surfaces,omitempty"`
	Models   []string `json:"models,omitempty"`
	// NoFast refuses the fast tier, which costs several times as much.
	NoFast bool `json:"no_fast,omitempty"`
	// Concurrent is how many turns may run at once, on all replicas together.
	Concurrent int64 `json:"concurrent,omitempty"`
	// RequestsPerMinute and TokensPerMinute are for any 60 seconds. Tokens are those of whole prompts and of answers.
	RequestsPerMinute int64 `json:"requests_per_minute,omitempty"`
	TokensPerMinute   int64 `json:"tokens_per_minute,omitempty"`
	// USDPerDay and USDPerMonth are for calendar days and months in UTC, in US dollars.
	USDPerDay   float64 `json:"usd_per_day,omitempty"`
	USDPerMonth float64 `json:"usd_per_month,omitempty"`
}

// Any reports whether there is a limit at all.
func (l *KeyLimits) Any() bool {
	return len(l.Surfaces) > 0 || len(l.Models) > 0 || l.NoFast || l.Concurrent > 0 || l.RequestsPerMinute > 0 ||
		l.TokensPerMinute > 0 || l.USDPerDay > 0 || l.USDPerMonth > 0
}

// KeyUsage is what a key, or an account with all of its keys, has used, on all replicas together.
type KeyUsage struct {
	// Running are the requests that have not ended and whose process lives, as far as its lease tells (RenewRunner). One
	// of a process without a lease counts for RunningFor.
	Running int64
	// Requests and Tokens are those of the requests that began in the last minute. A request's tokens are known once it has
	// ended.
	Requests, Tokens int64
	Oldest           time.Time // when the first of Requests began; zero when there are none
	// DayUSD and MonthUSD are what this day's and this month's requests have cost, those that have ended.
	DayUSD, MonthUSD float64
}

// RunningFor is how long a request without an end counts as running when no process is named that could have a lease.
const RunningFor = 15 * time.Minute

// RunnerLease is how long the requests of a process that has died count as running. A process renews it several times
// within that time. A request younger than that counts in any case, so a process may take requests before it has a lease.
const RunnerLease = 30 * time.Second

// A Standing is what a request is held against: the limits of its key and of its account, and what each has used.
type Standing struct {
	// Key is as it is in the database at this moment, so a limit that was just changed counts.
	Key     Key
	KeyUsed KeyUsage
	// Account is the limits of the account, and AccountUsed what all of its keys have used; zero when it has no limits.
	Account     KeyLimits
	AccountUsed KeyUsage
}

// Keys keeps the keys of hosted accounts. They are created by Accounts.SignUp, AddKey and RotateKey.
type Keys interface {
	// AddKey adds a key to an account. ErrConflict: a key with this ID exists; mint another. ErrNotFound: there is no such
	// account.
	AddKey(ctx context.Context, k Key) error
	// ChangeKey replaces Name, Expires and Limits of the key k.ID, and nothing else. ErrNotFound.
	ChangeKey(ctx context.Context, k Key) error
	// Key returns a key, revoked or not, and its account. ErrNotFound.
	Key(ctx context.Context, id string) (Key, Account, error)
	// ListKeys returns the keys of one account, or of all when account is "", newest first, those of one moment by their id. No
	// keys is no error.
	ListKeys(ctx context.Context, account string) ([]Key, error)
	// RevokeKey makes the key invalid from at on; a key that is revoked already stays as it is.
	// ErrNotFound.
	RevokeKey(ctx context.Context, id string, at time.Time) error
	// RotateKey revokes the key id and adds next, whose Account is the same, in one step. ErrNotFound; ErrConflict
	// when id is revoked already or next.ID exists.
	RotateKey(ctx context.Context, id string, next Key) error
}

// A RequestLog is one request with a hosted key. It never holds anything of its content.
//
// One is written in two steps, before and after the work, so that a request whose process dies is known of.
type RequestLog struct {
	ID        string // unique; not the request's id, which a client may choose and repeat
	Account   string
	KeyID     string
	RequestID string // as x-request-id shows it
	Endpoint  string // the route's pattern: "POST /v1/chat/completions"
	Created   time.Time
	Runner    string // the process that carries it out, see RenewRunner; "" for one without a lease

	// What follows is filled in by FinishRequest.
	Model       string // as upstream was asked for it
	Status      int    // HTTP; 0 while the request runs, or for ever if the process died
	InputTokens int64  // the whole prompt, cache included
	// CachedTokens are a part of InputTokens, and ReasoningTokens of OutputTokens.
	CachedTokens    int64
	OutputTokens    int64
	ReasoningTokens int64
	// CostUSD is in US dollars; 0 where no price is known.
	CostUSD     float64
	Estimated   bool // tokens and cost are our count, not upstream's
	Duration    time.Duration
	UpstreamRun string // upstream's id of the conversation
	ErrorCode   string // agent.Code's name; "" when all went well

	Timeline Timeline
}

// A Timeline is when a turn reached its stages. A stage that it did not reach is 0.
type Timeline struct {
	Backend    string        // that answered; "" when none accepted the turn
	Resume     string        // what the turn continued: agent.Resume
	Queue      time.Duration // from the request's header to the beginning of the turn
	Connect    time.Duration // from there until upstream had accepted it
	FirstToken time.Duration // from the beginning of the turn to the first piece of the answer
	ToolWait   time.Duration // how long the run had been parked before this turn resumed it
	Parked     bool          // the turn ended in tool calls, and its run was parked
	Repairs    string        // why the model was given further attempts, with blanks between: agent.Repair
}

// RequestLogs keeps the request logs of hosted keys.
type RequestLogs interface {
	// BeginRequest writes the row before the work starts, so that no hosted request goes unrecorded: when it fails,
	// the request is refused. ErrConflict: the ID exists. ErrNotFound: the account doesn't.
	BeginRequest(ctx context.Context, l RequestLog) error
	// AdmitRequest is BeginRequest for a key with limits, its own or those of its account: admit is given both, and what
	// was used before l.Created, and the row is written if it returns nil; else its error is returned and nothing is
	// written. Calls for one key, and for one account with limits, come one after the other, on all replicas, so that each
	// admit sees what those before have written. admit must be quick, must not use the store, and may be called more than
	// once. ErrNotFound also when there is no such key.
	AdmitRequest(ctx context.Context, l RequestLog, admit func(Standing) error) error
	// RenewRunner says that the process named runner lives, for as long as lease from now on, by the clock of the
	// database. A lease of 0 or less ends it: what it has not finished counts no longer.
	RenewRunner(ctx context.Context, runner string, lease time.Duration) error
	// FinishRequest fills in the rest; what stands above it in RequestLog stays as it is. ErrNotFound.
	FinishRequest(ctx context.Context, l RequestLog) error
	// ListRequests returns the rows that q asks for, newest first. No rows is no error. ErrNotFound: q.After is none of them.
	ListRequests(ctx context.Context, q RequestQuery) ([]RequestLog, error)
}

// A RequestQuery says which rows of the request log are wanted. A field that is empty asks for nothing.
type RequestQuery struct {
	Account   string // the rows of this account alone
	KeyID     string // those of this key
	ID        string // the row with this id
	RequestID string // those that x-request-id showed so; a client may have repeated it
	Failed    bool   // those with an error
	After     string // those older than the row with this id
	Limit     int    // how many at most
}
