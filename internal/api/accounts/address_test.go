package accounts

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
)

var proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}

func TestTheClientsAddressIsBelievedAsFarAsProxiesAreTrusted(t *testing.T) {
	for _, c := range []struct {
		name    string
		remote  string
		headers []string
		want    string
	}{
		{"no proxy", "192.0.2.1:1234", nil, "192.0.2.1"},
		{"a header from nobody we trust", "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		{"one proxy", "10.1.2.3:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.1.2.3:1234", []string{"198.51.100.7, 10.9.9.9"}, "198.51.100.7"},
		{"the client made up the left part", "10.1.2.3:1234", []string{"10.6.6.6, 8.8.8.8, 198.51.100.7, 10.9.9.9"}, "198.51.100.7"},
		{"several headers", "10.1.2.3:1234", []string{"8.8.8.8", "198.51.100.7"}, "198.51.100.7"},
		{"proxies only", "10.1.2.3:1234", []string{"10.9.9.9"}, "10.9.9.9"},
		{"no header", "10.1.2.3:1234", nil, "10.1.2.3"},
		{"garbage", "10.1.2.3:1234", []string{"198.51.100.7, unknown"}, "10.1.2.3"},
		{"with ports", "[2001:db8::1]:1234", []string{"198.51.100.7:99, [2001:db8::2]:99"}, "198.51.100.7"},
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:1234", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"not an IP connection", "mem", []string{"198.51.100.7"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.headers}}
		if got := clientAddress(r, proxies).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTheOriginIsThatOfTheClient(t *testing.T) {
	forwarded := http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"api.example.com"}}
	for _, c := range []struct {
		name string
		r    http.Request
		want string
	}{
		{"plain", http.Request{RemoteAddr: "192.0.2.1:1"}, "http://gw.test:8787"},
		{"TLS", http.Request{RemoteAddr: "192.0.2.1:1", TLS: &tls.ConnectionState{}}, "https://gw.test:8787"},
		{"behind a proxy", http.Request{RemoteAddr: "10.1.2.3:1", Header: forwarded}, "https://api.example.com"},
		{"headers from nobody we trust", http.Request{RemoteAddr: "192.0.2.1:1", Header: forwarded}, "http://gw.test:8787"},
	} {
		c.r.Host = "gw.test:8787"
		if got := origin(&c.r, proxies); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
