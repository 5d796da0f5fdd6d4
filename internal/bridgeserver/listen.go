package bridgeserver

import (
	"errors"
	"net"
	"net/netip"
)

// errNeedsToken is the error of a bridge that would be open to everybody.
var errNeedsToken = errors.New("a bridge that others can reach needs a token: set CURSOR_SDK_BRIDGE_TOKEN, or listen on 127.0.0.1")

// CheckAddress refuses an address to listen on (host:port) that others than this machine can reach, unless
// the bridge has a token. Host names are refused, too, but for localhost: what they resolve to may change.
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
