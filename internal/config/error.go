package config

// An Error is a setting that can't be used, with a hint how to fix it.
//
// Package cli prints it in two lines and ends with the exit code 2:
//
//	composer-api: COMPOSER_ADDR (.env line 3): is empty
//	hint: leave it out for 127.0.0.1:8787, or give HOST:PORT
type Error struct {
	// Name is the variable or flag at fault; empty when no single setting is.
	Name string
	// Origin says where the value was set: "environment", ".dev.vars line 3", "flag". Empty when it was not set.
	Origin string
	// Problem says what is wrong. It never holds a secret.
	Problem string
	// Hint says how to fix it.
	Hint string
}

// Error is everything but the hint, which the command line prints on a line of its own.
func (e *Error) Error() string {
	s := e.Name
	if e.Origin != "" {
		s += " (" + e.Origin + ")"
	}
	if s != "" {
		s += ": "
	}
	return s + e.Problem
}
