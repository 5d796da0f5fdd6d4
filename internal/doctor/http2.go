package doctor

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"
)

// http2 asks the addresses that have to speak HTTP/2 for an answer in it: a run is a stream in both directions, which HTTP/1.1
// has not.
func http2(ctx context.Context, s *Subject, r *report) {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	// For http:// addresses, such as that of a simulator.
	protocols.SetUnencryptedHTTP2(true)
	// Without the local agent no address needs HTTP/2.
	asked := false
	for _, t := range s.targets() {
		if !t.HTTP2 {
			continue
		}
		asked = true
		// A transport that knows HTTP/2 alone, so that an answer in HTTP/1.1 is an error.
		began := time.Now()
		if _, err := ask(ctx, s.Network.transport(&tls.Config{RootCAs: s.Network.Roots, Time: s.Network.Now}, protocols), &t); err != nil {
			r.broken("correct "+t.Setting+"; a proxy before Cursor has to pass HTTP/2 on in both directions, or else use Cursor's bridge: 'composer-api upstream install'", "%s", t.failure(err))
			continue
		}
		r.okAfter(began, "%s speaks it", t.name())
	}
	if !asked {
		r.ok("no address has to speak it")
	}
}
