package cursorsim

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// What the simulator has for accounts: API keys, which are good unless their prefix says
// otherwise; access tokens, for which a key is exchanged and without which no run is served;
// and the answers about a key.
//
//	POST /auth/exchange_user_api_key   an access token for a key     exchangeKey
//	GET /v1/me                         whose key it is               me
//	GET /v1/models                     what it may use               models.go

// A keyRule says what becomes of API keys that begin with prefix. The prefixes let a test choose a
// fault by its key, also when the simulator is a process of its own.
type keyRule struct {
	// prefix is compared with the beginning of the key; the rest of the key is free.
	prefix   string
	status   int           // of the exchange and of the public API; 0 is 200
	code     string        // goes with status
	lifetime time.Duration // of the access token; 0 is Config.TokenLifetime
	team     bool          // a team's key: /v1/me names no user
}

// badKeys are the keys that are special. Every other key is good. The first rule that fits decides.
var badKeys = []keyRule{
	{prefix: "crsr_bad", status: http.StatusUnauthorized, code: "unauthenticated"},
	{prefix: "crsr_limited", status: http.StatusTooManyRequests, code: "resource_exhausted"},
	{prefix: "crsr_down", status: http.StatusServiceUnavailable, code: "unavailable"},
	{prefix: "crsr_brief", lifetime: 10 * time.Second},
	{prefix: "crsr_ended", lifetime: -time.Minute}, // its tokens have ended before they come
	{prefix: "crsr_team", team: true},
}

// ruleOf is what becomes of a key. No key at all is a bad key.
func ruleOf(key string) keyRule {
	for _, rule := range badKeys {
		if strings.HasPrefix(key, rule.prefix) {
			return rule
		}
	}
	// The first rule is that of a bad key.
	if key == "" {
		return badKeys[0]
	}
	return keyRule{}
}

// tokens makes and checks access tokens: JWTs (HS256) that name their API key by its hash. They are
// signed with a random key of this process, so a token of another process, or from before a restart,
// is invalid.
//
// Clients read "exp" in the token to know when to exchange the key again, as they do with Cursor's.
type tokens struct {
	// lifetime and now are set once.
	lifetime time.Duration
	now      func() time.Time

	// mu protects what follows.
	mu sync.Mutex
	// secret signs the tokens. Another one makes all tokens invalid that were given before.
	secret [32]byte
	// exchanges counts the keys that were exchanged, for tests that look how often a client does so.
	exchanges int
}

// newTokens makes a signing key of its own, which ends with the process.
func newTokens(lifetime time.Duration, now func() time.Time) *tokens {
	t := &tokens{lifetime: lifetime, now: now}
	t.revoke()
	return t
}

// revoke replaces the signing key, so that no token made before is valid. Keys stay good, so a
// client that exchanges again goes on.
func (t *tokens) revoke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	// It never fails; Go ends the program otherwise.
	rand.Read(t.secret[:])
}

// count is how many tokens were made.
func (t *tokens) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.exchanges
}

// claims are the token's body. Times are seconds since 1970.
type claims struct {
	Subject string `json:"sub"` // hash of the API key
	// Expires and Issued are the names of RFC 7519. ID makes two tokens of one second differ.
	Expires int64  `json:"exp"`
	Issued  int64  `json:"iat"`
	ID      string `json:"jti"`
}

// mint makes a token for an API key. A lifetime of 0 is the default one. It counts as an
// exchange. The token is not kept: everything that check needs is in it.
func (t *tokens) mint(key string, lifetime time.Duration) string {
	if lifetime == 0 {
		lifetime = t.lifetime
	}
	// The id (jti) makes each token different from all others, also within a second.
	now := t.now()
	body, _ := json.Marshal(claims{hashOf(key), now.Add(lifetime).Unix(), now.Unix(), rand.Text()})
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exchanges++
	return signed + "." + encode(t.sign(signed))
}

