package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"syscall"
)

// port looks whether serve could listen, and who does so if it can't.
func port(ctx context.Context, s *Subject, r *report) {
	for _, p := range s.Ports {
		// To listen is the only sure test: firewalls, other users' programs and missing rights all
		// show. It is closed at once.
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.Addr)
		if err == nil {
			listener.Close()
			r.ok("%s is free for %s", p.Addr, p.What)
			continue
		}
		cure := "'composer-api serve " + p.Flag + " " + p.Another + "'"
		switch {
		case !taken(err):
			r.broken("use an address of this machine: "+cure, "%s can't listen on %s: %v", p.What, p.Addr, errors.Unwrap(err))
		// The doctor is mostly asked while the gateway runs, so this is no fault.
		case isGateway(ctx, p.Addr):
			r.ok("a gateway listens on %s", p.Addr)
		default:
			r.broken("end that program ("+whoListens(p.Addr)+" shows which it is), or take another port: "+cure, "%s is taken by another program, so that %s can't listen there", p.Addr, p.What)
		}
	}
}

// windowsInUse is what Windows says in the place of EADDRINUSE. No other system uses numbers so high.
const windowsInUse = syscall.Errno(10048)

// taken reports whether an address is in use by somebody.
func taken(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && (errno == syscall.EADDRINUSE || errno == windowsInUse)
}

// isGateway asks who listens what it is.
// GET / says the program's name, to anybody and without a key.
func isGateway(ctx context.Context, addr string) bool {
	return saysSo(ctx, "http://"+reachable(addr)+"/") || saysSo(ctx, "https://"+reachable(addr)+"/")
}

// saysSo asks at one address. Over TLS any certificate will do: who it is for is another check.
func saysSo(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	// Without it a gateway would answer with its page for browsers.
	req.Header.Set("Accept", "application/json")
	// No proxy: it is this machine.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var answer struct {
		Name string `json:"name"`
	}
	// Another program may answer with anything, of any length.
	return json.NewDecoder(io.LimitReader(resp.Body, 4096)).Decode(&answer) == nil && answer.Name == "composer-api"
}

// reachable is the address by which this machine reaches who listens on addr: every interface is 127.0.0.1.
func reachable(addr string) string {
	// An address without a port can't be listened on either, so it stays as it is.
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// whoListens is a command that shows which program listens.
func whoListens(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	switch runtime.GOOS {
	// Each is there without being installed.
	case "windows":
		return "'netstat -ano | findstr :" + port + "'"
	case "darwin":
		return "'lsof -nP -iTCP:" + port + " -sTCP:LISTEN'"
	}
	return "'ss -ltnp sport = :" + port + "'"
}
