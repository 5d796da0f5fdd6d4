package agent

import "strings"

// KeyFault says what is wrong with the form of a text that was given as an API key, and what to do about it: the ends of two
// sentences, "the key" problem, and cure as an order. Both are "" when nothing is: whether the key is good, upstream alone knows.
//
// The caller has cut off the white space around it. The text is not repeated in what is returned, because most of it may be the
// key. Keys of Cursor's are letters, digits and underscores (crsr_…, key_…); ours have a hyphen, too. Only what none of them
// can hold is a fault, so that a new form of theirs is none.
func KeyFault(key string) (problem, cure string) {
	scheme, _, _ := strings.Cut(key, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return `begins with "Bearer"`, "give the key alone"
	// Docker's --env-file and the set of Windows' command line don't take them off. The last ones a word processor makes.
	case strings.ContainsAny(key, "\"'`“”‘’"):
		return "has quotes around it", "leave them out"
	// What a manual writes in its place (crsr_…), and a variable that the client does not know or its file does not name rightly:
	// $NAME, ${NAME}, {env:NAME}, %NAME%, <key>.
	case strings.ContainsAny(key, "…${}<>%") || strings.HasSuffix(key, "..."):
		return "is a placeholder, and no key", "put the key in its place; if it names a variable, set that where the client runs"
	case strings.ContainsAny(key, " \t\r\n"):
		return "has a blank or a line break in it", "give the key alone, on one line"
	// No header can carry the control characters, and no key has the others.
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "has characters that no key has", "copy it again"
	}
	return "", ""
}
