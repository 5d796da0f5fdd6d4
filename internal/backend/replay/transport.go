package replay

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"time"
)

// NewTransport makes a transport for target: HTTP/2 with prior knowledge for http, HTTP/2 or HTTP/1.1 by ALPN for https.
// It uses the environment's proxy and trusts what tls says, or the system's roots when that is nil.
func NewTransport(target string, tls *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	if u, err := url.Parse(target); err == nil && u.Scheme == "http" {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     tls,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     5 * time.Minute,
		Protocols:           protocols,
		// A connection that no longer answers is found out while its streams are quiet.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, WriteByteTimeout: 15 * time.Second},
	}
}
