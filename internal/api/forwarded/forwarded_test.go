package forwarded

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}

// headers reads lines of "Name: value".
func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestTheClientsAddressIsBelievedAsFarAsProxiesAreTrusted(t *testing.T) {
	for _, c := range []struct {
		name    string
		remote  string
		headers http.Header
		want    string
	}{
		{"no proxy", "192.0.2.1:1234", nil, "192.0.2.1"},
		{"a header from nobody we trust", "192.0.2.1:1234", headers("X-Forwarded-For: 198.51.100.7"), "192.0.2.1, not believed"},
		{"one proxy", "10.1.2.3:1234", headers("X-Forwarded-For: 198.51.100.7"), "198.51.100.7"},
		{"two proxies", "10.1.2.3:1234", headers("X-Forwarded-For: 198.51.100.7, 10.9.9.9"), "198.51.100.7"},
		{"the client made up the left part", "10.1.2.3:1234", headers("X-Forwarded-For: 10.6.6.6, 8.8.8.8, 198.51.100.7, 10.9.9.9"), "198.51.100.7"},
		{"several headers", "10.1.2.3:1234", headers("X-Forwarded-For: 8.8.8.8", "X-Forwarded-For: 198.51.100.7"), "198.51.100.7"},
		{"proxies only", "10.1.2.3:1234", headers("X-Forwarded-For: 10.9.9.9"), "10.9.9.9"},
		{"no header", "10.1.2.3:1234", nil, "10.1.2.3"},
		{"garbage", "10.1.2.3:1234", headers("X-Forwarded-For: 198.51.100.7, unknown"), "10.1.2.3"},
		{"with ports", "[2001:db8::1]:1234", headers("X-Forwarded-For: 198.51.100.7:99, [2001:db8::2]:99"), "198.51.100.7"},
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:1234", headers("X-Forwarded-For: ::ffff:198.51.100.7"), "198.51.100.7"},
		{"not an IP connection", "mem", headers("X-Forwarded-For: 198.51.100.7"), "invalid IP, not believed"},

		{"the standard's header", "10.1.2.3:1234", headers(`Forwarded: for=198.51.100.7;proto=https;by=10.1.2.3`), "198.51.100.7"},
		{"with quotes, spaces and case", "10.1.2.3:1234", headers(`Forwarded: For="[2001:DB8:1::7]:4711" ; Host="a,b;c", for="10.9.9.9"`), "2001:db8:1::7"},
		{"in several lines", "10.1.2.3:1234", headers(`Forwarded: for=8.8.8.8, for=198.51.100.7`, `Forwarded: for=10.9.9.9`), "198.51.100.7"},
		{"a hidden client", "10.1.2.3:1234", headers(`Forwarded: for=_secret`), "10.1.2.3"},
		{"a quote without an end", "10.1.2.3:1234", headers(`Forwarded: for="198.51.100.7`), "10.1.2.3"},
		{"both kinds, which agree", "10.1.2.3:1234", headers("X-Forwarded-For: 198.51.100.7", "Forwarded: for=198.51.100.7"), "198.51.100.7"},
		{"both kinds: the proxy writes one, the client has made up the other", "10.1.2.3:1234", headers("X-Forwarded-For: 198.51.100.7", "Forwarded: for=8.8.8.8"), "10.1.2.3, not believed"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: c.headers}
		at := readHop(r, proxies)
		got := at.Client.String()
		if at.unbelieved {
			got += ", not believed"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTheOriginIsThatOfTheClient(t *testing.T) {
	for _, c := range []struct {
		name    string
		remote  string
		headers http.Header
		want    string
	}{
		{"plain", "192.0.2.1:1", nil, "http://gw.test:8787"},
		{"behind a proxy", "10.1.2.3:1", headers("X-Forwarded-Proto: https", "X-Forwarded-Host: api.example.com"), "https://api.example.com"},
		{"headers from nobody we trust", "192.0.2.1:1", headers("X-Forwarded-Proto: https", "X-Forwarded-Host: api.example.com"), "http://gw.test:8787"},
		{"in another case", "10.1.2.3:1", headers("X-Forwarded-Proto: HTTPS", "X-Forwarded-Host: API.Example.Com"), "https://api.example.com"},
		{"lists of two proxies, the client's entry is the first", "10.1.2.3:1",
			headers("X-Forwarded-For: 198.51.100.7, 10.9.9.9", "X-Forwarded-Proto: https, http", "X-Forwarded-Host: api.example.com, inner:8080"), "https://api.example.com"},
		{"lists that the client has begun", "10.1.2.3:1",
			headers("X-Forwarded-For: 8.8.8.8, 198.51.100.7", "X-Forwarded-Proto: http, https", "X-Forwarded-Host: evil.example, api.example.com"), "https://api.example.com"},
		{"one entry of two proxies", "10.1.2.3:1", headers("X-Forwarded-For: 198.51.100.7, 10.9.9.9", "X-Forwarded-Proto: https"), "https://gw.test:8787"},
		{"a port", "10.1.2.3:1", headers("X-Forwarded-Proto: https", "X-Forwarded-Host: api.example.com", "X-Forwarded-Port: 8443"), "https://api.example.com:8443"},
		{"the scheme's own port", "10.1.2.3:1", headers("X-Forwarded-Proto: https", "X-Forwarded-Host: api.example.com:443", "X-Forwarded-Port: 443"), "https://api.example.com"},
		{"a port in both", "10.1.2.3:1", headers("X-Forwarded-Host: api.example.com:81", "X-Forwarded-Port: 82"), "http://api.example.com:81"},
		{"IPv6 with a port", "10.1.2.3:1", headers("X-Forwarded-Host: [2001:db8::7]", "X-Forwarded-Port: 82"), "http://[2001:db8::7]:82"},
		{"a path that a proxy cuts off", "10.1.2.3:1", headers("X-Forwarded-Host: api.example.com", "X-Forwarded-Prefix: /composer/"), "http://api.example.com/composer"},
		{"paths of two proxies", "10.1.2.3:1", headers("X-Forwarded-Host: api.example.com", "X-Forwarded-Prefix: /a, /b"), "http://api.example.com/a/b"},
		{"the standard's header", "10.1.2.3:1", headers(`Forwarded: for=198.51.100.7;proto=https;host="api.example.com:8443"`), "https://api.example.com:8443"},
		{"the standard's header of two proxies", "10.1.2.3:1", headers("Forwarded: for=198.51.100.7;proto=https;host=api.example.com, for=10.9.9.9;proto=http;host=inner"), "https://api.example.com"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Host: "gw.test:8787", Header: c.headers}
		at := readHop(r, proxies)
		if got := at.Origin(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	secure := readHop(&http.Request{RemoteAddr: "192.0.2.1:1", Host: "gw.test:8787", TLS: &tls.ConnectionState{}}, proxies)
	if got := secure.Origin(); got != "https://gw.test:8787" {
		t.Errorf("TLS: %s", got)
	}
}

// Whatever is not a plain address is passed over: it becomes part of a URL that a user is told to use.
func TestWhatIsNoAddressIsPassedOver(t *testing.T) {
	for _, line := range []string{
		"X-Forwarded-Proto: javascript", "X-Forwarded-Proto: ", "X-Forwarded-Host: ", "X-Forwarded-Host: a b", "X-Forwarded-Host: evil.example/path",
		"X-Forwarded-Host: user@evil.example", "X-Forwarded-Host: evil.example:0", "X-Forwarded-Host: evil.example:99999", "X-Forwarded-Host: evil.example:x",
		"X-Forwarded-Host: 2001:db8::1", "X-Forwarded-Host: [fe80::1%25eth0]", "X-Forwarded-Host: .example", "X-Forwarded-Host: a..b", "X-Forwarded-Host: <script>",
		"X-Forwarded-Host: ünï.example", "X-Forwarded-Host: " + strings.Repeat("a", 300), "X-Forwarded-Port: 0", "X-Forwarded-Port: 80a", "X-Forwarded-Port: 80",
		"X-Forwarded-Prefix: //evil.example", "X-Forwarded-Prefix: a", "X-Forwarded-Prefix: /..", "X-Forwarded-Prefix: /a?b", "X-Forwarded-Prefix: /a//b",
		"X-Forwarded-Prefix: /" + strings.Repeat("a", 300), "Forwarded: host=evil.example/path;proto=x", "Forwarded: ", "Forwarded: ;;,=,",
	} {
		r := &http.Request{RemoteAddr: "10.1.2.3:1", Host: "gw.test", Header: headers(line)}
		at := readHop(r, proxies)
		if got := at.Origin(); got != "http://gw.test" || at.Client.String() != "10.1.2.3" {
			t.Errorf("%q: %s, %v", line, got, at.Client)
		}
	}
}

// FuzzReadHop feeds headers of any content.
func FuzzReadHop(f *testing.F) {
	f.Add("198.51.100.7, 10.9.9.9", "https, http", "api.example.com, inner:8080", "8443", "/a, /b", `for="[2001:db8::1]:47";host=x`)
	f.Add("", "", "", "", "", `for="a\\"b`)
	f.Fuzz(func(t *testing.T, client, scheme, host, port, prefix, standard string) {
		h := http.Header{
			"X-Forwarded-For": {client}, "X-Forwarded-Proto": {scheme}, "X-Forwarded-Host": {host}, "X-Forwarded-Port": {port},
			"X-Forwarded-Prefix": {prefix}, "Forwarded": {standard},
		}
		for _, drop := range []string{"", "Forwarded", "X-Forwarded-For"} {
			h.Del(drop)
			at := readHop(&http.Request{RemoteAddr: "10.1.2.3:1", Host: "gw.test", Header: h}, proxies)
			if !at.Client.IsValid() || at.Scheme != "http" && at.Scheme != "https" || strings.ContainsAny(at.Host, "/@?# \"<>") || strings.ContainsAny(at.Prefix, "?#@ \"<>") || strings.Contains(at.Prefix, "//") {
				t.Errorf("%+v", at)
			}
		}
	})
}

func TestTheOperatorIsToldOfAProxyThatNobodyTrusts(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1_790_000_000, 0)
	reader := NewReader(nil, slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	ask := func(remote string) string {
		log.Reset()
		reader.Read(&http.Request{RemoteAddr: remote, Header: headers("X-Forwarded-For: 198.51.100.7")})
		return log.String()
	}
	if said := ask("192.168.0.5:1"); !strings.Contains(said, "COMPOSER_TRUSTED_PROXIES") || !strings.Contains(said, "192.168.0.5") || strings.Contains(said, "198.51.100.7") {
		t.Errorf("the log says %q", said)
	}
	if said := ask("192.168.0.5:1"); said != "" {
		t.Errorf("the second time the log says %q", said)
	}
	now = now.Add(warnEvery)
	if said := ask("8.8.8.8:1"); said == "" || strings.Contains(said, "8.8.8.8") {
		t.Errorf("of a public address the log says %q", said)
	}
}
