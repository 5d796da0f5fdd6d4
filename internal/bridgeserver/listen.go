package bridgeserver

import (
	"errors"
	"net"
	"net/netip"
)

// errNeedsToken is why a bridge does not start.
var errNeedsToken = errors.New("a bridge that others can reach needs a token: set CURSOR_SDK_BRIDGE_TOKEN, or listen on 127.0.0.1")

// CheckAddress refuses an address to listen on (host:port) that is not this machine's alone, unless the bridge has a
// token. Names are refused, too, but for localhost: what they mean may change.
func CheckAddress(address, token string) error {
	if token != "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() || host == "localhost" {
		return nil
	}
	return errNeedsToken
}
