// Package waitlist sends people who ask for early access to the operator's waiting list.
//
// The list is somebody else's service, at an address that the operator configures; none is compiled in. Its token never
// leaves this process but to that address.
package waitlist

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"composer-api/internal/agent"
)

// Config says where the list is. The zero value has none.
type Config struct {
	// URL takes entries with Token as the bearer (COMPOSER_WAITLIST_URL).
	URL string
	// FallbackURL takes entries without a token; it is used when Token or URL is empty (COMPOSER_WAITLIST_FALLBACK_URL).
	FallbackURL string
	// Token is WAITLIST_API_TOKEN.
	Token agent.Secret
	// Source tells the list where an entry comes from (WAITLIST_SOURCE); default "composer-api".
	Source string
	// HTTP sends the requests; nil means a client of its own. Redirects are not followed.
	HTTP *http.Client
}

// A Client sends entries to the list. It is safe for concurrent use.
//
// Its http.Client is a copy of the caller's, because a copy's CheckRedirect can be set without
// changing the original. The transport, and with it the connections, is shared.
type Client struct {
	// cfg has its defaults filled in. http is a copy, see above.
	cfg  Config
	http http.Client
}

// New makes a Client.
func New(cfg Config) *Client {
	cfg.Source = cmp.Or(cfg.Source, "composer-api")
	c := &Client{cfg: cfg}
	if cfg.HTTP != nil {
		c.http = *cfg.HTTP
	}
	// A redirect could send name and address to somebody whom the operator doesn't know.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// An Entry is one person.
//
// It is what a form sends, and not checked before Clean.
type Entry struct {
	// Both are required. Clean bounds them.
	Name  string
	Email string
}

// The limits of an entry's fields, in characters and bytes, and how long the list may take to answer.
const (
	maxName  = 200
	maxEmail = 320
	timeout  = 10 * time.Second
)

// mailbox is deliberately loose: something, an @, and something with a dot. Whether the address works,
// the list finds out by sending mail to it.
var mailbox = regexp.MustCompile(`^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$`)

// Clean trims the entry and checks it. Errors are *agent.Error with Param "name" or "email".
//
// e itself is not changed. A message is for the person who fills in the form.
func (e Entry) Clean() (Entry, error) {
	e = Entry{Name: strings.TrimSpace(e.Name), Email: strings.TrimSpace(e.Email)}
	switch {
	case e.Name == "":
		return Entry{}, agent.ParamError(agent.MissingParameter, "name", "Your name is required.")
	case utf8.RuneCountInString(e.Name) > maxName:
		return Entry{}, agent.ParamError(agent.InvalidValue, "name", "Your name must have at most %d characters.", maxName)
	case e.Email == "":
		return Entry{}, agent.ParamError(agent.MissingParameter, "email", "Your e-mail address is required.")
	case len(e.Email) > maxEmail || !mailbox.MatchString(e.Email):
		return Entry{}, agent.ParamError(agent.InvalidValue, "email", "Enter a valid e-mail address.")
	}
	return e, nil
}

// Join puts the entry on the list. It takes ten seconds at most.
//
// Errors are *agent.Error: as of Clean; NotConfigured without a list; Upstream when the list can't be
// reached or refuses.
//
// It is sent once and not retried: the first try may have reached the list, which might send a second mail.
func (c *Client) Join(ctx context.Context, e Entry) error {
	e, err := e.Clean()
	if err != nil {
		return err
	}
	req, err := c.request(ctx, e)
	if err != nil {
		return err
	}
	// A person waits for the page, so a list that is slow must not hold it up for long.
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		var named *url.Error
		if errors.As(err, &named) {
			err = named.Err // without the address, in which an operator may have put a token
		}
		return unreachable(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	// Redirects end here, too: they are not followed.
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return unreachable(fmt.Errorf("the list answered %s", resp.Status))
	}
	return nil
}

// request builds the request: to the list with its token if both are configured, else to the fallback.
//
// The member source is left out when it is empty.
func (c *Client) request(ctx context.Context, e Entry) (*http.Request, error) {
	// Source is for the list that knows our token; the other doesn't take it.
	body := struct {
		Name   string `json:"name"`
		Email  string `json:"email"`
		Source string `json:"source,omitempty"`
	}{Name: e.Name, Email: e.Email}
	address, token := c.cfg.FallbackURL, agent.Secret{}
	if c.cfg.URL != "" && !c.cfg.Token.IsZero() {
		address, token, body.Source = c.cfg.URL, c.cfg.Token, c.cfg.Source
	}
	if address == "" {
		return nil, agent.Errorf(agent.NotConfigured, "This server has no waiting list. Its operator sets COMPOSER_WAITLIST_URL and WAITLIST_API_TOKEN, or COMPOSER_WAITLIST_FALLBACK_URL.")
	}
	doc, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(doc))
	if err != nil {
		return nil, unreachable(errors.New("its address is no URL"))
	}
	req.Header.Set("Content-Type", "application/json")
	if !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	return req, nil
}

// unreachable is the error for a list that gave no good answer. The cause is for our log only.
func unreachable(cause error) error {
	return &agent.Error{Code: agent.Upstream, Message: "The waiting list can't be reached. Please try again shortly.", Err: cause}
}
