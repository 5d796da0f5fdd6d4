module composer-api/conformance

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	golang.org/x/sys v0.49.0
	golang.org/x/tools v0.52.0
)
