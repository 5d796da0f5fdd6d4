// Package reach says, for people, why an address of Cursor's can't be reached: which address, which cause, and what to
// do about it. Most causes are mistakes in a setting, such as http where https is spoken.
//
//	reach.go      the sentence for an error of a connection
//	intercept.go  the sentence for an answer that is not Cursor's
//	proxy.go      the refusal of a proxy
//	probe.go      one request that finds out whether a host can be reached
//
// Every backend that makes its own connections uses it, so that one mistake has one sentence.
package reach

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"composer-api/internal/agent"
)

// Error is the error of a connection to target that could not be made, or of a request that got
// no answer. It names the address without its path, and never a password in it. setting is the
// variable that holds the address. The code is always Upstream; callers that know better (a
// time-out of their own) make another error.
func Error(target *url.URL, setting string, err error) *agent.Error {
	return &agent.Error{
		Code: agent.Upstream, Err: err,
		Message: fmt.Sprintf("Cursor can't be reached at %s://%s: %s.", target.Scheme, target.Host, reason(target, setting, err)),
	}
}

// reason says what went wrong and what may help, without a full stop at its end.
//
// The order of the cases matters: more precise causes come first, and an error often fits
// several. Errors of crypto/tls and net/http that have no type are known by their words; a new
// version of Go may change those, and the result is only a less helpful sentence.
func reason(target *url.URL, setting string, err error) string {
	var (
		dns     *net.DNSError
		op      *net.OpError
		host    x509.HostnameError
		ended   x509.CertificateInvalidError
		untrust *tls.CertificateVerificationError
		timeout net.Error
		refused *proxyRefusal
	)
	// Most sentences end with it, so that the user has a place to begin.
	check := "check " + setting
	switch {
	// First: it is about this machine, whatever was to be reached.
	case isErrno(err, syscall.EMFILE, windowsMFile), isErrno(err, syscall.ENFILE, windowsNoBuffers):
		return "this machine has no more files or sockets to give; raise the limit of open files (ulimit -n, LimitNOFILE)"
	// Before all others: what went wrong on the way to the proxy says nothing about Cursor.
	case errors.As(err, &refused):
		return refused.reason()
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "the proxy can't be reached; check HTTPS_PROXY"
	case spokeHTTP(err) && target.Scheme == "https":
		return "http is spoken there, not https; write http:// in " + setting
	case spokeHTTP(err):
		return "HTTP/2 is not spoken there; " + check
	case strings.Contains(err.Error(), "no application protocol"): // crypto/tls has no type for this alert
		return "HTTP/2 is not spoken there; " + check
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host of this name; " + check
	// No answer of the resolver, or a temporary failure: the name may be right.
	case errors.As(err, &dns):
		return "the name of the host can't be looked up now"
	case isErrno(err, syscall.ECONNREFUSED, windowsRefused):
		return "the connection was refused, so nothing listens there; " + check
	case isErrno(err, syscall.ENETUNREACH, windowsNetUnreachable), isErrno(err, syscall.EHOSTUNREACH, windowsHostUnreachable):
		return "there is no route to the host; check the network"
	case errors.As(err, &host):
		return "its certificate is for another name; " + check
	// Before the next, which has this error in it: no authority cures it.
	case errors.As(err, &ended) && ended.Reason == x509.Expired:
		return "its certificate has ended, or is not good yet, by this machine's clock; look at the clock, or ask who runs the host to renew the certificate"
	case errors.As(err, &untrust):
		return "its certificate is not trusted; name its authority with COMPOSER_CA_FILE"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "there was no answer in time; check the network and " + setting
	case closedEarly(err):
		if target.Scheme == "http" {
			return "the connection was closed at once; if https is spoken there, write https:// in " + setting
		}
		return "the connection was closed at once"
	case closedWithoutCause(err) && target.Scheme == "http":
		return "the connection was closed at once; HTTP/2 is not spoken there, or only with TLS: then write https:// in " + setting
	case closedWithoutCause(err):
		return "the connection was closed at once; HTTP/2 is not spoken there; " + check
	}
	return "the connection failed"
}

// closedEarly reports whether the other side closed the connection before it answered, as we found out while reading.
func closedEarly(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isErrno(err, syscall.ECONNRESET, windowsReset)
}

// closedWithoutCause reports whether the connection was found closed while we were writing, or before HTTP/2's client could
// use it. What the server had said before is lost then: it may speak TLS, or HTTP/1 alone. The client's errors have no types.
func closedWithoutCause(err error) bool {
	text := err.Error()
	return errors.Is(err, net.ErrClosed) || isErrno(err, syscall.EPIPE, windowsReset) || strings.Contains(text, "client conn could not be established") || strings.Contains(text, "client conn not usable") ||
		strings.Contains(text, "client connection lost")
}

// Windows has numbers of its own for what syscall's names mean elsewhere. No other system uses numbers so high.
const (
	windowsMFile           = syscall.Errno(10024)
	windowsNetUnreachable  = syscall.Errno(10051)
	windowsReset           = syscall.Errno(10054)
	windowsNoBuffers       = syscall.Errno(10055)
	windowsRefused         = syscall.Errno(10061)
	windowsHostUnreachable = syscall.Errno(10065)
)

// isErrno reports whether err is one of these numbers of the operating system.
//
// Errors of the net package hold the number several levels deep; errors.As looks through all of
// them.
func isErrno(err error, these ...syscall.Errno) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	for _, e := range these {
		if errno == e {
			return true
		}
	}
	return false
}

// spokeHTTP reports whether the other end answered in plain HTTP/1 where something else was spoken.
func spokeHTTP(err error) bool {
	var record tls.RecordHeaderError
	if errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	// net/http's HTTP/2 has no type for this.
	return strings.Contains(err.Error(), "looked like an HTTP/1.1 header")
}

// sentToTLS are words of the answer that servers give to plain HTTP where they speak https: Go's and nginx's.
var sentToTLS = []string{"HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"}

// WrongScheme is the error for an answer of status 400 that says that target speaks https and was asked in http; nil when
// the answer says nothing of the kind.
//
// Such an answer is a complete response, so it is no error of a connection. body is the beginning
// of it. It is NotConfigured and not Upstream: trying again can't help.
func WrongScheme(target *url.URL, setting string, status int, body []byte) *agent.Error {
	if status != http.StatusBadRequest || target.Scheme != "http" {
		return nil
	}
	for _, words := range sentToTLS {
		if strings.Contains(string(body), words) {
			return &agent.Error{
				Code: agent.NotConfigured, Err: errors.New("reach: the server wants https"),
				Message: fmt.Sprintf("Cursor can't be reached at http://%s: https is spoken there, not http; write https:// in %s.", target.Host, setting),
			}
		}
	}
	return nil
}
