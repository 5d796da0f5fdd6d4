package config

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"composer-api/internal/agent"
)

// The types of settings. Each checks its text when it is set (UnmarshalText), with an error that ends a
// sentence: "COMPOSER_ADDR … is not an http:// or https:// address".

// BaseURL is an http or https address, without a trailing slash. Empty means that it isn't set.
type BaseURL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *BaseURL) UnmarshalText(text []byte) error {
	if err := checkURL(string(text)); err != nil {
		return err
	}
	*b = BaseURL(strings.TrimRight(string(text), "/"))
	return nil
}

// URL is a whole http or https address, kept as it is: a slash at its end may matter to the server. Empty
// means that it isn't set.
type URL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *URL) UnmarshalText(text []byte) error {
	*u = URL(text)
	return checkURL(string(text))
}

// Endpoint is a path under a base URL, or a whole URL. Empty means that it isn't set.
type Endpoint string

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Endpoint) UnmarshalText(text []byte) error {
	*e = Endpoint(text)
	if e.whole() {
		return checkURL(string(text))
	}
	if strings.ContainsAny(string(text), " \t\r\n") {
		return errors.New("is neither a path nor a URL")
	}
	return nil
}

// whole reports whether the endpoint is a whole URL.
func (e Endpoint) whole() bool { return strings.Contains(string(e), "://") }

// checkURL never quotes the address in its error, because it may contain a password.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not an http:// or https:// address")
	}
	return nil
}

// Secret is a setting that never prints. It can be set by its variable only.
//
// The text is taken as it is, spaces included: a key with a space is found wrong by whoever uses
// it.
type Secret struct{ agent.Secret }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secret) UnmarshalText(text []byte) error {
	s.Secret = agent.NewSecret(string(text))
	return nil
}

// BeforeResolve is kong's hook for a flag that was given on the command line; it refuses the flag.
func (s Secret) BeforeResolve() error {
	return &Error{
		Problem: "a secret can't be given as a flag, where other users of this machine can read it",
		Hint:    "set its variable in the environment or in .dev.vars",
	}
}

// Networks is a list of IP networks, separated by commas or blanks. A single address counts as a network of
// one.
//
// Bits beyond the prefix's length are dropped: 10.1.2.3/8 is 10.0.0.0/8.
type Networks []netip.Prefix

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Networks) UnmarshalText(text []byte) error {
	var networks Networks
	for _, field := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(field)
		if addr, err2 := netip.ParseAddr(field); err != nil && err2 == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return errors.New("is not a list of networks such as 10.0.0.0/8,127.0.0.1")
		}
		networks = append(networks, prefix.Masked())
	}
	*n = networks
	return nil
}

// Level is a log level.
type Level struct{ slog.Level }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	if err := l.Level.UnmarshalText(text); err != nil {
		return errors.New("is not a log level: use debug, info, warn or error")
	}
	return nil
}

// Levels are a log level, and others for parts of the server: "info,gateway=debug".
type Levels struct {
	Level
	// Parts are the levels of parts, by name; nil when there are none. What parts there are is known to who logs.
	Parts map[string]slog.Level
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Levels) UnmarshalText(text []byte) error {
	*l = Levels{}
	for i, field := range strings.Split(string(text), ",") {
		part, name, named := strings.Cut(strings.TrimSpace(field), "=")
		// A level without a part is for all of them.
		if !named {
			name = part
		}
		var level Level
		if err := level.UnmarshalText([]byte(name)); err != nil {
			return err
		}
		switch {
		case !named && i > 0:
			return errors.New("has two levels for everything: put the name of a part before the others, as in info,gateway=debug")
		case !named:
			l.Level = level
		default:
			if l.Parts == nil {
				l.Parts = map[string]slog.Level{}
			}
			l.Parts[part] = level.Level
		}
	}
	return nil
}

// URLs is a list of http or https addresses, separated by commas or blanks.
type URLs []string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *URLs) UnmarshalText(text []byte) error {
	list := strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == ' ' })
	for _, one := range list {
		if checkURL(one) != nil {
			return errors.New("is not a list of http:// or https:// addresses")
		}
	}
	*u = list
	return nil
}

// Address is an address to listen on: HOST:PORT. A port alone means this machine only.
//
// The host may be empty, which is every interface; that it is meant is asked elsewhere.
type Address string

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Address) UnmarshalText(text []byte) error {
	*a = Address(text)
	if _, err := strconv.ParseUint(string(text), 10, 16); err == nil {
		*a = Address(net.JoinHostPort("127.0.0.1", string(text)))
	}
	return nil
}

// Root is where clients reach a gateway: a URL without /v1 and without a slash at its end. It is given as such a URL, or as
// the address that the gateway listens on, which means plain HTTP.
//
//	8787, 127.0.0.1:8787, :8787, 0.0.0.0:8787   http://127.0.0.1:8787
//	https://ai.example/composer/v1/             https://ai.example/composer
//
// A gateway that listens on every interface is reached at 127.0.0.1 by the clients of its machine.
type Root string

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Root) UnmarshalText(text []byte) error {
	given := strings.TrimSpace(string(text))
	if !strings.Contains(given, "://") {
		var addr Address
		if err := addr.UnmarshalText([]byte(given)); err != nil {
			return err
		}
		*r = RootOf(addr)
		return nil
	}
	const want = "is not the URL of a gateway such as https://ai.example/composer"
	u, err := url.Parse(given)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New(want)
	case u.User != nil:
		// It would stand in the files of clients.
		return errors.New(want + ": leave out the user and the password")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New(want + ": leave out what begins with ? or #")
	}
	// People copy the address out of a client that wants it with /v1.
	path := strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), "/v1")
	*r = Root(u.Scheme + "://" + u.Host + strings.TrimRight(path, "/"))
	return nil
}

// RootOf is where the clients of this machine reach a gateway that listens on addr.
func RootOf(addr Address) Root {
	host, port, err := net.SplitHostPort(string(addr))
	if err != nil {
		return Root("http://" + addr) // whoever listens there says what is wrong with it
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return Root("http://" + net.JoinHostPort(host, port))
}

// Local reports whether it is on this machine.
func (r Root) Local() bool {
	u, err := url.Parse(string(r))
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Hosts is a list of host names, separated by commas or blanks, in lower case. "*" is every name. Ports are
// dropped.
type Hosts []string

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hosts) UnmarshalText(text []byte) error {
	var hosts Hosts
	for _, host := range strings.FieldsFunc(strings.ToLower(string(text)), func(r rune) bool { return r == ',' || r == ' ' }) {
		if strings.ContainsAny(host, "/@") {
			return errors.New("is not a list of host names such as gateway.example: leave out http:// and paths")
		}
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		hosts = append(hosts, strings.Trim(host, "[]"))
	}
	*h = hosts
	return nil
}

// An Alias is another name for a model. In Pattern, each * matches any text.
//
// Package catalog says which of several patterns counts.
type Alias struct{ Pattern, Model string }

// Aliases is a list of PATTERN=MODEL, separated by commas or blanks.
type Aliases []Alias

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Aliases) UnmarshalText(text []byte) error {
	var aliases Aliases
	for _, field := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == ' ' }) {
		pattern, model, ok := strings.Cut(field, "=")
		if !ok || pattern == "" || model == "" || strings.ContainsAny(model, "*=") {
			return errors.New("is not a list of names such as gpt-*=composer-2.5,claude-*=composer-2.5")
		}
		aliases = append(aliases, Alias{pattern, model})
	}
	*a = aliases
	return nil
}