// sign returns the signature. The caller holds mu.
func (t *tokens) sign(signed string) []byte {
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// check returns the hash of the API key for which token was made; false when the token is not valid
// (any more). The header of the JWT is not read: whatever algorithm it names, only our signature
// counts.
func (t *tokens) check(token string) (keyHash string, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return "", false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		return "", false
	}
	t.mu.Lock()
	good := hmac.Equal(signature, t.sign(token[:i]))
	t.mu.Unlock()
	// What stands before the first dot is the JWT's header.
	_, body, _ := strings.Cut(token[:i], ".")
	data, err := base64.RawURLEncoding.DecodeString(body)
	var c claims
	if !good || err != nil || json.Unmarshal(data, &c) != nil || t.now().Unix() >= c.Expires {
		return "", false
	}
	return c.Subject, true
}

// hashOf is how a secret is recorded: the first 64 bits of its SHA-256. They tell two secrets apart, and
// the secret can't be found from them.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:8])
}

// bearer is the key or token of a request; empty when there is none.
func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// exchangeKey answers POST /auth/exchange_user_api_key: an access token for an API key. Any key is taken
// that no rule refuses. The refresh token is there because clients may expect one; nothing takes it.
func (s *Sim) exchangeKey(w http.ResponseWriter, r *http.Request) {
	key := bearer(r)
	rule := ruleOf(key)
	if rule.status != 0 {
		retryAfter(w, rule.status)
		writeConnectError(w, rule.status, rule.code, "the simulator does not take this API key")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"accessToken":  s.tokens.mint(key, rule.lifetime),
		"refreshToken": "simulated-" + rand.Text(),
	})
}

// publicKey decides whether a request to the public API may pass, by its API key or access token. If
// it may not, publicKey has answered the request and returns false.
//
// The error's form is the public API's, {"error":{"code":…,"message":…}}, which is not Connect's.
func (s *Sim) publicKey(w http.ResponseWriter, r *http.Request) (keyRule, bool) {
	token := bearer(r)
	if _, ok := s.tokens.check(token); ok {
		return keyRule{}, true
	}
	rule := ruleOf(token)
	if rule.status == 0 {
		return rule, true
	}
	retryAfter(w, rule.status)
	writeJSON(w, rule.status, map[string]any{"error": map[string]string{
		"code": rule.code, "message": "The simulator does not take this API key.",
	}})
	return rule, false
}

// account is what GET /v1/me answers. The fields about the user are missing for a team's key.
type account struct {
	// The names are those of Cursor's public API. CreatedAt is in RFC 3339.
	APIKeyName    string `json:"apiKeyName"`
	CreatedAt     string `json:"createdAt"`
	UserID        int    `json:"userId,omitempty"`
	UserEmail     string `json:"userEmail,omitempty"`
	UserFirstName string `json:"userFirstName,omitempty"`
	UserLastName  string `json:"userLastName,omitempty"`
}

// me answers GET /v1/me: whose key it is. A team's key has no user.
func (s *Sim) me(w http.ResponseWriter, r *http.Request) {
	rule, ok := s.publicKey(w, r)
	if !ok {
		return
	}
	me := account{APIKeyName: "Simulated key", CreatedAt: "2026-01-02T03:04:05.000Z"}
	if !rule.team {
		// Keys with the same letters belong to the same user: crsr_ada_1 and crsr_ada_2 are both Ada's.
		name, _, _ := strings.Cut(strings.TrimPrefix(bearer(r), "crsr_"), "_")
		sum := sha256.Sum256([]byte(name))
		me.UserID = 1000 + int(sum[0])<<8 + int(sum[1])
		me.UserEmail = "user" + hex.EncodeToString(sum[:4]) + "@example.com"
		me.UserFirstName, me.UserLastName = "Sim", "User"
	}
	writeJSON(w, http.StatusOK, me)
}

// retryAfter sets the header that goes with 429, in seconds. 7 is an unusual number, so a test can tell
// that the header was honoured.
func retryAfter(w http.ResponseWriter, status int) {
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "7")
	}
}

// writeJSON writes a whole answer. A client that has left meanwhile is no error.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// writeConnectError answers as Connect's unary methods do: {"code":…,"message":…} with an HTTP status.
// It is for errors before a stream begins; afterwards see wire.end.
func writeConnectError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]string{"code": code, "message": message})
}
