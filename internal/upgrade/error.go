package upgrade

// An Error is why an upgrade is not made, with the way out. It holds no secret: the addresses of releases have none.
type Error struct {
	// Problem says what is wrong.
	Problem string
	// Hint says what to do about it.
	Hint string
	// Cause is what the system has said; nil for none.
	Cause error
}

// Error is everything but the hint, which the command line prints on a line of its own.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Problem + ": " + e.Cause.Error()
	}
	return e.Problem
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
