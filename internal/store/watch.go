package store

// Watches: how a process learns at once that another one has changed a response, so that nobody has to read a row again and
// again. They carry no content: whoever is told reads.

// A Watcher tells of changes.
type Watcher interface {
	// WatchResponse tells from now on of changes of a response, by whichever process: of its row and, if withEvents, of the
	// events that are added to it. It does not look whether there is such a response, and never waits for the database. The
	// caller stops the watch.
	WatchResponse(ref ResponseRef, withEvents bool) Watch
}

// A Watch is one wait for changes. A loop with it registers first and reads then, so that nothing goes by unseen:
//
//	watch := store.WatchResponse(ref, true)
//	defer watch.Stop()
//	for … {
//		… read …
//		select {
//		case <-watch.Changed():
//		case <-time.After(…): // see Complete
//		}
//	}
type Watch interface {
	// Changed gets a value after each change. It holds one, so many changes may be told of once; and it may get one
	// without a change. It is never closed.
	Changed() <-chan struct{}
	// Complete reports whether changes by all processes are told of at present. While it is false, those of other processes
	// may not be, and the caller looks often by itself. A notice can get lost all the same, so it looks seldom even
	// when this is true. Changed gets a value when it changes.
	Complete() bool
	// Stop ends the watch.
	Stop()
}
