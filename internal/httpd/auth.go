package httpd

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"composer-api/internal/agent"
	"composer-api/internal/hosted/keys"
	"composer-api/internal/localtoken"
	"composer-api/internal/store"
)

// Who asks. The key decides about the owner, to whom everything that is kept belongs; see agent.Caller.

const (
	// directOwner begins the owner of a caller with a Cursor key, so that it is never equal to that of
	// an account.
	directOwner = "k:"

	// maxKey is the longest key that is looked at, in bytes. It is far longer than any.
	maxKey = 4096
)

// A LocalKey is the Cursor key of whoever runs the server, for the clients of the machine that it runs on.
type LocalKey struct {
	// Key is the Cursor key that is lent. It is never sent to a client.
	Key agent.Secret
	// Token is what clients send to use Key.
	Token agent.Secret
	// Any takes everything in Token's place, and nothing, too, but for hosted keys and what is a Cursor key by its looks.
	Any bool
}

// cursorKey begins the user keys that Cursor gives out.
const cursorKey = "crsr_"

// lends reports whether a request with this token may use the server's key, and whether it has proved that it may. What
// gets in without proof may come from a web page: see checkOrigin.
func (l *LocalKey) lends(token string) (ok, proved bool) {
	switch {
	case l == nil:
		return false, false
	case localtoken.Equal(token, l.Token):
		return true, true
	}
	return l.Any && !strings.HasPrefix(token, keys.Prefix) && !strings.HasPrefix(token, cursorKey), false
}

// authenticate finds out who asks:
//
//	composer-…                  the server's own Cursor key, if it has one and this is its token
//	anything                    the same, with LocalKey.Any
//	no key                      Config.Keyless, if there is one; else MissingKey
//	cmp_…                       a hosted key: looked up in our store, never sent upstream
//	anything else               the caller's own Cursor key; kept in memory for this request only
//
// Below /u/{account} only the hosted keys of that account are accepted. Of a Cursor key the form
// alone is checked here: upstream does the rest.
func (s *Server) authenticate(r *http.Request, b base) (agent.Caller, error) {
	token := bearer(r.Header)
	if ok, _ := s.cfg.Local.lends(token); ok && !b.hosted {
		return DirectCaller(s.cfg.Local.Key.Reveal()), nil
	}
	switch {
	case token == "" && s.cfg.Keyless != nil && !b.hosted:
		return *s.cfg.Keyless, nil
	case token == "":
		return agent.Caller{}, &agent.Error{Code: agent.MissingKey}
	}
	// The demo takes any key, and shows it to nobody.
	if s.cfg.Keyless == nil {
		if err := malformed(token); err != nil {
			return agent.Caller{}, err
		}
	}
	switch {
	case strings.HasPrefix(token, localtoken.Prefix) && s.cfg.Keyless == nil:
		// Whose ever it is, it is no key of Cursor's, and must not be shown to Cursor.
		return agent.Caller{}, s.wrongToken()
	case strings.HasPrefix(token, keys.Prefix):
		// One of ours: it is looked up in our store and never forwarded.
		return s.hostedCaller(r, b, token)
	case b.hosted:
		return agent.Caller{}, agent.Errorf(agent.InvalidKey, "This address takes the cmp_ key of its account. A Cursor API key goes to /v1.")
	}
	return DirectCaller(token), nil
}

// wrongToken is the error for a local token that is of no use here. It says which of the reasons it is.
func (s *Server) wrongToken() *agent.Error {
	if s.cfg.Local == nil {
		return agent.Errorf(agent.InvalidKey, "This is a token for a gateway that has a Cursor key of its own, and this one has none for you. Start 'composer-api serve' with CURSOR_API_KEY set (and on 127.0.0.1), or send your Cursor API key.")
	}
	return agent.Errorf(agent.InvalidKey, "This is not the token of this gateway. 'composer-api token' prints the one that is; after 'composer-api token --rotate' start the gateway again.")
}

// hostedCaller resolves a hosted key, and checks that it belongs to the account in the path, if there is one.
func (s *Server) hostedCaller(r *http.Request, b base, token string) (agent.Caller, error) {
	if s.cfg.ResolveKey == nil {
		return agent.Caller{}, agent.Errorf(agent.InvalidKey, "This server has no hosted keys. Use your own Cursor API key.")
	}
	caller, err := s.cfg.ResolveKey(r.Context(), token)
	if err != nil {
		return agent.Caller{}, err
	}
	if b.hosted && caller.Owner != store.AccountOwner(r.PathValue("account")) {
		return agent.Caller{}, agent.Errorf(agent.PermissionDenied, "This key belongs to another account. Use the address that came with it, or /v1.")
	}
	return caller, nil
}

// DirectCaller is the caller with a Cursor API key of their own. The owner is a hash of the
// key, so it can be stored and logged. Two keys of one Cursor user are two owners here: nobody
// is asked whose key it is.
func DirectCaller(key string) agent.Caller {
	// The prefix makes this hash different from every other hash of the same key.
	sum := sha256.Sum256([]byte("composer-api owner\x00" + key))
	return agent.Caller{Owner: directOwner + hex.EncodeToString(sum[:]), CursorKey: agent.NewSecret(key)}
}

// bearer is the key in the headers, "" when there is none. OpenAI's clients send Authorization: Bearer,
// Anthropic's X-Api-Key, Azure's Api-Key.
func bearer(h http.Header) string {
	scheme, token, ok := strings.Cut(strings.TrimSpace(h.Get("Authorization")), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		if token = strings.TrimSpace(token); token != "" {
			return token
		}
	}
	if token = strings.TrimSpace(h.Get("X-Api-Key")); token != "" {
		return token
	}
	return strings.TrimSpace(h.Get("Api-Key")) // what Azure's clients send
}

// malformed is the error for what is no key by its form, such as a variable that the client has not replaced by its value. Upstream
// would only say that it doesn't know the key.
func malformed(key string) error {
	if len(key) > maxKey {
		return &agent.Error{Code: agent.InvalidKey}
	}
	problem, cure := agent.KeyFault(key)
	if problem == "" {
		return nil
	}
	return agent.Errorf(agent.InvalidKey, "The API key that was sent %s. Correct it in the client's settings: %s.", problem, cure)
}
