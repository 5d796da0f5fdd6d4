package main

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// serveProxy serves until ctx ends: Go's reverse proxy before the mock.
//
// Full duplex: without it, an answer that begins before the request was read to its end breaks
// about one in a hundred fast requests (golang.org/issue/40747).
func serveProxy(ctx context.Context, address, upstream string) error {
	target, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 10_000, DisableCompression: true},
	}
	return serveUntil(ctx, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 has it always
		proxy.ServeHTTP(w, r)
	})}, address)
}
