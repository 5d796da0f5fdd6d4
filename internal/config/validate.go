package config

import (
	"net/url"
	"strings"
	"time"
)

// What is checked of settings together, after each value was checked by its type. Errors are
// *Error: the variable's name, what is wrong, and what to do. kong calls Validate of each group that a
// command embeds.

// Validate refuses an address that would listen to the whole network, and negative numbers.
func (s *Server) Validate() error {
	switch {
	case s.Addr == "":
		// net.Listen would take it for any port on every interface.
		return &Error{Name: "COMPOSER_ADDR", Problem: "is empty", Hint: "leave it out for 127.0.0.1:8787, or give HOST:PORT"}
	// It is shown to clients as the base of their own URLs.
	case s.PublicURL != "" && !plainBase(string(s.PublicURL)):
		return &Error{Name: "COMPOSER_PUBLIC_URL", Problem: "is more than an address and a path", Hint: "give something like https://gateway.example, without a user, a query and /v1"}
	case s.Grace < 0:
		return negative("COMPOSER_GRACE")
	case s.MaxRequests < 0:
		return negative("COMPOSER_MAX_REQUESTS")
	case s.MaxPerKey < 0:
		return negative("COMPOSER_MAX_REQUESTS_PER_KEY")
	}
	return nil
}

// Validate refuses half a certificate, and two ways at once.
func (t *TLS) Validate() error {
	switch {
	case t.TLSCert != "" && t.TLSKey == "":
		return &Error{Name: "COMPOSER_TLS_KEY", Problem: "is missing: COMPOSER_TLS_CERT needs it", Hint: "give the file of the certificate's key"}
	case t.TLSCert == "" && t.TLSKey != "":
		return &Error{Name: "COMPOSER_TLS_CERT", Problem: "is missing: COMPOSER_TLS_KEY needs it", Hint: "give the file of the certificate"}
	case t.TLSCert != "" && len(t.ACMEHosts) > 0:
		return &Error{Name: "COMPOSER_ACME_HOSTS", Problem: "asks for certificates, and COMPOSER_TLS_CERT has one", Hint: "leave one of them out"}
	case t.HTTPAddr != "" && !t.On():
		return &Error{Name: "COMPOSER_HTTP_ADDR", Problem: "is for a server that speaks TLS", Hint: "set COMPOSER_TLS_CERT or COMPOSER_ACME_HOSTS, too, or leave it out"}
	}
	for _, host := range t.ACMEHosts {
		// An authority gives certificates for names that everybody can look up.
		if !strings.Contains(host, ".") || strings.ContainsAny(host, "*:/") {
			return &Error{Name: "COMPOSER_ACME_HOSTS", Problem: "has a name that no certificate can be asked for", Hint: "give whole names, such as gateway.example, without a port and a *"}
		}
	}
	return nil
}

// Validate refuses bounds that no request could keep to.
func (r *Requests) Validate() error {
	// 0 would refuse every request, and is what somebody writes who means "no limit".
	for _, bound := range []struct {
		name string
		n    int
	}{
		{"COMPOSER_MAX_VALUES", r.MaxValues}, {"COMPOSER_MAX_MESSAGES", r.MaxMessages}, {"COMPOSER_MAX_ITEMS", r.MaxItems},
		{"COMPOSER_MAX_PARTS", r.MaxParts}, {"COMPOSER_MAX_TOOLS", r.MaxTools}, {"COMPOSER_MAX_CALLS", r.MaxCalls},
		{"COMPOSER_MAX_SCHEMA_BYTES", r.MaxSchemaBytes},
	} {
		if bound.n <= 0 {
			return &Error{Name: bound.name, Problem: "must be more than 0", Hint: "leave it out for the default, or give a large number for no limit"}
		}
	}
	if r.BodyMemory < 0 {
		return negative("COMPOSER_BODY_MEMORY")
	}
	return nil
}

// plainBase reports whether /v1 can be put behind a URL. Whether the URL is one at all was
// checked before, by BaseURL.
//
// Clients add /v1 themselves, and a user or a query would be lost on the way.
func plainBase(text string) bool {
	u, err := url.Parse(text)
	// ForceQuery is a "?" with nothing behind it.
	return err == nil && u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" && !strings.HasSuffix(u.Path, "/v1")
}

// Validate refuses limits that would end every run at once. Zero is refused, too: it would silently mean the
// default, although whoever writes it means no limit.
func (t *Timing) Validate() error {
	for _, limit := range []struct {
		name string
		d    time.Duration
	}{
		{"COMPOSER_PARK_TIMEOUT", t.ParkTimeout},
		{"COMPOSER_SETTLE", t.Settle},
		{"COMPOSER_START_TIMEOUT", t.StartTimeout},
		{"COMPOSER_STALL_TIMEOUT", t.StallTimeout},
		{"COMPOSER_PROGRESS_TIMEOUT", t.ProgressTimeout},
	} {
		if limit.d <= 0 {
			return &Error{Name: limit.name, Problem: "must be more than 0", Hint: "leave it out for the default, or give a long time such as 24h for no limit"}
		}
	}
	return nil
}

// Validate refuses budgets below 0, and what is not a number. The test is written as "not at
// least 0", because NaN is neither less nor more than anything.
func (c *Controls) Validate() error {
	for _, limit := range []struct {
		name string
		n    float64
	}{
		{"COMPOSER_MAX_REPEATED_CALLS", float64(c.MaxRepeatedCalls)},
		{"COMPOSER_MAX_COST", c.MaxCost},
		{"COMPOSER_MAX_TOKENS", float64(c.MaxTokens)},
		{"COMPOSER_MAX_TURNS", float64(c.MaxTurns)},
		{"COMPOSER_KEY_MAX_COST", c.KeyMaxCost},
		{"COMPOSER_KEY_MAX_TOKENS", float64(c.KeyMaxTokens)},
		{"COMPOSER_KEY_MAX_TURNS", float64(c.KeyMaxTurns)},
	} {
		if !(limit.n >= 0) {
			return negative(limit.name)
		}
	}
	return nil
}

// Validate refuses numbers of 0 or less.
func (b *SDKBridge) Validate() error {
	for name, n := range map[string]int{"COMPOSER_SDK_BRIDGE_MAX": b.Max, "COMPOSER_SDK_BRIDGE_RECYCLE": b.Recycle, "COMPOSER_SDK_BRIDGE_MEMORY": b.Memory} {
		if n <= 0 {
			return &Error{Name: name, Problem: "must be more than 0", Hint: "leave it out for the default"}
		}
	}
	return nil
}

// Validate refuses to give the server's key to everybody.
func (a *LocalAuth) Validate() error {
	// Each of the two is fine by itself. Together they lend the Cursor key to whoever reaches the
	// port.
	if a.HowProved == "any" && a.Remote {
		return &Error{Name: "COMPOSER_LOCAL_AUTH", Problem: "is any, and COMPOSER_LOCAL_AUTH_REMOTE opens it to other machines", Hint: "use the token, which 'composer-api token' prints, or leave other machines out"}
	}
	return nil
}

// Validate refuses a negative number. 0 is no limit.
func (a *Accounts) Validate() error {
	if a.SignupLimit < 0 {
		return negative("COMPOSER_SIGNUP_LIMIT")
	}
	return nil
}

// negative is the error for a number below 0.
func negative(name string) *Error {
	return &Error{Name: name, Problem: "is less than 0", Hint: "leave it out for the default"}
}
