package h2client

import "io"

// A Source is a request's body that is taken from when there is something in it and the server has room, instead of being
// read by a goroutine that waits for it. It is safe for concurrent use. Reading it is for transports of another kind; a
// Source that was attached is not read.
//
// Take and Close are called with no lock of the Source held, and Take with the connection's: it must not wait, nor call wake.
type Source interface {
	io.ReadCloser

	// Attach is called once, before the first Take. wake is to be called when something was put in, or the end has come;
	// never with a lock held that Take needs. What isn't urgent may wait a moment for more to send with it (batchDelay).
	Attach(wake func(urgent bool))

	// Take moves bytes into p, as many as are there and fit. more says that there are more now. The error is io.EOF when
	// nothing will come after the bytes, and another one when the request is to be reset.
	Take(p []byte) (n int, more bool, err error)
}
