package bridgeserver

import (
	"crypto/tls"
	"net/http"
	"time"
)

// NewTransport makes a transport for a Server: HTTP/2 only, with prior knowledge for http and by ALPN for https. It uses
// the environment's proxy for https and trusts what config says, or the system's roots when that is nil. A connection
// without streams is closed after idle.
func NewTransport(config *tls.Config, idle time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, Protocols: protocols, IdleConnTimeout: idle,
		TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true,
		// A dead connection is noticed while its streams are quiet.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, WriteByteTimeout: 30 * time.Second},
	}
}
